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

use jitcall::map::Map;
use jitcall::{Engine, Guard, Slot};
use jitcall_disasm::{Machine, disassemble, listing};

use crate::callback;
use crate::convert::{to_c, to_q};
use crate::error::{Class, Fault, Result};
use crate::host::{K, Object, Owned};
use crate::letters::{Letters, Meaning, Scalar};
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
    /// The code in front of it, which takes each argument by itself.
    stub: OnceLock<Stub>,
    /// What calls it for each element of vectors.
    map: OnceLock<Map>,
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
    bound: RefCell<HashMap<(*const c_void, Letters, Manner), Bound>>,
    /// Which function is behind an object of q's. The objects are kept, so that their addresses stay theirs.
    objects: RefCell<HashMap<*mut Object, (&'static Function, Manner)>>,
}

/// What q was given for a function.
struct Bound(Owned);

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
        Function { name: name.to_owned(), letters, function, stub: OnceLock::new(), map: OnceLock::new(), types, guard }
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
        // SAFETY: there is a word for each argument, and room for every result that a letter stands for.
        unsafe { self.call_words(thread, words, result.as_mut_ptr().cast()) }?;
        if thread.has_failed()
            && let Some(failure) = thread.take_failure()
        {
            return Err(failure);
        }
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
        match word {
            // C's promotion of a variadic float; integers are extended in the word already.
            Ok(word) if index >= self.letters.fixed && letter.scalar() == Some(Scalar::Real) => {
                Ok(f64::from(f32::from_bits(word as u32)).to_bits())
            }
            word => word.map_err(|fault| fault.at(self.place(index))),
        }
    }

    /// Calls it with words, and keeps what it leaves in errno.
    ///
    /// # Errors
    /// `'os` for a fault in a guarded function.
    ///
    /// # Safety
    /// There is a word for each parameter, and room for the result.
    pub(crate) unsafe fn call_words(&self, thread: &Thread, words: &[u64], result: *mut u8) -> Result<()> {
        let slots = words.as_ptr().cast::<Slot>();
        // SAFETY: every parameter is one slot, which is a word; who declared the function answers for the rest.
        unsafe { call_slots(thread, &self.function, self.guard.as_ref(), slots, result) }
    }

    /// What errors call an argument: `pow: argument 2 ("f")`.
    pub(crate) fn place(&self, index: usize) -> String {
        match self.types.get(index) {
            Some(declared) => format!("{}: argument {} ({declared})", self.name, index + 1),
            None => format!("{}: argument {} ({})", self.name, index + 1, self.letters.parameters[index]),
        }
    }

    pub(crate) fn check_count(&self, given: usize) -> Result<()> {
        let expected = self.letters.parameters.len();
        if given == expected {
            return Ok(());
        }
        let plural = if expected == 1 { "" } else { "s" };
        Err(Fault::new(Class::Rank, format!("{}: expected {expected} argument{plural}, got {given}", self.name)))
    }

    /// What calls it for each element of vectors.
    ///
    /// # Errors
    /// What the engine says of it.
    fn map(&self) -> Result<&Map> {
        if let Some(map) = self.map.get() {
            return Ok(map);
        }
        let map = Engine::global().prepare_map(self.function.signature())?;
        Ok(self.map.get_or_init(|| map))
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
    /// What `make` says.
    pub(crate) fn get_or_make(
        &self,
        symbol: &Symbol,
        letters: Letters,
        manner: Manner,
        make: impl FnOnce(&'static Function) -> Result<Owned>,
    ) -> Result<Owned> {
        let key = (symbol.address.cast_const(), letters.clone(), manner);
        if let Some(Bound(made)) = self.bound.borrow().get(&key) {
            return Ok(made.as_k().share());
        }
        let named = |fault: Fault| fault.at(&symbol.name);
        let function: &'static Function = Box::leak(Box::new(Function::new(symbol, letters).map_err(named)?));
        let made = make(function).map_err(named)?;
        self.remember(&made, function, manner);
        self.bound.borrow_mut().insert(key, Bound(made.as_k().share()));
        Ok(made)
    }

    /// Keeps which function is behind an object, which is kept elsewhere.
    pub(crate) fn remember(&self, object: &Owned, function: &'static Function, manner: Manner) {
        self.objects.borrow_mut().insert(object.as_ptr(), (function, manner));
    }

    /// The function behind an object of q's, if it is one of these.
    pub(crate) fn behind(&self, object: K<'_>) -> Option<(&'static Function, Manner)> {
        self.objects.borrow().get(&object.as_ptr()).copied()
    }
}
