//! gdb's interface to just-in-time compilers, which lldb reads too: a list of object files in memory.
//!
//! A debugger looks for two symbols by their names: the list's head, and a function that does nothing, where it sets a
//! breakpoint to learn of changes ("JIT Compilation Interface" in gdb's manual). One that attaches later reads the list.
//!
//! Up to [`BATCH`] stubs share an object file, since debuggers slow down with the number of files. The file that is not
//! full yet is replaced with each new stub, so that a debugger knows a stub before it is called.

use std::ptr::{self, NonNull};

use super::elf::{self, Function};
use super::{Code, report};

/// How many stubs an object file has at most.
const BATCH: usize = 64;

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// An object file in the list.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    image: *const u8,
    size: u64,
}

/// The list's head. The names of its fields in gdb's manual: `version`, `action_flag`, `relevant_entry`, `first_entry`.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

// Weak, since another compiler in the same program may define them too; they are the same everywhere.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.__jit_debug_register_code, \"ax\", @progbits",
    ".weak __jit_debug_register_code",
    ".hidden __jit_debug_register_code",
    ".type __jit_debug_register_code, @function",
    "__jit_debug_register_code:",
    "endbr64",
    "ret",
    ".size __jit_debug_register_code, . - __jit_debug_register_code",
    ".popsection",
);
#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.__jit_debug_register_code, \"ax\", @progbits",
    ".weak __jit_debug_register_code",
    ".hidden __jit_debug_register_code",
    ".type __jit_debug_register_code, @function",
    ".p2align 2",
    "__jit_debug_register_code:",
    "hint 34",
    "ret",
    ".size __jit_debug_register_code, . - __jit_debug_register_code",
    ".popsection",
);
std::arch::global_asm!(
    ".pushsection .data.__jit_debug_descriptor, \"aw\", @progbits",
    ".weak __jit_debug_descriptor",
    ".hidden __jit_debug_descriptor",
    ".type __jit_debug_descriptor, @object",
    ".p2align 3",
    "__jit_debug_descriptor:",
    ".4byte 1, 0",
    ".8byte 0, 0",
    ".size __jit_debug_descriptor, . - __jit_debug_descriptor",
    ".popsection",
);

unsafe extern "C" {
    fn __jit_debug_register_code();
    static mut __jit_debug_descriptor: Descriptor;
}

/// An engine's object files.
#[derive(Default)]
pub(super) struct Entries {
    full: Vec<Registered>,
    open: Option<Registered>,
    /// The functions of the open file.
    functions: Vec<Function>,
}

impl Entries {
    /// Tells debuggers of new code. The caller holds the writers' lock.
    pub(super) fn add(&mut self, code: &Code<'_>) {
        self.functions.push(Function::new(code));
        self.open = None;
        match elf::image(&self.functions) {
            Ok(image) => self.open = Some(Registered::new(image)),
            Err(error) => report(&format!("no object file for debuggers: {error}")),
        }
        if self.functions.len() == BATCH {
            self.functions.clear();
            self.full.extend(self.open.take());
        }
    }
}

/// An object file that debuggers know until this is dropped, by the holder of the writers' lock.
struct Registered {
    entry: NonNull<Entry>,
    #[expect(dead_code, reason = "kept for its address, which the entry has")]
    image: Box<[u8]>,
}

// SAFETY: the entry and the image belong to the list, not to a thread.
unsafe impl Send for Registered {}

impl Registered {
    fn new(image: Box<[u8]>) -> Registered {
        let new =
            Entry { next: ptr::null_mut(), previous: ptr::null_mut(), image: image.as_ptr(), size: image.len() as u64 };
        let entry = NonNull::from(Box::leak(Box::new(new)));
        // SAFETY: the writers' lock is held, so nobody else in this process is at the list, whose entries are all alive.
        // A debugger reads it while the process stands still.
        unsafe {
            let first = (&raw const __jit_debug_descriptor.first).read();
            (*entry.as_ptr()).next = first;
            if let Some(first) = first.as_mut() {
                first.previous = entry.as_ptr();
            }
            (&raw mut __jit_debug_descriptor.first).write(entry.as_ptr());
            notify(REGISTER, entry);
        }
        Registered { entry, image }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: as in `new`; the entry is from a box, and nobody else frees it.
        unsafe {
            let Entry { next, previous, .. } = *self.entry.as_ptr();
            if let Some(next) = next.as_mut() {
                next.previous = previous;
            }
            match previous.as_mut() {
                Some(previous) => previous.next = next,
                None => (&raw mut __jit_debug_descriptor.first).write(next),
            }
            notify(UNREGISTER, self.entry);
            drop(Box::from_raw(self.entry.as_ptr()));
        }
    }
}

/// Comes by the place where debuggers wait.
///
/// # Safety
/// The writers' lock is held, and the entry is alive.
unsafe fn notify(action: u32, entry: NonNull<Entry>) {
    // SAFETY: nobody else is at the descriptor.
    unsafe {
        (&raw mut __jit_debug_descriptor.relevant).write(entry.as_ptr());
        (&raw mut __jit_debug_descriptor.action).write(action);
        __jit_debug_register_code();
        (&raw mut __jit_debug_descriptor.action).write(0);
        (&raw mut __jit_debug_descriptor.relevant).write(ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::fork;
    use crate::code::unwind::FrameKind;

    /// The object files in the list, which is checked on the way.
    fn listed() -> Vec<&'static [u8]> {
        let mut images = Vec::new();
        // SAFETY: the caller holds the writers' lock, and uses the images before it registers or drops any.
        unsafe {
            let mut previous = ptr::null_mut();
            let mut next = (&raw const __jit_debug_descriptor.first).read();
            while let Some(entry) = next.as_ref() {
                assert_eq!(entry.previous, previous);
                images.push(std::slice::from_raw_parts(entry.image, entry.size as usize));
                (previous, next) = (next, entry.next);
            }
        }
        images
    }

    /// How many of the images have a name.
    fn with_name(name: &str) -> usize {
        let has = |image: &&&[u8]| String::from_utf8_lossy(image).contains(name);
        listed().iter().filter(has).count()
    }

    #[test]
    fn list_has_all_code_at_any_time() {
        let code = [0xc3; 64];
        let guard = fork::lock();
        // SAFETY: the descriptor is only read.
        assert_eq!(unsafe { (&raw const __jit_debug_descriptor.version).read() }, 1);
        let before = listed().len();
        let mut entries = [Entries::default(), Entries::default()];
        for number in 0..140 {
            let name = format!("a stub by the number of {number};");
            let entry = NonNull::from(&code[0]);
            let frame = if number % 2 == 0 { FrameKind::Framed } else { FrameKind::Frameless };
            entries[number % 2].add(&Code { name: &name, entry, bytes: &code, frame });
            for known in [0, number / 2, number] {
                assert_eq!(with_name(&format!("number of {known};")), 1, "{known} of {number}");
            }
        }
        assert_eq!(listed().len(), before + 2 * 70usize.div_ceil(BATCH));
        let [first, second] = entries;
        drop(first);
        assert_eq!((with_name("number of 0;"), with_name("number of 1;")), (0, 1));
        drop(second);
        assert_eq!(listed().len(), before);
        drop(guard);
    }
}
