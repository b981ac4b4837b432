//! Native functions by which the module's script binds C functions and makes callbacks.

use jitcall::{Arch, Signature};
use jitcall_disasm::{Machine, disassemble, listing};

use crate::callback::Callback;
use crate::convert::to_js;
use crate::error::{Failure, Result};
use crate::function::{self, Declaration, Manners, Target};
use crate::host::{JSValue, tag};
use crate::libraries::{self, argument, text};
use crate::scope::{Owned, Scope};
use crate::state::Native;
use crate::structs;
use crate::types::ScriptType;

/// Types, with the class of each one's instances.
struct Types {
    types: Vec<ScriptType>,
    views: Vec<JSValue>,
}

/// An array of types; the classes are the types' own.
fn types(scope: Scope<'_>, list: JSValue) -> Result<Types> {
    let mut found = Types { types: Vec::new(), views: Vec::new() };
    for (value, index) in scope.elements(list)?.iter().zip(1..) {
        let ty = structs::type_of(scope, **value).map_err(|failure| failure.at(format_args!("argument {index}")))?;
        if ty.ty.is_void() {
            return Err(Failure::of_type(format!("argument {index}: void is no type of a parameter")));
        }
        found.views.push(view(scope, **value));
        found.types.push(ty);
    }
    Ok(found)
}

fn view(scope: Scope<'_>, value: JSValue) -> JSValue {
    structs::handle(scope, value).map_or(JSValue::UNDEFINED, |handle| handle.view())
}

fn flag(arguments: &[JSValue], index: usize) -> bool {
    let value = argument(arguments, index);
    value.is(tag::BOOL) && value.as_int() != 0
}

/// `(name, address, library, args, returns, variadic, async)`: a bound function.
pub(crate) fn bind<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let name = text(scope, arguments, 0, "the name")?;
    let target = libraries::target(scope, argument(arguments, 1)).map_err(|failure| failure.at(&name))?;
    let open = libraries::library(scope, argument(arguments, 2));
    let parameters = types(scope, argument(arguments, 3)).map_err(|failure| failure.at(&name))?.types;
    let returns = argument(arguments, 4);
    let result = structs::type_of(scope, returns).map_err(|failure| failure.at(format_args!("{name}: the result")))?;
    if flag(arguments, 5) && flag(arguments, 6) {
        return Err(Failure::of_type(format!("{name}: a variadic function cannot be called asynchronously")));
    }
    let declaration = Declaration {
        name: name.clone(),
        parameters,
        result,
        view: scope.dup(view(scope, returns)),
        is_variadic: flag(arguments, 5),
        is_async: flag(arguments, 6),
        convention: None,
        manners: Manners::Modern,
    };
    // The library that holds the address need not be the one that the script has looked it up in.
    let holding = libraries::holding(target);
    let target = Target {
        address: target,
        library: holding.as_ref().or(open.map(|open| &open.library)),
        bound: open.map(|open| &open.bound),
    };
    function::bind(scope, declaration, target).map_err(|failure| failure.at(&name))
}

/// `(native)`: the declaration of a bound function, and its stub disassembled.
pub(crate) fn source<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let Some(Native::Function(record)) = scope.state.native(argument(arguments, 0)) else {
        return Err(Failure::of_type("expected a function of a library"));
    };
    let mut source = format!("{};\n", record.function.signature());
    match record.code() {
        Some(code) => {
            let machine = match Arch::HOST {
                Arch::X86_64 => Machine::X86_64,
                Arch::Aarch64 => Machine::Aarch64,
            };
            source.push_str(&listing(&disassemble(code, machine)));
        }
        None => source.push_str("(no stub: calls go by way of slots)\n"),
    }
    scope.string(&source)
}

/// `(function, args, returns, threadsafe)`: a C function pointer that runs a function.
pub(crate) fn callback<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let function = argument(arguments, 0);
    if !scope.is_function(function) {
        return Err(Failure::of_type(format!("JSCallback: expected a function, got {}", scope.describe(function))));
    }
    let in_callback = |failure: Failure| failure.at("JSCallback");
    let Types { types, views } = types(scope, argument(arguments, 1)).map_err(in_callback)?;
    let result = structs::type_of(scope, argument(arguments, 2)).map_err(in_callback)?;
    let signature = Signature::new(result.ty.clone(), types.iter().map(|ty| ty.ty.clone()))?;
    let is_threadsafe = flag(arguments, 3);
    let callback = Callback::with_views(scope, function, &signature, types, &views, result, is_threadsafe)?;
    if is_threadsafe {
        crate::event_loop::add_callback(scope)?;
    }
    scope.state.wrap(scope, Native::Callback(Box::new(callback)))
}

/// `(native)`: the function pointer.
pub(crate) fn callback_pointer<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    match scope.state.native(argument(arguments, 0)) {
        Some(Native::Callback(callback)) => match callback.address() {
            Ok(address) => to_js::integer_value(scope, address.expose_provenance() as i128),
            Err(_) => scope.own(JSValue::NULL),
        },
        _ => Err(Failure::of_type("expected a callback")),
    }
}

/// `(native, threadsafe)`: frees the function pointer.
pub(crate) fn close_callback<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    if let Some(Native::Callback(callback)) = scope.state.native(argument(arguments, 0))
        && callback.address().is_ok()
    {
        callback.close();
        if flag(arguments, 1) {
            crate::event_loop::remove_callback(scope)?;
        }
    }
    scope.own(JSValue::UNDEFINED)
}
