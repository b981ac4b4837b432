//! Calls compiled functions with patterns, and compares what they report with what they were given.
//!
//! The calls are made in a child process: a call that crashes is a failed case like any other.

use std::any::Any;
use std::ffi::c_void;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use jitcall::types::{Arch, Type, layout};
use jitcall::{Engine, Signature, Slot, Tier, closure, pointers};
use libloading::Library;

use super::Case;
use super::c_source::{self, BUFFER, Function, PROLOGUE, Span, What};
use super::compile::{Compiler, Folder};
use super::leaves::{self, Graffiti, Leaf};

/// How many functions one C file has.
const BATCH: usize = 100;

/// After that many seconds a case counts as crashed.
const TIMEOUT: u32 = 60;

/// What memory holds before anything is written to it, padding and the rest of each slot included.
const JUNK: u8 = 0xA5;

/// Bytes before and after the result that nothing may write.
const GUARD: usize = 64;

/// A way to call a function whose signature is known at run time.
pub(crate) trait Road {
    fn name(&self) -> String;

    /// Calls a function with the bytes of its arguments.
    ///
    /// # Errors
    /// What is wrong apart from the values that arrived.
    ///
    /// # Safety
    /// The target has that signature; `result` has room for the result, aligned as its type is.
    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String>;
}

/// A compiled function, and, where it was asked for, the compiled function that calls it.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) function: *const c_void,
    pub(crate) caller: Option<Caller>,
}

/// Calls a function, with each argument copied from its pointer.
pub(crate) type Caller = unsafe extern "C" fn(*const c_void, *const *const u8, *mut u8);

/// Calls through an engine of its own with slots.
pub(crate) struct Slots(pub(crate) Tier);

impl Road for Slots {
    fn name(&self) -> String {
        format!("slots, {:?}", self.0)
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let engine = Engine::builder().tier(self.0).build().map_err(|error| error.to_string())?;
        // SAFETY: the caller keeps the same promises.
        unsafe { In(&engine).call(signature, target, arguments, result) }
    }
}

/// Calls through that engine with slots.
pub(crate) struct In<'a>(pub(crate) &'a Engine);

impl Road for In<'_> {
    fn name(&self) -> String {
        format!("slots, {:?}", self.0)
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let interface = self.0.prepare(signature).map_err(|error| error.to_string())?;
        let mut area = Area::new(8 * interface.slots());
        for (bytes, offset) in arguments.iter().zip(interface.slot_offsets()) {
            area.bytes_mut()[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        let before = area.bytes().to_vec();
        // SAFETY: the caller vouches for target and result; the area holds the arguments where the interface wants
        // them.
        unsafe { interface.call(target.function, area.bytes().as_ptr().cast::<Slot>(), result) };
        match before.iter().zip(area.bytes()).position(|(before, after)| before != after) {
            None => Ok(()),
            Some(offset) => Err(format!("the call wrote to the caller's slots, at byte {offset}")),
        }
    }
}

/// The compiler's own calls: what the comparison is worth without an engine.
pub(crate) struct Native;

impl Road for Native {
    fn name(&self) -> String {
        "the compiler's own call".into()
    }

    unsafe fn call(
        &self,
        _signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let pointers: Vec<*const u8> = arguments.iter().map(|bytes| bytes.as_ptr()).collect();
        let caller = target.caller.ok_or("compiled without callers")?;
        // SAFETY: the caller was compiled for just this signature, and copies each argument from its pointer.
        unsafe { caller(target.function, pointers.as_ptr(), result) };
        Ok(())
    }
}

/// Has C call a closure, whose handler calls the function with what it was given: by slots, or by values.
pub(crate) enum Callback<'a> {
    Slots(&'a Engine),
    Values(&'a Engine),
}

impl Road for Callback<'_> {
    fn name(&self) -> String {
        match self {
            Callback::Slots(engine) => format!("closure over slots, {}", engine.tier()),
            Callback::Values(engine) => format!("closure over values, {}", engine.tier()),
        }
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let (Callback::Slots(engine) | Callback::Values(engine)) = self;
        let callback = engine.prepare_callback(signature).map_err(|error| error.to_string())?;
        let function = jitcall::Function::with_engine(engine, target.function, signature.clone());
        let function = function.map_err(|error| error.to_string())?;
        let closure = match self {
            // SAFETY: the slots of a closure are those of a call, and the function is the case's.
            Callback::Slots(_) => callback.slots(|arguments, mut result| unsafe {
                function.call_slots(arguments.as_ptr(), result.as_mut_ptr());
            }),
            // SAFETY: the function is the case's.
            Callback::Values(_) => callback.values(|values| unsafe { Ok(function.call(values)?) }),
        };
        let closure = closure.map_err(|error| error.to_string())?;
        // SAFETY: the closure has the function's signature.
        let called = closure::catch(|| unsafe {
            let target = Target { function: closure.as_ptr(), ..target };
            Native.call(signature, target, arguments, result)
        });
        called.map_err(|failure| failure.to_string())?
    }
}

/// Calls through an engine with a pointer to each argument.
pub(crate) struct Pointers<'a>(pub(crate) &'a Engine);

impl Road for Pointers<'_> {
    fn name(&self) -> String {
        format!("pointers, {}", self.0.tier())
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let interface = pointers::Interface::new(self.0, signature).map_err(|error| error.to_string())?;
        let exact = Exact::new(arguments);
        // SAFETY: the caller vouches for target and result, and the pointers are those of its arguments.
        unsafe { call_by_pointers(&interface, target.function, exact.pointers(), result) }
        Ok(())
    }
}

/// Values, each of which ends where memory does: what is read beyond one is a crash.
struct Exact {
    pages: Area,
    pointers: Vec<*mut c_void>,
}

impl Exact {
    fn new(values: &[Vec<u8>]) -> Exact {
        let page = page_size();
        let spans: Vec<usize> =
            values.iter().map(|bytes| bytes.len().next_multiple_of(page).max(page) + page).collect();
        let total: usize = spans.iter().sum::<usize>() + page;
        let mut pages = Area::new(total + page);
        let start = pages.bytes().as_ptr().align_offset(page);
        let mut at = start;
        let mut pointers = Vec::new();
        let base = pages.bytes_mut().as_mut_ptr();
        for (bytes, span) in values.iter().zip(&spans) {
            let end = at + span - page;
            // SAFETY: the area has all spans.
            unsafe {
                let place = base.add(end - bytes.len());
                place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                pointers.push(place.cast());
                assert_eq!(libc::mprotect(base.add(end).cast(), page, libc::PROT_NONE), 0);
            }
            at += span;
        }
        Exact { pages, pointers }
    }

    fn pointers(&self) -> *const *mut c_void {
        self.pointers.as_ptr()
    }
}

impl Drop for Exact {
    fn drop(&mut self) {
        let all = self.pages.bytes();
        let start = all.as_ptr().align_offset(page_size());
        let size = (all.len() - start) / page_size() * page_size();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the pages are the area's own.
        let given_back = unsafe { libc::mprotect(all.as_ptr().add(start).cast_mut().cast(), size, access) };
        assert_eq!(given_back, 0);
    }
}

/// Bytes of a page.
fn page_size() -> usize {
    // SAFETY: no pointers are involved.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Calls by the stub, where there is one; the bytes of the result, and no more, are written to `result`.
///
/// # Safety
/// As for [`pointers::Interface::call`].
unsafe fn call_by_pointers(
    interface: &pointers::Interface,
    target: *const c_void,
    arguments: *const *mut c_void,
    result: *mut u8,
) {
    // SAFETY: said by the caller.
    unsafe {
        with_room_for_a_word(interface.plan().result.size, result, |place| {
            stub_or_plan(interface, target, place, arguments);
        });
    }
}

/// Calls by the stub, where there is one, else by the plan.
///
/// # Safety
/// As for [`pointers::Interface::call`].
unsafe fn stub_or_plan(
    interface: &pointers::Interface,
    target: *const c_void,
    result: *mut c_void,
    arguments: *const *mut c_void,
) {
    let none = std::ptr::null();
    // SAFETY: said by the caller.
    unsafe {
        match interface.call_stub(false) {
            Some(stub) => stub(none, target, result, arguments, none),
            None => interface.call(target, result, arguments, none),
        }
    }
}

/// Has a result of less than a word, which comes back as one, written to a word, and copies its own bytes.
///
/// # Safety
/// `result` has room for `size` bytes.
pub(crate) unsafe fn with_room_for_a_word(size: usize, result: *mut u8, call: impl FnOnce(*mut c_void)) {
    let mut word = [0u8; 8];
    if size >= word.len() {
        return call(result.cast());
    }
    call(word.as_mut_ptr().cast());
    // SAFETY: said by the caller.
    unsafe { result.copy_from_nonoverlapping(word.as_ptr(), size) };
}

/// Has C call a function whose handler, which gets pointers to its arguments, calls the function with them. Its state is
/// found by the entry that C has called, or stands behind it.
pub(crate) struct PointersCallback<'a>(pub(crate) &'a Engine, pub(crate) pointers::StateIn);

/// What libffi's clients have in its place; the interface is where the engine looks for it.
#[repr(C)]
struct Descriptor {
    function: *const c_void,
    unused: [usize; 2],
    interface: *const pointers::Interface,
}

/// Calls the function with the pointers that it is given.
unsafe extern "C-unwind" fn pass_on(
    context: *const c_void,
    result: *mut c_void,
    arguments: *mut *mut c_void,
    user: *mut c_void,
) {
    // SAFETY: the context and the user's word are those that the road made.
    unsafe {
        let descriptor = &*context.cast::<Descriptor>();
        assert_eq!(user.cast_const(), context, "the handler's own word");
        stub_or_plan(&*descriptor.interface, descriptor.function, result, arguments);
    }
}

impl Road for PointersCallback<'_> {
    fn name(&self) -> String {
        format!("handler over pointers, {:?}, {}", self.1, self.0.tier())
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let PointersCallback(engine, state) = *self;
        let interface = pointers::Interface::new(engine, signature).map_err(|error| error.to_string())?;
        let descriptor = Descriptor { function: target.function, unused: [0; 2], interface: &interface };
        let context = (&raw const descriptor).expose_provenance();
        let words = [context, pass_on as *const c_void as usize, context];
        let code = interface.entry(state);
        let entry = pointers::Entry::new(engine).map_err(|error| error.to_string())?;
        let own;
        let function = match state {
            pointers::StateIn::Place => {
                own = OwnCode::new().ok_or("no memory that is writable and executable")?;
                own.fill(code, &words)
            }
            _ => {
                // SAFETY: the words stay until C has returned.
                unsafe { entry.lead_to(code, words.as_ptr().cast()) };
                entry.address()
            }
        };
        // SAFETY: the caller vouches for the rest.
        unsafe { Native.call(signature, Target { function, ..target }, arguments, result) }
    }
}

/// A page that is writable and executable, as some of libffi's clients make it.
pub(crate) struct OwnCode(*mut c_void);

impl OwnCode {
    /// `None` where the system refuses such memory.
    pub(crate) fn new() -> Option<OwnCode> {
        let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // SAFETY: new memory.
        let page =
            unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        (page != libc::MAP_FAILED).then_some(OwnCode(page))
    }

    fn fill(&self, code: *const c_void, words: &[usize; 3]) -> *const c_void {
        let bytes = pointers::in_place_entry(code);
        // SAFETY: the page has room for both.
        unsafe {
            self.0.cast::<[u8; pointers::IN_PLACE_SIZE]>().write(bytes);
            self.0.byte_add(bytes.len()).cast::<[usize; 3]>().write(*words);
            pointers::publish_code(self.0.cast(), self.0.cast(), bytes.len());
        }
        self.0
    }
}

impl Drop for OwnCode {
    fn drop(&mut self) {
        // SAFETY: the page is from `new`.
        unsafe { libc::munmap(self.0, 4096) };
    }
}

/// A road that carries its first argument wrong: what the comparison has to notice.
pub(crate) struct Wrong;

impl Road for Wrong {
    fn name(&self) -> String {
        "a wrong call".into()
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let mut arguments = arguments.to_vec();
        if let Some(byte) = arguments.first_mut().and_then(|bytes| bytes.first_mut()) {
            *byte ^= 1;
        }
        // SAFETY: the arguments have the same types.
        unsafe { Native.call(signature, target, &arguments, result) }
    }
}

/// Bytes aligned to 64 that start as [`JUNK`].
struct Area {
    lines: Vec<Line>,
    size: usize,
}

#[derive(Clone)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Area {
    fn new(size: usize) -> Area {
        Area { lines: vec![Line([JUNK; 64]); size.div_ceil(64).max(1)], size }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: lines are bytes without padding, and the vector is borrowed as long as the slice.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<u8>(), self.size) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<u8>(), self.size) }
    }
}

/// Cases and the libraries they were compiled to.
pub(crate) struct Compiled {
    cases: Vec<Case>,
    functions: Vec<Function>,
    libraries: Vec<PathBuf>,
}

impl Compiled {
    /// Compiles the functions of the cases, and their callers too if [`Native`] is to be tried.
    pub(crate) fn new(cases: Vec<Case>, callers: bool, compiler: &Compiler, folder: &Folder) -> Compiled {
        let functions: Vec<Function> =
            cases.iter().enumerate().map(|(index, case)| c_source::function(case, index, callers)).collect();
        let source =
            |batch: &[Function]| batch.iter().fold(PROLOGUE.to_owned(), |text, function| text + &function.text);
        let sources: Vec<String> = functions.chunks(BATCH).map(source).collect();
        Compiled { cases, functions, libraries: compiler.compile(folder, &sources) }
    }

    /// The cases in their order.
    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// What is wrong with each case when it is called by that road.
    pub(crate) fn failures(&self, road: &dyn Road) -> Vec<Option<String>> {
        let mut found: Vec<Option<String>> = vec![None; self.cases.len()];
        for (batch, path) in self.libraries.iter().enumerate() {
            let end = self.cases.len().min((batch + 1) * BATCH);
            let mut next = batch * BATCH;
            while next < end {
                let outcome = self.in_child(path, next..end, road);
                for (index, text) in outcome.failed {
                    found[index] = Some(self.describe(index, &text));
                }
                let Some((index, text)) = outcome.crashed else { break };
                found[index] = Some(self.describe(index, &text));
                next = index + 1;
            }
        }
        found
    }

    fn describe(&self, index: usize, text: &str) -> String {
        let Case { label, choice, .. } = &self.cases[index];
        format!("{label} (union choice {choice})\n{}{text}", self.functions[index].declaration)
    }

    /// Tries a range of cases in a child process.
    fn in_child(&self, path: &Path, range: Range<usize>, road: &dyn Road) -> Outcome {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        // SAFETY: the child makes its calls and leaves by `_exit`; it takes no lock that another thread could hold.
        match unsafe { libc::fork() } {
            -1 => panic!("cannot fork: {}", std::io::Error::last_os_error()),
            0 => {
                drop(reader);
                // SAFETY: no pointers are involved.
                unsafe { libc::alarm(TIMEOUT) };
                let finished = catch_unwind(AssertUnwindSafe(|| self.try_range(path, range, road, writer)));
                // SAFETY: this process has nothing to clean up.
                unsafe { libc::_exit(if finished.is_ok() { 0 } else { 101 }) }
            }
            child => {
                drop(writer);
                Outcome::read(reader, child)
            }
        }
    }

    fn try_range(&self, path: &Path, range: Range<usize>, road: &dyn Road, mut writer: PipeWriter) {
        // SAFETY: the library was compiled from the functions' source and runs nothing when it is loaded.
        let library = unsafe { Library::new(path) }.expect("a library that loads");
        let buffers = Buffers::of(&library);
        for index in range {
            send(&mut writer, START, index, "");
            // SAFETY: no pointers are involved.
            unsafe { libc::alarm(TIMEOUT) };
            let (case, function) = (&self.cases[index], &self.functions[index]);
            let target = Target::of(&library, &function.symbol);
            let tried = catch_unwind(AssertUnwindSafe(|| try_case(case, function, target, &buffers, road)));
            match tried.unwrap_or_else(|panic| Err(panic_text(&*panic))) {
                Ok(()) => {}
                Err(text) => send(&mut writer, FAILED, index, &text),
            }
        }
        send(&mut writer, DONE, 0, "");
    }
}

const START: u8 = 0;
const FAILED: u8 = 1;
const DONE: u8 = 2;

/// Tells the parent about a case: what, which, and a text with its length.
fn send(writer: &mut PipeWriter, what: u8, index: usize, text: &str) {
    let mut message = vec![what];
    message.extend((index as u64).to_le_bytes());
    message.extend((text.len() as u64).to_le_bytes());
    message.extend(text.as_bytes());
    writer.write_all(&message).expect("a parent that listens");
}

/// What came of a child.
#[derive(Default)]
struct Outcome {
    failed: Vec<(usize, String)>,
    crashed: Option<(usize, String)>,
}

impl Outcome {
    fn read(mut reader: PipeReader, child: libc::pid_t) -> Outcome {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("a pipe that can be read");
        let mut status = 0;
        // SAFETY: the status is written to a variable of the right type.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        let mut outcome = Outcome::default();
        let mut started = None;
        let mut rest = bytes.as_slice();
        while let Some((what, index, text)) = receive(&mut rest) {
            match what {
                START => started = Some(index),
                FAILED => outcome.failed.push((index, text)),
                _ => return outcome,
            }
        }
        let cause = match libc::WIFSIGNALED(status) {
            true => format!("killed by signal {}", libc::WTERMSIG(status)),
            false => format!("exited with status {}", libc::WEXITSTATUS(status)),
        };
        outcome.crashed = Some((started.expect("a child that got as far as a case"), cause));
        outcome
    }
}

fn receive(rest: &mut &[u8]) -> Option<(u8, usize, String)> {
    let (what, after) = rest.split_first()?;
    let (index, after) = after.split_first_chunk::<8>()?;
    let (length, after) = after.split_first_chunk::<8>()?;
    let (text, after) = after.split_at_checked(u64::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some((*what, u64::from_le_bytes(*index) as usize, String::from_utf8_lossy(text).into_owned()))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("(no text)"))
}

impl Target {
    fn of(library: &Library, symbol: &str) -> Target {
        // SAFETY: the symbol is a function; its address alone is taken.
        let function = unsafe { library.get::<*const c_void>(symbol.as_bytes()) }.expect("a function that is exported");
        // SAFETY: callers are compiled with this type.
        let caller = unsafe { library.get(format!("call_{symbol}").as_bytes()) }.ok();
        Target { function: *function, caller: caller.map(|caller| *caller) }
    }
}

/// The two global buffers of a compiled file.
struct Buffers {
    input: *mut u8,
    output: *mut u8,
}

impl Buffers {
    fn of(library: &Library) -> Buffers {
        // SAFETY: both symbols are arrays of bytes; their addresses alone are taken.
        let buffer = |name: &str| unsafe { library.get::<*mut u8>(name.as_bytes()).map(|symbol| *symbol) };
        Buffers { input: buffer("in").expect("a buffer"), output: buffer("out").expect("a buffer") }
    }

    fn provide(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= BUFFER);
        // SAFETY: both arrays have BUFFER bytes, and no C function runs now.
        unsafe { self.input.add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn clear(&self) {
        // SAFETY: as above.
        unsafe { self.output.write_bytes(JUNK, BUFFER) };
    }

    fn reported(&self, span: Span) -> &[u8] {
        assert!(span.at + span.size <= BUFFER);
        // SAFETY: as above; what is borrowed is read before the next call.
        unsafe { std::slice::from_raw_parts(self.output.add(span.at), span.size) }
    }
}

/// A value with a pattern in its leaves and junk in its padding.
struct Sample {
    bytes: Vec<u8>,
    leaves: Vec<Leaf>,
}

impl Sample {
    fn new(ty: &Type, choice: usize, graffiti: Graffiti) -> Sample {
        if ty.is_void() {
            return Sample { bytes: Vec::new(), leaves: Vec::new() };
        }
        let size = layout::of(ty, Arch::HOST).expect("values have sizes").size;
        let (mut bytes, leaves) = (vec![JUNK; size], leaves::of(ty, Arch::HOST, choice));
        leaves::fill(&leaves, &mut bytes, graffiti);
        Sample { bytes, leaves }
    }
}

/// Calls the function of a case with the pattern and with its inverse.
fn try_case(
    case: &Case,
    function: &Function,
    target: Target,
    buffers: &Buffers,
    road: &dyn Road,
) -> Result<(), String> {
    let parameters = case.signature.parameters();
    for inverted in [false, true] {
        let sample = |argument, ty| Sample::new(ty, case.choice, Graffiti { argument, inverted });
        let arguments: Vec<Sample> =
            parameters.iter().enumerate().map(|(index, parameter)| sample(index, &parameter.ty)).collect();
        let result = sample(parameters.len(), case.signature.result());
        for (leaf, span) in &function.results {
            buffers.provide(span.at, &leaf.extract(&result.bytes));
        }
        buffers.clear();
        let mut room = Area::new(result.bytes.len() + 2 * GUARD);
        let values: Vec<Vec<u8>> = arguments.iter().map(|sample| sample.bytes.clone()).collect();
        let place = match result.bytes.len() {
            0 if case.signature.result().is_void() => std::ptr::null_mut(),
            _ => room.bytes_mut()[GUARD..].as_mut_ptr(),
        };
        // SAFETY: the target was compiled from this signature, and the room is large enough and aligned to 64.
        unsafe { road.call(&case.signature, target, &values, place)? };
        let wrong = wrong_arguments(case, function, &arguments, buffers);
        let wrong = wrong.into_iter().chain(wrong_result(&result, room.bytes())).collect::<Vec<_>>();
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
    }
    Ok(())
}

fn wrong_arguments(case: &Case, function: &Function, arguments: &[Sample], buffers: &Buffers) -> Vec<String> {
    let mut wrong = Vec::new();
    for probe in &function.probes {
        let sample = &arguments[probe.argument];
        let found = buffers.reported(probe.span);
        let (name, expected) = match &probe.what {
            What::Leaf(leaf) => (leaf.path.clone(), leaf.extract(&sample.bytes)),
            What::Widened => (" as long".to_owned(), widened(&case.signature.parameters()[probe.argument].ty, sample)),
            What::Misalignment => (" (address modulo alignment)".to_owned(), vec![0; 8]),
        };
        if found != expected {
            let origin = origin(found, arguments);
            wrong.push(format!("argument a{}{name}: {}{origin}", probe.argument, difference(&expected, found)));
        }
    }
    wrong
}

fn widened(ty: &Type, sample: &Sample) -> Vec<u8> {
    let negative = sample.bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let signed = ty.as_integer().is_some_and(|integer| integer.is_signed(Arch::HOST));
    let mut bytes = sample.bytes.clone();
    bytes.resize(8, if signed && negative { 0xFF } else { 0 });
    bytes
}

fn wrong_result(result: &Sample, room: &[u8]) -> Vec<String> {
    let end = GUARD + result.bytes.len();
    let found = &room[GUARD..end];
    let mut wrong = Vec::new();
    for leaf in &result.leaves {
        let (expected, found) = (leaf.extract(&result.bytes), leaf.extract(found));
        if expected != found {
            wrong.push(format!("result{}: {}", leaf.path, difference(&expected, &found)));
        }
    }
    let outside = room.iter().enumerate().filter(|(at, byte)| !(GUARD..end).contains(at) && **byte != JUNK);
    wrong.extend(outside.map(|(at, byte)| {
        format!("written outside of the result, at byte {} of it: {byte:#04x}", at as isize - GUARD as isize)
    }));
    wrong
}

fn difference(expected: &[u8], found: &[u8]) -> String {
    let at = expected.iter().zip(found).position(|(expected, found)| expected != found).unwrap_or(0);
    let window = at.saturating_sub(8)..(at + 16).min(expected.len());
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!(" {byte:02x}")).collect::<String>();
    format!(
        "byte {at} is {:#04x} instead of {:#04x}: found{}, expected{}",
        found[at],
        expected[at],
        digits(&found[window.clone()]),
        digits(&expected[window])
    )
}

/// Whose bytes they are, where that can be told.
fn origin(found: &[u8], arguments: &[Sample]) -> String {
    for (index, sample) in arguments.iter().enumerate().filter(|_| found.len() > 1) {
        let same = |leaf: &&Leaf| sample.bytes[leaf.at / 8..].starts_with(found);
        if let Some(leaf) = sample.leaves.iter().find(same) {
            return format!(" (that is a{index}{})", leaf.path);
        }
    }
    String::new()
}
