//! Shared libraries, their symbols and variables.

use std::ffi::c_void;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libloading::os::unix;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::function::Function;
use crate::types::declaration::Declarations;
use crate::types::signature::Signature;
use crate::types::{Arch, Type, layout};
use crate::value::{self, Value};

/// An open shared library, or the process itself. Clones share it.
///
/// It stays loaded as long as a clone, a function or a variable of it exists, whatever was closed.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    library: unix::Library,
    path: Option<PathBuf>,
    closed: AtomicBool,
}

impl Library {
    /// Opens a library by path, or by name as the dynamic loader looks for it (`libm.so.6`). All its symbols are
    /// resolved at once, and it does not lend them to libraries opened later.
    ///
    /// # Errors
    /// [`Error::Open`] with the loader's own message.
    ///
    /// # Safety
    /// The library's initialisers run now and its finalisers when it is unloaded; they must be sound to run.
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Library> {
        let path = path.as_ref();
        // SAFETY: the caller answers for initialisers and finalisers.
        let opened = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) };
        let library = opened.map_err(|source| Error::Open { path: path.to_owned(), source })?;
        Ok(Library::with(library, Some(path.to_owned())))
    }

    /// The process itself: the program, the libraries it was linked with, and those opened for all.
    pub fn process() -> Library {
        Library::with(unix::Library::this(), None)
    }

    fn with(library: unix::Library, path: Option<PathBuf>) -> Library {
        Library { inner: Arc::new(Inner { library, path, closed: AtomicBool::new(false) }) }
    }

    /// The path it was opened with; `None` for the process.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// Closes it for look-ups, through every clone. Functions and variables found before go on working and keep it
    /// loaded; it is unloaded with the last of them.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Relaxed);
    }

    /// The address of a symbol.
    ///
    /// # Errors
    /// [`Error::Symbol`] where there is none, [`Error::Closed`] after [`Library::close`].
    pub fn symbol(&self, name: &str) -> Result<*const c_void> {
        if self.inner.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { library: self.to_string() });
        }
        let missing = |source| Error::Symbol { symbol: name.to_owned(), library: self.to_string(), source };
        // SAFETY: nothing is done with the symbol here but taking its address.
        let symbol = unsafe { self.inner.library.get::<*mut c_void>(name) };
        Ok(symbol.map_err(missing)?.as_raw_ptr())
    }

    /// Finds a function by its C declaration: the last function that the text declares. Definitions of the structs,
    /// unions, enums and typedefs that it uses may stand before it.
    ///
    /// # Errors
    /// [`Error::Declaration`], [`Error::Symbol`], [`Error::Closed`], and those of [`Engine::prepare`].
    pub fn function(&self, declaration: &str) -> Result<Function> {
        self.function_with(Engine::global(), Signature::parse(declaration)?)
    }

    /// Finds a function by a signature that has a name, and binds it in that engine.
    ///
    /// # Errors
    /// [`Error::Type`] where the signature has no name; otherwise as for [`Library::function`].
    pub fn function_with(&self, engine: &Engine, signature: Signature) -> Result<Function> {
        let Some(name) = signature.name() else {
            return Err(Error::invalid_type(format!("the function {signature} has no name")));
        };
        let target = self.symbol(name)?;
        Function::bind(engine, target, signature, Some(self.clone()))
    }

    /// Binds a function whose address is known already, such as one that a pointer in the library names. It keeps the
    /// library open.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub fn function_at(&self, engine: &Engine, target: *const c_void, signature: Signature) -> Result<Function> {
        Function::bind(engine, target, signature, Some(self.clone()))
    }

    /// Finds a variable by its C declaration, such as `int optind`: the last one that the text declares.
    ///
    /// # Errors
    /// [`Error::Declaration`] where the text is wrong, [`Error::Type`] where it declares no variable with a size,
    /// [`Error::Symbol`] and [`Error::Closed`].
    pub fn variable(&self, declaration: &str) -> Result<Variable> {
        let declarations = Declarations::parse(declaration)?;
        let Some(found) = declarations.variables().last() else {
            return Err(Error::invalid_type("the text declares no variable".into()));
        };
        let size = layout::of(&found.ty, Arch::HOST)?.size;
        let address = self.symbol(&found.name)?.cast_mut().cast();
        Ok(Variable { name: found.name.clone(), ty: found.ty.clone(), size, address, library: self.clone() })
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner.path {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("the process"),
        }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({self})")
    }
}

/// A variable of a library, which it keeps open.
///
/// ```
/// use jitcall::{Library, Value};
/// let opterr = Library::process().variable("extern int opterr;")?;
/// // SAFETY: that is how <unistd.h> declares it, and no other thread uses it.
/// unsafe {
///     opterr.set(&Value::I32(0))?;
///     assert_eq!(opterr.get()?, Value::I32(0));
/// }
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Variable {
    name: String,
    ty: Type,
    size: usize,
    address: *mut u8,
    library: Library,
}

// SAFETY: an address may be used from any thread; reading and writing there is the caller's promise.
unsafe impl Send for Variable {}
// SAFETY: as above.
unsafe impl Sync for Variable {}

impl Variable {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its declared type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// Its address.
    pub fn address(&self) -> *mut c_void {
        self.address.cast()
    }

    /// The library that it keeps open.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Type`] where the type has no values.
    ///
    /// # Safety
    /// The declaration is the variable's own, and nothing writes it meanwhile.
    pub unsafe fn get(&self) -> Result<Value<'static>> {
        let mut bytes = vec![0; self.size];
        // SAFETY: the caller says that an object of that type is there and at rest.
        unsafe { self.address.copy_to_nonoverlapping(bytes.as_mut_ptr(), self.size) };
        value::read(&self.ty, &bytes)
    }

    /// Writes it, after the value was converted as an argument would be.
    ///
    /// # Errors
    /// [`Error::Value`] where the value does not fit; then nothing was written.
    ///
    /// # Safety
    /// The declaration is the variable's own, it may be written, and nothing uses it meanwhile. What pointers in the
    /// value point at lives as long as the variable refers to it.
    pub unsafe fn set(&self, value: &Value<'_>) -> Result<()> {
        let mut bytes = vec![0; self.size];
        value::write(&self.ty, value, &mut bytes).map_err(|mut mismatch| {
            mismatch.place.insert_str(0, &self.name);
            Error::Value { mismatch: Box::new(mismatch) }
        })?;
        // SAFETY: the caller says that an object of that type is there and may be written.
        unsafe { self.address.copy_from_nonoverlapping(bytes.as_ptr(), self.size) };
        Ok(())
    }
}
