//! Memory that C and scripts share: addresses, buffers over memory, strings, single values.

use std::ffi::{CStr, c_void};

use jitcall::Errno;

use crate::convert::to_c::{self, Temporaries};
use crate::convert::to_js::{self, LARGEST_EXACT};
use crate::error::{Failure, Result};
use crate::host::{JSRuntime, JSValue, tag};
use crate::libraries::argument;
use crate::scope::{Owned, Scope, Span};
use crate::structs;
use crate::types::ScriptType;

/// The address that a value says or has; 0 for `null`.
pub(crate) fn address(scope: Scope<'_>, value: JSValue) -> Result<usize> {
    let mut bytes = [0; 8];
    if value.is_string() {
        return Err(Failure::of_type("expected a pointer, got a string"));
    }
    let pointer = ScriptType::plain(jitcall::Type::pointer());
    to_c::write(scope, &pointer, value, &mut bytes, &mut Temporaries::default())?;
    Ok(usize::from_ne_bytes(bytes))
}

/// An address that can be read.
fn readable(scope: Scope<'_>, value: JSValue) -> Result<usize> {
    match address(scope, value)? {
        0 => Err(Failure::of_type("expected a pointer, got null")),
        address => Ok(address),
    }
}

/// An offset, 0 where there is none.
fn offset(scope: Scope<'_>, value: JSValue) -> Result<isize> {
    if value.is(tag::UNDEFINED) {
        return Ok(0);
    }
    match scope.as_number(value) {
        Some(number) if number.fract() == 0.0 && number.abs() <= LARGEST_EXACT as f64 => Ok(number as isize),
        _ => Err(Failure::of_type(format!("the offset: expected an integer, got {}", scope.describe(value)))),
    }
}

/// A length in bytes.
fn length(scope: Scope<'_>, value: JSValue) -> Result<usize> {
    match scope.as_number(value) {
        Some(number) if number < 0.0 => {
            Err(Failure::of_range(format!("the length: {} is out of range", scope.describe(value))))
        }
        _ => scope
            .index(value)
            .ok_or_else(|| Failure::of_type(format!("the length: expected an integer, got {}", scope.describe(value)))),
    }
}

/// An address and an offset from it.
fn at(scope: Scope<'_>, pointer: JSValue, distance: JSValue) -> Result<*mut u8> {
    let address = readable(scope, pointer)?.wrapping_add_signed(offset(scope, distance)?);
    Ok(std::ptr::with_exposed_provenance_mut(address))
}

/// The address of a buffer's memory, at an offset within it.
fn of_memory(scope: Scope<'_>, value: JSValue, distance: JSValue) -> Result<usize> {
    let Some(span) = scope.memory(value)? else {
        return Ok(readable(scope, value)?.wrapping_add_signed(offset(scope, distance)?));
    };
    let distance = offset(scope, distance)?;
    match usize::try_from(distance) {
        Ok(distance) if distance <= span.length => Ok(span.address.expose_provenance() + distance),
        _ => Err(out_of_range("the offset", distance, span.length)),
    }
}

/// `ptr(memory, offset)`: an address as a number.
pub(crate) fn ptr<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let address = of_memory(scope, argument(arguments, 0), argument(arguments, 1))?;
    to_js::integer_value(scope, address as i128)
}

/// `toPointer(memory, offset)`: an address as people read it.
pub(crate) fn to_pointer<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let value = argument(arguments, 0);
    if value.is_string() {
        return Err(Failure::of_type("expected a buffer or a pointer, got a string, which has no address of its own"));
    }
    let address = of_memory(scope, value, argument(arguments, 1))?;
    scope.string(&format!("{address:#x}"))
}

/// `toString(pointer, length)`: a string of C's, or that many bytes of one.
pub(crate) fn to_string<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    text(scope, argument(arguments, 0), JSValue::UNDEFINED, argument(arguments, 1))
}

/// `(pointer, offset, length)`: the same at an offset.
pub(crate) fn string_at<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    text(scope, argument(arguments, 0), argument(arguments, 1), argument(arguments, 2))
}

fn text<'a>(scope: Scope<'a>, pointer: JSValue, distance: JSValue, size: JSValue) -> Result<Owned<'a>> {
    let size = if size.is(tag::UNDEFINED) { None } else { Some(length(scope, size)?) };
    let region = region(scope, pointer, distance, size)?;
    // SAFETY: the script answers for what is there.
    let bytes = unsafe { std::slice::from_raw_parts(region.address.cast_const(), region.length) };
    scope.string_of_bytes(bytes)
}

/// That many bytes from a pointer and an offset on. Without a size they end before the first zero byte. Memory of
/// JavaScript's has an end, which is kept to.
fn region(scope: Scope<'_>, pointer: JSValue, distance: JSValue, size: Option<usize>) -> Result<Span> {
    let Some(span) = scope.memory(pointer)? else {
        let address = at(scope, pointer, distance)?;
        // SAFETY: the script answers for a string of C's being there.
        let until_zero = || unsafe { CStr::from_ptr(address.cast_const().cast()) }.count_bytes();
        return Ok(Span { address, length: size.unwrap_or_else(until_zero) });
    };
    let distance = offset(scope, distance)?;
    let Some(left) = usize::try_from(distance).ok().and_then(|start| span.length.checked_sub(start)) else {
        return Err(out_of_range("the offset", distance, span.length));
    };
    // SAFETY: that is within the memory.
    let address = unsafe { span.address.offset(distance) };
    let length = match size {
        Some(size) if size > left => return Err(out_of_range("the length", size, left)),
        Some(size) => size,
        None => {
            // SAFETY: as many bytes are there, and JavaScript does not run meanwhile.
            let bytes = unsafe { std::slice::from_raw_parts(address, left) };
            bytes.iter().position(|byte| *byte == 0).unwrap_or(left)
        }
    };
    Ok(Span { address, length })
}

fn out_of_range(what: &str, given: impl std::fmt::Display, length: usize) -> Failure {
    Failure::of_range(format!("{what}: {given} is out of range: there are {length} bytes"))
}

/// `(pointer, length)`: a copy of memory as an ArrayBuffer.
pub(crate) fn copy<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let size = length(scope, argument(arguments, 1))?;
    let Span { address, length } = region(scope, argument(arguments, 0), JSValue::UNDEFINED, Some(size))?;
    // SAFETY: the script answers for what is there; it is copied.
    scope.own(unsafe { (scope.host().api.JS_NewArrayBufferCopy)(scope.ctx, address, length) })
}

/// `(pointer, offset, length, context, deallocator)`: an ArrayBuffer over memory of C's. Without a length it ends before
/// the first zero byte. The deallocator is a C function `void f(void *memory, void *context)`.
pub(crate) fn view<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let start = at(scope, argument(arguments, 0), argument(arguments, 1))?;
    let size = match argument(arguments, 2) {
        size if size.is(tag::UNDEFINED) => {
            // SAFETY: the script answers for a string of C's being there.
            unsafe { CStr::from_ptr(start.cast_const().cast()) }.count_bytes()
        }
        size => length(scope, size)?,
    };
    let function = argument(arguments, 4);
    let free = if function.is(tag::UNDEFINED) || function.is(tag::NULL) {
        None
    } else {
        let context = match argument(arguments, 3) {
            context if context.is(tag::UNDEFINED) => 0,
            context => address(scope, context)?,
        };
        let function = readable(scope, function)?;
        // SAFETY: the script answers for the function.
        let function =
            unsafe { std::mem::transmute::<*const c_void, Deallocate>(std::ptr::with_exposed_provenance(function)) };
        let deallocator = Deallocator { function, context };
        Some((run_deallocator as _, Box::into_raw(Box::new(deallocator)).cast()))
    };
    // SAFETY: the script answers for the memory.
    scope.own(unsafe { scope.host().array_buffer_over(scope.ctx, start, size, free) })
}

/// What frees memory that a buffer was made over.
struct Deallocator {
    function: Deallocate,
    context: usize,
}

type Deallocate = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// # Safety
/// Called by the host, once, with the deallocator that the buffer was made with.
unsafe extern "C" fn run_deallocator(_: *mut JSRuntime, deallocator: *mut c_void, memory: *mut c_void) {
    // SAFETY: said by the caller.
    let Deallocator { function, context } = *unsafe { Box::from_raw(deallocator.cast::<Deallocator>()) };
    // SAFETY: the script answers for the function.
    unsafe { function(memory, std::ptr::with_exposed_provenance_mut(context)) };
}

/// `(type, pointer, offset)`: the value of a type in memory.
pub(crate) fn read<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let (ty, bytes) = place(scope, arguments)?;
    // SAFETY: the script answers for what is there.
    let copy = unsafe { std::slice::from_raw_parts(bytes, ty.size()?) }.to_vec();
    to_js::read(scope, &ty, &copy)
}

/// `(type, pointer, offset, value)`: writes one.
pub(crate) fn write<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let (ty, bytes) = place(scope, arguments)?;
    let mut made = vec![0; ty.size()?];
    let mut temporaries = Temporaries::default();
    to_c::write(scope, &ty, argument(arguments, 3), &mut made, &mut temporaries)?;
    if !temporaries.into_texts().is_empty() {
        return Err(Failure::of_type(
            "expected a pointer to memory that outlives the call, got a string: use a buffer",
        ));
    }
    // SAFETY: the script answers for the memory.
    unsafe { bytes.copy_from_nonoverlapping(made.as_ptr(), made.len()) };
    scope.own(JSValue::UNDEFINED)
}

fn place(scope: Scope<'_>, arguments: &[JSValue]) -> Result<(ScriptType, *mut u8)> {
    let ty = structs::type_of(scope, argument(arguments, 0))?;
    let pointer = argument(arguments, 1);
    let Some(span) = scope.memory(pointer)? else {
        return Ok((ty, at(scope, pointer, argument(arguments, 2))?));
    };
    let (distance, size) = (offset(scope, argument(arguments, 2))?, ty.size()?);
    match usize::try_from(distance) {
        // SAFETY: that is within the memory.
        Ok(start) if size <= span.length && start <= span.length - size => Ok((ty, unsafe { span.address.add(start) })),
        _ => Err(out_of_range("the offset", distance, span.length)),
    }
}

/// `errno()`, and `errno(value)`.
pub(crate) fn errno<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let before = scope.state.bridge.errno.get();
    if let Some(value) = arguments.first().filter(|value| !value.is(tag::UNDEFINED)) {
        let mut bytes = [0; 4];
        to_c::write(scope, &ScriptType::plain(jitcall::Type::I32), *value, &mut bytes, &mut Temporaries::default())?;
        scope.state.bridge.errno.set(i32::from_ne_bytes(bytes));
    }
    scope.own(JSValue::int(before))
}

/// The text of an errno.
pub(crate) fn strerror<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let mut bytes = [0; 4];
    let int = ScriptType::plain(jitcall::Type::I32);
    to_c::write(scope, &int, argument(arguments, 0), &mut bytes, &mut Temporaries::default())?;
    let text = Errno(i32::from_ne_bytes(bytes)).to_string();
    // Rust's text is C's, with the number behind it.
    scope.string(text.split(" (os error").next().unwrap_or(&text))
}
