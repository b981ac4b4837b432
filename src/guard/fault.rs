//! What is told of a fault in foreign code.

use std::ffi::c_int;
use std::fmt::{self, Write};

use super::place::Place;
use super::record::Caught;
use crate::function::Function;
use crate::types::{Arch, layout};
use crate::value::{self, Slot, Value};

/// A fault in a guarded call: what was called with which arguments, and what the system said.
///
/// Its display form is one line:
///
/// ```text
/// read_at(p = 0x10): SIGSEGV (address not mapped) at 0x10, in read_at+0x4 of libfaulty.so
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The function's name, or its prototype where it has none.
    pub function: String,
    /// The arguments as they were passed, each as `value`, or `name = value` where the declaration names it. Long ones
    /// are cut.
    pub arguments: Vec<String>,
    /// The signal, such as `SIGSEGV`.
    pub signal: c_int,
    /// The system's reason, `si_code`: what it means depends on the signal (sigaction(2)).
    pub code: c_int,
    /// `si_addr`: the address whose access failed for `SIGSEGV` and `SIGBUS`, else that of the instruction. 0 also where
    /// the processor does not tell.
    pub address: usize,
    /// The address of the instruction.
    pub instruction: usize,
    /// Where that is; `None` outside all libraries, as after a jump to nowhere.
    pub place: Option<Place>,
}

impl Fault {
    /// A fault of a call with values.
    pub(super) fn of_values(function: &Function, arguments: &[Value<'_>], caught: Caught) -> Fault {
        let arguments = arguments.iter().enumerate().map(|(index, value)| argument(function, index, value));
        Fault::new(function, arguments.collect(), caught)
    }

    /// A fault of a call with slots.
    ///
    /// # Safety
    /// The slots hold arguments of the function, of which every byte is initialised.
    pub(super) unsafe fn of_slots(function: &Function, slots: *const Slot, caught: Caught) -> Fault {
        let offsets = function.interface().slot_offsets();
        let parameters = function.signature().parameters().iter().zip(offsets).enumerate();
        let arguments = parameters.map(|(index, (parameter, offset))| {
            let size = layout::of(&parameter.ty, Arch::HOST).map_or(0, |layout| layout.size);
            // SAFETY: the plan's offsets lie within the slots, whose bytes the caller has initialised.
            let bytes = unsafe { std::slice::from_raw_parts(slots.cast::<u8>().add(*offset as usize), size) };
            match value::read(&parameter.ty, bytes) {
                Ok(value) => argument(function, index, &value),
                Err(error) => argument(function, index, &error),
            }
        });
        Fault::new(function, arguments.collect(), caught)
    }

    fn new(function: &Function, arguments: Vec<String>, caught: Caught) -> Fault {
        let Caught { signal, code, address, instruction } = caught;
        let place = Place::of(instruction);
        Fault { function: function.signature().title(), arguments, signal, code, address, instruction, place }
    }

    /// The signal's name.
    pub fn signal_name(&self) -> &'static str {
        signal_name(self.signal)
    }
}

/// How many bytes of an argument are shown.
const SHOWN: usize = 80;

fn argument(function: &Function, index: usize, value: &dyn fmt::Display) -> String {
    let mut text = Limited { text: String::new(), left: SHOWN };
    // It fails where the limit is reached.
    if write!(text, "{value}").is_err() {
        text.text.push_str("...");
    }
    match &function.signature().parameters()[index].name {
        Some(name) => format!("{name} = {}", text.text),
        None => text.text,
    }
}

/// A string that takes so many bytes and no more.
struct Limited {
    text: String,
    left: usize,
}

impl Write for Limited {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if let Some(left) = self.left.checked_sub(piece.len()) {
            self.left = left;
            self.text.push_str(piece);
            return Ok(());
        }
        let end = (0..=self.left).rev().find(|end| piece.is_char_boundary(*end)).unwrap_or(0);
        self.text.push_str(&piece[..end]);
        self.left = 0;
        Err(fmt::Error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}): {}", self.function, self.arguments.join(", "), Reason::of(self.signal, self.code))?;
        if has_address(self.signal, self.code) {
            write!(f, " at {:#x},", self.address)?;
        }
        match &self.place {
            Some(place) => write!(f, " in {place}"),
            None => write!(f, " at the instruction {:#x}", self.instruction),
        }
    }
}

impl std::error::Error for Fault {}

pub(super) fn signal_name(signal: c_int) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        _ => "a signal",
    }
}

/// The code of a `SIGSEGV` for which x86_64 gives no address, such as for one that is not canonical.
const SI_KERNEL: c_int = 0x80;

/// Whether the signal came of an access to memory, and where is known.
pub(super) fn has_address(signal: c_int, code: c_int) -> bool {
    [libc::SIGSEGV, libc::SIGBUS].contains(&signal) && code > 0 && code != SI_KERNEL
}

/// The signal and the system's reason for it, as `SIGSEGV (address not mapped)`.
pub(super) struct Reason {
    signal: c_int,
    code: c_int,
}

impl Reason {
    pub(super) fn of(signal: c_int, code: c_int) -> Reason {
        Reason { signal, code }
    }

    /// What the codes of Linux's `asm-generic/siginfo.h` stand for, as far as the machines here give them.
    fn text(&self) -> Option<&'static str> {
        Some(match (self.signal, self.code) {
            (_, ..=0) => "sent",
            (libc::SIGSEGV, 1) => "address not mapped",
            (libc::SIGSEGV, 2) => "access not permitted",
            (libc::SIGSEGV, SI_KERNEL) => "general protection",
            (libc::SIGBUS, 1) => "misaligned address",
            (libc::SIGBUS, 2) => "nothing behind the address",
            (libc::SIGFPE, 1) => "integer division by zero, or its result does not fit",
            (libc::SIGFPE, 3) => "floating-point division by zero",
            (libc::SIGFPE, 7) => "invalid floating-point operation",
            (libc::SIGILL, 1 | 2) => "illegal instruction",
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(signal_name(self.signal))?;
        match self.text() {
            Some(text) => write!(f, " ({text})"),
            None => write!(f, " (code {})", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_arguments_are_cut_between_characters() {
        let function =
            Function::new(std::ptr::null(), crate::Signature::parse("int f(const char *s)").unwrap()).unwrap();
        let shown = |text: &str| argument(&function, 0, &text);
        assert_eq!(shown("short"), "s = short");
        assert_eq!(shown(&"x".repeat(80)), format!("s = {}", "x".repeat(80)));
        assert_eq!(shown(&"x".repeat(81)), format!("s = {}...", "x".repeat(80)));
        assert_eq!(shown(&"é".repeat(41)), format!("s = {}...", "é".repeat(40)));
        assert_eq!(shown(&format!("x{}", "é".repeat(40))), format!("s = x{}...", "é".repeat(39)));
    }
}
