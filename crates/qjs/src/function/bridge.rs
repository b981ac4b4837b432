//! The bridge stubs of bound functions: what the engine is told of the host's values.

use std::ffi::c_void;
use std::sync::OnceLock;

use jitcall::bridge::{Argument, Boxing, Bridge, Case, Operand, Payload, Place, Spec, TagWidth, Tags};
use jitcall::types::Float;
use jitcall::{Engine, Signature, Type};

use super::{Declaration, Manners, Record, fallback};
use crate::convert::to_js;
use crate::host::{Host, JSContext, JSValue, tag};
use crate::scope::Scope;
use crate::types::{Class, ScriptType};

/// Where in the host's own signature the arguments are, and the values that belong to the function.
const ARGUMENTS: usize = 3;
const DATA: usize = 5;

/// The size of a value, and where its tag lies, in bytes.
const VALUE_SIZE: u32 = 16;
const TAG_AT: u32 = 8;

/// The signature of the host's native functions.
fn entry() -> &'static Signature {
    static ENTRY: OnceLock<Signature> = OnceLock::new();
    ENTRY.get_or_init(|| {
        let text = "struct value { unsigned long payload; long tag; };
            struct value function(void *ctx, struct value this, int argc, struct value *argv, int magic,
                struct value *data)";
        Signature::parse(text).expect("the declaration is right")
    })
}

/// The stub for a declaration, where the engine makes one: not without a JIT, and not for all signatures.
pub(super) fn stub(host: &Host, declaration: &Declaration, signature: &Signature) -> Option<Bridge> {
    let arguments: Option<Vec<Argument>> =
        declaration.parameters.iter().zip(0..).map(|(parameter, index)| argument(host, parameter, index)).collect();
    let spec = Spec {
        entry: entry().clone(),
        guards: vec![],
        arguments: arguments?,
        record: Operand::Memory(Place::new(DATA, 0)),
        context: Some(0),
        errno: true,
        home: false,
        fallback: fallback::call as *const c_void,
        failed: failed as *const c_void,
        boxing: boxing(host, declaration)?,
    };
    Engine::global().bridge(&spec, signature).ok()
}

/// What a parameter may be given that emitted code reads; `None` where that is nothing.
fn argument(host: &Host, parameter: &ScriptType, index: u32) -> Option<Argument> {
    let int = Case { tag: tag::INT, payload: Payload::Int32 };
    let double = Case { tag: host.double, payload: Payload::Double };
    let boolean = Case { tag: tag::BOOL, payload: Payload::Bool };
    let null = Case { tag: tag::NULL, payload: Payload::Null };
    let mut cases = match (&parameter.ty, parameter.class) {
        (_, Class::Buffer) => return None,
        (Type::Float(Float::F32 | Float::F64), _) => vec![double, int],
        (Type::Pointer(_), _) => vec![double, null, int],
        (Type::Bool, _) => vec![boolean, int],
        (ty, _) if ty.as_integer().is_some_and(|integer| integer.size() <= 8) => vec![int, double, boolean],
        _ => return None,
    };
    if parameter.class == Class::BigInt {
        cases.extend(host.short_big_case());
    }
    let at = VALUE_SIZE * index;
    Some(Argument {
        tag: Place::new(ARGUMENTS, at + TAG_AT),
        tag_width: TagWidth::Int,
        payload: Place::new(ARGUMENTS, at),
        cases,
    })
}

/// What becomes of the result.
fn boxing(host: &Host, declaration: &Declaration) -> Option<Boxing> {
    let is_number = declaration.manners == Manners::Numbers;
    match (&declaration.result.ty, declaration.result.class) {
        (_, Class::BigInt | Class::Text) => Some(Boxing::Call(finish as *const c_void)),
        (Type::Aggregate(_), _) => None,
        _ => Some(Boxing::Tagged(Tags {
            int: tag::INT,
            double: host.double,
            bool: tag::BOOL,
            undefined: if is_number { tag::INT } else { tag::UNDEFINED },
            null: (!is_number).then_some(tag::NULL),
            wide: finish as *const c_void,
        })),
    }
}

/// Makes a value of a result that emitted code leaves: one of up to 64 bits, extended.
///
/// # Safety
/// Called by a stub for its own record.
unsafe extern "C" fn finish(ctx: *mut JSContext, record: *const Record, bits: u64) -> JSValue {
    // SAFETY: said by the caller.
    let record = unsafe { &*record };
    // SAFETY: the host called the function in this context.
    let scope = unsafe { Scope::new(ctx, &record.state) };
    let value = to_js::read(scope, &record.declaration.result, &bits.to_ne_bytes());
    scope.finish(value.map(|value| value.into_raw()))
}

/// Throws what a callback below the call has failed with.
///
/// # Safety
/// As for [`finish`].
unsafe extern "C" fn failed(ctx: *mut JSContext, record: *const Record) -> JSValue {
    // SAFETY: said by the caller.
    let record = unsafe { &*record };
    // SAFETY: as above.
    let scope = unsafe { Scope::new(ctx, &record.state) };
    match record.state.take_failure() {
        Some(failure) => scope.throw(failure.rethrow(scope, &record.declaration.name)),
        None => JSValue::UNDEFINED,
    }
}
