//! Where an address is: the library, and the symbol before it.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::ptr::with_exposed_provenance;

/// An instruction's place in a library or program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file, as the dynamic loader knows it.
    pub library: PathBuf,
    /// The instruction's distance from the start of the library in memory, in bytes, as `addr2line` takes it for shared
    /// libraries.
    pub offset: usize,
    /// The nearest exported symbol at or before the instruction. It may lie in another function, which is not exported.
    pub symbol: Option<Symbol>,
}

/// A symbol before an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Symbol {
    /// Its name, as the library exports it.
    pub name: String,
    /// The instruction's distance from it, in bytes.
    pub offset: usize,
}

impl Place {
    pub(super) fn of(address: usize) -> Option<Place> {
        locate(address).map(|located| Place {
            library: PathBuf::from(located.library.to_string_lossy().into_owned()),
            offset: located.offset,
            symbol: located.symbol.map(|(name, offset)| Symbol { name: name.to_string_lossy().into_owned(), offset }),
        })
    }
}

impl fmt::Display for Place {
    /// `read_at+0x4 of libfaulty.so`, or `libc.so.6+0x156219`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = Path::new(self.library.file_name().unwrap_or(self.library.as_os_str())).display();
        match &self.symbol {
            Some(Symbol { name, offset }) => write!(f, "{name}+{offset:#x} of {file}"),
            None => write!(f, "{file}+{:#x}", self.offset),
        }
    }
}

/// A place in the loader's own memory, which is there as long as the library is.
pub(super) struct Located {
    pub(super) library: &'static CStr,
    pub(super) offset: usize,
    pub(super) symbol: Option<(&'static CStr, usize)>,
}

/// Asks the dynamic loader. It allocates nothing, but takes the loader's lock.
pub(super) fn locate(address: usize) -> Option<Located> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: any address may be asked for; the loader fills the answer where it returns other than 0. Its strings stay
    // as long as the library, which its code has just run in.
    unsafe {
        if libc::dladdr(with_exposed_provenance::<c_void>(address), info.as_mut_ptr()) == 0 {
            return None;
        }
        let info = info.assume_init();
        let named = !info.dli_sname.is_null();
        Some(Located {
            library: CStr::from_ptr(info.dli_fname),
            offset: address.wrapping_sub(info.dli_fbase.addr()),
            symbol: named.then(|| (CStr::from_ptr(info.dli_sname), address.wrapping_sub(info.dli_saddr.addr()))),
        })
    }
}
