//! A run of a callback: C's arguments to objects, the q function, its result to C.
//!
//! Nothing is allocated where it has run before: the list of arguments is kept, and its atoms are written anew where nobody
//! else has a reference to them.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;

use jitcall::closure::{Arguments, Outcome};

use crate::convert::{to_c, to_q};
use crate::error::{Class, Fault, Result};
use crate::function::own_rank::MOST;
use crate::host::{K, Object, Owned, api, kind};
use crate::letters::{Letter, Meaning, Scalar};
use crate::thread::{self, Thread};

/// What a run needs. It belongs to q's main thread, on which the engine has it run, and no other.
pub(super) struct Run {
    function: Owned,
    parameters: Box<[Parameter]>,
    result: Letter,
    /// How an atom becomes the result, where that is a number.
    returned: Word,
    /// The thread that the function runs on.
    home: &'static Thread,
    /// Where that thread has its errno.
    errno: *mut c_int,
    /// The list of the last run, while none is on its way.
    list: Cell<*mut Object>,
    /// The last result that C was given a pointer into.
    held: Cell<*mut Object>,
}

/// What is known of a parameter before it is given.
struct Parameter {
    letter: Letter,
    /// What it is, or points at, where that is a number.
    number: Option<Number>,
    /// How a number becomes an atom, where no pointer is followed.
    passed: Word,
    is_pointer: bool,
}

/// A number and an atom's payload as words, which takes no look at how wide the number is.
#[derive(Clone, Copy)]
struct Word {
    /// What the atom's type is; no atom's where this is not the way.
    atom: i8,
    /// The bytes that are the number's.
    mask: u64,
}

impl Word {
    const NONE: Word = Word { atom: i8::MAX, mask: 0 };

    fn of(number: Option<Number>) -> Word {
        number.map_or(Word::NONE, |Number { scalar, atom }| Word { atom, mask: u64::MAX >> (64 - 8 * scalar.size()) })
    }
}

/// A number, with q's type of its atoms.
#[derive(Clone, Copy)]
struct Number {
    scalar: Scalar,
    atom: i8,
}

impl Number {
    fn of(letter: Letter) -> Option<Number> {
        match letter.meaning() {
            Meaning::Number(scalar, t) => Some(Number { scalar, atom: -t }),
            _ => None,
        }
    }

    /// Copies one; booleans are 0 or 1 then.
    ///
    /// # Safety
    /// One is there, and room for one.
    #[inline(always)]
    unsafe fn copy(self, from: *const u8, to: *mut u8) {
        // SAFETY: said by the caller.
        unsafe {
            match self.scalar {
                Scalar::Byte if self.atom == -kind::BOOLEAN => to.write((from.read() != 0).into()),
                Scalar::Byte => to.write(from.read()),
                Scalar::Short => to.cast::<u16>().write_unaligned(from.cast::<u16>().read_unaligned()),
                Scalar::Int | Scalar::Real => to.cast::<u32>().write_unaligned(from.cast::<u32>().read_unaligned()),
                Scalar::Long | Scalar::Float => to.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned()),
            }
        }
    }
}

impl Parameter {
    fn new(letter: Letter) -> Parameter {
        if let Meaning::Pointer(to) = letter.meaning() {
            return Parameter { letter, number: Number::of(to), passed: Word::NONE, is_pointer: true };
        }
        let number = Number::of(letter);
        // C's true may be any byte but 0.
        let passed = Word::of(number.filter(|number| number.atom != -kind::BOOLEAN));
        Parameter { letter, number, passed, is_pointer: false }
    }
}

impl Run {
    /// # Errors
    /// `'os` on another thread than q's main one.
    pub(super) fn new(function: K<'_>, parameters: &[Letter], result: Letter) -> Result<Run> {
        let home = thread::main().ok_or_else(|| Fault::new(Class::Os, "callbacks are made on q's main thread"))?;
        Ok(Run {
            function: function.share(),
            parameters: parameters.iter().copied().map(Parameter::new).collect(),
            result,
            returned: Word::of(Number::of(result)),
            home,
            // SAFETY: it takes nothing.
            errno: unsafe { libc::__errno_location() },
            list: Cell::new(ptr::null_mut()),
            held: Cell::new(ptr::null_mut()),
        })
    }

    /// Runs the function; C gets zero where it fails, or has failed before during the same call.
    #[inline(always)]
    pub(super) fn call(&self, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        let result = outcome.as_mut_ptr();
        if self.home.has_failed() && !self.home.forget_failure() {
            return self.write_zero(result);
        }
        // The function's own errno is not C's business, nor the other way round.
        // SAFETY: this is the thread on which the callback was made.
        let before = unsafe { *self.errno };
        if let Err(fault) = self.run(arguments, result) {
            self.home.park(fault);
            self.write_zero(result);
        }
        // SAFETY: as above.
        unsafe { *self.errno = before };
    }

    #[inline(always)]
    fn run(&self, arguments: Arguments<'_>, result: *mut u8) -> Result<()> {
        let list = self.list_of(arguments)?;
        // SAFETY: a function and a list.
        let value = unsafe { (api().dot)(self.function.as_ptr(), list.as_ptr()) };
        self.keep(list);
        if value.is_null() {
            return self.failed(result);
        }
        // SAFETY: the reference is ours.
        self.finish(unsafe { Owned::new(value) }, result)
    }

    /// The arguments as a list; where there are none, `::` alone; where there are more than q passes, in a list of their own.
    #[inline(always)]
    fn list_of(&self, arguments: Arguments<'_>) -> Result<Owned> {
        let kept = self.list.replace(ptr::null_mut());
        let list = if kept.is_null() {
            self.new_list()
        } else {
            // SAFETY: the reference was kept.
            unsafe { Owned::new(kept) }
        };
        let folded = self.parameters.len() > MOST;
        let items = if folded { list.items()[0].elements() } else { list.elements() };
        for (index, parameter) in self.parameters.iter().enumerate() {
            // SAFETY: every parameter is one slot, of the letter's type; the list has an item for each.
            unsafe {
                let slot = arguments.as_ptr().add(index).cast::<u8>();
                fill(items.cast::<*mut Object>().add(index), parameter, slot)?;
            }
        }
        Ok(list)
    }

    /// A list with `::` for each argument.
    #[cold]
    fn new_list(&self) -> Owned {
        let count = self.parameters.len().max(1);
        let items = Owned::list((0..count).map(|_| to_q::identity()).collect());
        if count > MOST { Owned::list(vec![items]) } else { items }
    }

    /// Keeps a list for the next run, where nobody else has it.
    #[inline(always)]
    fn keep(&self, list: Owned) {
        let is_unique = list.is_unique() && (self.parameters.len() <= MOST || list.items()[0].is_unique());
        if is_unique && self.list.get().is_null() {
            self.list.set(list.into_raw());
        }
    }

    /// The function has failed, or given `::` as null.
    #[cold]
    fn failed(&self, result: *mut u8) -> Result<()> {
        // SAFETY: null asks for the pending error.
        let error = unsafe { (api().ee)(ptr::null_mut()) };
        if error.is_null() {
            return self.finish_null(result);
        }
        // SAFETY: the reference is ours.
        let error = unsafe { Owned::new(error) };
        // SAFETY: an error has a text like a symbol's, or none.
        let text = unsafe { error.payload().cast::<*const std::ffi::c_char>().read() };
        if error.t() != kind::ERROR || text.is_null() {
            return self.finish_null(result);
        }
        // SAFETY: the text ends.
        let text = unsafe { std::ffi::CStr::from_ptr(text) };
        Err(Fault::of_q(text.to_string_lossy()))
    }

    fn finish_null(&self, result: *mut u8) -> Result<()> {
        match self.result.meaning() {
            Meaning::Void | Meaning::Callback => {
                self.write_zero(result);
                Ok(())
            }
            _ => Err(Fault::of_type("101h").at(self.place())),
        }
    }

    /// What errors call the result.
    fn place(&self) -> String {
        format!("callback: result ({})", self.result)
    }

    /// Writes the result for C.
    #[inline(always)]
    fn finish(&self, value: Owned, result: *mut u8) -> Result<()> {
        let Word { atom, mask } = self.returned;
        if value.t() != atom {
            return self.convert(value, result);
        }
        let word = value.word() & mask;
        // SAFETY: the result is a number, which has room for four bytes at the least, or for its own eight.
        unsafe {
            match mask > u32::MAX.into() {
                true => result.cast::<u64>().write_unaligned(word),
                false => result.cast::<u32>().write_unaligned(word as u32),
            }
        }
        Ok(())
    }

    /// The same where the value is not of the result's own type.
    fn convert(&self, value: Owned, result: *mut u8) -> Result<()> {
        match self.result.meaning() {
            Meaning::Number(to, _) => {
                let bits = to_c::scalar(*value, to).map_err(|fault| fault.at(self.place()))?;
                // SAFETY: the result has room for a number of that type.
                unsafe { to_q::write(to, result, bits) };
            }
            Meaning::Void => self.write_zero(result),
            // SAFETY: the result is an address; C takes the reference over.
            Meaning::Callback => unsafe { result.cast::<*mut Object>().write_unaligned(value.into_raw()) },
            _ => return self.finish_pointer(value, result),
        }
        Ok(())
    }

    /// Writes an address, and keeps what it leads to until the next result.
    fn finish_pointer(&self, value: Owned, result: *mut u8) -> Result<()> {
        let value = terminated(self.result, value);
        let mut temporaries = to_c::Temporaries::new();
        let word = to_c::argument(self.result, *value, &mut temporaries).map_err(|fault| fault.at(self.place()))?;
        // SAFETY: the result is an address, or a size.
        unsafe { result.cast::<u64>().write_unaligned(word) };
        self.hold(value.into_raw());
        Ok(())
    }

    fn hold(&self, value: *mut Object) {
        let before = self.held.replace(value);
        if !before.is_null() {
            // SAFETY: the reference was kept.
            drop(unsafe { Owned::new(before) });
        }
    }

    /// Writes zero, as wide as the result is.
    fn write_zero(&self, result: *mut u8) {
        let size = match self.result.meaning() {
            Meaning::Number(scalar, _) => scalar.size(),
            _ => 8,
        };
        // SAFETY: the result has room for it.
        unsafe { result.write_bytes(0, size) };
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for object in [self.list.get(), self.held.get()] {
            if !object.is_null() {
                // SAFETY: the reference was kept. Callbacks are freed on q's main thread.
                drop(unsafe { Owned::new(object) });
            }
        }
    }
}

/// A text that ends in a zero byte, where C wants one.
fn terminated(letter: Letter, value: Owned) -> Owned {
    let is_text = match letter.meaning() {
        Meaning::Symbol => true,
        Meaning::Pointer(to) => to.meaning() == Meaning::Number(Scalar::Byte, kind::CHAR),
        _ => false,
    };
    match value.t() {
        kind::BOOLEAN | kind::BYTE | kind::CHAR if is_text && value.bytes().last() != Some(&0) => {
            Owned::text(&[value.bytes(), &[0]].concat())
        }
        _ => value,
    }
}

/// Makes an item of a list the object of an argument: the atom that is there, where it is of the type and nobody else has
/// it; a new one else.
///
/// # Safety
/// A value of the letter's type is in the slot, and an object in the item.
#[inline(always)]
unsafe fn fill(item: *mut *mut Object, parameter: &Parameter, slot: *const u8) -> Result<()> {
    // SAFETY: said by the caller; a slot is a word.
    unsafe {
        let before = K::new(item.read());
        if before.t() == parameter.passed.atom && before.is_unique() {
            before.set_word(slot.cast::<u64>().read() & parameter.passed.mask);
            return Ok(());
        }
        fill_otherwise(item, parameter, slot)
    }
}

/// The same where the number and its atom are no words, or the atom has to be made.
///
/// # Safety
/// As for [`fill`].
unsafe fn fill_otherwise(item: *mut *mut Object, parameter: &Parameter, slot: *const u8) -> Result<()> {
    // SAFETY: said by the caller.
    unsafe {
        let at = if parameter.is_pointer { slot.cast::<*const u8>().read() } else { slot };
        let before = K::new(item.read());
        match parameter.number {
            Some(number) if before.t() == number.atom && before.is_unique() && !at.is_null() => {
                number.copy(at, before.payload());
            }
            _ => drop(Owned::new(item.replace(new_item(parameter.letter, slot)?))),
        }
    }
    Ok(())
}

/// The object of an argument.
///
/// # Safety
/// A value of the letter's type is in the slot.
unsafe fn new_item(letter: Letter, slot: *const u8) -> Result<*mut Object> {
    let value = match letter.meaning() {
        // What C passes it keeps; q gets a reference of its own.
        // SAFETY: said by the caller.
        Meaning::Callback => unsafe { to_q::pointed(letter, slot) },
        // SAFETY: as above.
        _ => unsafe { to_q::read(letter, slot) },
    };
    match value? {
        value if value.is_null() => Ok(to_q::identity().into_raw()),
        value => Ok(value),
    }
}
