//! Calls without code made at run time: `asm/<architecture>/call.s`, and its Rust half.
//!
//! A trampoline has the type of every call stub. Where a stub's context is its target, the trampoline's is a
//! [`Context`]: the target and the plan. It has [`fill`] write an image of the registers and the arguments in memory,
//! loads the registers, calls, and returns with the result in its registers; a result that the caller cannot take from
//! there goes to its buffer by way of [`store`].
//!
//! Slots and structs may have bytes that were never written, so values travel as `MaybeUninit` words here, except those
//! that are extended.

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;

use crate::Slot;
use crate::abi::{Block, BlockPlace, Move, Place, Plan, Register, Source, Width};
use crate::engine::StubFunction;
use crate::trampoline::{Registers, Vector, Word};

/// The trampoline, as a call stub.
pub(crate) const STUB: StubFunction = call;

/// What the trampoline is told of a call.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Context {
    target: *const c_void,
    plan: *const Plan,
    /// What the static chain's register has in the call.
    chain: *const c_void,
    /// Bytes of arguments in memory and copies.
    area: usize,
    /// What the area's address is masked with to be aligned.
    align_mask: usize,
    /// Where the copies start in the area.
    copies_at: usize,
    /// Bytes of the widest vector argument: 0 where there is none, 8, 16 or 32.
    vector_bytes: u8,
    /// How many vector registers a variadic function is told of.
    vector_count: u8,
    /// Which registers are stored after the call: 0, or [`STORE`] with one or more of the others.
    stores: u8,
}

/// The result goes to its buffer after the call.
const STORE: u8 = 1;
/// It is a vector of 32 bytes.
const STORE_WIDE: u8 = 2;
/// It, or its real part, is in st0.
const STORE_X87: u8 = 4;
/// Its imaginary part is in st1.
const STORE_X87_PAIR: u8 = 8;

impl Context {
    /// The plan has to stay where it is as long as the context is in use.
    pub(crate) fn new(target: *const c_void, plan: &Plan) -> Context {
        Context::with_chain(target, plan, ptr::null())
    }

    /// The same with a static chain, for functions that have one.
    pub(crate) fn with_chain(target: *const c_void, plan: &Plan, chain: *const c_void) -> Context {
        Context {
            target,
            plan,
            chain,
            area: plan.area(),
            align_mask: plan.align.wrapping_neg(),
            copies_at: plan.copies_at(),
            vector_bytes: plan.moves.iter().map(vector_bytes).max().unwrap_or(0),
            vector_count: plan.vector_count.unwrap_or(0),
            stores: stores(plan),
        }
    }
}

/// How much of a vector register a move fills, in units that the trampoline loads: 0 where it fills none.
fn vector_bytes(value: &Move) -> u8 {
    match (value.place, value.width) {
        (Place::Register(Register::Fpr(_)), Width::B32) => 32,
        (Place::Register(Register::Fpr(_)), Width::B16) => 16,
        (Place::Register(Register::Fpr(_)), _) => 8,
        _ => 0,
    }
}

fn stores(plan: &Plan) -> u8 {
    if !plan.result.is_stored() {
        return 0;
    }
    plan.result.parts().fold(STORE, |stores, part| {
        stores
            | match part.register {
                Register::X87(0) => STORE_X87,
                Register::X87(_) => STORE_X87_PAIR,
                Register::Fpr(_) if part.size == 32 => STORE_WIDE,
                Register::Fpr(_) | Register::Gpr(_) => 0,
            }
    })
}

/// Calls by a plan: see `asm/x86_64/call.s`.
///
/// # Safety
/// As for every call stub; `context` points at a [`Context`], whose plan and target are there.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C-unwind" fn call(slots: *const Slot, context: *const c_void, result: *mut u8) {
    std::arch::naked_asm!(
        include_str!("../../asm/x86_64/call.s"),
        image = const size_of::<Registers>(),
        vectors = const offset_of!(Registers, vectors),
        x87 = const offset_of!(Registers, x87),
        target = const offset_of!(Context, target),
        chain = const offset_of!(Context, chain),
        area = const offset_of!(Context, area),
        align_mask = const offset_of!(Context, align_mask),
        vector_bytes = const offset_of!(Context, vector_bytes),
        vector_count = const offset_of!(Context, vector_count),
        stores = const offset_of!(Context, stores),
        store_wide = const STORE_WIDE,
        store_x87 = const STORE_X87,
        store_x87_pair = const STORE_X87_PAIR,
        fill = sym fill,
        store = sym store,
    )
}

/// Calls by a plan: see `asm/aarch64/call.s`.
///
/// # Safety
/// As for every call stub; `context` points at a [`Context`], whose plan and target are there.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C-unwind" fn call(slots: *const Slot, context: *const c_void, result: *mut u8) {
    std::arch::naked_asm!(
        include_str!("../../asm/aarch64/call.s"),
        image = const size_of::<Registers>(),
        vectors = const offset_of!(Registers, vectors),
        target = const offset_of!(Context, target),
        chain = const offset_of!(Context, chain),
        area = const offset_of!(Context, area),
        align_mask = const offset_of!(Context, align_mask),
        vector_bytes = const offset_of!(Context, vector_bytes),
        stores = const offset_of!(Context, stores),
        fill = sym fill,
        store = sym store,
    )
}

/// Writes the arguments where the plan wants them. It does not panic, whatever the plan.
///
/// # Safety
/// `image` and `context` are the trampoline's; `area` has the plan's size; `slots` holds the arguments.
unsafe extern "C" fn fill(
    image: *mut Registers,
    area: *mut u8,
    slots: *const Slot,
    context: *const Context,
    result: *mut u8,
) {
    // SAFETY: the context is there, and its plan outlives it.
    let (plan, copies) = unsafe { (&*(*context).plan, area.add((*context).copies_at)) };
    let slots: *const u8 = slots.cast();
    for value in &plan.moves {
        // SAFETY: the plan's offsets lie within the slots and the area, and its register numbers within the image; the
        // area's words are aligned to 8 bytes.
        unsafe {
            let to: *mut Word = match value.place {
                Place::Register(Register::Gpr(number)) => {
                    let number = plan.convention.general_number(number);
                    (&raw mut (*image).general).cast::<Word>().add(number.into())
                }
                Place::Register(Register::Fpr(number)) => {
                    (&raw mut (*image).vectors).cast::<Vector>().add(number.into()).cast()
                }
                Place::Stack(at) => area.add(at as usize).cast(),
                // No convention passes arguments there.
                Place::Register(Register::X87(_)) => continue,
            };
            match value.source {
                Source::Slot(offset) => fill_value(to, slots.add(offset as usize), value.width),
                Source::Copy(at) => to.cast::<*mut u8>().write(copies.add(at as usize)),
                Source::Result => to.cast::<*mut u8>().write(result),
            }
        }
    }
    if !plan.blocks.is_empty() {
        // SAFETY: said by the caller.
        unsafe { fill_blocks(&plan.blocks, area, copies, slots) };
    }
}

/// Copies larger arguments. Apart from [`fill`] and its last step, so that the rest of it, which calls nothing, saves no
/// registers for it.
///
/// # Safety
/// As for [`fill`]; `copies` is the place of copies in the area.
#[inline(never)]
unsafe fn fill_blocks(blocks: &[Block], area: *mut u8, copies: *mut u8, slots: *const u8) {
    for block in blocks {
        let to = match block.to {
            BlockPlace::Stack(at) => area.wrapping_add(at as usize),
            BlockPlace::Copy(at) => copies.wrapping_add(at as usize),
        };
        // SAFETY: blocks lie within the slots, and their places within the area, which is the trampoline's own.
        unsafe { slots.add(block.source as usize).copy_to_nonoverlapping(to, block.size as usize) };
    }
}

/// Writes a value: narrow ones as a word, extended as [`Width`] says, wherever they go. The trampoline's loads of 8
/// bytes can be forwarded from one store of as many, but not from a narrower one.
///
/// # Safety
/// `from` is in the slots, at a multiple of the width, and of 8 bytes where the width is more; `to` has room for a
/// word, and for the width.
#[inline(always)]
unsafe fn fill_value(to: *mut Word, from: *const u8, width: Width) {
    // SAFETY: the caller says that value and room are there, and aligned; all bytes of a narrow value were written.
    let narrow = unsafe {
        match width {
            Width::S1 => i32::from(from.cast::<i8>().read()) as u32,
            Width::U1 => from.read().into(),
            Width::S2 => i32::from(from.cast::<i16>().read()) as u32,
            Width::U2 => from.cast::<u16>().read().into(),
            Width::B4 => from.cast::<u32>().read(),
            Width::B8 => return to.write(from.cast::<Word>().read()),
            Width::B16 => return to.cast::<[Word; 2]>().write(from.cast::<[Word; 2]>().read()),
            Width::B32 => return to.cast::<Vector>().write(from.cast::<Vector>().read()),
        }
    };
    // SAFETY: said by the caller.
    unsafe { to.write(Word::new(narrow.into())) };
}

/// Writes a result from the image of the registers to its buffer. Touches nothing else, `errno` included.
///
/// # Safety
/// `image` and `context` are the trampoline's, and `result` has room for the result.
unsafe extern "C" fn store(image: *const Registers, context: *const Context, result: *mut u8) {
    // SAFETY: the context is there, and its plan outlives it.
    let plan = unsafe { &*(*context).plan };
    for part in plan.result.parts() {
        // SAFETY: parts name registers of the image and lie within the result.
        unsafe {
            let from: *const u8 = match part.register {
                Register::Gpr(number) => (&raw const (*image).general).cast::<Word>().add(number.into()).cast(),
                Register::Fpr(number) => (&raw const (*image).vectors).cast::<Vector>().add(number.into()).cast(),
                Register::X87(number) => (&raw const (*image).x87).cast::<[Word; 2]>().add(number.into()).cast(),
            };
            from.copy_to_nonoverlapping(result.add(part.offset.into()), part.size.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;
    use std::ffi::{CStr, c_char, c_int};
    use std::hint::black_box;
    use std::mem::MaybeUninit;
    use std::panic::{catch_unwind, panic_any};

    use super::*;
    use crate::abi::Convention;
    use crate::code::fork;
    use crate::{Engine, Result, Signature, Tier, Type};

    /// Stands in every byte that nobody wrote.
    const GRAFFITI: u8 = 0xa5;

    /// Slots with graffiti where no value was put.
    struct Arguments {
        offsets: Box<[u32]>,
        words: Vec<u128>,
        given: usize,
    }

    impl Arguments {
        fn new(plan: &Plan) -> Arguments {
            let words = vec![u128::from_ne_bytes([GRAFFITI; 16]); plan.slots.div_ceil(2)];
            Arguments { offsets: plan.slot_offsets.clone(), words, given: 0 }
        }

        /// Puts the next argument.
        fn with<T>(mut self, value: T) -> Arguments {
            let offset = self.offsets[self.given] as usize;
            assert!(offset + size_of::<T>() <= 16 * self.words.len());
            // SAFETY: the value's bytes lie within the words.
            unsafe { self.words.as_mut_ptr().cast::<u8>().add(offset).cast::<T>().write_unaligned(value) };
            self.given += 1;
            self
        }

        fn slots(&self) -> *const Slot {
            assert_eq!(self.given, self.offsets.len(), "an argument is missing");
            self.words.as_ptr().cast()
        }
    }

    fn signature(result: Type, parameters: impl IntoIterator<Item = Type>) -> Signature {
        Signature::new(result, parameters).unwrap()
    }

    /// Calls `target`, and checks that no byte beyond the result is written.
    ///
    /// # Safety
    /// The target has that signature, takes what `arguments` puts, and returns a `T`.
    unsafe fn call<T>(target: *const c_void, signature: &Signature, arguments: fn(Arguments) -> Arguments) -> T {
        #[repr(C, align(64))]
        struct Room<T> {
            value: MaybeUninit<T>,
            beyond: [u8; 64],
        }
        let interface = Engine::builder().tier(Tier::Asm).build().and_then(|engine| engine.prepare(signature)).unwrap();
        let arguments = arguments(Arguments::new(interface.plan()));
        let mut room = Room::<T> { value: MaybeUninit::uninit(), beyond: [GRAFFITI; 64] };
        // SAFETY: said by the caller; there is room for the result.
        let value = unsafe {
            room.value.as_mut_ptr().cast::<u8>().write_bytes(GRAFFITI, size_of::<T>());
            interface.call(target, arguments.slots(), room.value.as_mut_ptr().cast());
            room.value.assume_init()
        };
        assert_eq!(room.beyond, [GRAFFITI; 64], "bytes beyond the result of {signature}");
        value
    }

    fn structure(members: impl IntoIterator<Item = Type>) -> Type {
        let name = |index: usize| format!("m{index}");
        let members = members.into_iter().enumerate();
        members.fold(Type::structure(), |ty, (index, member)| ty.member(&name(index), member)).build().unwrap()
    }

    fn bytes(count: usize) -> Type {
        structure([Type::array(Type::U8, count).unwrap()])
    }

    #[test]
    fn sums_by_position() {
        #[rustfmt::skip]
        extern "C" fn sum(
            a: i64, b: f64, c: i64, d: f64, e: i64, f: f64, g: i64, h: f64, i: i64, j: f64, k: i64,
            l: f64, m: i64, n: f64, o: i64, p: f64, q: i64, r: f64, s: i64, t: f64, u: i64, v: i64,
        ) -> f64 {
            let integers = [a, c, e, g, i, k, m, o, q, s, u, v];
            let doubles = [b, d, f, h, j, l, n, p, r, t];
            let integers = integers.iter().zip(1..).map(|(value, place)| (value * place) as f64).sum::<f64>();
            integers + doubles.iter().zip(1..).map(|(value, place)| value * f64::from(place)).sum::<f64>() * 1000.0
        }
        let pairs = std::iter::repeat_n([Type::I64, Type::F64], 10).flatten();
        let signature = signature(Type::F64, pairs.chain([Type::I64, Type::I64]));
        let arguments = |mut arguments: Arguments| {
            for place in 1..=10 {
                arguments = arguments.with(i64::from(place)).with(f64::from(place) + 0.5);
            }
            arguments.with(-11i64).with(i64::from(i32::MIN))
        };
        // SAFETY: that is its signature.
        let sum: f64 = unsafe { call(sum as *const _, &signature, arguments) };
        let squares = (1..=10).map(|place| f64::from(place * place)).sum::<f64>();
        let integers = squares - 121.0 + 12.0 * f64::from(i32::MIN);
        assert_eq!(sum, integers + 1000.0 * (squares + 0.5 * 55.0));
    }

    /// Values narrower than a register, with graffiti above them in their slots; the callee's parameters are wider than
    /// declared, so that it sees how they were extended.
    #[test]
    fn narrow_values_are_extended_in_registers() {
        extern "C" fn f(a: i32, b: u32, c: i32, d: u32, e: u64, f: f32) -> i64 {
            assert_eq!((a, b, c, d, e, f), (-2, 254, -3, 65533, 0xffff_fffc, 0.25));
            i64::from(a) + i64::from(b)
        }
        let signature = signature(Type::I64, [Type::I8, Type::U8, Type::I16, Type::U16, Type::I32, Type::F32]);
        let arguments = |arguments: Arguments| {
            arguments.with(-2i8).with(254u8).with(-3i16).with(65533u16).with(-4i32).with(0.25f32)
        };
        // SAFETY: all parameters are in registers, which `f` reads as widely as the trampoline fills them.
        assert_eq!(unsafe { call::<i64>(f as *const _, &signature, arguments) }, 252);
    }

    /// What every width makes of the same bytes: a word at least, and nothing beyond.
    #[test]
    fn values_by_width() {
        const SLOTS: [u64; 2] = [0xf1f2_f3f4_f5f6_f7f8, 0xe1e2_e3e4_e5e6_e7e8];
        let unwritten = u64::from_ne_bytes([GRAFFITI; 8]);
        for (width, offset, expected) in [
            (Width::S1, 0, [0xffff_fff8, unwritten]),
            (Width::U1, 0, [0xf8, unwritten]),
            (Width::S2, 0, [0xffff_f7f8, unwritten]),
            (Width::U2, 0, [0xf7f8, unwritten]),
            (Width::U2, 14, [0xe1e2, unwritten]),
            (Width::B4, 0, [0xf5f6_f7f8, unwritten]),
            (Width::B4, 12, [0xe1e2_e3e4, unwritten]),
            (Width::B8, 8, [SLOTS[1], unwritten]),
            (Width::B16, 0, SLOTS),
        ] {
            let mut words = [unwritten; 2];
            // SAFETY: the slots have 16 bytes, all written, and there is room for as many.
            unsafe { fill_value(words.as_mut_ptr().cast(), SLOTS.as_ptr().cast::<u8>().add(offset), width) };
            assert_eq!(words, expected, "{width:?} at {offset}");
        }
    }

    /// Structs of every way that they are passed in and returned from: each comes back from a callee that also saw it
    /// after the registers had run out.
    #[test]
    fn structs_come_back() {
        macro_rules! echo {
            ($($name:ident { $($field:ident: $ty:ty = $value:expr, $declared:expr;)* })*) => { $( {
                #[repr(C)]
                #[derive(Clone, Copy, Debug, PartialEq)]
                struct $name {
                    $($field: $ty,)*
                }
                #[rustfmt::skip]
                extern "C" fn echo(
                    first: $name, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64,
                    i: f64, j: f64, k: f64, l: f64, m: f64, n: f64, o: f64, p: f64, last: $name,
                ) -> $name {
                    assert_eq!([a, b, c, d, e, f, g, h], [1, 2, 3, 4, 5, 6, 7, 8]);
                    assert_eq!([i, j, k, l, m, n, o, p], [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5]);
                    assert_eq!(first, last);
                    last
                }
                const VALUE: $name = $name { $($field: $value,)* };
                let ty = structure([$($declared),*]);
                let mut parameters = vec![ty.clone()];
                parameters.extend(std::iter::repeat_n(Type::I64, 8).chain(std::iter::repeat_n(Type::F64, 8)));
                parameters.push(ty.clone());
                let arguments = |mut arguments: Arguments| {
                    arguments = arguments.with(VALUE);
                    arguments = (1..=8).fold(arguments, |arguments, value| arguments.with(i64::from(value)));
                    arguments = (1..=8).fold(arguments, |arguments, value| arguments.with(f64::from(value) + 0.5));
                    arguments.with(VALUE)
                };
                // SAFETY: that is its signature.
                let back: $name = unsafe { call(echo as *const _, &signature(ty, parameters), arguments) };
                assert_eq!(back, VALUE, stringify!($name));
            } )* };
        }
        let array = |element: Type, length: usize| Type::array(element, length).unwrap();
        echo! {
            Byte { a: u8 = 0x81, Type::U8; }
            Bytes3 { a: [u8; 3] = [0x81, 0x82, 0x83], array(Type::U8, 3); }
            Bytes13 { a: [u8; 13] = *b"thirteenbytes", array(Type::U8, 13); }
            IntChar { a: i32 = -1, Type::I32; b: i8 = -2, Type::I8; }
            Longs { a: i64 = i64::MIN, Type::I64; b: i64 = -2, Type::I64; }
            LongDouble { a: i64 = -1, Type::I64; b: f64 = 2.5, Type::F64; }
            DoubleLong { a: f64 = 1.5, Type::F64; b: i64 = -2, Type::I64; }
            Float { a: f32 = 1.5, Type::F32; }
            Floats3 { a: f32 = 1.5, Type::F32; b: f32 = 2.5, Type::F32; c: f32 = 3.5, Type::F32; }
            Floats4 { a: [f32; 4] = [1.5, 2.5, 3.5, 4.5], array(Type::F32, 4); }
            Doubles2 { a: [f64; 2] = [1.5, 2.5], array(Type::F64, 2); }
            Doubles4 { a: [f64; 4] = [1.5, 2.5, 3.5, 4.5], array(Type::F64, 4); }
            Doubles5 { a: [f64; 5] = [1.5, 2.5, 3.5, 4.5, 5.5], array(Type::F64, 5); }
            Longs3 { a: [i64; 3] = [-1, -2, -3], array(Type::I64, 3); }
            Bytes100 { a: [u8; 100] = [0x83; 100], array(Type::U8, 100); }
            Wide { a: u128 = u128::MAX / 3, Type::U128; }
            WideByte { a: u128 = u128::MAX / 3, Type::U128; b: u8 = 0x81, Type::U8; }
        }
    }

    #[test]
    fn wide_integers() {
        extern "C" fn multiply(a: u8, b: u128, c: u64, d: i128, e: i128, f: u8, g: u128) -> u128 {
            assert_eq!((a, c, d, e, f), (1, 3, -4, i128::MIN, 6));
            b.wrapping_mul(g)
        }
        let parameters = [Type::U8, Type::U128, Type::U64, Type::I128, Type::I128, Type::U8, Type::U128];
        let arguments = |arguments: Arguments| {
            arguments.with(1u8).with(u128::MAX / 5).with(3u64).with(-4i128).with(i128::MIN).with(6u8).with(7u128)
        };
        // SAFETY: that is its signature.
        let product: u128 = unsafe { call(multiply as *const _, &signature(Type::U128, parameters), arguments) };
        assert_eq!(product, (u128::MAX / 5).wrapping_mul(7));
    }

    #[test]
    fn large_arguments() {
        const SIZE: usize = 40 << 10;
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Large([u8; SIZE]);
        extern "C" fn check(before: u64, large: Large, after: u64) -> u64 {
            assert!(large.0.iter().enumerate().all(|(index, byte)| *byte == index as u8));
            before + after
        }
        let arguments = |arguments: Arguments| {
            arguments.with(40u64).with(Large(std::array::from_fn(|index| index as u8))).with(2u64)
        };
        let signature = signature(Type::U64, [Type::U64, bytes(SIZE), Type::U64]);
        // SAFETY: that is its signature.
        assert_eq!(unsafe { call::<u64>(check as *const _, &signature, arguments) }, 42);
    }

    #[test]
    fn nothing_at_all() {
        extern "C" fn nothing() {}
        // SAFETY: that is its signature.
        unsafe { call::<()>(nothing as *const _, &signature(Type::Void, []), |arguments| arguments) };
    }

    /// The stack pointer at the call instruction.
    #[unsafe(naked)]
    extern "C" fn stack_pointer() -> usize {
        #[cfg(target_arch = "x86_64")]
        std::arch::naked_asm!("lea rax, [rsp + 8]", "ret");
        #[cfg(target_arch = "aarch64")]
        std::arch::naked_asm!("mov x0, sp", "ret");
    }

    #[test]
    fn the_stack_is_aligned() -> Result<()> {
        for align in [16, 32, 64, 4096] {
            for count in 0..4 {
                let ty = Type::structure().member("a", Type::array(Type::U64, 16)?).aligned(align).build()?;
                let parameters = std::iter::repeat_n(Type::U64, 8 + count).chain([ty]);
                let plan = Plan::new(&signature(Type::U64, parameters), Convention::HOST)?;
                assert!(plan.align >= align);
                let slots = vec![0u128; plan.slots.div_ceil(2)];
                let context = Context::new(stack_pointer as *const _, &plan);
                // SAFETY: the result is a `usize`, in the register that returns one.
                let stub = unsafe { crate::interface::returning::<usize>(STUB) };
                // SAFETY: the slots are the plan's, and any arguments will do.
                let pointer = unsafe { stub(slots.as_ptr().cast(), (&raw const context).cast(), std::ptr::null_mut()) };
                assert_eq!(pointer % plan.align, 0, "{align} {count}");
            }
        }
        Ok(())
    }

    #[test]
    fn variadic_functions() {
        unsafe extern "C" {
            fn snprintf(buffer: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
        }
        let mut buffer = [GRAFFITI; 128];
        let address = buffer.as_mut_ptr();
        let tail = std::iter::repeat_n([Type::I32, Type::F64], 9).flatten();
        let signature = signature(Type::I32, [Type::pointer(), Type::U64, Type::c_string()]).variadic();
        let signature = signature.with_tail(tail).unwrap();
        let plan = Plan::new(&signature, Convention::HOST).unwrap();
        let mut arguments = Arguments::new(&plan).with(address).with(buffer.len());
        arguments = arguments.with(c"%d %g %d %g %d %g %d %g %d %g %d %g %d %g %d %g %d %g".as_ptr());
        arguments = (1..=9).fold(arguments, |arguments, value| arguments.with(-value).with(f64::from(value) / 8.0));
        let context = Context::new(snprintf as *const _, &plan);
        // SAFETY: an `int` is in the register that returns one.
        let stub = unsafe { crate::interface::returning::<c_int>(STUB) };
        // SAFETY: that is its signature, and the arguments are what the format says.
        let written = unsafe { stub(arguments.slots(), (&raw const context).cast(), std::ptr::null_mut()) };
        let text = CStr::from_bytes_until_nul(&buffer).unwrap().to_str().unwrap();
        assert_eq!(text, "-1 0.125 -2 0.25 -3 0.375 -4 0.5 -5 0.625 -6 0.75 -7 0.875 -8 1 -9 1.125");
        assert_eq!(written as usize, text.len());
    }

    /// A result that the trampoline stores: 16 bytes of it in one register.
    fn stored() -> (Type, *const c_void) {
        #[cfg(target_arch = "aarch64")]
        use std::arch::aarch64::{int8x16_t as Vector, vdupq_n_s8 as splat};
        #[cfg(target_arch = "x86_64")]
        use std::arch::x86_64::{__m128i as Vector, _mm_set1_epi8 as splat};
        #[expect(improper_ctypes_definitions, reason = "C has these types")]
        extern "C" fn fail() -> Vector {
            // SAFETY: `errno` is the thread's own, and the vector unit is part of the architecture.
            unsafe {
                *libc::__errno_location() = libc::EXDEV;
                splat(7)
            }
        }
        (Type::vector(Type::I8, 16).unwrap(), fail as *const _)
    }

    #[test]
    fn errno_survives() {
        let (vector, fail) = stored();
        // SAFETY: that is its signature; `errno` is the thread's own.
        unsafe {
            *libc::__errno_location() = 0;
            let lanes: [i8; 16] = call(fail, &signature(vector, []), |arguments| arguments);
            let errno = *libc::__errno_location();
            assert_eq!((lanes, errno), ([7; 16], libc::EXDEV));
        }
    }

    extern "C" fn backtrace(into: &mut String) -> u64 {
        *into = Backtrace::force_capture().to_string();
        42
    }

    #[inline(never)]
    fn calls_for_a_backtrace(parameters: usize) -> String {
        let mut text = String::new();
        let parameters = [Type::pointer()].into_iter().chain(std::iter::repeat_n(Type::U64, parameters));
        let plan = Plan::new(&signature(Type::U64, parameters), Convention::HOST).unwrap();
        let arguments = Arguments::new(&plan).with(&raw mut text);
        let arguments = (1..plan.slots).fold(arguments, |arguments, value| arguments.with(value));
        let context = Context::new(backtrace as *const _, &plan);
        // SAFETY: the result is a `u64`, in the register that returns one.
        let stub = unsafe { crate::interface::returning::<u64>(STUB) };
        // SAFETY: `backtrace` takes the first argument and does not mind others.
        assert_eq!(unsafe { stub(arguments.slots(), (&raw const context).cast(), std::ptr::null_mut()) }, 42);
        black_box(text)
    }

    #[test]
    fn backtraces_go_on() {
        // Up to version 12, libgcc unwinds with a lock held, which no other test's child may inherit.
        let _no_forks = fork::lock();
        for parameters in [0, 20, 1000] {
            let text = calls_for_a_backtrace(parameters);
            let place = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name} is not in\n{text}"));
            let frames = ["tests::backtrace\n", "call::call\n", "calls_for_a_backtrace\n", "backtraces_go_on\n"];
            assert!(frames.map(place).is_sorted(), "{text}");
        }
    }

    /// What [`call_with_marks`] has in the two registers that a trampoline uses for itself.
    const MARKS: [usize; 2] = [0x1b1b, 0x1c1c];

    /// Calls a stub as a function that has something to lose.
    #[unsafe(naked)]
    unsafe extern "C-unwind" fn call_with_marks(slots: *const Slot, context: *const c_void, stub: StubFunction) {
        #[cfg(target_arch = "x86_64")]
        std::arch::naked_asm!(
            ".cfi_startproc",
            "push rbx",
            ".cfi_def_cfa_offset 16",
            ".cfi_offset rbx, -16",
            "push r12",
            ".cfi_def_cfa_offset 24",
            ".cfi_offset r12, -24",
            "sub rsp, 8",
            ".cfi_def_cfa_offset 32",
            "mov ebx, {}",
            "mov r12d, {}",
            "call rdx",
            "add rsp, 8",
            ".cfi_def_cfa_offset 24",
            "pop r12",
            ".cfi_def_cfa_offset 16",
            "pop rbx",
            ".cfi_def_cfa_offset 8",
            "ret",
            ".cfi_endproc",
            const MARKS[0],
            const MARKS[1],
        );
        #[cfg(target_arch = "aarch64")]
        std::arch::naked_asm!(
            ".cfi_startproc",
            "stp x29, x30, [sp, -32]!",
            "stp x19, x20, [sp, 16]",
            ".cfi_def_cfa_offset 32",
            ".cfi_offset x29, -32",
            ".cfi_offset x30, -24",
            ".cfi_offset x19, -16",
            ".cfi_offset x20, -8",
            "mov x19, {}",
            "mov x20, {}",
            "blr x2",
            "ldp x19, x20, [sp, 16]",
            "ldp x29, x30, [sp], 32",
            ".cfi_def_cfa_offset 0",
            "ret",
            ".cfi_endproc",
            const MARKS[0],
            const MARKS[1],
        );
    }

    /// The registers that the unwinder finds in the frame of [`call_with_marks`].
    extern "C-unwind" fn find_marks(found: &mut [usize; 2]) {
        type Visitor = extern "C" fn(*mut c_void, *mut c_void) -> c_int;
        unsafe extern "C" {
            fn _Unwind_Backtrace(visit: Visitor, found: *mut c_void) -> c_int;
            fn _Unwind_GetGR(frame: *mut c_void, register: c_int) -> usize;
            fn _Unwind_GetIP(frame: *mut c_void) -> usize;
        }
        extern "C" fn visit(frame: *mut c_void, found: *mut c_void) -> c_int {
            // DWARF's numbers of rbx and r12, of x19 and x20.
            let [first, second] = if cfg!(target_arch = "x86_64") { [3, 12] } else { [19, 20] };
            // SAFETY: the frame is the unwinder's, and `found` what `find_marks` gave it.
            unsafe {
                if (1..64).contains(&_Unwind_GetIP(frame).wrapping_sub(call_with_marks as *const () as usize)) {
                    *found.cast() = [_Unwind_GetGR(frame, first), _Unwind_GetGR(frame, second)];
                }
            }
            0
        }
        // SAFETY: the visitor takes what it is given.
        unsafe { _Unwind_Backtrace(visit, (&raw mut *found).cast()) };
    }

    #[test]
    fn unwinding_restores_registers() {
        // Up to version 12, libgcc unwinds with a lock held, which no other test's child may inherit.
        let _no_forks = fork::lock();
        let mut found = [0; 2];
        let plan = Plan::new(&signature(Type::Void, [Type::pointer()]), Convention::HOST).unwrap();
        let arguments = Arguments::new(&plan).with(&raw mut found);
        let context = Context::new(find_marks as *const _, &plan);
        // SAFETY: `find_marks` takes the argument that there is.
        unsafe { call_with_marks(arguments.slots(), (&raw const context).cast(), STUB) };
        assert_eq!(found, MARKS);
    }

    #[test]
    fn panics_pass_through() {
        extern "C-unwind" fn fail(reason: u64) -> u64 {
            panic_any(reason)
        }
        // Up to version 12, libgcc unwinds with a lock held, which no other test's child may inherit.
        let _no_forks = fork::lock();
        let (vector, _) = stored();
        for result in [Type::U64, Type::Void, vector, bytes(40)] {
            for parameters in [1, 20, 1000] {
                let parameters = std::iter::repeat_n(Type::U64, parameters);
                let plan = Plan::new(&signature(result.clone(), parameters), Convention::HOST).unwrap();
                let arguments = (0..plan.slots).fold(Arguments::new(&plan), |arguments, _| arguments.with(33u64));
                let context = Context::new(fail as *const _, &plan);
                let mut buffer = [0u64; 5];
                let address = buffer.as_mut_ptr();
                // In rdi is the address of a result in memory.
                let reason = if cfg!(target_arch = "x86_64") && plan.result.in_memory { address as u64 } else { 33 };
                let caught = catch_unwind(|| {
                    // SAFETY: `fail` takes the first register and does not return.
                    unsafe { STUB(arguments.slots(), (&raw const context).cast(), address.cast()) }
                });
                assert_eq!(caught.unwrap_err().downcast_ref(), Some(&reason));
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    mod x86_64 {
        use std::arch::naked_asm;
        use std::arch::x86_64::{__m128d, __m256d, _mm_add_pd, _mm256_add_pd};

        use super::*;
        use crate::types::Float;

        /// 1.5 as an x87 extended: the explicit leading bit, one half, and the exponent's bias.
        const ONE_AND_A_HALF: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f];
        /// 2.5.
        const TWO_AND_A_HALF: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xa0, 0x00, 0x40];

        fn is_empty(x87_tags: u16) -> bool {
            x87_tags == 0xffff
        }

        fn x87_tags() -> u16 {
            let mut environment = [0u16; 14];
            // SAFETY: the environment has 28 bytes; storing it masks exceptions, which loading it undoes.
            unsafe {
                std::arch::asm!("fnstenv [{0}]", "fldenv [{0}]", in(reg) &mut environment, options(nostack));
            }
            environment[4]
        }

        #[test]
        fn long_doubles() {
            #[unsafe(naked)]
            extern "C" fn add_one() {
                naked_asm!("fld tbyte ptr [rsp + 8]", "fld1", "faddp", "ret");
            }
            let signature = signature(Type::LONG_DOUBLE, [Type::LONG_DOUBLE]);
            // SAFETY: that is its signature; the last 6 bytes are padding, which the room is graffiti in.
            let sum: [u8; 10] =
                unsafe { call(add_one as *const _, &signature, |arguments| arguments.with(ONE_AND_A_HALF)) };
            assert_eq!(sum, TWO_AND_A_HALF);
            assert!(is_empty(x87_tags()));
        }

        #[test]
        fn complex_long_doubles() {
            #[unsafe(naked)]
            extern "C" fn swap() {
                naked_asm!("fld tbyte ptr [rsp + 8]", "fld tbyte ptr [rsp + 24]", "ret");
            }
            let ty = Type::Complex(Float::LongDouble);
            #[repr(C)]
            #[derive(Clone, Copy, Debug, PartialEq)]
            struct Pair {
                real: [u8; 10],
                padding: [u8; 6],
                imaginary: [u8; 10],
            }
            let arguments = |arguments: Arguments| {
                arguments.with(Pair { real: ONE_AND_A_HALF, padding: [0; 6], imaginary: TWO_AND_A_HALF })
            };
            // SAFETY: that is its signature.
            let pair: Pair = unsafe { call(swap as *const _, &signature(ty.clone(), [ty]), arguments) };
            let swapped = Pair { real: TWO_AND_A_HALF, padding: [GRAFFITI; 6], imaginary: ONE_AND_A_HALF };
            assert_eq!(pair, swapped);
            assert!(is_empty(x87_tags()));
        }

        #[test]
        fn vectors_of_16_bytes() {
            #[rustfmt::skip]
            #[expect(improper_ctypes_definitions, reason = "C has these types")]
            extern "C" fn add(
                a: __m128d, b: f64, c: __m128d, d: f64, e: f64, f: f64, g: f64, h: f64, i: f64, j: __m128d,
            ) -> __m128d {
                assert_eq!([b, d, e, f, g, h, i], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
                // SAFETY: SSE2 is part of the architecture.
                unsafe { _mm_add_pd(a, _mm_add_pd(c, j)) }
            }
            let vector = Type::vector(Type::F64, 16).unwrap();
            let doubles = std::iter::repeat_n(Type::F64, 6);
            let parameters = [vector.clone(), Type::F64, vector.clone()].into_iter().chain(doubles);
            let signature = signature(vector.clone(), parameters.chain([vector]));
            let arguments = |arguments: Arguments| {
                let arguments = arguments.with([1.0, 2.0]).with(1.0).with([10.0, 20.0]);
                (2..=7).fold(arguments, |arguments, value| arguments.with(f64::from(value))).with([100.0, 200.0])
            };
            // SAFETY: that is its signature.
            let sum: [f64; 2] = unsafe { call(add as *const _, &signature, arguments) };
            assert_eq!(sum, [111.0, 222.0]);
        }

        #[test]
        fn vectors_of_32_bytes() {
            #[target_feature(enable = "avx")]
            #[expect(improper_ctypes_definitions, reason = "C has these types")]
            extern "C" fn add(a: __m256d, b: f64, c: __m256d) -> __m256d {
                assert_eq!(b, 1.0);
                _mm256_add_pd(a, c)
            }
            if !std::arch::is_x86_feature_detected!("avx") {
                println!("left out: this processor has no AVX");
                return;
            }
            let add: unsafe extern "C" fn(__m256d, f64, __m256d) -> __m256d = add;
            let vector = Type::vector(Type::F64, 32).unwrap();
            let signature = signature(vector.clone(), [vector.clone(), Type::F64, vector]);
            let arguments =
                |arguments: Arguments| arguments.with([1.0, 2.0, 3.0, 4.0]).with(1.0).with([10.0, 20.0, 30.0, 40.0]);
            // SAFETY: that is its signature, and there is AVX.
            let sum: [f64; 4] = unsafe { call(add as *const _, &signature, arguments) };
            assert_eq!(sum, [11.0, 22.0, 33.0, 44.0]);
        }
    }

    #[cfg(target_arch = "aarch64")]
    mod aarch64 {
        use std::arch::naked_asm;

        use super::*;

        /// Four quadwords come back in the order of their registers.
        #[test]
        fn vectors_of_16_bytes() {
            #[unsafe(naked)]
            extern "C" fn reverse() {
                naked_asm!(
                    "mov v4.16b, v3.16b",
                    "mov v3.16b, v0.16b",
                    "mov v0.16b, v4.16b",
                    "mov v4.16b, v2.16b",
                    "mov v2.16b, v1.16b",
                    "mov v1.16b, v4.16b",
                    "ret"
                );
            }
            let vector = Type::vector(Type::U8, 16).unwrap();
            for element in [Type::LONG_DOUBLE, vector] {
                let ty = structure([Type::array(element, 4).unwrap()]);
                let quadwords = [u128::MAX / 3, u128::MAX / 5, u128::MAX / 7, u128::MAX / 11];
                let arguments = |arguments: Arguments| arguments.with([3, 5, 7, 11].map(|divisor| u128::MAX / divisor));
                // SAFETY: that is its signature.
                let back: [u128; 4] = unsafe { call(reverse as *const _, &signature(ty.clone(), [ty]), arguments) };
                assert!(back.iter().eq(quadwords.iter().rev()));
            }
        }

        /// Members of 2 bytes, in a register each.
        #[test]
        fn halves() {
            #[unsafe(naked)]
            extern "C" fn reverse() {
                naked_asm!(
                    "mov v4.16b, v3.16b",
                    "mov v3.16b, v0.16b",
                    "mov v0.16b, v4.16b",
                    "mov v4.16b, v2.16b",
                    "mov v2.16b, v1.16b",
                    "mov v1.16b, v4.16b",
                    "ret"
                );
            }
            let ty = structure([Type::array(Type::F16, 4).unwrap()]);
            let arguments = |arguments: Arguments| arguments.with([0x1122u16, 0x3344, 0x5566, 0x7788]);
            // SAFETY: that is its signature.
            let back: [u16; 4] = unsafe { call(reverse as *const _, &signature(ty.clone(), [ty]), arguments) };
            assert_eq!(back, [0x7788, 0x5566, 0x3344, 0x1122]);
        }
    }
}
