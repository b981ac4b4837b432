//! System V x86_64: classification (psABI 3.2.3), and where that puts arguments and results.
//!
//! Rule numbers are those of the *System V Application Binary Interface, AMD64 Architecture Processor Supplement*,
//! section 3.2.3 "Parameter Passing". Where the text leaves a case open, gcc's behaviour decides and is said so.
//!
//! | | registers, in order |
//! |---|---|
//! | integer arguments | rdi rsi rdx rcx r8 r9 |
//! | vector arguments | xmm0 .. xmm7 (ymm with AVX) |
//! | integer results | rax rdx |
//! | vector results | xmm0 xmm1 |
//! | x87 results | st0 st1 |

use crate::abi::{Argument, Planner, Register, Width, scalar_width};
use crate::error::Result;
use crate::types::signature::Signature;
use crate::types::{Aggregate, AggregateKind, Arch, Float, Type, Vector, layout};

const GPRS: [&str; 6] = ["rdi", "rsi", "rdx", "rcx", "r8", "r9"];
const FPRS: u8 = 8;

pub(super) fn argument_register(register: Register) -> String {
    match register {
        Register::Gpr(number) => GPRS[usize::from(number)].to_owned(),
        other => result_register(other),
    }
}

pub(super) fn result_register(register: Register) -> String {
    match register {
        Register::Gpr(number) => ["rax", "rdx"][usize::from(number)].to_owned(),
        Register::Fpr(number) => format!("xmm{number}"),
        Register::X87(number) => format!("st{number}"),
    }
}

/// The class of an eightbyte (psABI 3.2.3, "Classification").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the psABI's own name is NO_CLASS")]
enum Class {
    NoClass,
    Integer,
    Sse,
    SseUp,
    X87,
    X87Up,
    Memory,
}

/// An object of at most eight eightbytes, before the post-merger clean-up.
type Eightbytes = [Class; 8];

/// Plans a call: result first, because a result in memory takes the first integer register.
pub(super) fn plan(signature: &Signature, planner: &mut Planner) -> Result<()> {
    let mut free = Free { gpr: 0, fpr: 0 };
    plan_result(signature.result(), planner, &mut free)?;
    for (index, parameter) in signature.parameters().iter().enumerate() {
        plan_argument(&parameter.ty, index < signature.fixed(), planner, &mut free)?;
    }
    // 3.5.7: a variadic function is told in %al an upper bound of the vector registers used.
    planner.vector_count = signature.is_variadic().then_some(free.fpr);
    Ok(())
}

/// The next register of each kind.
struct Free {
    gpr: u8,
    fpr: u8,
}

fn plan_argument(ty: &Type, named: bool, planner: &mut Planner, free: &mut Free) -> Result<()> {
    let argument = planner.argument(ty)?;
    if let Some(class) = single_class(ty) {
        return plan_single(class, ty, &argument, planner, free);
    }
    let classes = classify(ty)?;
    let in_registers = match &classes {
        None => false,
        // 3.2.3 "Passing" 5: X87, X87UP and COMPLEX_X87 arguments are passed in memory.
        Some(classes) if classes.iter().any(|class| matches!(class, Class::X87 | Class::X87Up)) => false,
        // 3.5.7: unnamed arguments of 32 bytes and more in one vector register are passed in memory.
        Some(classes) if !named && argument.size > 16 && classes[0] == Class::Sse => false,
        // 3.2.3 "Passing": if there are no registers left for any eightbyte, the whole goes to the stack.
        Some(classes) => {
            let count = |class| classes.iter().filter(|other| **other == class).count();
            usize::from(free.gpr) + count(Class::Integer) <= GPRS.len()
                && usize::from(free.fpr) + count(Class::Sse) <= usize::from(FPRS)
        }
    };
    let scalar = !matches!(ty, Type::Aggregate(_) | Type::Complex(_));
    let width = if scalar { scalar_width(ty, Arch::X86_64) } else { Width::B8 };
    let Some(classes) = classes.filter(|_| in_registers) else {
        if is_empty(ty) {
            return Ok(());
        }
        return planner.pass_on_stack(&argument, argument.align, width);
    };
    for (eightbyte, class) in classes.iter().enumerate() {
        let offset = 8 * eightbyte;
        match class {
            Class::Integer => {
                planner.pass_in_register(&argument, offset, width, Register::Gpr(free.gpr));
                free.gpr += 1;
            }
            Class::Sse => {
                let width = match sse_bytes(&classes, eightbyte) {
                    8 if scalar => width,
                    8 => Width::B8,
                    16 => Width::B16,
                    _ => Width::B32,
                };
                planner.pass_in_register(&argument, offset, width, Register::Fpr(free.fpr));
                free.fpr += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The class of a scalar that is one eightbyte or less of it, as most arguments are: nothing has to be merged.
fn single_class(ty: &Type) -> Option<Class> {
    match ty {
        Type::Bool | Type::Pointer(_) | Type::Enum(_) => Some(Class::Integer),
        Type::Integer(integer) if integer.size() <= 8 => Some(Class::Integer),
        Type::Float(Float::F16 | Float::F32 | Float::F64) => Some(Class::Sse),
        _ => None,
    }
}

fn plan_single(class: Class, ty: &Type, argument: &Argument, planner: &mut Planner, free: &mut Free) -> Result<()> {
    let width = scalar_width(ty, Arch::X86_64);
    let (next, registers) = match class {
        Class::Integer => (&mut free.gpr, GPRS.len() as u8),
        _ => (&mut free.fpr, FPRS),
    };
    if *next == registers {
        return planner.pass_on_stack(argument, argument.align, width);
    }
    let register = if class == Class::Integer { Register::Gpr(*next) } else { Register::Fpr(*next) };
    *next += 1;
    planner.pass_in_register(argument, 0, width, register);
    Ok(())
}

/// How many bytes an SSE eightbyte and the SSEUP ones after it take in one vector register.
fn sse_bytes(classes: &Eightbytes, eightbyte: usize) -> usize {
    8 + 8 * classes[eightbyte + 1..].iter().take_while(|class| **class == Class::SseUp).count()
}

fn plan_result(ty: &Type, planner: &mut Planner, free: &mut Free) -> Result<()> {
    if ty.is_void() {
        return Ok(());
    }
    let size = layout::of(ty, Arch::X86_64)?.size;
    if is_empty(ty) {
        planner.result.size = size;
        return Ok(());
    }
    if let Some(class) = single_class(ty) {
        let register = if class == Class::Integer { Register::Gpr(0) } else { Register::Fpr(0) };
        planner.result_part(size, 0, 8, register);
        return Ok(());
    }
    // 3.2.3 "Returning" 8: COMPLEX_X87: real part in %st0, imaginary part in %st1.
    if *ty == Type::Complex(Float::LongDouble) {
        planner.result_part(size, 0, 10, Register::X87(0));
        planner.result_part(size, 16, 10, Register::X87(1));
        return Ok(());
    }
    let Some(classes) = classify(ty)? else {
        // "Returning" 2: the caller gives an address in %rdi, as if it were the first argument.
        planner.result_in_memory(size, Register::Gpr(0));
        free.gpr = 1;
        return Ok(());
    };
    let (mut gpr, mut fpr) = (0, 0);
    for (eightbyte, class) in classes.iter().enumerate() {
        let offset = 8 * eightbyte;
        match class {
            Class::Integer => {
                planner.result_part(size, offset, 8, Register::Gpr(gpr));
                gpr += 1;
            }
            Class::Sse => {
                planner.result_part(size, offset, sse_bytes(&classes, eightbyte), Register::Fpr(fpr));
                fpr += 1;
            }
            Class::X87 => planner.result_part(size, offset, 10, Register::X87(0)),
            _ => {}
        }
    }
    planner.result.size = size;
    Ok(())
}

/// The classes of an object's eightbytes, or `None` for class MEMORY.
fn classify(ty: &Type) -> Result<Option<Eightbytes>> {
    let size = layout::of(ty, Arch::X86_64)?.size;
    // Rule 1: larger than eight eightbytes. COMPLEX_X87 on its own is passed as MEMORY is.
    if size > 64 || *ty == Type::Complex(Float::LongDouble) {
        return Ok(None);
    }
    let mut classes = [Class::NoClass; 8];
    classify_at(ty, 0, &mut classes)?;
    Ok(clean_up(classes, size))
}

/// Classifies what lies at `offset` bytes and merges it into its eightbytes.
fn classify_at(ty: &Type, offset: usize, classes: &mut Eightbytes) -> Result<()> {
    match ty {
        Type::Aggregate(aggregate) => classify_aggregate(aggregate, offset, classes),
        Type::Array(array) => {
            let size = layout::of(array.element(), Arch::X86_64)?.size;
            let length = array.length().unwrap_or(0);
            if size * length == 0 {
                return classify_nothing(array.element(), offset, classes);
            }
            (0..length).try_for_each(|index| classify_at(array.element(), offset + index * size, classes))
        }
        Type::Complex(float) => {
            let part = Type::Float(*float);
            classify_at(&part, offset, classes)?;
            classify_at(&part, offset + float.size(), classes)
        }
        scalar => classify_scalar(scalar, offset, classes),
    }
}

/// Classifies an array of no size, which C does not know: to gcc it has the class of its element in the eightbyte in
/// which it lies, but none at the start of one.
fn classify_nothing(element: &Type, offset: usize, classes: &mut Eightbytes) -> Result<()> {
    let (eightbyte, within) = (offset / 8, offset % 8);
    let end = within + layout::of(element, Arch::X86_64)?.size;
    if within == 0 {
        return Ok(());
    }
    let mut found = [Class::NoClass; 8];
    if end <= 64 {
        classify_at(element, within, &mut found)?;
    }
    let found = clean_up(found, end).filter(|_| end <= 64);
    classes[eightbyte] = merge(classes[eightbyte], found.map_or(Class::Memory, |found| found[0]));
    Ok(())
}

/// The post-merger clean-up ends the classification of every aggregate, nested ones too, before the enclosing one merges
/// the result: `union { union { int a; long double b; } c; struct { int d[3]; } e; }` has class MEMORY because of `c`.
fn classify_aggregate(aggregate: &Aggregate, offset: usize, classes: &mut Eightbytes) -> Result<()> {
    let (first, within) = (offset / 8, offset % 8);
    // What has no size at the start of an eightbyte has no class, whatever its members.
    if within == 0 && aggregate.layout(Arch::X86_64).size == 0 {
        return Ok(());
    }
    let mut own = [Class::NoClass; 8];
    classify_members(aggregate, within, &mut own)?;
    let own = clean_up(own, within + aggregate.layout(Arch::X86_64).size);
    for (class, own) in classes.iter_mut().skip(first).zip(own.unwrap_or([Class::Memory; 8])) {
        *class = merge(*class, own);
    }
    Ok(())
}

/// Rules 3 and 4: each field is classified recursively.
fn classify_members(aggregate: &Aggregate, offset: usize, classes: &mut Eightbytes) -> Result<()> {
    let layout = aggregate.layout(Arch::X86_64);
    for (index, member) in aggregate.members().iter().enumerate() {
        let bits = 8 * offset + layout.bit_offsets[index];
        match member.bits {
            None => classify_at(&member.ty, bits / 8, classes)?,
            // In a union, gcc takes a bit-field (even of no width) for an integer of the least size that holds it.
            Some(width) if aggregate.kind() == AggregateKind::Union => {
                classify_at(&holding(width), bits / 8, classes)?;
            }
            // Where it fills an aligned integer, gcc takes a bit-field for that integer.
            Some(width) if matches!(width, 8 | 16 | 32 | 64 | 128) && is_aligned(aggregate, index) => {
                classify_at(&holding(width), bits / 8, classes)?;
            }
            // A bit-field is INTEGER in every eightbyte that holds a bit of it, aligned or not. The psABI does not say
            // whether one without a name counts: to gcc it does, to clang it is padding.
            Some(width) if width > 0 => {
                let last = (bits + width as usize - 1) / 64;
                classes[bits / 64..=last].iter_mut().for_each(|class| *class = merge(*class, Class::Integer));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether a bit-field lies where an integer of its width would.
fn is_aligned(aggregate: &Aggregate, index: usize) -> bool {
    let member = &aggregate.members()[index];
    let at = aggregate.layout(Arch::X86_64).bit_offsets[index];
    let packed = aggregate.is_packed() || member.packed;
    !packed && member.bits.is_some_and(|width| at.is_multiple_of(width as usize))
}

/// The smallest integer type of at least `width` bits.
fn holding(width: u32) -> Type {
    match width {
        0..=8 => Type::U8,
        9..=16 => Type::U16,
        17..=32 => Type::U32,
        33..=64 => Type::U64,
        _ => Type::U128,
    }
}

fn classify_scalar(ty: &Type, offset: usize, classes: &mut Eightbytes) -> Result<()> {
    let layout = layout::of(ty, Arch::X86_64)?;
    let first = offset / 8;
    // Rule 1: an object with unaligned fields has class MEMORY.
    let in_memory = matches!(ty, Type::Vector(vector) if is_in_memory(*vector));
    if in_memory || !offset.is_multiple_of(layout.align) {
        classes[first] = Class::Memory;
        return Ok(());
    }
    let (low, high) = match ty {
        Type::Float(Float::LongDouble) => (Class::X87, Class::X87Up),
        Type::Float(_) => (Class::Sse, Class::SseUp),
        Type::Vector(_) => (Class::Sse, Class::SseUp),
        // __int128 is classified as two INTEGER eightbytes.
        _ => (Class::Integer, Class::Integer),
    };
    classes[first] = merge(classes[first], low);
    for class in &mut classes[first + 1..(offset + layout.size).div_ceil(8).max(first + 1)] {
        *class = merge(*class, high);
    }
    Ok(())
}

/// Vectors that the psABI does not know, and that have class MEMORY for gcc: of one double, and of two 128-bit integers
/// (for clang too).
pub(super) fn is_in_memory(vector: Vector) -> bool {
    let wide = vector.element().as_integer().is_some_and(|integer| integer.size() == 16);
    vector.lanes() == 1 && vector.element() == Type::F64 || vector.lanes() == 2 && wide
}

/// Whether a type is empty for gcc: an aggregate whose bits are all padding.
///
/// The psABI does not say what becomes of one that has a size. gcc gives it the registers of its class, but no place
/// on the stack where those are used up, and returns it nowhere.
pub(super) fn is_empty(ty: &Type) -> bool {
    match ty {
        Type::Aggregate(aggregate) => aggregate.members().iter().all(|member| match member.bits {
            Some(_) => member.name.is_none(),
            None => is_empty(&member.ty),
        }),
        Type::Array(array) => array.length() == Some(0) || is_empty(array.element()),
        _ => false,
    }
}

/// Rule 4: (a) equal, (b) NO_CLASS, (c) MEMORY, (d) INTEGER, (e) x87, (f) SSE.
fn merge(a: Class, b: Class) -> Class {
    match (a, b) {
        (a, b) if a == b => a,
        (Class::NoClass, other) | (other, Class::NoClass) => other,
        (Class::Memory, _) | (_, Class::Memory) => Class::Memory,
        (Class::Integer, _) | (_, Class::Integer) => Class::Integer,
        (Class::X87 | Class::X87Up, _) | (_, Class::X87 | Class::X87Up) => Class::Memory,
        _ => Class::Sse,
    }
}

/// Rule 5, the post-merger clean-up.
fn clean_up(mut classes: Eightbytes, size: usize) -> Option<Eightbytes> {
    // (a) one eightbyte in memory takes all there.
    if classes.contains(&Class::Memory) {
        return None;
    }
    // (b) X87UP without X87 before it.
    let lonely = |index: usize| index == 0 || classes[index - 1] != Class::X87;
    if (0..8).any(|index| classes[index] == Class::X87Up && lonely(index)) {
        return None;
    }
    // (c) more than two eightbytes, unless they are one vector register.
    let vector = classes[0] == Class::Sse && classes[1..size.div_ceil(8).max(1)].iter().all(|c| *c == Class::SseUp);
    if size > 16 && !vector {
        return None;
    }
    // (d) SSEUP without SSE or SSEUP before it becomes SSE.
    for index in 0..8 {
        let follows = index > 0 && matches!(classes[index - 1], Class::Sse | Class::SseUp);
        if classes[index] == Class::SseUp && !follows {
            classes[index] = Class::Sse;
        }
    }
    Some(classes)
}
