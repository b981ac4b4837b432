//! Calls by way of slots: what emitted code leaves, and what there is without it.

use std::ffi::c_int;

use jitcall::value::SlotBuffer;
use jitcall::{Errno, Function};

use super::{Manners, Record};
use crate::convert::to_c::{self, Temporaries};
use crate::convert::to_js;
use crate::error::{Failure, Result};
use crate::host::{JSContext, JSValue};
use crate::scope::{Owned, Scope};
use crate::types::ScriptType;

/// The native function.
///
/// # Safety
/// Called by the host, or by emitted code in its stead, with a record's data.
pub(crate) unsafe extern "C" fn call(
    ctx: *mut JSContext,
    _: JSValue,
    count: c_int,
    arguments: *mut JSValue,
    _: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller.
    let record = unsafe { Record::of(data) };
    // SAFETY: the host calls in that context.
    let scope = unsafe { Scope::new(ctx, &record.state) };
    // SAFETY: the host gives that many values.
    let arguments = unsafe { values(count, arguments) };
    scope.finish(run(scope, record, arguments))
}

/// The host's arguments.
///
/// # Safety
/// `count` values are at `arguments`, and live as long as they are used.
pub(crate) unsafe fn values<'a>(count: c_int, arguments: *const JSValue) -> &'a [JSValue] {
    if count <= 0 {
        return &[];
    }
    // SAFETY: said by the caller.
    unsafe { std::slice::from_raw_parts(arguments, count as usize) }
}

fn run(scope: Scope<'_>, record: &Record, arguments: &[JSValue]) -> Result<JSValue> {
    record.check_open()?;
    check_count(record, arguments.len())?;
    if record.declaration.is_async {
        return crate::asynchronous::call(scope, record, arguments).map(Owned::into_raw);
    }
    if record.declaration.is_variadic {
        return super::variadic::call(scope, record, arguments);
    }
    call_with(scope, record, &record.function, &record.declaration.parameters, arguments)
}

fn check_count(record: &Record, given: usize) -> Result<()> {
    let expected = record.declaration.parameters.len();
    if given >= expected {
        return Ok(());
    }
    let at_least = if record.declaration.is_variadic { "at least " } else { "" };
    let plural = if expected == 1 { "" } else { "s" };
    let name = &record.declaration.name;
    Err(Failure::of_type(format!("{name}: expected {at_least}{expected} argument{plural}, got {given}")))
}

/// Calls a function that has these parameters; arguments beyond them are left alone, as in JavaScript.
pub(super) fn call_with(
    scope: Scope<'_>,
    record: &Record,
    function: &Function,
    parameters: &[ScriptType],
    arguments: &[JSValue],
) -> Result<JSValue> {
    let mut temporaries = Temporaries::default();
    let mut slots = slots(scope, record, function, parameters, arguments, &mut temporaries)?;
    let mut result = ResultBuffer::new(record.result_size);
    let Scope { state, .. } = scope;
    Errno(state.bridge.errno.get()).set();
    // SAFETY: the script answers for the declaration; the slots were filled by it, and the buffer has room.
    unsafe { function.call_slots(slots.as_mut_ptr(), result.as_mut_ptr()) };
    state.bridge.errno.set(Errno::get().0);
    drop(temporaries);
    if let Some(failure) = state.take_failure() {
        return Err(failure.rethrow(scope, &record.declaration.name));
    }
    finish(scope, record, result.bytes())
}

/// The arguments in slots.
pub(crate) fn slots<'a>(
    scope: Scope<'a>,
    record: &Record,
    function: &Function,
    parameters: &[ScriptType],
    arguments: &[JSValue],
    temporaries: &mut Temporaries,
) -> Result<SlotBuffer> {
    let interface = function.interface();
    let mut slots = SlotBuffer::new(interface.slots());
    let offsets = &interface.plan().slot_offsets;
    let mut small = [0; 16];
    for (index, (parameter, value)) in parameters.iter().zip(arguments).enumerate() {
        let size = parameter.size()?;
        let mut large = Vec::new();
        let bytes = match small.get_mut(..size) {
            Some(bytes) => bytes,
            None => {
                large.resize(size, 0);
                &mut large[..]
            }
        };
        to_c::write(scope, parameter, *value, bytes, temporaries)
            .map_err(|failure| failure.at(place(record, parameters, index)))?;
        slots.write_bytes(offsets[index] as usize, bytes);
    }
    Ok(slots)
}

/// What errors call an argument, variadic ones included.
fn place(record: &Record, parameters: &[ScriptType], index: usize) -> String {
    if index < record.declaration.parameters.len() {
        return record.place(index);
    }
    format!("{}: argument {} ({})", record.declaration.name, index + 1, parameters[index].ty)
}

/// The result as JavaScript has it.
pub(crate) fn finish(scope: Scope<'_>, record: &Record, bytes: &[u8]) -> Result<JSValue> {
    let declaration = &record.declaration;
    if declaration.manners == Manners::Numbers
        && (bytes.is_empty() || matches!(declaration.result.ty, jitcall::Type::Pointer(_)) && bytes == [0; 8])
    {
        return Ok(JSValue::int(0));
    }
    read_with_view(scope, &declaration.result, declaration.view, bytes).map(Owned::into_raw)
}

/// Reads an object of C's; one with a class becomes an instance, over bytes of its own.
pub(crate) fn read_with_view<'a>(scope: Scope<'a>, ty: &ScriptType, view: JSValue, bytes: &[u8]) -> Result<Owned<'a>> {
    if !scope.is_function(view) {
        return to_js::read(scope, ty, bytes);
    }
    // SAFETY: the bytes are copied.
    let buffer =
        scope.own(unsafe { (scope.host().api.JS_NewArrayBufferCopy)(scope.ctx, bytes.as_ptr(), bytes.len()) })?;
    scope.construct(view, &mut [*buffer])
}

/// Room for a result.
struct ResultBuffer {
    inline: [u64; 8],
    heap: Vec<u64>,
    size: usize,
}

impl ResultBuffer {
    fn new(size: usize) -> ResultBuffer {
        let inline = [0; 8];
        let heap = if size > size_of_val(&inline) { vec![0; size.div_ceil(8)] } else { Vec::new() };
        ResultBuffer { inline, heap, size }
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        if self.heap.is_empty() { self.inline.as_mut_ptr().cast() } else { self.heap.as_mut_ptr().cast() }
    }

    fn bytes(&self) -> &[u8] {
        let words = if self.heap.is_empty() { &self.inline[..] } else { &self.heap[..] };
        // SAFETY: words have no padding, and there are enough of them.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), self.size) }
    }
}
