//! AAPCS64, the procedure call standard of AArch64, as Linux uses it.
//!
//! Rule letters are those of *Procedure Call Standard for the Arm 64-bit Architecture*, 6.8.2 "Parameter passing
//! rules" and 6.9 "Result return". Where the text leaves a case open, gcc's behaviour decides and is said so.
//! Variadic arguments are passed as named ones are (6.8.2, and unlike Apple's variant).
//!
//! | | registers, in order |
//! |---|---|
//! | integer arguments (NGRN) | x0 .. x7 |
//! | floating-point and vector arguments (NSRN) | v0 .. v7 |
//! | address of a result in memory | x8 |
//! | results | x0 x1, v0 .. v3 |

use crate::abi::{Argument, Planner, Register, Source, Width, scalar_width};
use crate::error::{Error, Result};
use crate::types::signature::Signature;
use crate::types::{Aggregate, AggregateKind, Arch, Type, Vector, layout};

const GPRS: u8 = 8;
const FPRS: u8 = 8;
const RESULT_POINTER: Register = Register::Gpr(8);

pub(super) fn register(register: Register) -> String {
    match register {
        Register::Gpr(number) => format!("x{number}"),
        Register::Fpr(number) => format!("v{number}"),
        Register::X87(_) => unreachable!("AArch64 has no x87 registers"),
    }
}

/// Stage A: no register used yet. The stack's own counter (NSAA) is the planner's.
struct Next {
    /// Next general-purpose register number.
    ngrn: u8,
    /// Next SIMD and floating-point register number.
    nsrn: u8,
}

/// Plans a call.
pub(super) fn plan(signature: &Signature, planner: &mut Planner) -> Result<()> {
    plan_result(signature.result(), planner)?;
    let mut next = Next { ngrn: 0, nsrn: 0 };
    for parameter in signature.parameters() {
        let argument = planner.argument(&parameter.ty)?;
        match Passing::of(&parameter.ty)? {
            Passing::Nothing => {}
            Passing::Vector(homogeneous) => pass_vector(&parameter.ty, &homogeneous, &argument, planner, &mut next)?,
            Passing::General => pass_general(&parameter.ty, &argument, planner, &mut next)?,
            Passing::Reference => pass_reference(&argument, planner, &mut next)?,
        }
    }
    Ok(())
}

/// How a type is passed, whatever registers are left.
enum Passing {
    /// An empty struct (a GNU extension) takes no place at all.
    Nothing,
    /// Floating-point, short vector, HFA or HVA: SIMD and floating-point registers.
    Vector(Homogeneous),
    /// Integers, pointers and small composites: general registers.
    General,
    /// Stage B.4: a larger composite is copied by the caller, who passes the copy's address.
    Reference,
}

impl Passing {
    fn of(ty: &Type) -> Result<Passing> {
        let size = layout::of(ty, Arch::Aarch64)?.size;
        Ok(match homogeneous(ty)? {
            _ if size == 0 => Passing::Nothing,
            Some(found) => Passing::Vector(found),
            None if size > 16 => Passing::Reference,
            None => Passing::General,
        })
    }
}

/// C.1 to C.6: floating-point, short vectors, HFAs and HVAs.
fn pass_vector(
    ty: &Type,
    elements: &Homogeneous,
    argument: &Argument,
    planner: &mut Planner,
    next: &mut Next,
) -> Result<()> {
    let width = elements.width();
    if next.nsrn + elements.count <= FPRS {
        // C.1, C.2: one register for each element.
        for element in 0..elements.count {
            let offset = usize::from(element) * elements.size;
            planner.pass_in_register(argument, offset, width, Register::Fpr(next.nsrn));
            next.nsrn += 1;
        }
        return Ok(());
    }
    // C.3: once one did not fit, no later one goes to a register. C.4: NSAA is aligned to 8 or 16. C.6.
    next.nsrn = FPRS;
    let scalar_width = if matches!(ty, Type::Float(_)) { width } else { Width::B8 };
    planner.pass_on_stack(argument, stack_align(ty)?, scalar_width)
}

/// C.9 to C.17: integers, pointers, and composites of at most 16 bytes.
fn pass_general(ty: &Type, argument: &Argument, planner: &mut Planner, next: &mut Next) -> Result<()> {
    let words = argument.size.div_ceil(8) as u8;
    let width = match ty {
        Type::Aggregate(_) => Width::B8,
        scalar => scalar_width(scalar, Arch::Aarch64),
    };
    // C.10: 16-byte alignment starts at an even register. gcc asks so of values that take two registers only.
    if words == 2 && natural_align(ty)? == 16 {
        next.ngrn = next.ngrn.next_multiple_of(2);
    }
    if next.ngrn + words <= GPRS {
        // C.9, C.11, C.12.
        for word in 0..words {
            planner.pass_in_register(argument, 8 * usize::from(word), width, Register::Gpr(next.ngrn));
            next.ngrn += 1;
        }
        return Ok(());
    }
    // C.13: once one did not fit, no later one goes to a register. C.14 to C.17.
    next.ngrn = GPRS;
    planner.pass_on_stack(argument, stack_align(ty)?, width)
}

/// B.4, then C.9 or C.17 for the address.
fn pass_reference(argument: &Argument, planner: &mut Planner, next: &mut Next) -> Result<()> {
    let source: Source = planner.copy(argument)?;
    if next.ngrn < GPRS {
        planner.pass_address_in_register(argument, source, Register::Gpr(next.ngrn));
        next.ngrn += 1;
        return Ok(());
    }
    planner.pass_address_on_stack(argument, source)
}

/// 6.9: a result comes back where it would be passed as the first argument; what would be passed by reference, in
/// memory that x8 points at.
fn plan_result(ty: &Type, planner: &mut Planner) -> Result<()> {
    if ty.is_void() {
        return Ok(());
    }
    let size = layout::of(ty, Arch::Aarch64)?.size;
    match Passing::of(ty)? {
        Passing::Nothing => {}
        Passing::Reference => planner.result_in_memory(size, RESULT_POINTER),
        Passing::Vector(elements) => {
            for element in 0..elements.count {
                let offset = usize::from(element) * elements.size;
                planner.result_part(size, offset, elements.size, Register::Fpr(element));
            }
        }
        Passing::General => {
            for word in 0..size.div_ceil(8) {
                planner.result_part(size, 8 * word, 8, Register::Gpr(word as u8));
            }
        }
    }
    Ok(())
}

/// A floating-point or short vector value, or an aggregate of one to four of them: 5.9.5.
#[derive(Clone, Copy)]
struct Homogeneous {
    /// Bytes of an element: 2, 4, 8 or 16.
    size: usize,
    /// How many elements: 1 to 4.
    count: u8,
}

impl Homogeneous {
    fn width(&self) -> Width {
        match self.size {
            2 => Width::U2,
            4 => Width::B4,
            8 => Width::B8,
            _ => Width::B16,
        }
    }
}

/// The elements, where the type is a floating-point or short vector type, an HFA or an HVA.
fn homogeneous(ty: &Type) -> Result<Option<Homogeneous>> {
    if let Some(found) = lone(ty)? {
        return Ok(Some(found));
    }
    let mut elements = Elements { kind: None };
    let Some(count @ 1..=4) = elements.count(ty)? else { return Ok(None) };
    Ok(elements.kind.map(|(size, _)| Homogeneous { size, count: count as u8 }))
}

/// The complex number or short vector that a type is, or that a struct is made of.
///
/// Besides it, the struct may have members of no size, which C does not know (zero-length arrays and empty structs):
/// whatever their types, gcc gives the whole the mode of the one member, and passes it as that.
fn lone(ty: &Type) -> Result<Option<Homogeneous>> {
    let size = |ty: &Type| Ok::<_, Error>(layout::of(ty, Arch::Aarch64)?.size);
    let inner = match ty {
        Type::Complex(float) => return Ok(Some(Homogeneous { size: float.size(), count: 2 })),
        Type::Vector(vector) if vector.size() <= 16 => {
            return Ok(Some(Homogeneous { size: vector.size(), count: 1 }));
        }
        Type::Array(array) if array.length() == Some(1) => array.element(),
        Type::Aggregate(aggregate) if aggregate.kind() == AggregateKind::Struct => {
            let mut found = None;
            for member in aggregate.members().iter().filter(|member| member.bits != Some(0)) {
                if member.bits.is_some() || size(&member.ty)? > 0 && found.replace(&member.ty).is_some() {
                    return Ok(None);
                }
            }
            let Some(inner) = found else { return Ok(None) };
            inner
        }
        _ => return Ok(None),
    };
    if size(inner)? == size(ty)? { lone(inner) } else { Ok(None) }
}

/// Counts the elements of one kind that a type is made of.
struct Elements {
    /// Size in bytes, and whether it is a vector; fixed by the first element found.
    kind: Option<(usize, bool)>,
}

impl Elements {
    /// How many elements a type has, or `None` where it is not made of one kind only, or has padding.
    fn count(&mut self, ty: &Type) -> Result<Option<usize>> {
        let count = match ty {
            Type::Float(float) => self.same_kind(float.size(), false, 1),
            Type::Complex(float) => self.same_kind(float.size(), false, 2),
            Type::Vector(vector) => self.short_vector(*vector),
            Type::Array(array) => match array.length() {
                Some(length) => self.count(array.element())?.and_then(|count| count.checked_mul(length)),
                None => None,
            },
            Type::Aggregate(aggregate) => self.count_members(aggregate)?,
            _ => None,
        };
        let Some(count) = count else { return Ok(None) };
        // Padding spoils homogeneity.
        let element = self.kind.map_or(0, |(size, _)| size);
        Ok((count * element == layout::of(ty, Arch::Aarch64)?.size).then_some(count))
    }

    fn count_members(&mut self, aggregate: &Aggregate) -> Result<Option<usize>> {
        let mut total = 0;
        for member in aggregate.members() {
            // 5.9.5 leaves bit-fields of no width out; gcc does so in structs only.
            if member.bits == Some(0) && aggregate.kind() == AggregateKind::Struct {
                continue;
            }
            let Some(count) = self.count(&member.ty)? else { return Ok(None) };
            total = match aggregate.kind() {
                AggregateKind::Struct => total + count,
                AggregateKind::Union => total.max(count),
            };
        }
        Ok(Some(total))
    }

    fn short_vector(&mut self, vector: Vector) -> Option<usize> {
        if vector.size() <= 16 { self.same_kind(vector.size(), true, 1) } else { None }
    }

    fn same_kind(&mut self, size: usize, vector: bool, count: usize) -> Option<usize> {
        (*self.kind.get_or_insert((size, vector)) == (size, vector)).then_some(count)
    }
}

/// The natural alignment (5.9): for an aggregate, that of its members, without what `aligned` asks of the whole.
fn natural_align(ty: &Type) -> Result<usize> {
    Ok(match ty {
        Type::Aggregate(aggregate) => aggregate.layout(Arch::Aarch64).member_align,
        other => layout::of(other, Arch::Aarch64)?.align,
    })
}

/// C.4 and C.14: 8 or 16 bytes.
fn stack_align(ty: &Type) -> Result<usize> {
    Ok(natural_align(ty)?.clamp(8, 16))
}
