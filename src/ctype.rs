//! Rust types that are C types: what typed calls are checked with.

use std::any::type_name;

use crate::error::{Error, Result};
use crate::types::signature::Signature;
use crate::types::{Aggregate, Arch, Type};

/// A Rust type that C code can be given and can return.
///
/// Structs get it through [`c_struct!`](crate::c_struct).
///
/// # Safety
/// A value of the Rust type has the layout of the C type, is passed in an `extern "C"` function as the C type is, and
/// every value of the C type is one of the Rust type.
pub unsafe trait CType: Copy + 'static {
    /// The C type.
    fn c_type() -> Type;
}

macro_rules! c_types {
    ($($rust:ty => $c:expr;)*) => { $(
        // SAFETY: rustc documents these as the types of C with that layout (`std::ffi`).
        unsafe impl CType for $rust {
            fn c_type() -> Type {
                $c
            }
        }
    )* };
}

c_types! {
    () => Type::Void;
    bool => Type::Bool;
    i8 => Type::I8;
    u8 => Type::U8;
    i16 => Type::I16;
    u16 => Type::U16;
    i32 => Type::I32;
    u32 => Type::U32;
    i64 => Type::I64;
    u64 => Type::U64;
    isize => Type::I64;
    usize => Type::U64;
    i128 => Type::I128;
    u128 => Type::U128;
    f32 => Type::F32;
    f64 => Type::F64;
}

// SAFETY: pointers to sized types are C's pointers.
unsafe impl<T: 'static> CType for *const T {
    fn c_type() -> Type {
        Type::pointer()
    }
}

// SAFETY: as above.
unsafe impl<T: 'static> CType for *mut T {
    fn c_type() -> Type {
        Type::pointer()
    }
}

/// Parameter lists of typed calls: tuples of up to 24 [`CType`]s.
///
/// # Safety
/// `call` passes the tuple's members, in order, to a C function.
pub unsafe trait CArguments: Copy + 'static {
    /// The C types and the Rust names of the members.
    fn c_types() -> Vec<(Type, &'static str)>;

    /// Calls `target` with the members as arguments.
    ///
    /// # Safety
    /// `target` is a C function with these parameters and that result, and may be called with these values now.
    unsafe fn call<R: CType>(self, target: *const ()) -> R;
}

macro_rules! arguments {
    ($($name:ident)*) => {
        // SAFETY: the function type lists the members in order.
        unsafe impl<$($name: CType),*> CArguments for ($($name,)*) {
            fn c_types() -> Vec<(Type, &'static str)> {
                vec![$(($name::c_type(), type_name::<$name>())),*]
            }

            #[inline(always)]
            #[allow(non_snake_case, reason = "the type parameters' names serve for the members too")]
            unsafe fn call<R: CType>(self, target: *const ()) -> R {
                let ($($name,)*) = self;
                // SAFETY: the caller says that the target has this type and may be called.
                unsafe {
                    let target: unsafe extern "C-unwind" fn($($name),*) -> R = std::mem::transmute(target);
                    target($($name),*)
                }
            }
        }
    };
}

macro_rules! arguments_up_to {
    () => { arguments!(); };
    ($first:ident $($rest:ident)*) => {
        arguments!($first $($rest)*);
        arguments_up_to!($($rest)*);
    };
}

arguments_up_to!(A B C D E F G H I J K L M N O P Q S T U V W X Y);

/// Checks parameters and result of a signature that a Rust function is to have, or to be called with.
///
/// # Errors
/// [`Error::Typed`] where a type is not the declared one, or the signature is variadic.
pub(crate) fn check_types<A: CArguments, R: CType>(signature: &Signature) -> Result<()> {
    let rust = A::c_types();
    if signature.is_variadic() {
        return Err(mistyped(signature, PARAMETER_LIST, signature.to_string(), type_name::<A>()));
    }
    check_parameters(signature, &rust, type_name::<A>())?;
    check_result::<R>(signature)
}

const PARAMETER_LIST: &str = "the parameter list";

/// Checks the parameters of a signature: `rust` are C types with the names of Rust's types, `list` is the name of them
/// all.
///
/// # Errors
/// [`Error::Typed`] where a type is not the declared one, or there are not as many.
pub(crate) fn check_parameters(signature: &Signature, rust: &[(Type, &str)], list: &str) -> Result<()> {
    if rust.len() != signature.parameters().len() {
        return Err(mistyped(signature, PARAMETER_LIST, signature.to_string(), list));
    }
    for (index, (parameter, (ty, given))) in signature.parameters().iter().zip(rust).enumerate() {
        if !compatible(&parameter.ty, ty) {
            let place = format!("argument {}", signature.place(index));
            return Err(mistyped(signature, &place, parameter.ty.to_string(), given));
        }
    }
    Ok(())
}

/// Checks the result of a signature.
///
/// # Errors
/// As for [`check_types`].
pub(crate) fn check_result<R: CType>(signature: &Signature) -> Result<()> {
    let declared = signature.result();
    if compatible(declared, &R::c_type()) {
        return Ok(());
    }
    Err(mistyped(signature, "the result", declared.to_string(), type_name::<R>()))
}

fn mistyped(signature: &Signature, place: &str, declared: String, given: &str) -> Error {
    Error::Typed { function: signature.title(), place: place.to_owned(), declared, given: given.to_owned() }
}

/// Whether a declared type and a Rust type's C type are the same to a caller: names, `const` and what pointers point
/// at do not matter; sizes, signs, kinds and the layout of members do. `char` goes with either signedness.
pub(crate) fn compatible(declared: &Type, rust: &Type) -> bool {
    match (declared, rust) {
        (Type::Void, Type::Void) | (Type::Bool, Type::Bool) | (Type::Pointer(_), Type::Pointer(_)) => true,
        (Type::Float(a), Type::Float(b)) | (Type::Complex(a), Type::Complex(b)) => a == b,
        (Type::Vector(a), Type::Vector(b)) => a == b,
        (Type::Array(a), Type::Array(b)) => a.length() == b.length() && compatible(a.element(), b.element()),
        (Type::Aggregate(a), Type::Aggregate(b)) => compatible_aggregates(a, b),
        _ => match (declared.as_integer(), rust.as_integer()) {
            (Some(a), Some(b)) => {
                let plain_char = *declared == Type::CHAR;
                a.size() == b.size() && (plain_char || a.is_signed(Arch::HOST) == b.is_signed(Arch::HOST))
            }
            _ => false,
        },
    }
}

fn compatible_aggregates(a: &Aggregate, b: &Aggregate) -> bool {
    let members = a.members().iter().zip(b.members());
    a.kind() == b.kind()
        && a.layout(Arch::HOST) == b.layout(Arch::HOST)
        && a.members().len() == b.members().len()
        && members.into_iter().all(|(a, b)| a.bits == b.bits && compatible(&a.ty, &b.ty))
}

/// Defines a `#[repr(C)]` struct that typed calls can pass.
///
/// ```
/// use jitcall::{Library, c_struct};
/// c_struct! {
///     /// `div_t` of <stdlib.h>.
///     #[derive(Debug, PartialEq)]
///     pub struct Div {
///         pub quot: i32,
///         pub rem: i32,
///     }
/// }
/// let libc = Library::process();
/// let div = libc.function("struct div_t { int quot; int rem; }; struct div_t div(int, int)")?;
/// let div = div.typed::<(i32, i32), Div>()?;
/// // SAFETY: that is how <stdlib.h> declares it.
/// assert_eq!(unsafe { div.call((17, 5)) }, Div { quot: 3, rem: 2 });
/// # Ok::<(), jitcall::Error>(())
/// ```
#[macro_export]
macro_rules! c_struct {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $ty:ty),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $ty),+
        }

        // SAFETY: the struct is `repr(C)` and its C type has the same members in the same order.
        unsafe impl $crate::CType for $name {
            fn c_type() -> $crate::Type {
                let members = $crate::Type::structure()$(.member(stringify!($field), <$ty as $crate::CType>::c_type()))+;
                match members.build() {
                    Ok(ty) => ty,
                    // Only `()` could do that, which is no member of a C struct.
                    Err(error) => panic!("{}: {error}", stringify!($name)),
                }
            }
        }
    };
}
