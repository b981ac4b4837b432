//! libffi, as it is found on the system: the rival; and this project's own library in its place.

use std::ffi::{c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::{fs, mem, ptr};

use jitcall::{Library, Signature, Type};

use super::engines::Way;
use crate::Failure;

/// Where it is looked for.
const NAME: &str = "libffi.so.8";

/// `FFI_DEFAULT_ABI`: `FFI_UNIX64`, or `FFI_SYSV`.
const DEFAULT_ABI: c_int = if cfg!(target_arch = "x86_64") { 2 } else { 1 };

/// `FFI_TYPE_STRUCT`.
const STRUCT: u16 = 13;

/// `void f(handle, void (*fn)(void), void *rvalue, void **avalue)`: `ffi_call`, whose handle is a `ffi_cif *`, and
/// `ffi_call_plan_invoke`, whose handle is a `ffi_call_plan *`.
pub(crate) type Invoke = unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void, *mut *mut c_void);

type PrepareCif = unsafe extern "C" fn(*mut Cif, c_int, c_uint, *mut FfiType, *mut *mut FfiType) -> c_int;
type AllocatePlan = unsafe extern "C" fn(*mut Cif) -> *mut c_void;
type AllocateClosure = unsafe extern "C" fn(usize, *mut *mut c_void) -> *mut c_void;
type PrepareClosure = unsafe extern "C" fn(*mut c_void, *mut Cif, *const c_void, *const c_void, *mut c_void) -> c_int;
type FreeClosure = unsafe extern "C" fn(*mut c_void);
type FreePlan = unsafe extern "C" fn(*mut c_void);

/// `ffi_type`
#[repr(C)]
struct FfiType {
    size: usize,
    alignment: u16,
    kind: u16,
    elements: *mut *mut FfiType,
}

/// `ffi_cif`, of 32 bytes on either architecture.
#[repr(C)]
#[derive(Default)]
struct Cif([u64; 4]);

/// The variable that names this project's library.
const DROP_IN: &str = "JITCALL_LIBFFI";

/// The libraries that are measured.
#[derive(Default)]
pub(crate) struct Rivals {
    libffi: Option<Libffi>,
    drop_in: Option<Libffi>,
}

impl Rivals {
    /// Opens both, and tells what is to be said of each. One that is not there is no failure unless it was asked for.
    pub(crate) fn open(libffi: Option<&Path>, drop_in: Option<&Path>) -> Result<(Rivals, String), Failure> {
        // The loader takes a library that has the name for the system's, so that one comes first.
        let (libffi, mut note) = match Libffi::open(libffi.unwrap_or(Path::new(NAME))) {
            Ok(libffi) => {
                let plans = if libffi.plans.is_some() { "" } else { ", which has no call plans" };
                let note = format!("libffi: {}{plans}", libffi.path().display());
                (Some(libffi), note)
            }
            Err(failure) if libffi.is_some() => return Err(failure),
            Err(failure) => (None, format!("libffi: left out: {failure}")),
        };
        let asked = drop_in.map(Path::to_owned).or_else(|| std::env::var_os(DROP_IN).map(PathBuf::from));
        let place = asked.clone().or_else(beside_the_program);
        let drop_in = match place.as_deref().map(Libffi::open).transpose() {
            Err(failure) if asked.is_some() => return Err(failure),
            drop_in => drop_in,
        };
        let text = match &drop_in {
            Ok(Some(drop_in)) => {
                let path = drop_in.path();
                if libffi.as_ref().is_some_and(|libffi| libffi.path() == path) {
                    return Err(format!("libffi and drop-in are one file, {}", path.display()).into());
                }
                format!("drop-in: {}", path.display())
            }
            Err(failure) => format!("drop-in: left out: {failure}"),
            Ok(None) => {
                format!("drop-in: left out: crates/libffi/install.sh target/libffi builds it, or {DROP_IN} names it")
            }
        };
        note = format!("{note}\n{text}");
        Ok((Rivals { libffi, drop_in: drop_in.unwrap_or_default() }, note))
    }

    /// The library that a way goes through.
    pub(crate) fn of(&self, way: Way) -> Option<&Libffi> {
        match way {
            Way::Libffi | Way::LibffiPlan => self.libffi.as_ref(),
            Way::DropIn => self.drop_in.as_ref(),
            _ => None,
        }
    }
}

/// Where `install.sh target/libffi` puts the library, for a program in `target/release`.
fn beside_the_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("libffi/lib").join(NAME)).filter(|path| path.exists())
}

/// The library, open.
pub(crate) struct Libffi {
    library: Library,
    prepare: PrepareCif,
    call: Invoke,
    plans: Option<Plans>,
}

/// Call plans, which libffi 3.8 has.
#[derive(Clone, Copy)]
struct Plans {
    allocate: AllocatePlan,
    invoke: Invoke,
    free: FreePlan,
}

/// What one way of calling through libffi needs.
pub(crate) struct Prepared {
    pub(crate) invoke: Invoke,
    pub(crate) handle: *mut c_void,
    plan: Option<FreePlan>,
    /// Kept for their addresses.
    _cif: Box<Cif>,
    _types: Types,
}

impl Libffi {
    /// Opens a library.
    fn open(path: &Path) -> Result<Libffi, Failure> {
        // SAFETY: libffi's initialisers set up its own memory.
        let library = unsafe { Library::open(path)? };
        let prepare = library.symbol("ffi_prep_cif")?;
        let call = library.symbol("ffi_call")?;
        let plans =
            ["ffi_call_plan_alloc", "ffi_call_plan_invoke", "ffi_call_plan_free"].map(|name| library.symbol(name));
        // SAFETY: these are the types that <ffi.h> gives the functions of those names.
        let (prepare, call, plans) = unsafe {
            let plans = match plans {
                [Ok(allocate), Ok(invoke), Ok(free)] => Some(Plans {
                    allocate: mem::transmute::<*const c_void, AllocatePlan>(allocate),
                    invoke: mem::transmute::<*const c_void, Invoke>(invoke),
                    free: mem::transmute::<*const c_void, FreePlan>(free),
                }),
                _ => None,
            };
            (mem::transmute::<*const c_void, PrepareCif>(prepare), mem::transmute::<*const c_void, Invoke>(call), plans)
        };
        Ok(Libffi { library, prepare, call, plans })
    }

    /// Where the loader found it.
    pub(crate) fn path(&self) -> PathBuf {
        // SAFETY: an all-zero structure is a value of this type; it is filled with strings that live as long as the
        // library, which is open.
        let found = unsafe {
            let mut info: libc::Dl_info = mem::zeroed();
            let found = libc::dladdr(self.call as *const c_void, &raw mut info) != 0 && !info.dli_fname.is_null();
            found.then(|| std::ffi::CStr::from_ptr(info.dli_fname).to_string_lossy().into_owned())
        };
        let path = found.map(PathBuf::from).or_else(|| self.library.path().map(Path::to_owned)).unwrap_or_default();
        fs::canonicalize(&path).unwrap_or(path)
    }

    /// Prepares calls by `ffi_call`.
    pub(crate) fn calls(&self, signature: &Signature) -> Result<Prepared, Failure> {
        let (types, mut cif) = self.cif(signature)?;
        let handle = ptr::from_mut(&mut *cif).cast();
        Ok(Prepared { invoke: self.call, handle, plan: None, _cif: cif, _types: types })
    }

    /// Prepares calls by a plan; `None` where the library has none.
    pub(crate) fn plans(&self, signature: &Signature) -> Result<Option<Prepared>, Failure> {
        let Some(plans) = self.plans else { return Ok(None) };
        let (types, mut cif) = self.cif(signature)?;
        // SAFETY: the cif was prepared, and lives as long as the plan.
        let handle = unsafe { (plans.allocate)(&raw mut *cif) };
        if handle.is_null() {
            return Err("ffi_call_plan_alloc found no memory".into());
        }
        Ok(Some(Prepared { invoke: plans.invoke, handle, plan: Some(plans.free), _cif: cif, _types: types }))
    }

    /// A closure of a function of two parameters, as libffi's users write it.
    pub(crate) fn callback<A: Copy, F: Fn(A, A) -> i32 + 'static>(
        &self,
        signature: &Signature,
        function: F,
    ) -> Result<Callback, Failure> {
        /// # Safety
        /// libffi calls it with the closure's user data, two arguments, and room for a register.
        unsafe extern "C" fn handle<A: Copy, F: Fn(A, A) -> i32>(
            _cif: *mut c_void,
            result: *mut isize,
            arguments: *const *const A,
            function: *const F,
        ) {
            // SAFETY: said by the caller.
            unsafe { *result = (*function)(**arguments, **arguments.add(1)) as isize };
        }
        let closures = self.closures(signature)?;
        let function = Box::new(function);
        // SAFETY: the handler is of the closures' signature; it and the function live as long as the closure.
        let closure = unsafe { closures.make(handle::<A, F> as *const c_void, (&raw const *function).cast()) };
        let Some(closure) = closure else { return Err(format!("no closure for {signature}").into()) };
        Ok(Callback { closure, closures, _function: function })
    }

    /// What makes closures of a signature.
    pub(crate) fn closures(&self, signature: &Signature) -> Result<Closures, Failure> {
        let (types, cif) = self.cif(signature)?;
        let symbols = ["ffi_closure_alloc", "ffi_prep_closure_loc", "ffi_closure_free"];
        let [allocate, prepare, free] = symbols.map(|name| self.library.symbol(name));
        // SAFETY: these are the types that <ffi.h> gives the functions of those names.
        unsafe {
            Ok(Closures {
                allocate: mem::transmute::<*const c_void, AllocateClosure>(allocate?),
                prepare: mem::transmute::<*const c_void, PrepareClosure>(prepare?),
                free: mem::transmute::<*const c_void, FreeClosure>(free?),
                cif,
                _types: types,
            })
        }
    }

    fn cif(&self, signature: &Signature) -> Result<(Types, Box<Cif>), Failure> {
        let mut types = Types::default();
        let result = types.of(signature.result(), &self.library)?;
        let parameters = signature.parameters().iter().map(|parameter| types.of(&parameter.ty, &self.library));
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let count = parameters.len() as c_uint;
        let parameters = types.list(parameters);
        let mut cif = Box::<Cif>::default();
        // SAFETY: the cif has the size of libffi's, and the types live as long as it does.
        match unsafe { (self.prepare)(&raw mut *cif, DEFAULT_ABI, count, result, parameters) } {
            0 => Ok((types, cif)),
            status => Err(format!("ffi_prep_cif gave status {status} for {signature}").into()),
        }
    }
}

/// What makes closures of one signature.
pub(crate) struct Closures {
    allocate: AllocateClosure,
    prepare: PrepareClosure,
    free: FreeClosure,
    cif: Box<Cif>,
    /// Kept for their addresses.
    _types: Types,
}

/// A closure, and what C is to call.
#[derive(Clone, Copy)]
pub(crate) struct RawClosure {
    closure: *mut c_void,
    code: *mut c_void,
}

impl Closures {
    /// Bytes of a closure, and more: it has 56 on x86_64.
    const SIZE: usize = 64;

    /// Makes a closure; `None` where there is no memory, or the library refuses.
    ///
    /// # Safety
    /// The handler is as libffi calls it for this signature; what C calls is not called after these closures are dropped.
    #[inline]
    pub(crate) unsafe fn make(&self, handler: *const c_void, user: *const c_void) -> Option<RawClosure> {
        let mut code = ptr::null_mut();
        // SAFETY: said by the caller.
        unsafe {
            let closure = (self.allocate)(Closures::SIZE, &raw mut code);
            let cif = (&raw const *self.cif).cast_mut();
            (!closure.is_null() && (self.prepare)(closure, cif, handler, user, code) == 0)
                .then_some(RawClosure { closure, code })
        }
    }

    /// Frees a closure.
    ///
    /// # Safety
    /// It is one of these, and nobody calls it any more.
    #[inline]
    pub(crate) unsafe fn free(&self, closure: RawClosure) {
        // SAFETY: said by the caller.
        unsafe { (self.free)(closure.closure) };
    }
}

/// A closure of libffi's.
pub(crate) struct Callback {
    closure: RawClosure,
    closures: Closures,
    /// Kept for its address.
    _function: Box<dyn std::any::Any>,
}

impl Callback {
    pub(crate) fn address(&self) -> *const c_void {
        self.closure.code
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: it was made by these closures, and nobody calls it any more.
        unsafe { self.closures.free(self.closure) };
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(free) = self.plan {
            // SAFETY: the handle is a plan's, and nothing uses it any more.
            unsafe { free(self.handle) };
        }
    }
}

/// Descriptions of types, in libffi's form.
#[derive(Default)]
struct Types {
    #[expect(clippy::vec_box, reason = "libffi keeps their addresses")]
    structs: Vec<Box<FfiType>>,
    lists: Vec<Box<[*mut FfiType]>>,
}

impl Types {
    fn of(&mut self, ty: &Type, library: &Library) -> Result<*mut FfiType, Failure> {
        if let Type::Aggregate(aggregate) = ty {
            let members = aggregate.members().iter().map(|member| self.of(&member.ty, library));
            let mut members = members.collect::<Result<Vec<_>, _>>()?;
            members.push(ptr::null_mut());
            let elements = self.list(members);
            self.structs.push(Box::new(FfiType { size: 0, alignment: 0, kind: STRUCT, elements }));
            return Ok(self.structs.last_mut().map_or(ptr::null_mut(), |last| &raw mut **last));
        }
        let name = match ty {
            Type::Void => "ffi_type_void",
            Type::Pointer(_) => "ffi_type_pointer",
            &Type::F32 => "ffi_type_float",
            &Type::F64 => "ffi_type_double",
            _ => match ty.as_integer().map(|integer| integer.size()) {
                Some(4) => "ffi_type_sint32",
                Some(8) => "ffi_type_sint64",
                _ => return Err(format!("no case has the type {ty}").into()),
            },
        };
        Ok(library.symbol(name)?.cast_mut().cast())
    }

    fn list(&mut self, types: Vec<*mut FfiType>) -> *mut *mut FfiType {
        self.lists.push(types.into_boxed_slice());
        self.lists.last_mut().map_or(ptr::null_mut(), |last| last.as_mut_ptr())
    }
}
