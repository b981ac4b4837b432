//! Callbacks without code made at run time: `asm/<architecture>/entry.s` and its Rust half, the pool of entries that the
//! linker makes, and what an entry jumps to while it has no closure.

use std::ffi::c_void;
use std::mem::{MaybeUninit, offset_of};

use crate::Slot;
use crate::abi::{BlockPlace, Convention, Move, Place, Plan, Register, Source, Width};
use crate::closure::{State, note_call_of_the_dead};
use crate::code::entries::Record;
use crate::emit::entry::part_width;
use crate::pointers::{HandlerWords, StateIn};
use crate::trampoline::{Registers, Vector, Word};
use crate::value::SlotBuffer;

/// How many closures there can be at a time that enter through the pool.
pub(crate) const POOL: usize = 1024;

/// Bytes of an entry of the pool.
pub(crate) const ENTRY: usize = if cfg!(target_arch = "x86_64") { 16 } else { 32 };

/// The records of the pool's entries.
pub(crate) static RECORDS: [Record; POOL] = [const { Record::new() }; POOL];

/// Where the entries start.
pub(crate) fn pool() -> usize {
    (pool_code as *const c_void).addr().next_multiple_of(ENTRY)
}

/// The entries, one behind the other.
#[unsafe(naked)]
unsafe extern "C-unwind" fn pool_code() {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!(
        include_str!("../../asm/x86_64/pool.s"),
        count = const POOL,
        size = const size_of::<Record>(),
        records = sym RECORDS,
        options(att_syntax)
    );
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!(
        include_str!("../../asm/aarch64/pool.s"),
        count = const POOL,
        size = const size_of::<Record>(),
        records = sym RECORDS,
    );
}

/// Entries by a plan: `asm/<architecture>/entry.s`, behind a few instructions that find the closure's state, put its
/// address in r11 or x16, and say in al whether the plan has vectors of 32 bytes among the arguments.
macro_rules! entries_by_plan {
    ($($name:ident: $enter:ident, [$($x86_64:literal)*], [$($aarch64:literal)*];)*) => {
        $( entries_by_plan! {
            @one "entry", $name, $enter, [$($x86_64)*], [$($aarch64)*],
            [x87 = offset_of!(Registers, x87), wide_result = WIDE_RESULT, x87_result = X87_RESULT]
        } )*
    };
    (@one $body:literal, $name:ident, $enter:ident, [$($x86_64:literal)*], [$($aarch64:literal)*],
     [$($operand:ident = $value:expr),*]) => {
        #[unsafe(naked)]
        unsafe extern "C-unwind" fn $name() {
            #[cfg(target_arch = "x86_64")]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $($x86_64,)*
                include_str!(concat!("../../asm/x86_64/", $body, ".s")),
                image = const size_of::<Registers>(),
                vectors = const offset_of!(Registers, vectors),
                $($operand = const $value,)*
                enter = sym $enter,
            );
            #[cfg(target_arch = "aarch64")]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "hint 34", // bti c, for assemblers that do not know it
                $($aarch64,)*
                include_str!(concat!("../../asm/aarch64/", $body, ".s")),
                image = const size_of::<Registers>(),
                vectors = const offset_of!(Registers, vectors),
                enter = sym $enter,
            );
        }
    };
}

entries_by_plan! {
    by_plan: enter, ["mov r11, [r11 + 8]" "mov al, [r11 + 28]"], ["ldr x16, [x16, 8]"];
    by_record: enter_pointers, ["mov r11, [r11 + 8]" "xor eax, eax"], ["ldr x16, [x16, 8]"];
    in_place: enter_pointers, ["xor eax, eax"], [];
    by_chain: enter_chain, ["mov r11, r10" "xor eax, eax"], ["mov x16, x18"];
}

#[cfg(target_arch = "x86_64")]
entries_by_plan! {
    wide_by_record: enter_pointers, ["mov r11, [r11 + 8]" "mov eax, 1"], [];
    wide_in_place: enter_pointers, ["mov eax, 1"], [];
    wide_by_chain: enter_chain, ["mov r11, r10" "mov eax, 1"], [];
}

#[cfg(target_arch = "x86_64")]
entries_by_plan! { @one "entry_win64", win64_by_plan, enter, ["mov r11, [r11 + 8]"], [], [] }
#[cfg(target_arch = "x86_64")]
entries_by_plan! { @one "entry_win64", win64_by_record, enter_pointers, ["mov r11, [r11 + 8]"], [], [] }
#[cfg(target_arch = "x86_64")]
entries_by_plan! { @one "entry_win64", win64_in_place, enter_pointers, [], [], [] }
#[cfg(target_arch = "x86_64")]
entries_by_plan! { @one "entry_win64", win64_by_chain, enter_chain, ["mov r11, r10"], [], [] }

const _: () = assert!(Record::STATE == 8, "as the entries have it");
#[cfg(target_arch = "x86_64")]
const _: () = assert!(State::WIDE == 28, "as the entries have it");

/// What the record of a closure's entry names for [`Record::code`] where closures are entered by their plan.
pub(crate) fn enter_by_plan(plan: &Plan) -> *const c_void {
    #[cfg(target_arch = "x86_64")]
    if plan.convention == Convention::Win64 {
        return win64_by_plan as *const c_void;
    }
    debug_assert_eq!(plan.convention, Convention::HOST);
    by_plan as *const c_void
}

/// The entry by a plan of callbacks over pointers, whose state is found so.
pub(crate) fn pointers_entry(state: StateIn, plan: &Plan) -> *const c_void {
    #[cfg(target_arch = "x86_64")]
    {
        // Vectors of 32 bytes are passed by reference by Windows' convention.
        if plan.convention == Convention::Win64 {
            return match state {
                StateIn::Record => win64_by_record as *const c_void,
                StateIn::Place => win64_in_place as *const c_void,
                StateIn::Chain => win64_by_chain as *const c_void,
            };
        }
        if is_wide(plan) {
            return match state {
                StateIn::Record => wide_by_record as *const c_void,
                StateIn::Place => wide_in_place as *const c_void,
                StateIn::Chain => wide_by_chain as *const c_void,
            };
        }
    }
    debug_assert_eq!(plan.convention, Convention::HOST);
    match state {
        StateIn::Record => by_record as *const c_void,
        StateIn::Place => in_place as *const c_void,
        StateIn::Chain => by_chain as *const c_void,
    }
}

/// What the record of an entry without a closure names: notes the call, and returns zero.
///
/// # Safety
/// It is reached through an entry only.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn dead() {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!(include_str!("../../asm/x86_64/dead.s"), note = sym note_call_of_the_dead);
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!(include_str!("../../asm/aarch64/dead.s"), note = sym note_call_of_the_dead);
}

/// What the records of the pool's entries name for closures whose handlers are entered with the record's address as an
/// argument: it is put in that register, and the state says where to go on.
macro_rules! with_record_in {
    ($($name:ident: $x86_64:literal $aarch64:literal;)*) => { $(
        #[unsafe(naked)]
        unsafe extern "C-unwind" fn $name() {
            #[cfg(target_arch = "x86_64")]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                concat!("mov ", $x86_64, ", r11"),
                "mov r11, [r11 + {state}]",
                "jmp [r11 + {run}]",
                ".cfi_endproc",
                state = const Record::STATE,
                run = const State::RUN,
            );
            #[cfg(target_arch = "aarch64")]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "hint 34",
                concat!("mov ", $aarch64, ", x16"),
                "ldr x16, [x16, {state}]",
                "ldr x16, [x16, {run}]",
                "br x16",
                ".cfi_endproc",
                state = const Record::STATE,
                run = const State::RUN,
            );
        }
    )* };
}

with_record_in! {
    record_in_0: "rdi" "x0";
    record_in_1: "rsi" "x1";
    record_in_2: "rdx" "x2";
    record_in_3: "rcx" "x3";
    record_in_4: "r8" "x4";
    record_in_5: "r9" "x5";
}

#[cfg(target_arch = "aarch64")]
with_record_in! {
    record_in_6: "" "x6";
    record_in_7: "" "x7";
}

/// What hands over the record in the n-th general argument register.
pub(crate) fn enter_with_record_in(register: u8) -> *const c_void {
    #[cfg(target_arch = "x86_64")]
    const ENTRIES: [unsafe extern "C-unwind" fn(); 6] =
        [record_in_0, record_in_1, record_in_2, record_in_3, record_in_4, record_in_5];
    #[cfg(target_arch = "aarch64")]
    const ENTRIES: [unsafe extern "C-unwind" fn(); 8] =
        [record_in_0, record_in_1, record_in_2, record_in_3, record_in_4, record_in_5, record_in_6, record_in_7];
    ENTRIES[usize::from(register)] as *const c_void
}

/// The result is in the general registers, and in the low 16 bytes of vector registers.
const PLAIN_RESULT: u8 = 0;
/// It is in a vector register of 32 bytes.
const WIDE_RESULT: u8 = 1;
/// It is in st0.
const X87_RESULT: u8 = 2;
/// It is in st0 and st1.
const X87_PAIR_RESULT: u8 = 3;

/// Gathers the arguments, runs the handler, and writes its result to the image; says where the result is.
///
/// # Safety
/// `state` is that of a closure, and C's arguments are in `image` and `incoming` as the closure's plan says.
unsafe extern "C" fn enter(state: *const State, image: *mut Registers, incoming: *const u8) -> u8 {
    // SAFETY: the state is there as long as its handler runs; the caller says the rest.
    unsafe { run((*state).plan(), image, incoming, |slots, result| (*state).run(slots, result)) }
}

/// The same for the words of a handler over pointers.
///
/// # Safety
/// `state` is that of a handler of [`StateIn::Record`] or [`StateIn::Place`]; the rest is as for [`enter`].
unsafe extern "C-unwind" fn enter_pointers(state: *const c_void, image: *mut Registers, incoming: *const u8) -> u8 {
    // SAFETY: said by the caller.
    unsafe { run_pointers(HandlerWords::read(state, StateIn::Record), image, incoming) }
}

/// The same for [`StateIn::Chain`].
///
/// # Safety
/// As for [`enter_pointers`].
unsafe extern "C-unwind" fn enter_chain(state: *const c_void, image: *mut Registers, incoming: *const u8) -> u8 {
    // SAFETY: said by the caller.
    unsafe { run_pointers(HandlerWords::read(state, StateIn::Chain), image, incoming) }
}

/// # Safety
/// As for [`enter_pointers`], with the words of the state.
unsafe fn run_pointers(words: HandlerWords, image: *mut Registers, incoming: *const u8) -> u8 {
    // SAFETY: said by the caller.
    unsafe {
        let interface = words.interface();
        run(interface.plan(), image, incoming, |slots, result| interface.run(words, slots, result.cast()))
    }
}

/// Gathers the arguments in slots, has `handler` run, and writes its result to the image; says where the result is.
///
/// # Safety
/// C's arguments are in `image` and `incoming` as the plan says. The handler writes no more than the result, in whole
/// words.
#[inline(always)]
unsafe fn run(plan: &Plan, image: *mut Registers, incoming: *const u8, handler: impl FnOnce(*mut Slot, *mut u8)) -> u8 {
    /// Any result in registers, and room behind it for what is read with its last part.
    #[repr(C, align(32))]
    struct Room([MaybeUninit<u8>; 96]);

    let mut slots = SlotBuffer::new(plan.slots);
    let mut room = Room([MaybeUninit::uninit(); 96]);
    // SAFETY: said by the caller; the slots are the plan's, and a result in memory has its address in the image.
    unsafe {
        gather(plan, image, incoming, slots.as_mut_ptr().cast());
        let result = result_address(plan, image).unwrap_or(room.0.as_mut_ptr().cast());
        handler(slots.as_mut_ptr(), result);
        if plan.result.in_memory {
            (&raw mut (*image).general).cast::<*mut u8>().write(result);
            return PLAIN_RESULT;
        }
        scatter(plan, room.0.as_ptr().cast(), image)
    }
}

/// Copies the arguments to their slots.
///
/// # Safety
/// As for [`enter`]; `slots` has the plan's size.
unsafe fn gather(plan: &Plan, image: *const Registers, incoming: *const u8, slots: *mut u8) {
    for value in &plan.moves {
        if let Source::Slot(offset) = value.source {
            // General registers and the words of the stack are copied whole.
            let vector = matches!(value.place, Place::Register(Register::Fpr(_)));
            let bytes = if vector { value.width.bytes() } else { 8 };
            // SAFETY: the plan's offsets lie within the slots, and what it reads lies where C put it.
            unsafe { place(plan, value, image, incoming).copy_to(slots.add(offset as usize), bytes) };
        }
    }
    for block in &plan.blocks {
        // SAFETY: as above; the address of a copy is in the place that the plan names for it.
        unsafe {
            let from = match block.to {
                BlockPlace::Stack(at) => incoming.add(at as usize),
                BlockPlace::Copy(copy) => {
                    let mut moves = plan.moves.iter();
                    let value = moves.find(|value| value.source == Source::Copy(copy));
                    place(plan, value.expect("a copy has an address"), image, incoming).cast::<*const u8>().read()
                }
            };
            from.copy_to_nonoverlapping(slots.add(block.source as usize), block.size as usize);
        }
    }
}

/// Where C put a value: a register's place in the image, or the arguments in memory.
///
/// # Safety
/// As for [`enter`].
unsafe fn place(plan: &Plan, value: &Move, image: *const Registers, incoming: *const u8) -> *const u8 {
    // SAFETY: register numbers lie within the image.
    unsafe {
        match value.place {
            Place::Register(register) => argument_in(plan, image.cast_mut(), register),
            Place::Stack(at) => incoming.add(at as usize),
        }
    }
}

/// The place of an argument register in the image, which has those of C's own convention.
///
/// # Safety
/// The image is there.
unsafe fn argument_in(plan: &Plan, image: *mut Registers, register: Register) -> *mut u8 {
    let register = match register {
        Register::Gpr(number) => Register::Gpr(plan.convention.general_number(number)),
        other => other,
    };
    // SAFETY: said by the caller.
    unsafe { register_in(image, register) }
}

/// A register's place in the image.
///
/// # Safety
/// The image is there.
unsafe fn register_in(image: *mut Registers, register: Register) -> *mut u8 {
    // SAFETY: register numbers lie within the image.
    unsafe {
        match register {
            Register::Gpr(number) => (&raw mut (*image).general).cast::<Word>().add(number.into()).cast(),
            Register::Fpr(number) => (&raw mut (*image).vectors).cast::<Vector>().add(number.into()).cast(),
            Register::X87(number) => (&raw mut (*image).x87).cast::<[Word; 2]>().add(number.into()).cast(),
        }
    }
}

/// The address that C gave for a result in memory.
///
/// # Safety
/// As for [`enter`].
unsafe fn result_address(plan: &Plan, image: *mut Registers) -> Option<*mut u8> {
    let value = plan.moves.iter().find(|value| value.source == Source::Result)?;
    let Place::Register(register) = value.place else { return None };
    // SAFETY: the register's place in the image holds the address.
    Some(unsafe { argument_in(plan, image, register).cast::<*mut u8>().read() })
}

/// Copies the parts of the result to the image, narrow integers extended; says where the result is.
///
/// # Safety
/// `result` is the plan's result, with room for a word, or a vector, at each part.
unsafe fn scatter(plan: &Plan, result: *const u8, image: *mut Registers) -> u8 {
    let mut found = PLAIN_RESULT;
    for part in plan.result.parts() {
        // SAFETY: parts lie within the result and name registers of the image.
        unsafe {
            let (from, to) = (result.add(part.offset.into()), register_in(image, part.register));
            match (part.register, part_width(plan, part)) {
                (Register::X87(number), _) => {
                    from.copy_to_nonoverlapping(to, 10);
                    found = if number == 0 { found.max(X87_RESULT) } else { X87_PAIR_RESULT };
                }
                (_, Width::S1) => to.cast::<i32>().write(from.cast::<i8>().read().into()),
                (_, Width::U1) => to.cast::<u32>().write(from.read().into()),
                (Register::Gpr(_), Width::S2) => to.cast::<i32>().write(from.cast::<i16>().read().into()),
                (Register::Gpr(_), Width::U2) => to.cast::<u32>().write(from.cast::<u16>().read().into()),
                (_, width) => {
                    from.copy_to_nonoverlapping(to, width.bytes());
                    if width == Width::B32 {
                        found = WIDE_RESULT;
                    }
                }
            }
        }
    }
    found
}

/// Whether a plan has vectors of 32 bytes among its arguments.
pub(crate) fn is_wide(plan: &Plan) -> bool {
    plan.moves.iter().any(|value| value.width == Width::B32)
}
