//! C functions as q calls them.
//!
//! A function is bound once for its address, its letters and its manner, and kept for the process, as the q function that
//! is given out for it cannot be taken back: who binds the same again gets the same.
//!
//! `.ffi.fn` gives functions of their own rank ([`own_rank`]), `.ffi.bind` functions of one list ([`listed`]). Both call
//! through [`Function::call`]; in front of it, where the machine allows, stands emitted code that knows q's objects
//! ([`stub`]).

pub(crate) mod by_inference;
pub(crate) mod listed;
pub(crate) mod own_rank;
mod stub;
mod vectors;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::OnceLock;

use jitcall::{Guard, Slot};
use jitcall_disasm::{Machine, disassemble, listing};

use crate::callback;
use crate::convert::{number, to_c, to_q};
use crate::error::{Class, Fault, Result};
use crate::host::{K, Object, Owned};
use crate::letters::{Letters, Meaning};
use crate::symbols::Symbol;
use crate::thread::{self, Thread};
use stub::Stub;

/// How many arguments need no memory on the heap.
const FEW: usize = 16;

/// A C function with its letters.
pub(crate) struct Function {
    /// What errors call it.
    pub(crate) name: String,
    pub(crate) letters: Letters,
    function: jitcall::Function,
    /// The code in front of it.
    stub: OnceLock<Stub>,
    /// What errors call its arguments' types, where C has declared them; else their letters.
    types: Vec<String>,
    /// Where faults in it are to be errors. It has no stub then, and no map.
    guard: Option<Guard>,
}

/// How q passes the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Manner {
    /// In one list.
    Listed,
    /// Each by itself.
    OwnRank,
}

/// The functions that were bound.
#[derive(Default)]
pub(crate) struct Functions {
    /// What q was given for each.
    bound: RefCell<HashMap<(*const c_void, Letters, Manner), Owned>>,
    /// Which function is behind an object of q's. The objects are kept, so that their addresses stay theirs.
    objects: RefCell<HashMap<*mut Object, (&'static Function, Manner)>>,
}

impl Manner {
    /// The q function of a C function.
    ///
    /// # Errors
    /// Where the engine has no entry left.
    fn make(self, function: &'static Function) -> Result<Owned> {
        match self {
            Manner::Listed => listed::make(function),
            Manner::OwnRank => own_rank::make(function),
        }
    }
}

impl Function {
    /// # Errors
    /// What the engine says of the signature.
    pub(crate) fn new(symbol: &Symbol, letters: Letters) -> Result<Function> {
        let signature = letters.signature(&symbol.name)?;
        let function = jitcall::Function::new(symbol.address, signature)?;
        Ok(Function::of_parts(&symbol.name, letters, function, Vec::new(), None))
    }

    fn of_parts(
        name: &str,
        letters: Letters,
        function: jitcall::Function,
        types: Vec<String>,
        guard: Option<Guard>,
    ) -> Function {
        Function { name: name.to_owned(), letters, function, stub: OnceLock::new(), types, guard }
    }

    /// The same, where C has declared it with these types.
    pub(crate) fn with_types(self, types: Vec<String>) -> Function {
        Function { types, ..self }
    }

    /// The same function with faults in it as errors.
    ///
    /// # Errors
    /// Where the system refuses handlers of signals.
    pub(crate) fn guarded(&self) -> Result<Function> {
        let (letters, function, types) = (self.letters.clone(), self.function.clone(), self.types.clone());
        Ok(Function::of_parts(&self.name, letters, function, types, Some(Guard::install()?)))
    }

    /// Its address.
    pub(crate) fn target(&self) -> *const c_void {
        self.function.target()
    }

    /// Whether faults in it are errors.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Calls it: the arguments to words, the call, the result to an object.
    ///
    /// # Errors
    /// `'rank` where there are too many arguments or too few, `'type` where one does not fit its letter, and what a
    /// callback has failed with.
    pub(crate) fn call(&self, arguments: &[K<'_>]) -> Result<*mut Object> {
        self.check_count(arguments.len())?;
        thread::with(|thread| self.call_on(thread, arguments))
    }

    fn call_on(&self, thread: &Thread, arguments: &[K<'_>]) -> Result<*mut Object> {
        let mut temporaries = to_c::Temporaries::new();
        let (mut few, mut many) = ([0; FEW], Vec::new());
        let words = match few.get_mut(..arguments.len()) {
            Some(words) => words,
            None => {
                many.resize(arguments.len(), 0);
                &mut many[..]
            }
        };
        for (index, (word, argument)) in words.iter_mut().zip(arguments).enumerate() {
            *word = self.word(thread, index, *argument, &mut temporaries)?;
        }
        let mut result = [0_u64; 2];
        let slots = words.as_ptr().cast::<Slot>();
        // SAFETY: every argument is one slot, which is a word; there is room for every result that a letter stands for. Who
        // declared the function answers for the rest.
        unsafe { call_slots(thread, &self.function, self.guard.as_ref(), slots, result.as_mut_ptr().cast()) }?;
        thread.check_callbacks()?;
        // SAFETY: the function's result is there, as its letter says.
        unsafe { to_q::read(self.letters.result, result.as_ptr().cast()) }
            .map_err(|fault| fault.at(format_args!("{}: result", self.name)))
    }

    /// The word of an argument.
    fn word(&self, thread: &Thread, index: usize, value: K<'_>, temporaries: &mut to_c::Temporaries) -> Result<u64> {
        let letter = self.letters.parameters[index];
        let word = match letter.meaning() {
            Meaning::Callback if value.t() == crate::host::kind::LIST => callback::pointer(thread, value),
            _ => to_c::argument(letter, value, temporaries),
        };
        let word = word.map_err(|fault| fault.at(self.place(index)))?;
        Ok(match letter.scalar() {
            Some(scalar) if index >= self.letters.fixed => number::promoted(word, scalar),
            _ => word,
        })
    }

    /// What errors call an argument: `pow: argument 2 ("f")`.
    pub(crate) fn place(&self, index: usize) -> String {
        match self.types.get(index) {
            Some(declared) => format!("{}: argument {} ({declared})", self.name, index + 1),
            None => format!("{}: argument {} ({})", self.name, index + 1, self.letters.parameters[index]),
        }
    }

    pub(crate) fn check_count(&self, given: usize) -> Result<()> {
        check_count(&self.name, self.letters.parameters.len(), given)
    }

    /// Its C declaration, and the instructions of the code in front of it.
    pub(crate) fn show(&self) -> String {
        let declaration = format!("{};\n", self.letters.declaration(&self.name));
        let Some(stub) = self.stub.get() else {
            return format!("{declaration}no machine code: each call is converted\n");
        };
        let machine = if cfg!(target_arch = "x86_64") { Machine::X86_64 } else { Machine::Aarch64 };
        declaration + &listing(&disassemble(stub.bridge.code(), machine))
    }
}

/// # Errors
/// `'rank` where a function is given too many arguments or too few.
pub(crate) fn check_count(name: &str, expected: usize, given: usize) -> Result<()> {
    if given == expected {
        return Ok(());
    }
    let plural = if expected == 1 { "" } else { "s" };
    Err(Fault::new(Class::Rank, format!("{name}: expected {expected} argument{plural}, got {given}")))
}

/// Calls a function with the thread's errno, and keeps what it leaves there.
///
/// # Errors
/// `'os` for a fault in a guarded function.
///
/// # Safety
/// As for [`jitcall::Function::call_slots`]; where there is a guard, every byte of the slots is initialised.
pub(crate) unsafe fn call_slots(
    thread: &Thread,
    function: &jitcall::Function,
    guard: Option<&Guard>,
    slots: *const Slot,
    result: *mut u8,
) -> Result<()> {
    let Some(guard) = guard else {
        // SAFETY: said by the caller.
        thread.calling(|| unsafe { function.call_slots(slots, result) });
        return Ok(());
    };
    // SAFETY: said by the caller. Who asks for a guard answers for what a fault leaves behind; q's functions are called
    // back by closures of the engine alone.
    Ok(thread.calling(|| unsafe { guard.call_slots(function, slots, result) })?)
}

impl Functions {
    /// The q function for a C function, letters and a manner: the one there is, or a new one.
    ///
    /// # Errors
    /// What the engine says of the signature, and where it has no entry left.
    pub(crate) fn get_or_make(&self, symbol: &Symbol, letters: Letters, manner: Manner) -> Result<Owned> {
        let key = (symbol.address.cast_const(), letters.clone(), manner);
        if let Some(made) = self.bound.borrow().get(&key) {
            return Ok(made.share());
        }
        let made = Function::new(symbol, letters).and_then(|function| self.make(function, manner));
        let made = made.map_err(|fault| fault.at(&symbol.name))?;
        self.bound.borrow_mut().insert(key, made.share());
        Ok(made)
    }

    /// The q function of a C function, which is known from then on; the caller keeps it.
    ///
    /// # Errors
    /// Where the engine has no entry left.
    pub(crate) fn make(&self, function: Function, manner: Manner) -> Result<Owned> {
        let function: &'static Function = Box::leak(Box::new(function));
        let made = manner.make(function)?;
        self.objects.borrow_mut().insert(made.as_ptr(), (function, manner));
        Ok(made)
    }

    /// The function behind an object of q's, if it is one of these.
    pub(crate) fn behind(&self, object: K<'_>) -> Option<(&'static Function, Manner)> {
        self.objects.borrow().get(&object.as_ptr()).copied()
    }
}
