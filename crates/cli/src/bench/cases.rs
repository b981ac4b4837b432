//! The cases: C functions of a few instructions, each with the arguments that it is called with.

use std::ffi::c_void;
use std::{mem, ptr};

use jitcall::ctype::CArguments;
use jitcall::{CType, Object, Signature, Slot, Type, Value, c_struct};

use super::callees;

c_struct! {
    /// Comes and goes in two vector registers.
    #[derive(Debug, PartialEq)]
    pub(crate) struct Point {
        x: f64,
        y: f64,
    }
}

c_struct! {
    /// Comes and goes in memory, on either architecture.
    #[derive(Debug, PartialEq)]
    pub(crate) struct Big24 {
        a: i64,
        b: f64,
        c: i64,
    }
}

c_struct! {
    /// Comes and goes in one general register.
    #[derive(Debug, PartialEq)]
    pub(crate) struct IntFloat {
        i: i32,
        f: f32,
    }
}

/// A C function, and arguments for it.
pub(crate) trait Case: 'static {
    /// What it is called on the command line.
    const NAME: &'static str;
    /// The function's prototype, after definitions of the types it uses.
    const DECLARATION: &'static str;
    /// What it is called with.
    const ARGUMENTS: Self::Arguments;
    /// Slots with nothing in them.
    const SLOTS: Self::Slots;
    /// Addresses of nothing.
    const POINTERS: Self::Pointers;

    type Arguments: CArguments;
    type Result: Outcome;
    /// A pointer to the function, as Rust knows it.
    type Function: Copy;
    type Slots: Copy;
    /// The address of each argument.
    type Pointers: AsMut<[*mut c_void]>;
    type Values: AsRef<[Value<'static>]>;

    /// The function.
    fn function() -> Self::Function;

    /// Its address.
    fn address() -> *const c_void {
        callees::address(Self::NAME)
    }

    /// Calls it as Rust calls any function.
    fn direct(function: Self::Function, arguments: &Self::Arguments) -> Self::Result;

    /// Writes the arguments to slots.
    ///
    /// # Safety
    /// `slots` points at as many slots as [`Case::SLOTS`] are, which may be written.
    unsafe fn store(arguments: &Self::Arguments, slots: *mut Slot);

    /// The arguments as values of a signature's types.
    fn values(signature: &Signature) -> Self::Values;

    /// Replaces values by the arguments.
    fn refresh(arguments: &Self::Arguments, values: &mut Self::Values);
}

/// Types of arguments.
trait Argument: CType {
    /// A value of a declared type.
    fn value(self, declared: &Type) -> Value<'static>;

    /// Puts `self` in place of a value that [`Argument::value`] gave.
    fn refresh(self, value: &mut Value<'static>);
}

macro_rules! scalars {
    ($($ty:ty)*) => { $(
        impl Argument for $ty {
            fn value(self, _declared: &Type) -> Value<'static> {
                self.into()
            }

            #[inline(always)]
            fn refresh(self, value: &mut Value<'static>) {
                *value = self.into();
            }
        }
    )* };
}

scalars!(i32 i64 f32 f64 *const c_void);

macro_rules! structs {
    ($($ty:ty: $size:literal;)*) => { $(
        impl Argument for $ty {
            fn value(self, declared: &Type) -> Value<'static> {
                let mut value = Value::Object(Object::zeroed(declared).expect("a struct has a size"));
                self.refresh(&mut value);
                value
            }

            #[inline(always)]
            fn refresh(self, value: &mut Value<'static>) {
                if let Value::Object(object) = value {
                    // SAFETY: the struct has no padding, so all its bytes have values.
                    let bytes: [u8; $size] = unsafe { mem::transmute(self) };
                    object.bytes_mut().copy_from_slice(&bytes);
                }
            }
        }

        impl Outcome for $ty {
            fn of(value: &Value<'_>) -> Option<$ty> {
                let bytes: [u8; $size] = value.as_object()?.bytes().try_into().ok()?;
                // SAFETY: all bit patterns of its members are values.
                Some(unsafe { mem::transmute::<[u8; $size], $ty>(bytes) })
            }
        }
    )* };
}

structs! {
    Point: 16;
    Big24: 24;
    IntFloat: 8;
}

/// Types of results.
pub(crate) trait Outcome: CType + PartialEq {
    /// The result that a value stands for.
    fn of(value: &Value<'_>) -> Option<Self>;
}

impl Outcome for () {
    fn of(value: &Value<'_>) -> Option<()> {
        (*value == Value::Void).then_some(())
    }
}

impl Outcome for i32 {
    fn of(value: &Value<'_>) -> Option<i32> {
        value.as_integer()?.try_into().ok()
    }
}

impl Outcome for f64 {
    fn of(value: &Value<'_>) -> Option<f64> {
        value.as_f64()
    }
}

macro_rules! count {
    ($($argument:ident)*) => { <[&str]>::len(&[$(stringify!($argument)),*]) };
}

macro_rules! case {
    (
        $(#[$attribute:meta])*
        $case:ident, $name:literal, $declaration:literal:
        ($($argument:ident: $ty:ty = $value:expr),*) -> $result:ty
    ) => {
        $(#[$attribute])*
        pub(crate) enum $case {}

        impl Case for $case {
            const NAME: &'static str = $name;
            const DECLARATION: &'static str = $declaration;
            const ARGUMENTS: Self::Arguments = ($($value,)*);
            const SLOTS: Self::Slots = [Slot::EMPTY; 0 $(+ size_of::<$ty>().div_ceil(8))*];
            const POINTERS: Self::Pointers = [ptr::null_mut(); count!($($argument)*)];

            type Arguments = ($($ty,)*);
            type Result = $result;
            type Function = extern "C" fn($($ty),*) -> $result;
            type Slots = [Slot; 0 $(+ size_of::<$ty>().div_ceil(8))*];
            type Pointers = [*mut c_void; count!($($argument)*)];
            type Values = [Value<'static>; count!($($argument)*)];

            fn function() -> Self::Function {
                // SAFETY: the function of that name has this type.
                unsafe { mem::transmute(Self::address()) }
            }

            #[inline(always)]
            fn direct(function: Self::Function, &($($argument,)*): &Self::Arguments) -> $result {
                function($($argument),*)
            }

            #[inline(always)]
            #[allow(unused_assignments, unused_mut, unused_variables, reason = "there may be no arguments")]
            unsafe fn store(($($argument,)*): &Self::Arguments, slots: *mut Slot) {
                let mut at = 0;
                $(
                    // SAFETY: the slots of this argument lie behind those of the arguments before it, and it stands
                    // in the low bytes, which come first on both architectures.
                    unsafe { slots.add(at).cast::<$ty>().copy_from_nonoverlapping($argument, 1) };
                    at += size_of::<$ty>().div_ceil(8);
                )*
            }

            #[allow(unused_mut, unused_variables, reason = "there may be no arguments")]
            fn values(signature: &Signature) -> Self::Values {
                let ($($argument,)*) = Self::ARGUMENTS;
                let mut types = signature.parameters().iter().map(|parameter| &parameter.ty);
                [$($argument.value(types.next().expect("a case has as many arguments as parameters"))),*]
            }

            #[inline(always)]
            #[allow(unused_assignments, unused_mut, unused_variables, reason = "there may be no arguments")]
            fn refresh(&($($argument,)*): &Self::Arguments, values: &mut Self::Values) {
                let mut at = 0;
                $(
                    $argument.refresh(&mut values[at]);
                    at += 1;
                )*
            }
        }
    };
}

case! {
    /// Nothing but the call.
    Noop, "noop", "void noop(void)":
    () -> ()
}

case! {
    /// Two general registers.
    Add2, "add2", "int add2(int, int)":
    (a: i32 = 40, b: i32 = 2) -> i32
}

case! {
    /// Three vector registers.
    Fma3, "fma3", "double fma3(double, double, double)":
    (a: f64 = 1.5, b: f64 = 2.5, c: f64 = 3.5) -> f64
}

case! {
    /// Registers of both kinds, and scalars of all the usual sizes.
    Mix8, "mix8", "double mix8(int, double, int64_t, float, const void *, double, int, long)":
    (
        a: i32 = -1, b: f64 = 0.5, c: i64 = 1 << 40, d: f32 = 0.25,
        e: *const c_void = ptr::null(), f: f64 = -8.0, g: i32 = 7, h: i64 = -9
    ) -> f64
}

case! {
    /// Eight integers and eight doubles, and one more of each: of both, the last go to the stack.
    Mix16, "mix16", "double mix16(long, double, long, double, long, double, long, double, long, double, \
        long, double, long, double, long, double, long, double)":
    (
        a: i64 = 1, b: f64 = 0.5, c: i64 = 2, d: f64 = 1.5, e: i64 = 3, f: f64 = 2.5, g: i64 = 4, h: f64 = 3.5,
        i: i64 = 5, j: f64 = 4.5, k: i64 = 6, l: f64 = 5.5, m: i64 = 7, n: f64 = 6.5, o: i64 = 8, p: f64 = 7.5,
        q: i64 = 9, r: f64 = 8.5
    ) -> f64
}

case! {
    /// A struct in two vector registers, in and out.
    StructPoint, "point", "struct point { double x, y; }; struct point point(struct point)":
    (point: Point = Point { x: 1.0, y: 2.0 }) -> Point
}

case! {
    /// A struct in memory, in and out.
    StructBig24, "big24", "struct big24 { long a; double b; long c; }; struct big24 big24(struct big24)":
    (big: Big24 = Big24 { a: 1, b: 2.0, c: 3 }) -> Big24
}

case! {
    /// A struct of two kinds in one general register, in and out.
    StructIntFloat, "intfloat", "struct intfloat { int i; float f; }; struct intfloat intfloat(struct intfloat)":
    (pair: IntFloat = IntFloat { i: 1, f: 2.0 }) -> IntFloat
}
