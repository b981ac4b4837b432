//! What q finds in the library by name, with `2:`.
//!
//! ffikdb's own C functions have its names, so that its `ffi.q` loads this library as well; those beyond it begin with
//! `ffi_`.

use crate::convert::to_q;
use crate::declared::{Declared, memory, owned};
use crate::error::{Class, Fault, Result};
use crate::function::{Manner, by_inference, own_rank};
use crate::host::{K, Object, Owned, api, kind};
use crate::letters::{Letters, Scalar};
use crate::thread::{self, Thread};
use crate::{callback, error, guard, host, symbols, variables, variadic};

/// Runs a function that q has called: q's functions are looked up first, and an error is signalled.
fn enter(run: impl FnOnce() -> Result<*mut Object>) -> *mut Object {
    if let Err(name) = host::api::find() {
        return host::api::report_missing(name);
    }
    thread::begin();
    error::signalled(run)
}

macro_rules! exports {
    ($($(#[$about:meta])* $name:ident($($parameter:ident),*) $body:block)*) => { $(
        $(#[$about])*
        ///
        /// # Safety
        /// Called by q, with objects of its own.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name($($parameter: *mut Object),*) -> *mut Object {
            enter(move || {
                // SAFETY: said by the caller.
                $(let $parameter = unsafe { K::new($parameter) };)*
                $body
            })
        }
    )* };
}

exports! {
    /// `.ffi.bind[f;argument letters;result letter]`: a function of one list.
    bind(function, parameters, result) {
        bound("bind", function, parameters, result, Manner::Listed).map(Owned::into_raw)
    }

    /// `.ffi.fn[f;argument letters;result letter]`: a function of its own rank.
    ffi_fn(function, parameters, result) {
        bound("fn", function, parameters, result, Manner::OwnRank).map(Owned::into_raw)
    }

    /// `.ffi.callFunction[f or (letter;f);list]`.
    call_function(function, arguments) {
        let (result, symbol) = variables::with_letter(function).map_err(|fault| fault.at("callFunction"))?;
        by_inference::call(&symbol, result, arguments)
    }

    /// `.ffi.cvar[v or (letter;v)]`.
    cvar(variable) {
        variables::read(variable).map_err(|fault| fault.at("cvar"))
    }

    /// `.ffi.loadlib[library]`: its symbols are in the process from then on.
    loadlib(library) {
        let path = symbols::text(library).map_err(|fault| fault.at("loadlib"))?;
        symbols::load(&path).map_err(|fault| fault.at("loadlib"))?;
        Ok(std::ptr::null_mut())
    }

    /// `.ffi.setErrno[n]`: gives what it was.
    set_errno(number) {
        thread::with(|thread| set(thread, number))
    }

    /// `.ffi.deref[address;letters;index]`: the members of a struct.
    deref(address, members, index) {
        variables::follow(address, members, index)
    }

    /// `.ffi.asQFunc[name;n]`: a C function that takes and gives q's objects, as a q function of rank n.
    bind_K_function(function, rank) {
        let symbol = symbols::find(function).map_err(|fault| fault.at("asQFunc"))?;
        let count = match rank.t() {
            t if t == -kind::INT => rank.int().into(),
            t if t == -kind::LONG => rank.long(),
            t => return Err(Fault::of_type(format!("asQFunc: a number of arguments: {t}h"))),
        };
        if !(1..=own_rank::MOST as i64).contains(&count) {
            return Err(Fault::new(Class::Rank, format!("asQFunc: {}: 1 to 8 arguments, not {count}", symbol.name)));
        }
        // SAFETY: who names the function answers for what it takes.
        Ok(unsafe { (api().dl)(symbol.address, count) })
    }

    /// `.ffi.cif[argument letters;result letter]`: what `.ffi.call` is told of a function.
    ffi_cif(parameters, result) {
        Letters::read(parameters, result).map_err(|fault| fault.at("cif"))?;
        let mark = Owned::vector(kind::BYTE, 0);
        let empty = Owned::vector(kind::BYTE, 0);
        Ok(Owned::list(vec![mark, empty, parameters.share(), result.share()]).into_raw())
    }

    /// `.ffi.call[cif;function;list]`.
    call(interface, function, arguments) {
        let (parameters, result) = match interface.t() {
            kind::LIST if interface.count() == 4 => (interface.items()[2], interface.items()[3]),
            t => return Err(Fault::of_type(format!("call: what .ffi.cif gives: {t}h"))),
        };
        let function = bound("call", function, parameters, result, Manner::Listed)?;
        apply(&function, arguments)
    }

    /// `.ffi.callback[(function;argument letters;result letter)]`: a function pointer, which stays until it is freed.
    ffi_callback(list) {
        if list.t() != kind::LIST {
            return Err(mismatched("callback", "(function; argument letters; result letter)", list));
        }
        let address = thread::with(|thread| callback::pointer(thread, list)).map_err(|fault| fault.at("callback"))?;
        Ok(to_q::atom(Scalar::Long, kind::LONG, address))
    }

    /// `.ffi.free[a callback or its pointer]`: whether there was one.
    ffi_free(what) {
        let freed = thread::with(|thread| {
            let callbacks = &thread.main()?.callbacks;
            match what.t() {
                kind::LIST => Ok(callbacks.free(&callback::Description::read(what)?)),
                t if t == -kind::LONG => {
                    Ok(callbacks.free_at(std::ptr::with_exposed_provenance(what.long() as usize)))
                }
                _ => Err(mismatched("free", "a callback or its pointer", what)),
            }
        })?;
        Ok(to_q::atom(Scalar::Byte, kind::BOOLEAN, freed.into()))
    }

    /// `.ffi.def[library;declarations]`: a dictionary of the functions and variables.
    ffi_def(library, text) {
        define(library, text).map_err(|fault| fault.at("def"))
    }

    /// `.ffi.guard[function]`: the same function, whose faults are errors.
    ffi_guard(function) {
        thread::with(|thread| guard::guarded(thread.main()?, function)).map_err(|fault| fault.at("guard"))
    }

    /// `.ffi.sizeof[type]`.
    ffi_sizeof(ty) {
        with_types("sizeof", |types| memory::size_of(types, ty))
    }

    /// `.ffi.offsetof[type;member]`.
    ffi_offsetof(ty, member) {
        with_types("offsetof", |types| memory::offset_of(types, ty, member))
    }

    /// `.ffi.pack[type;value]`: its bytes.
    ffi_pack(ty, value) {
        with_types("pack", |types| memory::pack(types, ty, value))
    }

    /// `.ffi.unpack[type;bytes or address]`: the value.
    ffi_unpack(ty, place) {
        with_types("unpack", |types| memory::unpack(types, ty, place))
    }

    /// `.ffi.get[type;bytes or address;member]`.
    ffi_get(ty, place, member) {
        with_types("get", |types| memory::get(types, ty, place, member))
    }

    /// `.ffi.set[type;bytes or address;member;value]`: the new bytes; `::` where it has written to an address.
    ffi_set(ty, place, member, value) {
        with_types("set", |types| memory::set(types, ty, place, member, value))
    }

    /// `.ffi.array[type;table or list]`: the bytes of an array.
    ffi_array(ty, values) {
        with_types("array", |types| memory::array(types, ty, values))
    }

    /// `.ffi.table[type;bytes or (address;count)]`: a table of structs, a vector or a list of anything else.
    ffi_table(ty, place) {
        with_types("table", |types| memory::table(types, ty, place))
    }

    /// `.ffi.own[pointer;destructor]`: a foreign object, which calls the C function when nobody has it any more.
    ffi_own(pointer, destructor) {
        thread::with(|thread| owned::own(thread.main()?, pointer, destructor)).map_err(|fault| fault.at("own"))
    }

    /// `.ffi.address[foreign object]`: its pointer.
    ffi_address(object) {
        owned::address(object).map_err(|fault| fault.at("address"))
    }

    /// `.ffi.show[function]`: its C declaration, and the machine code that q calls.
    ffi_show(function) {
        let text = thread::with(|thread| {
            let main = thread.main()?;
            let lettered = main.functions.behind(function).map(|(function, _)| function.show());
            Ok::<_, Fault>(lettered.or_else(|| main.declared.show(function)))
        })?;
        let text = text.ok_or_else(|| Fault::of_type("show: a function of .ffi.fn, .ffi.bind or .ffi.def"))?;
        Ok(Owned::text(text.as_bytes()).into_raw())
    }
}

/// Applies a function of one argument.
fn apply(function: &Owned, argument: K<'_>) -> Result<*mut Object> {
    let list = Owned::list(vec![argument.share()]);
    // SAFETY: a function and a list. Where it fails, the error is pending, as it would be where we fail.
    Ok(unsafe { (api().dot)(function.as_ptr(), list.as_ptr()) })
}

/// The q function for a C function.
fn bound(caller: &str, function: K<'_>, parameters: K<'_>, result: K<'_>, manner: Manner) -> Result<Owned> {
    let symbol = symbols::find(function).map_err(|fault| fault.at(caller))?;
    let named = |fault: Fault| fault.at(&symbol.name);
    let mut letters = Letters::read(parameters, result).map_err(named)?;
    if let Some(fixed) = variadic::fixed(&symbol.name) {
        letters.fixed = letters.fixed.min(fixed);
    }
    thread::with(|thread| thread.main().map_err(named)?.functions.get_or_make(&symbol, letters, manner))
}

/// Runs what needs the types that C declarations have made known.
fn with_types(caller: &str, run: impl FnOnce(&Declared) -> Result<*mut Object>) -> Result<*mut Object> {
    thread::with(|thread| run(&thread.main()?.declared)).map_err(|fault| fault.at(caller))
}

fn define(library: K<'_>, text: K<'_>) -> Result<*mut Object> {
    thread::with(|thread| {
        let main = thread.main()?;
        main.declared.define(&main.functions, library, text)
    })
}

/// What is wanted where something else came.
fn mismatched(place: &str, wanted: &str, given: K<'_>) -> Fault {
    Fault::of_type(format!("{place}: {wanted}: {}h", given.t()))
}

/// Sets what C finds in errno, where it is given a number that is not null; gives what it was.
fn set(thread: &Thread, number: K<'_>) -> Result<*mut Object> {
    let before = thread.bridge.errno.get();
    let number = match number.t() {
        t if t == -kind::INT => Some(number.int()).filter(|number| *number != i32::MIN),
        t if t == -kind::LONG && number.long() != i64::MIN => {
            let fits = i32::try_from(number.long());
            Some(fits.map_err(|_| Fault::of_type(format!("setErrno: {} is no int", number.long())))?)
        }
        t if t == -kind::SHORT => Some(number.short().into()),
        _ => None,
    };
    if let Some(number) = number {
        thread.bridge.errno.set(number);
    }
    Ok(to_q::atom(Scalar::Int, kind::INT, before as u64))
}
