//! The raw interface: arguments in an array of words, as interpreters have them on their stacks, and that of Java, where
//! `long` and `double` take two.
//!
//! Neither is another way to call: the words' addresses are gathered, and the call is an ordinary one.

use std::ffi::c_void;
use std::mem::{MaybeUninit, size_of};

use jitcall::pointers::Handler;

use crate::call::ffi_call;
use crate::cif::ffi_cif;
use crate::closure::{FFI_TRAMPOLINE_SIZE, ffi_closure, ffi_prep_closure_loc};
use crate::types::{ffi_type, kind};
use crate::{FFI_BAD_TYPEDEF, FFI_OK, ffi_status};

/// A word of the raw interface: an argument, or a piece or the address of one.
#[repr(C)]
pub union ffi_raw {
    sint: i64,
    uint: u64,
    flt: f32,
    data: [u8; 8],
    ptr: *mut c_void,
}

/// The function that a raw closure calls.
pub type RawHandler = unsafe extern "C-unwind" fn(*mut ffi_cif, *mut c_void, *mut ffi_raw, *mut c_void);

/// A closure whose function gets words.
#[repr(C)]
pub struct ffi_raw_closure {
    tramp: [u8; FFI_TRAMPOLINE_SIZE],
    cif: *mut ffi_cif,
    translate_args: Option<Handler>,
    this_closure: *mut c_void,
    fun: Option<RawHandler>,
    user_data: *mut c_void,
}

const _: () = assert!(size_of::<ffi_raw_closure>() == size_of::<ffi_closure>() + 16);

/// How arguments lie in words.
#[derive(Clone, Copy)]
enum Words {
    /// As many as each takes; of a struct, its address.
    Plain,
    /// One each, and two for 64-bit integers and doubles, whose value is in the first. There are no structs.
    Java,
}

impl Words {
    /// How many words an argument takes; `None` where it cannot be there.
    fn of(self, ty: &ffi_type) -> Option<usize> {
        match (self, ty.kind) {
            (Words::Plain, kind::STRUCT) => Some(1),
            (Words::Plain, _) => Some(ty.size.div_ceil(size_of::<ffi_raw>())),
            (Words::Java, kind::UINT64 | kind::SINT64 | kind::DOUBLE) => Some(2),
            (Words::Java, _) => (ty.size <= size_of::<ffi_raw>()).then_some(1),
        }
    }

    /// Bytes of all arguments; 0 where one of them cannot be there.
    ///
    /// # Safety
    /// The `ffi_cif` was prepared.
    unsafe fn size(self, cif: *mut ffi_cif) -> usize {
        // SAFETY: said by the caller.
        let types = unsafe { ffi_cif::types(cif) };
        // SAFETY: a prepared `ffi_cif` has types.
        let words: Option<usize> = types.iter().map(|ty| self.of(unsafe { &**ty })).sum();
        words.unwrap_or(0) * size_of::<ffi_raw>()
    }

    /// Gathers the address of each argument.
    ///
    /// # Safety
    /// The `ffi_cif` was prepared; there are as many words and as much room as it has arguments.
    unsafe fn addresses(self, cif: *mut ffi_cif, raw: *mut ffi_raw, arguments: *mut *mut c_void) {
        let mut word = raw;
        // SAFETY: said by the caller.
        unsafe {
            for (index, ty) in ffi_cif::types(cif).iter().enumerate() {
                let by_address = matches!((self, (**ty).kind), (Words::Plain, kind::STRUCT));
                arguments.add(index).write(if by_address { (*word).ptr } else { word.cast() });
                word = word.add(self.of(&**ty).unwrap_or(1));
            }
        }
    }

    /// Writes each argument to its words, integers extended.
    ///
    /// # Safety
    /// As for [`Words::addresses`].
    unsafe fn values(self, cif: *mut ffi_cif, arguments: *mut *mut c_void, raw: *mut ffi_raw) {
        let mut word = raw;
        // SAFETY: said by the caller.
        unsafe {
            for (index, ty) in ffi_cif::types(cif).iter().enumerate() {
                write_word(&**ty, *arguments.add(index), word);
                word = word.add(self.of(&**ty).unwrap_or(1));
            }
        }
    }

    /// Calls with arguments in words.
    ///
    /// # Safety
    /// As for [`ffi_call`], with the arguments in `raw`.
    unsafe fn call(self, cif: *mut ffi_cif, function: *const c_void, rvalue: *mut c_void, raw: *mut ffi_raw) {
        // SAFETY: said by the caller.
        let count = unsafe { (*cif).nargs as usize };
        with_words(count, |arguments: *mut *mut c_void| {
            // SAFETY: said by the caller; there is room for each address.
            unsafe {
                self.addresses(cif, raw, arguments);
                ffi_call(cif, function, rvalue, arguments);
            }
        });
    }

    /// Runs the function of a raw closure.
    ///
    /// # Safety
    /// `closure` is one of these words, and was called as one.
    unsafe fn run(self, cif: *mut ffi_cif, result: *mut c_void, arguments: *mut *mut c_void, closure: *mut c_void) {
        // SAFETY: said by the caller.
        unsafe {
            let ffi_raw_closure { fun: Some(fun), user_data, .. } = closure.cast::<ffi_raw_closure>().read() else {
                return;
            };
            with_words(self.size(cif) / size_of::<ffi_raw>(), |raw: *mut ffi_raw| {
                self.values(cif, arguments, raw);
                fun(cif, result, raw, user_data);
            });
        }
    }

    /// Makes a raw closure.
    ///
    /// # Safety
    /// As for [`ffi_prep_closure_loc`].
    unsafe fn prepare(
        self,
        closure: *mut ffi_raw_closure,
        cif: *mut ffi_cif,
        fun: Option<RawHandler>,
        user_data: *mut c_void,
        codeloc: *mut c_void,
    ) -> ffi_status {
        let run: Handler = match self {
            Words::Plain => run::<false>,
            Words::Java => run::<true>,
        };
        // SAFETY: said by the caller.
        unsafe {
            let possible = ffi_cif::types(cif).iter().all(|ty| self.of(&**ty).is_some());
            if closure.is_null() || !possible {
                return FFI_BAD_TYPEDEF;
            }
            let status = ffi_prep_closure_loc(closure.cast(), cif, Some(run), closure.cast(), codeloc);
            if status == FFI_OK {
                (&raw mut (*closure).fun).write(fun);
                (&raw mut (*closure).user_data).write(user_data);
            }
            status
        }
    }
}

/// Writes an argument as one word, or as many as its size takes.
///
/// # Safety
/// `from` is the argument's address; there are so many words.
unsafe fn write_word(ty: &ffi_type, from: *mut c_void, word: *mut ffi_raw) {
    // SAFETY: said by the caller.
    unsafe {
        match ty.kind {
            kind::UINT8 => (*word).uint = from.cast::<u8>().read().into(),
            kind::SINT8 => (*word).sint = from.cast::<i8>().read().into(),
            kind::UINT16 => (*word).uint = from.cast::<u16>().read_unaligned().into(),
            kind::SINT16 => (*word).sint = from.cast::<i16>().read_unaligned().into(),
            kind::UINT32 => (*word).uint = from.cast::<u32>().read_unaligned().into(),
            kind::INT | kind::SINT32 => (*word).sint = from.cast::<i32>().read_unaligned().into(),
            kind::FLOAT => (*word).flt = from.cast::<f32>().read_unaligned(),
            kind::STRUCT => (*word).ptr = from,
            _ => from.cast::<u8>().copy_to_nonoverlapping(word.cast(), ty.size),
        }
    }
}

/// Room for words: on the stack, where they are few.
fn with_words<T>(count: usize, run: impl FnOnce(*mut T)) {
    const FEW: usize = 32;
    const { assert!(size_of::<T>() == 8, "a word") };
    let mut few = [const { MaybeUninit::<u64>::uninit() }; FEW];
    let mut many: Vec<u64> = Vec::new();
    run(if count <= FEW {
        few.as_mut_ptr().cast()
    } else {
        many.reserve_exact(count);
        many.as_mut_ptr().cast()
    });
}

/// The function that a raw closure's entry calls.
///
/// # Safety
/// As for [`Words::run`].
unsafe extern "C-unwind" fn run<const JAVA: bool>(
    cif: *const c_void,
    result: *mut c_void,
    arguments: *mut *mut c_void,
    closure: *mut c_void,
) {
    let words = if JAVA { Words::Java } else { Words::Plain };
    // SAFETY: said by the caller.
    unsafe { words.run(cif.cast_mut().cast(), result, arguments, closure) };
}

macro_rules! interface {
    ($words:ident, $($size:ident $call:ident $gather:ident $write:ident $prepare:ident $prepare_loc:ident)*) => { $(
        /// Bytes that the arguments take in words.
        ///
        /// # Safety
        /// `cif` was prepared.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $size(cif: *mut ffi_cif) -> usize {
            // SAFETY: said by the caller.
            unsafe { Words::$words.size(cif) }
        }

        /// Calls a function with the arguments in words.
        ///
        /// # Safety
        /// As for [`ffi_call`].
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $call(
            cif: *mut ffi_cif,
            function: *const c_void,
            rvalue: *mut c_void,
            avalue: *mut ffi_raw,
        ) {
            // SAFETY: said by the caller.
            unsafe { Words::$words.call(cif, function, rvalue, avalue) };
        }

        /// Gathers the address of each argument in words.
        ///
        /// # Safety
        /// `cif` was prepared; there are its arguments, and room for an address each.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $gather(cif: *mut ffi_cif, raw: *mut ffi_raw, args: *mut *mut c_void) {
            // SAFETY: said by the caller.
            unsafe { Words::$words.addresses(cif, raw, args) };
        }

        /// Writes arguments to words, which have the size that the function above says.
        ///
        /// # Safety
        /// `cif` was prepared; there is the address of each argument, and room for the words.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $write(cif: *mut ffi_cif, args: *mut *mut c_void, raw: *mut ffi_raw) {
            // SAFETY: said by the caller.
            unsafe { Words::$words.values(cif, args, raw) };
        }

        /// Makes a closure whose function gets the arguments in words, in memory of the client's own.
        ///
        /// # Safety
        /// As for [`ffi_prep_closure`](crate::closure::ffi_prep_closure).
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $prepare(
            closure: *mut ffi_raw_closure,
            cif: *mut ffi_cif,
            fun: Option<RawHandler>,
            user_data: *mut c_void,
        ) -> ffi_status {
            // SAFETY: said by the caller.
            unsafe { Words::$words.prepare(closure, cif, fun, user_data, closure.cast()) }
        }

        /// The same where C enters it at `codeloc`.
        ///
        /// # Safety
        /// As for [`ffi_prep_closure_loc`].
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $prepare_loc(
            closure: *mut ffi_raw_closure,
            cif: *mut ffi_cif,
            fun: Option<RawHandler>,
            user_data: *mut c_void,
            codeloc: *mut c_void,
        ) -> ffi_status {
            // SAFETY: said by the caller.
            unsafe { Words::$words.prepare(closure, cif, fun, user_data, codeloc) }
        }
    )* };
}

interface! {
    Plain,
    ffi_raw_size ffi_raw_call ffi_raw_to_ptrarray ffi_ptrarray_to_raw ffi_prep_raw_closure ffi_prep_raw_closure_loc
}

interface! {
    Java,
    ffi_java_raw_size ffi_java_raw_call ffi_java_raw_to_ptrarray ffi_java_ptrarray_to_raw
    ffi_prep_java_raw_closure ffi_prep_java_raw_closure_loc
}
