//! C declarations: `.ffi.def`, and what q does with the types that they make known.
//!
//! | module | subject |
//! |---|---|
//! | [`types`] | what C types are to q: names, members, numbers |
//! | `given` | values of q's, objects or parts of them |
//! | [`to_c`], [`to_q`] | values of declared types |
//! | [`function`], [`argument`], `room` | calls by prototype: structs by value, pointers, `` `out `` |
//! | [`letters`] | prototypes that letters say as well |
//! | [`variable`] | C's variables |
//! | [`memory`] | structs in bytes and at addresses |
//! | [`owned`] | pointers that are freed with the object |
//!
//! The struct tags, typedefs and enum constants of a text are known for the rest of the process. They may be declared again,
//! if that is done in the same way. Functions are kept as long: who declares the same again gets the same.

mod argument;
mod function;
mod given;
mod letters;
pub(crate) mod memory;
pub(crate) mod owned;
mod room;
mod to_c;
mod to_q;
mod types;
mod variable;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_void};

use jitcall::types::declaration;
use jitcall::{Declarations, Signature};

use crate::error::{Fault, Result};
use crate::function::{self as lettered, Functions, Manner};
use crate::host::{K, Object, Owned, kind};
use crate::symbols;
use function::Function;
use owned::Destructors;

/// What is declared by an address and a text, and what q was given for it.
type Made = HashMap<(*const c_void, String), Owned>;

/// All that declarations have made known.
#[derive(Default)]
pub(crate) struct Declared {
    types: RefCell<Declarations>,
    made: RefCell<Made>,
    /// Which function is behind an object of q's, which is kept elsewhere.
    objects: RefCell<HashMap<*mut Object, &'static Function>>,
    destructors: Destructors,
}

impl Declared {
    /// Reads declarations, and gives a dictionary of the functions and variables in them.
    ///
    /// # Errors
    /// `'type` where the text is not C, or declares a name otherwise than it was before; `'os` where the library lacks one.
    /// Nothing is known then that was not before.
    pub(crate) fn define(&self, functions: &Functions, library: K<'_>, text: K<'_>) -> Result<*mut Object> {
        let library = library_name(library)?;
        let text = symbols::text(text)?;
        let text = text.to_str().map_err(|_| Fault::of_type("the text is not UTF-8"))?;
        let declared = self.types.borrow().parse_after(text)?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for signature in declared.functions() {
            let name = signature.name().unwrap_or_default();
            names.push(name);
            values.push(self.function(functions, library, name, signature)?);
        }
        for variable in declared.variables() {
            names.push(&variable.name);
            values.push(self.variable(library, variable)?);
        }
        let result = Owned::dictionary(to_q::symbols(names.into_iter()), Owned::list(values));
        *self.types.borrow_mut() = declared;
        Ok(result.into_raw())
    }

    fn function(
        &self,
        functions: &Functions,
        library: Option<&CStr>,
        name: &str,
        signature: &Signature,
    ) -> Result<Owned> {
        let symbol = symbols::named(library, name)?;
        self.get_or_make((symbol.address.cast_const(), signature.declaration()), || {
            let named = |fault: Fault| fault.at(name);
            if let Some(letters) = letters::of_prototype(signature) {
                let types = signature.parameters().iter().map(|parameter| parameter.ty.to_string()).collect();
                let function = lettered::Function::new(&symbol, letters).map_err(named)?.with_types(types);
                return functions.make(function, Manner::OwnRank).map_err(named);
            }
            self.make(Function::new(&symbol, signature).map_err(named)?).map_err(named)
        })
    }

    fn variable(&self, library: Option<&CStr>, variable: &declaration::Variable) -> Result<Owned> {
        let symbol = symbols::named(library, &variable.name)?;
        let text = format!("{}{}", variable.ty.definitions(), variable.ty.display_named(&variable.name));
        self.get_or_make((symbol.address.cast_const(), text), || variable::make(&symbol, &variable.ty))
    }

    fn get_or_make(&self, key: (*const c_void, String), make: impl FnOnce() -> Result<Owned>) -> Result<Owned> {
        if let Some(made) = self.made.borrow().get(&key) {
            return Ok(made.share());
        }
        let made = make()?;
        self.made.borrow_mut().insert(key, made.share());
        Ok(made)
    }

    fn make(&self, function: Function) -> Result<Owned> {
        let function: &'static Function = Box::leak(Box::new(function));
        let made = function::make(function)?;
        self.objects.borrow_mut().insert(made.as_ptr(), function);
        Ok(made)
    }

    /// The C function behind an object, where it is one of these.
    pub(crate) fn target(&self, object: K<'_>) -> Option<*const c_void> {
        self.objects.borrow().get(&object.as_ptr()).map(|function| function.target())
    }

    /// The declaration of the function behind an object, where it is one of these.
    pub(crate) fn show(&self, object: K<'_>) -> Option<String> {
        let declaration = self.objects.borrow().get(&object.as_ptr())?.declaration();
        Some(format!("{declaration}no machine code: each call is converted\n"))
    }

    /// The same function with faults in it as errors, where the object is one of these.
    pub(crate) fn guarded(&self, object: K<'_>) -> Option<Result<Owned>> {
        let function = self.objects.borrow().get(&object.as_ptr()).copied()?;
        Some(function.guarded().and_then(|guarded| self.make(guarded)))
    }
}

/// The library of that name; `None`, the process, for a null symbol and `::`.
fn library_name(library: K<'_>) -> Result<Option<&CStr>> {
    match library.t() {
        t if t == -kind::SYMBOL => Ok(Some(library.symbol()).filter(|name| !name.is_empty())),
        _ if library.is_null() => Ok(None),
        t => Err(Fault::of_type(format!("a library is a symbol: {t}h"))),
    }
}
