//! qjs-ffi's functions by name: `define` and `call`.
//!
//! A call by name costs little more than one of a function object, because a program's names are literals: each is one
//! string, at one address, for as long as the program has it. So the address of the name finds the function, in a table
//! that holds a reference to the string: while it does, no other string can have that address. Text is compared only
//! when an address is met for the first time.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};

use crate::error::{Failure, Kind, Result};
use crate::function::{self, Declaration, Entry, Manners, fallback};
use crate::host::{JSCFunctionData, JSContext, JSValue, tag};
use crate::scope::Scope;
use crate::state::State;
use crate::types::ScriptType;

/// How many addresses of names are remembered: a power of two.
const REMEMBERED: usize = 256;

/// The functions that were defined.
pub(crate) struct Names {
    functions: HashMap<String, Box<Entry>>,
    /// Those that others took the place of: a call of one may be running.
    replaced: Vec<Box<Entry>>,
    table: Box<[Remembered; REMEMBERED]>,
}

/// A name by its address, and the function of that name. The reference to the name is held.
struct Remembered {
    name: Cell<JSValue>,
    code: Cell<Option<JSCFunctionData>>,
    data: Cell<*mut JSValue>,
    parameters: Cell<c_int>,
}

impl Default for Names {
    fn default() -> Names {
        let forgotten = || Remembered {
            name: Cell::new(JSValue::UNDEFINED),
            code: Cell::new(None),
            data: Cell::new(std::ptr::null_mut()),
            parameters: Cell::new(0),
        };
        let table: Vec<Remembered> = (0..REMEMBERED).map(|_| forgotten()).collect();
        let table = table.try_into().unwrap_or_else(|_| unreachable!("there are that many"));
        Names { functions: HashMap::new(), replaced: Vec::new(), table }
    }
}

impl Names {
    /// The values that it owns.
    pub(crate) fn values(&self) -> Vec<JSValue> {
        let entries = self.functions.values().chain(&self.replaced);
        entries.map(|entry| entry.data[1]).chain(self.table.iter().map(|slot| slot.name.get())).collect()
    }

    /// The values that it owned.
    pub(crate) fn into_values(self) -> Vec<JSValue> {
        self.values()
    }

    fn slot(&self, name: JSValue) -> &Remembered {
        // Strings lie at multiples of 16 bytes.
        &self.table[(name.payload >> 4) as usize % REMEMBERED]
    }
}

/// `define(name, pointer, abi, result, ...parameters)`.
pub(crate) fn define(scope: Scope<'_>, arguments: &[JSValue]) -> Result<JSValue> {
    let [name, target, abi, result, parameters @ ..] = arguments else {
        return Err(Failure::of_type(format!(
            "define: expected a name, a function pointer, an ABI and a result type, got {} arguments",
            arguments.len()
        )));
    };
    if !name.is_string() {
        return Err(Failure::of_type(format!("define: the name: expected a string, got {}", scope.describe(*name))));
    }
    let name = scope.text(*name)?;
    let in_define = |failure: Failure| failure.at(format_args!("define: {name}"));
    let target = pointer(scope, *target).map_err(in_define)?;
    check_abi(scope, *abi).map_err(in_define)?;
    let types = parse(scope, *result, parameters).map_err(in_define)?;
    let Some((result, parameters)) = types else { return Ok(JSValue::bool(false)) };
    let declaration = Declaration {
        name: name.clone(),
        parameters,
        result,
        view: JSValue::UNDEFINED,
        is_variadic: false,
        is_async: false,
        manners: Manners::Numbers,
    };
    let library = crate::libraries::holding(target);
    let entry = function::entry(scope, declaration, target, library.as_ref()).map_err(in_define)?;
    replace(scope, name, entry);
    Ok(JSValue::bool(true))
}

/// Puts a function in its place, and makes sure that no address leads to the one before it.
fn replace(scope: Scope<'_>, name: String, entry: Entry) {
    let mut names = scope.state.names.borrow_mut();
    if let Some(before) = names.functions.insert(name, Box::new(entry)) {
        names.replaced.push(before);
        for slot in names.table.iter() {
            slot.code.set(None);
            let name = slot.name.replace(JSValue::UNDEFINED);
            // SAFETY: the reference was the table's.
            unsafe { scope.host().free(scope.ctx, name) };
        }
    }
}

/// The types; `None` where one is not known, which is said on the standard error stream, as qjs-ffi does.
fn parse(scope: Scope<'_>, result: JSValue, parameters: &[JSValue]) -> Result<Option<(ScriptType, Vec<ScriptType>)>> {
    let named = |value: JSValue, place: &str| {
        if !value.is_string() {
            return Err(Failure::of_type(format!("{place}: expected a type's name, got {}", scope.describe(value))));
        }
        ScriptType::named(&scope.text(value)?).map_err(|failure| failure.at(place))
    };
    let result =
        if result.is(tag::NULL) { Ok(ScriptType::plain(jitcall::Type::Void)) } else { named(result, "the result") };
    let parameters: Result<Vec<ScriptType>> = parameters
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let place = format!("argument {}", index + 1);
            let found = named(*value, &place)?;
            if found.ty.is_void() {
                Err(Failure::of_type(format!("{place}: void is no type of a parameter")))
            } else {
                Ok(found)
            }
        })
        .collect();
    match (result, parameters) {
        (Ok(result), Ok(parameters)) => Ok(Some((as_number(result), parameters))),
        (Err(Failure::New(kind @ (Kind::Type | Kind::Syntax), text)), _)
        | (_, Err(Failure::New(kind @ (Kind::Type | Kind::Syntax), text))) => {
            let is_unknown = kind == Kind::Syntax || text.contains("there is no type");
            if !is_unknown {
                return Err(Failure::New(kind, text));
            }
            eprintln!("define: {text}");
            Ok(None)
        }
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    }
}

/// Results of functions by name are numbers, strings of C's included.
fn as_number(result: ScriptType) -> ScriptType {
    ScriptType::plain(result.ty)
}

/// The names of conventions that mean C's own on this machine.
fn check_abi(scope: Scope<'_>, abi: JSValue) -> Result<()> {
    if abi.is(tag::NULL) || abi.is(tag::UNDEFINED) {
        return Ok(());
    }
    let name = scope.text(abi)?;
    match name.as_str() {
        "default" | "sysv" | "unix64" | "stdcall" | "thiscall" | "fastcall" | "ms_cdecl" => Ok(()),
        "win64" => Err(Failure::other("the ABI win64 is not there yet")),
        _ => Err(Failure::of_type(format!("there is no ABI {name:?}"))),
    }
}

/// A function pointer; for `null` that of a function that says what it is.
fn pointer(scope: Scope<'_>, value: JSValue) -> Result<*const c_void> {
    if value.is(tag::NULL) {
        return Ok(dummy as *const c_void);
    }
    match crate::memory::address(scope, value)? {
        0 => Ok(dummy as *const c_void),
        address => Ok(std::ptr::with_exposed_provenance(address)),
    }
}

/// What a function that is none does.
extern "C" fn dummy() -> c_int {
    eprintln!("dummy function in ffi");
    0
}

/// `call(name, ...arguments)`.
///
/// # Safety
/// Called by the host, with the address of the state in the first of its values.
pub(crate) unsafe extern "C" fn call(
    ctx: *mut JSContext,
    this: JSValue,
    count: c_int,
    arguments: *mut JSValue,
    _: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller: the state lives as long as the module's functions.
    let state = unsafe { &*std::ptr::with_exposed_provenance::<State>((*data).payload as usize) };
    // SAFETY: the host pads arguments up to the function's length, which is 1.
    let name = unsafe { *arguments };
    // SAFETY: nobody changes the table while it is looked at: this is the only thread, and a look calls nothing.
    let slot = unsafe { (*state.names.as_ptr()).slot(name) };
    if slot.name.get().payload == name.payload
        && name.is(tag::STRING)
        && count > slot.parameters.get()
        && let Some(code) = slot.code.get()
    {
        // SAFETY: the function takes what follows the name; its data lives as long as the state.
        return unsafe { code(ctx, this, count - 1, arguments.add(1), 0, slot.data.get()) };
    }
    // SAFETY: as above.
    unsafe { call_by_text(ctx, state, count, arguments) }
}

/// Finds the function by the text of its name, and remembers the name's address.
///
/// # Safety
/// As for [`call`].
#[cold]
unsafe fn call_by_text(ctx: *mut JSContext, state: &State, count: c_int, arguments: *mut JSValue) -> JSValue {
    // SAFETY: the host calls in that context.
    let scope = unsafe { Scope::new(ctx, state) };
    // SAFETY: as for `call`.
    let name = unsafe { *arguments };
    if !name.is_string() {
        let failure = Failure::of_type(format!("call: the name: expected a string, got {}", scope.describe(name)));
        return scope.throw(failure);
    }
    let text = match scope.text(name) {
        Ok(text) => text,
        Err(failure) => return scope.throw(failure),
    };
    let Some((code, data)) = remember(scope, name, &text, count - 1) else {
        let failure = Failure::New(Kind::Reference, format!("call: {text} is not defined"));
        return scope.throw(failure);
    };
    // SAFETY: the arguments after the name are there, as many as are counted.
    unsafe { code(ctx, JSValue::UNDEFINED, count - 1, arguments.add(1), 0, data) }
}

/// The function of that name for a call with that many arguments. Where there are too few, that is the fallback, which
/// counts them: emitted code does not.
fn remember(scope: Scope<'_>, name: JSValue, text: &str, given: c_int) -> Option<(JSCFunctionData, *mut JSValue)> {
    let mut names = scope.state.names.borrow_mut();
    let entry = names.functions.get_mut(text)?;
    let (code, data, parameters) = (entry.code, entry.data.as_mut_ptr(), entry.parameters as c_int);
    if name.is(tag::STRING) {
        let slot = names.slot(name);
        let before = slot.name.replace(scope.dup(name));
        slot.code.set(Some(code));
        slot.data.set(data);
        slot.parameters.set(parameters);
        // SAFETY: the reference was the table's.
        unsafe { scope.host().free(scope.ctx, before) };
    }
    Some((if given < parameters { fallback::call } else { code }, data))
}
