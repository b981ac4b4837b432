//! A call whose arguments do not fit on the stack meets the guard page, on every tier, and writes nothing beyond it.
//!
//! Not for memory checkers: they take the change to another stack for one that grows.

mod tiers;

use std::arch::naked_asm;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use jitcall::{CallInterface, Engine, Result, Signature, Slot, Type};

const PAGE: usize = 4096;

/// What a child process and this one see of a stack, from low to high addresses. The result is not the exit status, so
/// that nothing but the child sets it.
#[repr(C)]
struct Shared {
    /// Not to be written.
    below: [u8; 256 * PAGE],
    guard: [u8; PAGE],
    stack: [u8; 16 * PAGE],
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The child failed before it called.
    NotReached,
    /// The guard page was met.
    Guard,
    /// It was stepped over: memory below it was written, or another fault came first.
    Beyond,
    /// The call returned.
    Return,
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(null_mut());

extern "C" fn on_fault(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let shared = SHARED.load(Ordering::Relaxed);
    // SAFETY: the memory is there for as long as the child is, and the system gives the fault's address.
    unsafe {
        let distance = ((*info).si_addr() as usize).wrapping_sub(&raw const (*shared).guard as usize);
        let untouched = (*shared).below.iter().all(|byte| *byte == 0);
        (*shared).end = if distance < PAGE && untouched { End::Guard } else { End::Beyond };
        libc::_exit(0);
    }
}

/// Calls a function on another stack.
#[unsafe(naked)]
unsafe extern "C" fn call_on(stack: *mut u8, argument: *const Call, function: extern "C" fn(*const Call)) {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdi",
        "mov rdi, rsi",
        "call rdx",
        "mov rsp, rbp",
        "pop rbp",
        "ret"
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "stp x29, x30, [sp, -16]!",
        "mov x29, sp",
        "mov sp, x0",
        "mov x0, x1",
        "blr x2",
        "mov sp, x29",
        "ldp x29, x30, [sp], 16",
        "ret"
    );
}

/// A call that takes arguments in memory, and ignores them.
struct Call {
    interface: CallInterface,
    slots: Vec<[Slot; 2]>,
}

impl Call {
    fn new(engine: &Engine, align: usize, size: usize) -> Result<Call> {
        extern "C" fn ignore() {}
        let ty = Type::structure().member("bytes", Type::array(Type::U8, size)?).aligned(align).build()?;
        let interface = engine.prepare(&Signature::new(Type::Void, [ty])?)?;
        let slots = vec![[Slot::from(u64::MAX); 2]; interface.slots().div_ceil(2)];
        let call = Call { interface, slots };
        // Once with room enough, so that no symbol is looked up later.
        call.run(ignore);
        Ok(call)
    }

    fn run(&self, target: extern "C" fn()) {
        // SAFETY: the target ignores what it is given and returns nothing.
        unsafe { self.interface.call(target as *const c_void, self.slots.as_ptr().cast(), null_mut()) };
    }

    extern "C" fn enter(call: *const Call) {
        extern "C" fn ignore() {}
        // SAFETY: `end_with_room` passes a call.
        unsafe { (*call).run(ignore) };
    }

    /// Calls with `room` bytes of stack left, in a child process.
    fn end_with_room(&self, room: usize) -> End {
        let mut alternate = [MaybeUninit::<u8>::uninit(); 16 * PAGE];
        let alternate = libc::stack_t { ss_sp: alternate.as_mut_ptr().cast(), ss_flags: 0, ss_size: alternate.len() };
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: the memory is used as it is mapped. The child makes system calls and the call, and exits.
        unsafe {
            let shared: *mut Shared = libc::mmap(null_mut(), size_of::<Shared>(), protection, flags, -1, 0).cast();
            assert_ne!(shared.cast(), libc::MAP_FAILED);
            (*shared).end = End::NotReached;
            SHARED.store(shared, Ordering::Relaxed);
            let child = libc::fork();
            if child == 0 {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_fault as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                let steps = [
                    libc::mprotect((&raw mut (*shared).guard).cast(), PAGE, libc::PROT_NONE),
                    libc::sigaltstack(&alternate, null_mut()),
                    libc::sigaction(libc::SIGSEGV, &action, null_mut()),
                ];
                if steps == [0; 3] {
                    call_on((&raw mut (*shared).stack).cast::<u8>().add(room), self, Call::enter);
                    (*shared).end = End::Return;
                }
                libc::_exit(0);
            }
            assert_eq!(libc::waitpid(child, null_mut(), 0), child);
            let end = (*shared).end;
            libc::munmap(shared.cast(), size_of::<Shared>());
            end
        }
    }
}

#[test]
fn the_guard_page_is_met() -> Result<()> {
    // SAFETY: it is only a question.
    if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != PAGE as i64 {
        println!("left out: guard pages are larger here");
        return Ok(());
    }
    for engine in tiers::engines() {
        let tier = engine.tier();
        for (align, size) in [(16, 4096), (16, 4200), (16, 8192), (16, 40 << 10), (4096, 64), (4096, 4096)] {
            let call = Call::new(&engine, align, size)?;
            for room in (512..4096).step_by(256) {
                let end = call.end_with_room(room);
                let case = format!("{tier}: {size} bytes aligned to {align}, {room} bytes left");
                assert!(end == End::Guard || end == End::Return && align > size, "{case}: {end:?}");
            }
            assert_eq!(call.end_with_room(15 * PAGE), End::Return, "{tier}: {size} bytes aligned to {align}");
        }
    }
    Ok(())
}
