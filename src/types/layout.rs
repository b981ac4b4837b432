//! Size, alignment and member offsets: what a C compiler makes of a type.
//!
//! Both architectures are LP64 and follow their psABI's data layout (System V psABI x86-64 3.1.2; AAPCS64 5 and 10),
//! in which every scalar is aligned to its size, and bit-fields are allocated as AAPCS64 10.1.8 and psABI 3.1.2
//! describe. gcc's attributes `packed` and `aligned` mean what gcc makes of them. The two machines differ in
//! how anonymous bit-fields align the whole, and in vectors of more than 16 bytes.

use crate::error::{Error, Result};
use crate::types::{Aggregate, AggregateKind, Arch, Member, Type};

/// The largest alignment that may be asked for, in bytes.
pub const MAX_ALIGN: usize = 4096;

/// The largest object that can be described, in bytes.
pub const MAX_SIZE: usize = 1 << 40;

/// The alignment that `__attribute__((aligned))` without a number asks for: 16 bytes on both machines.
pub const DEFAULT_ALIGN: usize = 16;

/// Size and alignment of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Size in bytes, padding included: what `sizeof` says.
    pub size: usize,
    /// Alignment in bytes: what `_Alignof` says.
    pub align: usize,
}

impl Layout {
    const fn scalar(size: usize) -> Layout {
        Layout { size, align: size }
    }
}

/// Layout of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateLayout {
    /// Size in bytes, padding included.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// The largest alignment of a member: what AAPCS64 6.8.2 calls the natural alignment and passes by. It leaves
    /// out what `aligned` asks of the whole.
    pub member_align: usize,
    /// Each member's distance from the start in bits, in the order of declaration.
    pub bit_offsets: Vec<usize>,
}

impl AggregateLayout {
    /// Distance of a member from the start in bytes; for a bit-field, of the byte that holds its first bit.
    pub fn offset(&self, member: usize) -> usize {
        self.bit_offsets[member] / 8
    }

    /// The same with padding at the end, up to a size of at least so many bytes.
    pub(super) fn with_least_size(mut self, bytes: usize) -> Result<AggregateLayout> {
        if bytes > MAX_SIZE {
            return Err(Error::invalid_type(format!("{bytes} bytes are too large")));
        }
        self.size = self.size.max(bytes.next_multiple_of(self.align));
        Ok(self)
    }
}

/// Size and alignment of any type that has them.
///
/// # Errors
/// [`Error::Type`] for `void` and for arrays of unknown length.
///
/// ```
/// use jitcall::types::{Arch, Type, layout};
/// let layout = layout::of(&Type::LONG_DOUBLE, Arch::X86_64)?;
/// assert_eq!((layout.size, layout.align), (16, 16));
/// # Ok::<(), jitcall::Error>(())
/// ```
pub fn of(ty: &Type, arch: Arch) -> Result<Layout> {
    Ok(match ty {
        Type::Void => return Err(Error::invalid_type("void has no size".into())),
        Type::Bool => Layout::scalar(1),
        Type::Integer(integer) => Layout::scalar(integer.size()),
        Type::Enum(definition) => Layout::scalar(definition.underlying().size()),
        Type::Float(float) => Layout::scalar(float.size()),
        Type::Complex(float) => Layout { size: 2 * float.size(), align: float.size() },
        // AAPCS64 5.2 knows vectors of 8 and 16 bytes only; gcc and clang align larger ones to 16 there.
        Type::Vector(vector) if arch == Arch::Aarch64 => Layout { size: vector.size(), align: vector.size().min(16) },
        Type::Vector(vector) => Layout::scalar(vector.size()),
        Type::Pointer(_) => Layout::scalar(8),
        Type::Aggregate(aggregate) => of_aggregate(aggregate, arch),
        Type::Array(array) => {
            let Some(length) = array.length() else {
                return Err(Error::invalid_type(format!("{ty} has no known size")));
            };
            let element = of(array.element(), arch)?;
            let size = element.size.checked_mul(length).filter(|size| *size <= MAX_SIZE);
            let size = size.ok_or_else(|| Error::invalid_type(format!("{ty} is too large")))?;
            Layout { size, align: element.align }
        }
    })
}

fn of_aggregate(aggregate: &Aggregate, arch: Arch) -> Layout {
    let AggregateLayout { size, align, .. } = *aggregate.layout(arch);
    Layout { size, align }
}

/// Checks what does not depend on the machine.
pub(super) fn check_members(kind: AggregateKind, members: &[Member], align: Option<usize>) -> Result<()> {
    let keyword = kind.keyword();
    check_align(align)?;
    for (index, member) in members.iter().enumerate() {
        check_align(member.align)?;
        let name = member.name.as_deref().unwrap_or("(unnamed)");
        if let Some(bits) = member.bits {
            check_bit_field(member, bits, name)?;
        }
        if let Type::Array(array) = &member.ty
            && array.length().is_none()
            && (kind == AggregateKind::Union || index + 1 != members.len() || index == 0)
        {
            return Err(Error::invalid_type(format!(
                "a flexible array member ({name}) must be the last of several members of a struct"
            )));
        }
    }
    let mut names = Vec::new();
    collect_names(members, &mut names);
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid_type(format!("the {keyword} has two members named {}", pair[0]))),
        None => Ok(()),
    }
}

/// Members of anonymous structs and unions are members of the enclosing one (C11 6.7.2.1 p13).
fn collect_names<'a>(members: &'a [Member], names: &mut Vec<&'a str>) {
    for member in members {
        match (&member.name, &member.ty) {
            (Some(name), _) => names.push(name),
            (None, Type::Aggregate(inner)) => collect_names(inner.members(), names),
            _ => {}
        }
    }
}

fn check_align(align: Option<usize>) -> Result<()> {
    match align {
        Some(align) if !align.is_power_of_two() || align > MAX_ALIGN => {
            Err(Error::invalid_type(format!("an alignment of {align}: it must be a power of two, at most {MAX_ALIGN}")))
        }
        _ => Ok(()),
    }
}

fn check_bit_field(member: &Member, bits: u32, name: &str) -> Result<()> {
    let most = match (&member.ty, member.ty.as_integer()) {
        (Type::Bool, _) => 1,
        (_, Some(integer)) => 8 * integer.size() as u32,
        _ => return Err(Error::invalid_type(format!("the bit-field {name} has the type {}", member.ty))),
    };
    if bits > most {
        return Err(Error::invalid_type(format!(
            "the bit-field {name} has {bits} bits, more than the {most} of {}",
            member.ty
        )));
    }
    if bits == 0 && member.name.is_some() {
        return Err(Error::invalid_type(format!("the bit-field {name} has no bits but a name")));
    }
    Ok(())
}

/// Lays members out one after the other (struct) or on top of each other (union).
///
/// An anonymous bit-field aligns the whole on AArch64 (AAPCS64 10.1.8.2: its container counts) and does not on
/// x86_64 (psABI 3.1.2: "unnamed bit-fields' types do not affect the alignment of a structure or union"); gcc holds
/// the same of an `aligned` that it carries.
pub(super) fn lay_out(
    kind: AggregateKind,
    members: &[Member],
    packed: bool,
    align: Option<usize>,
    arch: Arch,
) -> Result<AggregateLayout> {
    let mut bit_offsets = Vec::with_capacity(members.len());
    let mut end = 0; // in bits, of what is laid out so far
    let mut whole_align = align.unwrap_or(1);
    let mut member_align = 1;
    for member in members {
        let place = Placement::of(member, packed, arch)?;
        let from = if kind == AggregateKind::Union { 0 } else { end };
        let at = place.first_fit(from);
        bit_offsets.push(at);
        end = end.max(at + place.bits);
        if end / 8 > MAX_SIZE {
            return Err(Error::invalid_type(format!("the {} is too large", kind.keyword())));
        }
        whole_align = whole_align.max(place.whole_align);
        member_align = member_align.max(place.natural_align);
    }
    let size = end.div_ceil(8).next_multiple_of(whole_align);
    Ok(AggregateLayout { size, align: whole_align, member_align, bit_offsets })
}

/// How one member wants to be placed.
struct Placement {
    /// Its size in bits.
    bits: usize,
    /// It starts at a multiple of this, in bits.
    start_align: usize,
    /// A bit-field does not cross a boundary of this many bits (the size of its declared type).
    unit: Option<usize>,
    /// What it makes of the whole's alignment, in bytes.
    whole_align: usize,
    /// The same for the natural alignment. AAPCS64 10.1.8 gives a bit-field that of its type; to gcc that is so in
    /// packed structs too.
    natural_align: usize,
}

impl Placement {
    fn of(member: &Member, whole_packed: bool, arch: Arch) -> Result<Placement> {
        let packed = whole_packed || member.packed;
        let layout = match &member.ty {
            Type::Array(array) if array.length().is_none() => Layout { size: 0, ..of(array.element(), arch)? },
            ty => of(ty, arch)?,
        };
        let asked = member.align.unwrap_or(1);
        // Whether a bit-field aligns the whole.
        let counts = member.name.is_some() || arch == Arch::Aarch64;
        Ok(match member.bits {
            None => {
                let align = if packed { asked } else { layout.align.max(asked) };
                let (bits, start_align) = (8 * layout.size, 8 * align);
                Placement { bits, start_align, unit: None, whole_align: align, natural_align: align }
            }
            // Zero width ends the storage unit, in packed structs too.
            Some(0) => Placement {
                bits: 0,
                start_align: 8 * layout.align.max(asked),
                unit: None,
                whole_align: if counts { layout.align.max(asked) } else { 1 },
                natural_align: layout.align.max(asked),
            },
            Some(bits) => Placement {
                bits: bits as usize,
                start_align: member.align.map_or(1, |align| 8 * align),
                unit: (!packed).then_some(8 * layout.size),
                whole_align: match (counts, packed) {
                    (true, false) => layout.align.max(asked),
                    (true, true) => asked,
                    (false, _) => 1,
                },
                natural_align: layout.align.max(asked),
            },
        })
    }

    fn first_fit(&self, from: usize) -> usize {
        let at = from.next_multiple_of(self.start_align);
        match self.unit {
            Some(unit) if at % unit + self.bits > unit => at.next_multiple_of(unit),
            _ => at,
        }
    }
}
