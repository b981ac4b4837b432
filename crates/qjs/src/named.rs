//! qjs-ffi's functions by name: `define` and `call`.
//!
//! A call by name costs little more than one of a function object, because a program's names are literals: each is one
//! string, at one address, for as long as the program has it. So the address of the name finds the function, in a table
//! that holds a reference to the string: while it does, no other string can have that address. Text is compared only
//! when an address is met for the first time.

use jitcall::abi::Convention;
use std::arch::naked_asm;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use crate::error::{Failure, Kind, Result};
use crate::event_loop::state_of;
use crate::function::{self, Declaration, Entry, Manners, Target, fallback};
use crate::host::{JSCFunctionData, JSContext, JSValue, tag};
use crate::scope::Scope;
use crate::types::ScriptType;

/// How many addresses of names are remembered: a power of two.
const REMEMBERED: usize = 256;

/// How many functions that others took the place of are kept in any case.
const REPLACED: usize = 16;

/// The functions that were defined.
pub(crate) struct Names {
    functions: HashMap<String, Box<Entry>>,
    /// Those that others took the place of lately: a call of one may be running.
    replaced: VecDeque<Box<Entry>>,
    table: Box<[Remembered; REMEMBERED]>,
}

/// A name by its address, and the function of that name. The reference to the name is held. [`call`] reads it.
#[repr(C)]
struct Remembered {
    /// The address of the string; 0 where nothing is remembered.
    name: Cell<u64>,
    code: Cell<Option<JSCFunctionData>>,
    data: Cell<*mut JSValue>,
    /// How many arguments emitted code reads.
    parameters: Cell<c_int>,
}

/// What [`call`] computes with: addresses of strings are multiples of 16, and entries are two of those.
const _: () = assert!(size_of::<Remembered>() == 32);

impl Default for Names {
    fn default() -> Names {
        let forgotten = || Remembered {
            name: Cell::new(0),
            code: Cell::new(None),
            data: Cell::new(std::ptr::null_mut()),
            parameters: Cell::new(0),
        };
        let table: Vec<Remembered> = (0..REMEMBERED).map(|_| forgotten()).collect();
        let table = table.try_into().unwrap_or_else(|_| unreachable!("there are that many"));
        Names { functions: HashMap::new(), replaced: VecDeque::new(), table }
    }
}

impl Names {
    /// The values that it owns.
    pub(crate) fn values(&self) -> Vec<JSValue> {
        let entries = self.functions.values().chain(&self.replaced);
        entries.map(|entry| entry.data[1]).chain(self.table.iter().map(Remembered::name)).collect()
    }

    /// The values that it owned.
    pub(crate) fn into_values(self) -> Vec<JSValue> {
        self.values()
    }

    /// The table, for [`call`].
    pub(crate) fn table(&self) -> *const c_void {
        self.table.as_ptr().cast()
    }

    fn slot(&self, name: JSValue) -> &Remembered {
        &self.table[(name.payload >> 4) as usize % REMEMBERED]
    }
}

impl Remembered {
    fn name(&self) -> JSValue {
        match self.name.get() {
            0 => JSValue::UNDEFINED,
            address => JSValue::plain(tag::STRING, address),
        }
    }

    /// Forgets the name; gives the reference to it back.
    fn forget(&self) -> JSValue {
        let name = self.name();
        self.name.set(0);
        name
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
    let convention = convention(scope, *abi).map_err(in_define)?;
    let types = parse(scope, *result, parameters).map_err(in_define)?;
    let Some((result, parameters)) = types else { return Ok(JSValue::bool(false)) };
    let declaration = Declaration {
        name: name.clone(),
        parameters,
        result,
        view: JSValue::UNDEFINED,
        is_variadic: false,
        is_async: false,
        convention,
        manners: Manners::Numbers,
    };
    let library = crate::libraries::holding(target);
    let target = Target { address: target, library: library.as_ref(), bound: None };
    let entry = function::entry(scope, declaration, target).map_err(in_define)?;
    replace(scope, name, entry);
    Ok(JSValue::bool(true))
}

/// Puts a function in its place, and makes sure that no address leads to the one before it.
fn replace(scope: Scope<'_>, name: String, entry: Entry) {
    let mut names = scope.state.names.borrow_mut();
    let Some(before) = names.functions.insert(name, Box::new(entry)) else { return };
    names.replaced.push_back(before);
    let mut given_up: Vec<JSValue> = names.table.iter().map(Remembered::forget).collect();
    // Only where a callback runs can calls be running: of any of them.
    while names.replaced.len() > REPLACED && !scope.state.runs_callback() {
        given_up.extend(names.replaced.pop_front().map(|entry| entry.data[1]));
    }
    drop(names);
    for value in given_up {
        // SAFETY: the reference was the table's.
        unsafe { scope.host().free(scope.ctx, value) };
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

/// The convention of that name; `None` for C's own, which most names mean on this machine.
fn convention(scope: Scope<'_>, abi: JSValue) -> Result<Option<Convention>> {
    if abi.is(tag::NULL) || abi.is(tag::UNDEFINED) {
        return Ok(None);
    }
    let name = scope.text(abi)?;
    match name.as_str() {
        "default" | "sysv" | "unix64" | "stdcall" | "thiscall" | "fastcall" | "ms_cdecl" => Ok(None),
        "win64" if cfg!(target_arch = "x86_64") => Ok(Some(Convention::Win64)),
        "win64" => Err(Failure::of_type("the ABI \"win64\" is one of x86_64")),
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

/// `call(name, ...arguments)`: looks for the address of the name in the table, and jumps to the function found with what
/// follows the name. The function returns to the host.
///
/// The register state is that of a [`JSCFunctionData`]: the count is in ecx, the arguments are at r8, the values of `call`
/// itself at the address in the first stack word, which is made that of the function's values.
///
/// # Safety
/// Called by the host, with the address of the table in the first of its values and that of the state in the second.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call(
    _: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
    _: c_int,
    _: *mut JSValue,
) -> JSValue {
    naked_asm!(
        "endbr64",
        "mov rax, [rsp + 8]",
        "cmp dword ptr [r8 + 8], {string}",
        "jne {by_text}",
        "mov r11, [r8]",
        "lea r10d, [r11 + r11]",
        "and r10d, {mask}",
        "add r10, [rax]",
        "cmp r11, [r10 + {name}]",
        "jne {by_text}",
        "cmp ecx, [r10 + {parameters}]",
        "jle {by_text}",
        "mov r11, [r10 + {data}]",
        "mov [rsp + 8], r11",
        "dec ecx",
        "add r8, {value}",
        "jmp [r10 + {code}]",
        string = const tag::STRING,
        mask = const (REMEMBERED - 1) * size_of::<Remembered>(),
        name = const offset_of!(Remembered, name),
        parameters = const offset_of!(Remembered, parameters),
        data = const offset_of!(Remembered, data),
        code = const offset_of!(Remembered, code),
        value = const size_of::<JSValue>(),
        by_text = sym call_by_text,
    )
}

/// The same; the count is in w3, the arguments are at x4, the values at x6.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call(
    _: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
    _: c_int,
    _: *mut JSValue,
) -> JSValue {
    naked_asm!(
        "hint 34", // bti c
        "ldr w9, [x4, 8]",
        "cmn w9, {minus_string}",
        "b.ne 2f",
        "ldr x9, [x4]",
        "ldr x10, [x6]",
        "lsl x11, x9, 1",
        "and x11, x11, {mask}",
        "add x10, x10, x11",
        "ldr x11, [x10, {name}]",
        "cmp x9, x11",
        "b.ne 2f",
        "ldr w11, [x10, {parameters}]",
        "cmp w3, w11",
        "b.le 2f",
        "ldr x16, [x10, {code}]",
        "ldr x6, [x10, {data}]",
        "sub w3, w3, 1",
        "add x4, x4, {value}",
        "br x16",
        "2:", // a conditional branch reaches no further than 1 MiB
        "b {by_text}",
        minus_string = const -tag::STRING,
        mask = const (REMEMBERED - 1) * size_of::<Remembered>(),
        name = const offset_of!(Remembered, name),
        parameters = const offset_of!(Remembered, parameters),
        data = const offset_of!(Remembered, data),
        code = const offset_of!(Remembered, code),
        value = const size_of::<JSValue>(),
        by_text = sym call_by_text,
    )
}

/// Finds the function by the text of its name, and remembers the name's address.
///
/// # Safety
/// As for [`call`].
#[cold]
unsafe extern "C" fn call_by_text(
    ctx: *mut JSContext,
    _: JSValue,
    count: c_int,
    arguments: *mut JSValue,
    _: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller; the host calls in that context.
    let scope = unsafe { Scope::new(ctx, state_of(data.add(1))) };
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
        let before = slot.forget();
        slot.name.set(scope.dup(name).payload);
        slot.code.set(Some(code));
        slot.data.set(data);
        slot.parameters.set(parameters);
        // SAFETY: the reference was the table's.
        unsafe { scope.host().free(scope.ctx, before) };
    }
    Some((if given < parameters { fallback::call } else { code }, data))
}
