//! `FILE` objects: C's streams for JavaScript.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use rquickjs_sys as qjs;

use super::format;
use super::stdio::Stream;
use crate::engine::{Arguments, Context, Exception, Export, Outcome, Value};
use crate::host::Host;

const METHODS: &[Export] = &[
    Export::function(c"close", 0, close),
    Export::function(c"puts", 1, puts),
    Export::function(c"printf", 1, printf),
    Export::function(c"flush", 0, flush),
    Export::function(c"tell", 0, tell),
    Export::function(c"tello", 0, tello),
    Export::function(c"seek", 2, seek),
    Export::function(c"eof", 0, eof),
    Export::function(c"fileno", 0, fileno),
    Export::function(c"error", 0, error),
    Export::function(c"clearerr", 0, clearerr),
    Export::function(c"read", 1, read),
    Export::function(c"write", 1, write),
    Export::function(c"getline", 0, getline),
    Export::function(c"readAsArrayBuffer", 0, read_as_array_buffer),
    Export::function(c"readAsString", 0, read_as_string),
    Export::function(c"getByte", 0, get_byte),
    Export::function(c"putByte", 1, put_byte),
];

/// What a `FILE` object holds.
struct File {
    /// The stream, until it is closed.
    stream: Cell<Option<Stream>>,
    is_command: bool,
}

impl File {
    /// Closes the stream; `None` where it is closed already. The standard streams stay open.
    fn close(&self) -> Option<i32> {
        let stream = self.stream.take()?;
        if stream.is_standard() {
            return Some(0);
        }
        // SAFETY: the stream was taken out of its only holder, and is a command's where that says so.
        Some(unsafe { if self.is_command { stream.close_command() } else { stream.close() } })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.close();
    }
}

unsafe extern "C" fn finalize(runtime: *mut qjs::JSRuntime, object: qjs::JSValue) {
    // SAFETY: the object is of this class, whose opaque pointer is null or a `File` that it owns.
    unsafe {
        let host = qjs::JS_GetRuntimeOpaque(runtime).cast::<Host>();
        let file = (*host).file_class.get().map_or(ptr::null_mut(), |class| qjs::JS_GetOpaque(object, *class));
        if !file.is_null() {
            drop(Box::from_raw(file.cast::<File>()));
        }
    }
}

/// The class of `FILE` objects, made with its prototype on its first use.
fn class<'js>(context: Context<'js>) -> Outcome<'js, qjs::JSClassID> {
    let known = &Host::of(context).file_class;
    if let Some(class) = known.get() {
        return Ok(*class);
    }
    let definition = qjs::JSClassDef {
        class_name: c"FILE".as_ptr(),
        finalizer: Some(finalize),
        gc_mark: None,
        call: None,
        exotic: ptr::null_mut(),
    };
    let prototype = context.object_of(METHODS)?;
    let mut class = qjs::JS_INVALID_CLASS_ID;
    // SAFETY: the context and its runtime are valid; the definition is copied, the prototype's reference goes to the
    // context.
    unsafe {
        qjs::JS_NewClassID(context.runtime(), &raw mut class);
        if qjs::JS_NewClass(context.runtime(), class, &raw const definition) < 0 {
            return Err(Exception);
        }
        qjs::JS_SetClassProto(context.raw(), class, prototype.into_raw());
    }
    Ok(*known.get_or_init(|| class))
}

/// An object for a stream, which is closed with the object unless it is a standard one.
pub(super) fn of_stream<'js>(context: Context<'js>, stream: Stream) -> Outcome<'js> {
    wrap(context, File { stream: Cell::new(Some(stream)), is_command: false })
}

fn wrap<'js>(context: Context<'js>, file: File) -> Outcome<'js> {
    // SAFETY: the class is registered, the new reference is ours.
    let object = unsafe { qjs::JS_NewObjectClass(context.raw(), class(context)?) };
    // SAFETY: only the tag is looked at.
    if unsafe { qjs::JS_IsException(object) } {
        return Err(Exception);
    }
    let file = Box::into_raw(Box::new(file)).cast::<c_void>();
    // SAFETY: the object is of the class, whose finalizer frees the file.
    unsafe {
        qjs::JS_SetOpaque(object, file);
        Ok(Value::from_raw(context, object))
    }
}

/// The file that `this` is, with which `use_it` works.
fn with<'js, T>(
    context: Context<'js>,
    arguments: Arguments<'_, 'js>,
    use_it: impl FnOnce(&File) -> T,
) -> Outcome<'js, T> {
    let this = arguments.this();
    // SAFETY: the context and the value are valid; of another class, the value gives null and an exception.
    let file = unsafe { qjs::JS_GetOpaque2(context.raw(), this.raw(), class(context)?) }.cast::<File>();
    // SAFETY: the object owns the file and is held meanwhile.
    unsafe { file.as_ref() }.map(use_it).ok_or(Exception)
}

/// The stream of the file that `this` is.
fn stream<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js, Stream> {
    with(context, arguments, |file| file.stream.get())?.ok_or_else(|| context.throw_type_error("invalid file handle"))
}

/// A mode made of the given letters.
fn check_mode(context: Context<'_>, mode: &[u8], letters: &[u8]) -> Result<(), Exception> {
    if mode.iter().all(|letter| letters.contains(letter)) {
        return Ok(());
    }
    Err(context.throw_type_error("invalid file mode"))
}

/// The file, or null; where an object is given for it, its `errno` says why.
fn opened<'js>(
    context: Context<'js>,
    stream: Result<Stream, i32>,
    is_command: bool,
    error_object: &Value<'js>,
) -> Outcome<'js> {
    if !error_object.is_undefined() {
        let code = stream.as_ref().err().copied().unwrap_or(0);
        error_object.set(c"errno", context.integer(code.into()))?;
    }
    match stream {
        Ok(stream) => wrap(context, File { stream: Cell::new(Some(stream)), is_command }),
        Err(_) => Ok(context.null()),
    }
}

pub(super) fn open<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (path, mode) = (arguments.get(0).to_text()?, arguments.get(1).to_text()?);
    check_mode(context, mode.as_bytes(), b"rwa+bx")?;
    opened(context, Stream::open(path.as_c_str(), mode.as_c_str()), false, &arguments.get(2))
}

pub(super) fn fdopen<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (descriptor, mode) = (arguments.get(0).to_i32()?, arguments.get(1).to_text()?);
    check_mode(context, mode.as_bytes(), b"rwa+")?;
    opened(context, Stream::of_descriptor(descriptor, mode.as_c_str()), false, &arguments.get(2))
}

pub(super) fn popen<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (command, mode) = (arguments.get(0).to_text()?, arguments.get(1).to_text()?);
    if !matches!(mode.as_bytes(), b"r" | b"w") {
        return Err(context.throw_type_error("invalid file mode"));
    }
    opened(context, Stream::of_command(command.as_c_str(), mode.as_c_str()), true, &arguments.get(2))
}

pub(super) fn tmpfile<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    opened(context, Stream::temporary(), false, &arguments.get(0))
}

fn close<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    if stream(context, arguments)?.is_standard() {
        return Err(context.throw_type_error("cannot close stdio"));
    }
    let status = with(context, arguments, File::close)?;
    Ok(context.integer(status.unwrap_or(0).into()))
}

/// Writes the texts of all arguments.
pub(super) fn write_texts<'js>(context: Context<'js>, stream: Stream, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    for argument in arguments.from(0) {
        stream.write(argument.to_text()?.as_bytes());
    }
    Ok(context.undefined())
}

fn puts<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    write_texts(context, stream(context, arguments)?, arguments)
}

fn printf<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let stream = stream(context, arguments)?;
    let written = stream.write(&format::format(context, arguments)?);
    Ok(context.integer(written as i64))
}

fn flush<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    stream(context, arguments)?.flush();
    Ok(context.undefined())
}

fn tell<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    Ok(context.integer(stream(context, arguments)?.tell()))
}

fn tello<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    context.big_int(stream(context, arguments)?.tell())
}

fn seek<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let stream = stream(context, arguments)?;
    let (offset, whence) = (arguments.get(0).to_i64()?, arguments.get(1).to_i32()?);
    Ok(context.integer(stream.seek(offset, whence).into()))
}

fn eof<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    Ok(context.boolean(stream(context, arguments)?.is_at_end()))
}

fn fileno<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    Ok(context.integer(stream(context, arguments)?.descriptor().into()))
}

fn error<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    Ok(context.boolean(stream(context, arguments)?.has_error()))
}

fn clearerr<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    stream(context, arguments)?.clear_error();
    Ok(context.undefined())
}

/// The part of a buffer that `position` and `length` ask for, as far as there is one.
fn part<'js>(buffer: &Value<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js, *mut [u8]> {
    let position = arguments.get(1).to_index()?;
    let length = arguments.get(2);
    let length = if length.is_undefined() { usize::MAX } else { length.to_index()? };
    buffer.buffer_part(|size| {
        let start = position.min(size);
        start..start + length.min(size - start)
    })
}

/// Reads into an ArrayBuffer: `read(buffer, position, length)`.
fn read<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let stream = stream(context, arguments)?;
    let buffer = arguments.get(0);
    let memory = part(&buffer, arguments)?;
    // SAFETY: the memory is the buffer's, which is held meanwhile; no JavaScript code runs.
    Ok(context.integer(unsafe { stream.read(memory) } as i64))
}

/// Writes of an ArrayBuffer, or of a string's UTF-8: `write(buffer, position, length)`.
fn write<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let stream = stream(context, arguments)?;
    let content = arguments.get(0);
    let content = if content.is_string() { context.array_buffer(content.to_text()?.as_bytes())? } else { content };
    let memory = part(&content, arguments)?;
    // SAFETY: the memory is the buffer's, which is held meanwhile; no JavaScript code runs.
    Ok(context.integer(stream.write(unsafe { &*memory }) as i64))
}

/// The next line without its end, null at the end of the file.
fn getline<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let stream = stream(context, arguments)?;
    let mut line = Vec::new();
    loop {
        match stream.get_byte() {
            Some(b'\n') => break,
            Some(byte) => line.push(byte),
            None if line.is_empty() => return Ok(context.null()),
            None => break,
        }
    }
    context.string(line)
}

fn rest<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js, Vec<u8>> {
    let stream = stream(context, arguments)?;
    let limit = arguments.get(0);
    let limit = if limit.is_undefined() { usize::MAX } else { limit.to_index()? };
    Ok(std::iter::from_fn(|| stream.get_byte()).take(limit).collect())
}

fn read_as_array_buffer<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    context.array_buffer(&rest(context, arguments)?)
}

fn read_as_string<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    context.string(rest(context, arguments)?)
}

fn get_byte<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    Ok(context.integer(stream(context, arguments)?.get_byte().map_or(-1, i64::from)))
}

fn put_byte<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let stream = stream(context, arguments)?;
    Ok(context.integer(stream.put_byte(arguments.get(0).to_i32()?).into()))
}
