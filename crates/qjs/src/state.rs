//! What the module keeps in a context, and the objects by which JavaScript owns native things.

use std::cell::{Cell, RefCell};
use std::ffi::{c_uint, c_void};
use std::ptr;
use std::sync::atomic::Ordering;

use jitcall::closure;
use std::rc::{Rc, Weak};

use crate::callback::Callback;
use crate::error::{Failure, Kind, Result};
use crate::event_loop::EventLoop;
use crate::function::Record;
use crate::host::{Host, JSClassDef, JSContext, JSRuntime, JSValue, tag};
use crate::libraries::OpenLibrary;
use crate::named::Names;
use crate::scope::{Owned, Scope};
use crate::structs::TypeHandle;

/// What the module keeps in a context. Lives as long as an object of the module does.
pub(crate) struct State {
    /// The state itself, for objects that keep it.
    this: Weak<State>,
    /// What emitted code reads and writes.
    pub(crate) bridge: jitcall::bridge::State,
    pub(crate) host: &'static Host,
    pub(crate) ctx: *mut JSContext,
    pub(crate) rt: *mut JSRuntime,
    /// The class of the objects that own native things.
    class_id: c_uint,
    /// Functions of the language that the module uses, as they were when it was imported.
    builtins: Builtins,
    /// The exception of a callback, until the call that led to it returns.
    parked: Cell<Option<JSValue>>,
    /// How many callbacks run.
    running: Cell<usize>,
    /// References to be given back when none does, and whether there are any.
    given_up: RefCell<Vec<JSValue>>,
    has_given_up: Cell<bool>,
    pub(crate) names: RefCell<Names>,
    pub(crate) event_loop: EventLoop,
}

/// Functions of the language. The state owns a reference to each until the module goes.
struct Builtins {
    errors: [Cell<JSValue>; Kind::ALL.len()],
    big_int: Cell<JSValue>,
    keys: Cell<JSValue>,
    is_array: Cell<JSValue>,
    /// The module's own class `CString`, once its script has run.
    c_string: Cell<JSValue>,
}

/// What objects of the module's class own.
pub(crate) enum Native {
    /// The module's functions: the state's references to JavaScript's values end with it.
    Module(Rc<State>),
    /// Keeps the state for a function that the host holds.
    Keeper(#[allow(dead_code, reason = "owned")] Rc<State>),
    /// A bound function.
    Function(Box<Record>),
    /// A C function pointer that runs a JavaScript function.
    Callback(Box<Callback>),
    /// A C type.
    Type(Box<TypeHandle>),
    /// A shared library.
    Library(Box<OpenLibrary>),
}

impl State {
    /// Makes the state of a context, and an object that ends it.
    ///
    /// # Safety
    /// `ctx` is a context of the host.
    pub(crate) unsafe fn new(host: &'static Host, ctx: *mut JSContext) -> Result<(Rc<State>, JSValue)> {
        // SAFETY: said by the caller.
        let rt = unsafe { (host.api.JS_GetRuntime)(ctx) };
        // SAFETY: the runtime is that of the context.
        let class_id = unsafe { class_for(host, rt) };
        let none = || Cell::new(JSValue::UNDEFINED);
        let make = |this: &Weak<State>| State {
            this: Weak::clone(this),
            bridge: jitcall::bridge::State::default(),
            host,
            ctx,
            rt,
            class_id,
            builtins: Builtins {
                errors: Kind::ALL.map(|_| none()),
                big_int: none(),
                keys: none(),
                is_array: none(),
                c_string: none(),
            },
            parked: Cell::new(None),
            running: Cell::new(0),
            given_up: RefCell::default(),
            has_given_up: Cell::new(false),
            names: RefCell::default(),
            event_loop: EventLoop::default(),
        };
        let state = Rc::new_cyclic(make);
        // SAFETY: the state takes the word back before it goes, unless another context of the thread has set its own; and
        // then that does.
        unsafe { closure::signal_failures(&raw const state.bridge.failed) };
        // SAFETY: said by the caller; the context is the state's.
        let scope = unsafe { Scope::new(ctx, &state) };
        state.builtins.fill(scope)?;
        let owner = state.wrap(scope, Native::Module(Rc::clone(&state)))?.into_raw();
        Ok((state, owner))
    }

    /// A handle that keeps the state.
    pub(crate) fn handle(&self) -> Rc<State> {
        self.this.upgrade().expect("whoever calls has a reference to the state that came of a handle")
    }

    pub(crate) fn error_constructor(&self, kind: Kind) -> JSValue {
        self.builtins.errors[kind as usize].get()
    }

    pub(crate) fn big_int_function(&self) -> JSValue {
        self.builtins.big_int.get()
    }

    /// `Object.keys`.
    pub(crate) fn keys_function(&self) -> JSValue {
        self.builtins.keys.get()
    }

    /// `Array.isArray`.
    pub(crate) fn is_array_function(&self) -> JSValue {
        self.builtins.is_array.get()
    }

    pub(crate) fn c_string_class(&self) -> JSValue {
        self.builtins.c_string.get()
    }

    pub(crate) fn set_c_string_class(&self, class: Owned<'_>) {
        self.builtins.c_string.set(class.into_raw());
    }

    /// An object that owns something native.
    pub(crate) fn wrap<'a>(&self, scope: Scope<'a>, native: Native) -> Result<Owned<'a>> {
        // SAFETY: the class is registered with the runtime.
        let object = scope.own(unsafe { (self.host.api.JS_NewObjectClass)(scope.ctx, self.class_id) })?;
        let opaque = Box::into_raw(Box::new(native));
        // SAFETY: the object is of that class, whose finalizer takes the box back.
        unsafe { (self.host.api.JS_SetOpaque)(*object, opaque.cast()) };
        Ok(object)
    }

    /// An object that keeps the state as long as it lives itself.
    pub(crate) fn keeper<'a>(&self, scope: Scope<'a>) -> Result<Owned<'a>> {
        self.wrap(scope, Native::Keeper(self.handle()))
    }

    /// What an object of the module's class owns.
    pub(crate) fn native(&self, value: JSValue) -> Option<&Native> {
        if !value.is(tag::OBJECT) {
            return None;
        }
        // SAFETY: asks whether it is of the class; then the pointer is that of `wrap`, good as long as the object is,
        // which the caller of a native function holds.
        unsafe { (self.host.api.JS_GetOpaque)(value, self.class_id).cast::<Native>().as_ref() }
    }

    /// Runs a callback. What is given up meanwhile is kept until none runs: the function itself may be among it.
    #[inline(always)]
    pub(crate) fn run_callback<R>(&self, run: impl FnOnce() -> R) -> R {
        let before = self.running.get();
        self.running.set(before + 1);
        let result = run();
        self.running.set(before);
        if self.has_given_up.get() && before == 0 {
            self.free_given_up();
        }
        result
    }

    /// Gives references back, once no callback runs.
    pub(crate) fn give_up(&self, values: Vec<JSValue>) {
        self.given_up.borrow_mut().extend(values);
        if self.runs_callback() { self.has_given_up.set(true) } else { self.free_given_up() }
    }

    #[cold]
    fn free_given_up(&self) {
        self.has_given_up.set(false);
        for value in self.given_up.take() {
            // SAFETY: the references were those of who gave them up.
            unsafe { self.host.free_rt(self.rt, value) };
        }
    }

    /// Whether one runs: else no call of a C function does.
    pub(crate) fn runs_callback(&self) -> bool {
        self.running.get() > 0
    }

    /// Keeps the exception of a callback for the call that led to it. The first one is kept.
    pub(crate) fn park(&self, exception: JSValue) {
        match self.parked.take() {
            None => {
                self.parked.set(Some(exception));
                self.bridge.failed.store(1, Ordering::Relaxed);
            }
            Some(first) => {
                self.parked.set(Some(first));
                // SAFETY: the reference is the caller's, who gave it.
                unsafe { self.host.free(self.ctx, exception) };
            }
        }
    }

    /// Whether a callback has failed, and nobody has been told yet.
    #[inline(always)]
    pub(crate) fn has_failed(&self) -> bool {
        self.bridge.failed.load(Ordering::Relaxed) != 0
    }

    /// Whether a callback has failed since this was last asked, and how.
    pub(crate) fn take_failure(&self) -> Option<Failed> {
        if !self.has_failed() {
            return None;
        }
        self.bridge.failed.store(0, Ordering::Relaxed);
        let refusal = closure::take_failure().map(Failed::Refused);
        self.parked.take().map(Failed::Exception).or(refusal)
    }

    /// Gives up the references to JavaScript's values.
    fn close(&self) {
        let give_up = |cell: &Cell<JSValue>| {
            let value = cell.replace(JSValue::UNDEFINED);
            // SAFETY: the state owned it.
            unsafe { self.host.free_rt(self.rt, value) };
        };
        self.builtins.errors.iter().for_each(give_up);
        give_up(&self.builtins.big_int);
        give_up(&self.builtins.keys);
        give_up(&self.builtins.is_array);
        give_up(&self.builtins.c_string);
        if let Some(exception) = self.parked.take() {
            // SAFETY: as above.
            unsafe { self.host.free_rt(self.rt, exception) };
        }
        self.free_given_up();
        for value in self.names.take().into_values() {
            // SAFETY: as above.
            unsafe { self.host.free_rt(self.rt, value) };
        }
        // As after a failure, callbacks get zeros: the runtime is on its way out, and runs nothing any more.
        self.bridge.failed.store(1, Ordering::Relaxed);
        let values = self.event_loop.close();
        self.bridge.failed.store(0, Ordering::Relaxed);
        for value in values {
            // SAFETY: as above.
            unsafe { self.host.free_rt(self.rt, value) };
        }
    }

    /// The values that the state owns.
    fn values(&self) -> Vec<JSValue> {
        let Builtins { errors, big_int, keys, is_array, c_string } = &self.builtins;
        let mut values: Vec<JSValue> =
            errors.iter().chain([big_int, keys, is_array, c_string]).map(Cell::get).collect();
        values.extend(&*self.given_up.borrow());
        values.extend(self.names.borrow().values());
        values.extend(self.event_loop.values());
        values
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: null is none; the word of another state is put back, which takes it back itself.
        unsafe {
            let word = closure::signal_failures(ptr::null());
            if !ptr::eq(word, &raw const self.bridge.failed) {
                closure::signal_failures(word);
            }
        }
    }
}

/// How a callback failed.
pub(crate) enum Failed {
    /// An exception, whose reference comes with it.
    Exception(JSValue),
    /// It was not run.
    Refused(closure::Failure),
}

impl Failed {
    /// The failure as one of the call that led to it.
    pub(crate) fn rethrow(self, scope: Scope<'_>, function: &str) -> Failure {
        match self {
            Failed::Exception(exception) => {
                // SAFETY: the reference is handed on.
                unsafe { (scope.host().api.JS_Throw)(scope.ctx, exception) };
                Failure::Pending
            }
            Failed::Refused(failure) => Failure::other(format!("{function}: {failure}")),
        }
    }
}

impl Builtins {
    fn fill(&self, scope: Scope<'_>) -> Result<()> {
        let global = scope.global()?;
        for kind in Kind::ALL {
            self.errors[kind as usize].set(scope.get(*global, kind.name())?.into_raw());
        }
        self.big_int.set(scope.get(*global, c"BigInt")?.into_raw());
        let array = scope.get(*global, c"Array")?;
        self.is_array.set(scope.get(*array, c"isArray")?.into_raw());
        let object = scope.get(*global, c"Object")?;
        self.keys.set(scope.get(*object, c"keys")?.into_raw());
        Ok(())
    }
}

/// The class of the module's objects in a runtime.
///
/// # Safety
/// `rt` is a runtime of the host.
unsafe fn class_for(host: &Host, rt: *mut JSRuntime) -> c_uint {
    let class = JSClassDef {
        class_name: c"Native".as_ptr(),
        finalizer: Some(finalize),
        gc_mark: Some(mark),
        call: ptr::null(),
        exotic: ptr::null_mut(),
    };
    // SAFETY: said by the caller; the definition is copied.
    unsafe {
        let id = host.new_class_id(rt);
        if host.api.JS_IsRegisteredClass.is_none_or(|is_registered| is_registered(rt, id) & 1 == 0) {
            (host.api.JS_NewClass)(rt, id, &class);
        }
        id
    }
}

/// What an object of the class owns, as its finalizer finds it.
///
/// # Safety
/// `object` is an object of the class.
unsafe fn opaque_of(host: &Host, object: JSValue) -> *mut Native {
    // SAFETY: said by the caller. Where identifiers belong to the process, there is one; elsewhere the host can tell.
    let opaque = unsafe {
        match (host.process_class_id(), host.api.JS_GetAnyOpaque) {
            (Some(id), _) => (host.api.JS_GetOpaque)(object, id),
            (None, Some(any)) => any(object, &mut 0),
            (None, None) => ptr::null_mut(),
        }
    };
    opaque.cast()
}

/// # Safety
/// Called by the host for objects of the class.
unsafe extern "C" fn finalize(_: *mut JSRuntime, object: JSValue) {
    let Some(host) = Host::known() else { return };
    // SAFETY: said by the caller.
    let native = unsafe { opaque_of(host, object) };
    if native.is_null() {
        return;
    }
    // SAFETY: `wrap` made the box, and nobody can get at it any more.
    let native = unsafe { Box::from_raw(native) };
    match *native {
        Native::Module(state) => state.close(),
        Native::Callback(callback) => callback.finalize(),
        Native::Type(handle) => handle.finalize(),
        Native::Function(_) | Native::Library(_) | Native::Keeper(_) => {}
    }
}

/// Tells the collector of cycles what the objects refer to.
///
/// # Safety
/// Called by the host for objects of the class.
unsafe extern "C" fn mark(rt: *mut JSRuntime, object: JSValue, visit: *mut c_void) {
    let Some(host) = Host::known() else { return };
    // SAFETY: said by the caller; the box lives as long as the object.
    let Some(native) = (unsafe { opaque_of(host, object).as_ref() }) else { return };
    let values = match native {
        Native::Module(state) => state.values(),
        Native::Function(record) => record.values().to_vec(),
        Native::Callback(callback) => callback.values(),
        Native::Type(handle) => handle.values(),
        Native::Library(_) | Native::Keeper(_) => return,
    };
    for value in values {
        // SAFETY: the values are owned by what the object owns.
        unsafe { (host.api.JS_MarkValue)(rt, value, visit) };
    }
}
