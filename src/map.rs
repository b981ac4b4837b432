//! Maps: one call of a C function for each element of arrays.
//!
//! A loop that calls a function by slots or by values spends more on the way in than many functions take. A [`Map`] has
//! the loop around the call as machine code of its own, made for the signature: it takes elements straight from their
//! arrays to where the callee wants them, and results to theirs, as a loop in C does.
//!
//! ```
//! use jitcall::Library;
//! // SAFETY: libm has no initialisers that could do harm.
//! let libm = unsafe { Library::open("libm.so.6")? };
//! let pow = libm.function("double pow(double, double)")?;
//! let (bases, exponents) = ([2.0, 3.0, 10.0], [10.0, 2.0, 3.0]);
//! let mut powers = [0.0; 3];
//! // SAFETY: that is how <math.h> declares it.
//! unsafe { pow.map_into((&bases[..], &exponents[..]), &mut powers)? };
//! assert_eq!(powers, [1024.0, 9.0, 1000.0]);
//! # Ok::<(), jitcall::Error>(())
//! ```
//!
//! [`Function::map`](crate::Function::map) takes [`Column`]s instead: elements that lie further apart, as members of
//! structs do, or one element for all calls.
//!
//! On the JIT tier a *map stub* makes the calls where all parameters are scalars of at most 8 bytes and the result is one
//! or `void`. Everywhere else a loop over [`CallInterface::call`] does, and to the same effect.
//!
//! Callbacks may fail in the course of a map. As anywhere else, those that come after return their defaults at once;
//! the calls go on until the last, and then the map reports the failure.

use std::any::type_name;
use std::ffi::c_void;
use std::mem;
use std::ptr;

use crate::closure::failure::Outer;
use crate::ctype::{CType, check_parameters, check_result};
use crate::emit::Steps;
use crate::engine::{Engine, Tier};
use crate::error::{Error, Mismatch, Result};
use crate::interface::CallInterface;
use crate::types::signature::Signature;
use crate::types::{Arch, Type, layout};
use crate::value::SlotBuffer;

/// An argument of all calls of a map: where the first call finds it, and how far it is from there to the next call's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The first element: a value of the parameter's C type, which need not be aligned.
    pub address: *const u8,
    /// The distance from an element to the next, in bytes: negative to go backwards, 0 where all calls have the same.
    pub stride: isize,
}

impl Column {
    /// The elements of an array.
    pub const fn of<T>(elements: &[T]) -> Column {
        Column { address: elements.as_ptr().cast(), stride: size_of::<T>() as isize }
    }

    /// One value for all calls.
    pub const fn same<T>(value: &T) -> Column {
        Column { address: ptr::from_ref(value).cast(), stride: 0 }
    }
}

/// What is needed to call functions of one signature for each element of columns, whatever their address.
///
/// [`Engine::prepare_map`] makes it, [`Function::mapper`](crate::Function::mapper) has one.
///
/// ```
/// use jitcall::map::Column;
/// use jitcall::{Engine, Signature};
/// extern "C" fn scale(by: f64, number: i32) -> f64 {
///     by * f64::from(number)
/// }
/// let map = Engine::global().prepare_map(&Signature::parse("double scale(double, int)")?)?;
/// let (by, numbers, mut scaled) = (0.5, [1, 2, 3], [0.0; 3]);
/// let columns = [Column::same(&by), Column::of(&numbers)];
/// // SAFETY: `scale` has that signature, and there are three numbers and room for three results.
/// unsafe { map.call(scale as *const _, 3, &columns, scaled.as_mut_ptr().cast())? };
/// assert_eq!(scaled, [0.5, 1.0, 1.5]);
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Map {
    interface: CallInterface,
    signature: Signature,
    /// The bytes of an element of each column.
    sizes: Box<[usize]>,
    /// Those of a result.
    result: usize,
    stubs: Option<Stubs>,
}

/// A map stub: see [`emit::map_stub`](crate::emit::map_stub).
pub(crate) type MapFunction = unsafe extern "C-unwind" fn(*const Column, *const c_void, *mut u8, usize);

/// The stubs for a signature, which the engine of its interface keeps alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stubs {
    pub(crate) dense: MapFunction,
    pub(crate) strided: MapFunction,
}

impl Stubs {
    fn of(self, steps: Steps) -> MapFunction {
        match steps {
            Steps::Dense => self.dense,
            Steps::Strided => self.strided,
        }
    }
}

impl Map {
    pub(crate) fn new(interface: CallInterface, signature: &Signature, stubs: Option<Stubs>) -> Result<Map> {
        let size = |ty: &Type| Ok(layout::of(ty, Arch::HOST)?.size);
        let sizes = signature.parameters().iter().map(|parameter| size(&parameter.ty)).collect::<Result<_>>()?;
        let result = if signature.result().is_void() { 0 } else { size(signature.result())? };
        Ok(Map { interface, signature: signature.clone(), sizes, result, stubs })
    }

    /// Calls `target` `count` times. The i-th call takes the i-th element of each column, and its result goes to the
    /// i-th place of `results`, one of which has as many bytes as the C type of the result.
    ///
    /// `errno` is left as the calls leave it. Neither look-ups nor allocations are made, unless arguments that are no
    /// scalars take more than [`SlotBuffer::INLINE`] slots.
    ///
    /// # Errors
    /// [`Error::ArgumentCount`] where there are not as many columns as parameters; then nothing was called.
    /// [`Error::Callback`] where a callback below one of the calls failed; all calls were made.
    ///
    /// # Safety
    /// `target` is a function of this signature, which may be called with these arguments. There are `count` elements in
    /// each column, and room for as many results, whose type is not `void`; that is aligned as the type of the result
    /// asks where it is no scalar. What the calls write changes no element of a column, and they read no result, unless
    /// it is in its place before them.
    pub unsafe fn call(&self, target: *const c_void, count: usize, columns: &[Column], results: *mut u8) -> Result<()> {
        if columns.len() != self.sizes.len() {
            return Err(self.count_error(columns.len()));
        }
        if count == 0 {
            return Ok(());
        }
        let outer = Outer::begin();
        // SAFETY: the caller keeps the same promises; there is a column for each parameter, and a call to be made.
        unsafe {
            match self.stubs.map(|stubs| stubs.of(self.steps(columns))) {
                Some(stub) => stub(columns.as_ptr(), target, results, count),
                None => self.call_each(target, count, columns, results),
            }
        }
        outer.check(|| self.signature.title())
    }

    /// What the functions were declared as.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What single calls go by.
    pub fn interface(&self) -> &CallInterface {
        &self.interface
    }

    /// The machine code for columns of a kind, as a C function of the type that [`map_stub`](crate::emit::map_stub)
    /// describes; `None` where a loop makes the calls one by one. It may be called as long as this lives, or anything
    /// else of its engine, and wants what [`Map::call`] wants, a count that is not 0 beside.
    pub fn stub(&self, steps: Steps) -> Option<*const c_void> {
        self.stubs.map(|stubs| stubs.of(steps) as *const c_void)
    }

    fn steps(&self, columns: &[Column]) -> Steps {
        let dense = |(column, size): (&Column, &usize)| column.stride == *size as isize;
        if columns.iter().zip(&self.sizes).all(dense) { Steps::Dense } else { Steps::Strided }
    }

    /// Makes the calls one by one.
    ///
    /// # Safety
    /// As for [`Map::call`]; there is a column for each parameter.
    #[inline(never)]
    unsafe fn call_each(&self, target: *const c_void, count: usize, columns: &[Column], results: *mut u8) {
        let mut slots = SlotBuffer::new(self.interface.slots());
        let slots = slots.as_mut_ptr();
        let offsets = self.interface.slot_offsets();
        for index in 0..count {
            for ((column, size), offset) in columns.iter().zip(&self.sizes).zip(offsets) {
                // SAFETY: the caller says that there is an element; the plan's offsets lie within its slots, of which
                // there are as many, and an argument takes as many of them as its size asks.
                unsafe {
                    let element = column.address.wrapping_offset(column.stride.wrapping_mul(index as isize));
                    element.copy_to_nonoverlapping(slots.cast::<u8>().add(*offset as usize), *size);
                }
            }
            // SAFETY: the slots hold arguments of the declared types; the caller answers for the rest.
            unsafe { self.interface.call(target, slots, results.wrapping_add(index * self.result)) };
        }
    }

    #[cold]
    fn count_error(&self, given: usize) -> Error {
        let expected = self.sizes.len();
        Error::ArgumentCount { function: self.signature.title(), expected, variadic: false, given }
    }
}

/// What a map takes its arguments from: tuples of up to 12 slices, one for each parameter.
///
/// # Safety
/// A column is the elements of a slice, of which there are as many as it says, and whose C type is what it says.
pub unsafe trait Slices: Copy {
    /// The C types and the Rust names of the elements.
    fn c_types() -> Vec<(Type, &'static str)>;

    /// Each slice as a column, and the number of its elements.
    fn columns(&self) -> Vec<(Column, usize)>;
}

macro_rules! slices {
    ($($name:ident)*) => {
        // SAFETY: the slices are taken for no more than what they are.
        unsafe impl<$($name: CType),*> Slices for ($(&[$name],)*) {
            fn c_types() -> Vec<(Type, &'static str)> {
                vec![$(($name::c_type(), type_name::<$name>())),*]
            }

            #[allow(non_snake_case, reason = "the type parameters' names serve for the members too")]
            fn columns(&self) -> Vec<(Column, usize)> {
                let ($($name,)*) = *self;
                vec![$((Column::of($name), $name.len())),*]
            }
        }
    };
}

macro_rules! slices_up_to {
    () => { slices!(); };
    ($first:ident $($rest:ident)*) => {
        slices!($first $($rest)*);
        slices_up_to!($($rest)*);
    };
}

slices_up_to!(A B C D E F G H I J K L);

/// Columns of as many elements as there is room for results, of the declared types.
///
/// # Errors
/// [`Error::Typed`] where a type is not the declared one, [`Error::Argument`] where a slice has another length.
pub(crate) fn checked<S: Slices, R: CType>(signature: &Signature, slices: S, results: &[R]) -> Result<Vec<Column>> {
    check_parameters(signature, &S::c_types(), type_name::<S>())?;
    check_result::<R>(signature)?;
    let columns = slices.columns().into_iter().enumerate().map(|(index, (column, length))| {
        if length == results.len() {
            return Ok(column);
        }
        let mismatch = Mismatch {
            place: signature.place(index),
            declared: format!("{} elements", results.len()),
            given: length.to_string(),
            reason: "there is one for each result".to_owned(),
        };
        Err(Error::Argument { function: signature.title(), mismatch: Box::new(mismatch) })
    });
    columns.collect()
}

impl Engine {
    /// What is needed to call functions of that signature for each element of arrays: on the JIT tier map stubs, where
    /// there are any for it, which are shared with all signatures of the same shape. Where the signature is variadic,
    /// there are columns for the arguments that it names.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub fn prepare_map(&self, signature: &Signature) -> Result<Map> {
        let interface = self.prepare(signature)?;
        let stubs = match interface.tier() {
            Tier::Jit => self.map_stubs(signature, interface.plan())?,
            Tier::Asm => None,
        };
        Map::new(interface, signature, stubs)
    }
}

/// The stub at an entry.
///
/// # Safety
/// It is a map stub, and the engine that made it outlives the use of the function.
pub(crate) unsafe fn function(entry: ptr::NonNull<u8>) -> MapFunction {
    // SAFETY: the caller vouches for the type.
    unsafe { mem::transmute(entry.as_ptr()) }
}
