//! Numbers, booleans and addresses between C and JavaScript where the values of both are at hand: no failure to describe,
//! nothing to allocate. What does not go this way goes by [`to_c`](super::to_c) and [`to_js`](super::to_js), which mean the
//! same by it.

use std::mem::MaybeUninit;

use jitcall::types::Float;
use jitcall::{Arch, Type};

use super::to_js::LARGEST_EXACT;
use crate::host::{Host, JSValue, tag};
use crate::types::{Class, ScriptType};

/// A C type whose objects are one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    I32,
    F64,
    Pointer,
    Bool,
    I8,
    U8,
    I16,
    U16,
    U32,
    I64,
    U64,
    F32,
}

impl Scalar {
    /// The scalar that a type is, where its values are numbers.
    pub(crate) fn of(script: &ScriptType) -> Option<Scalar> {
        if script.class != Class::Plain {
            return None;
        }
        let integer = script.ty.as_integer().map(|integer| (integer.size(), integer.is_signed(Arch::HOST)));
        Some(match (&script.ty, integer) {
            (Type::Bool, _) => Scalar::Bool,
            (Type::Float(Float::F32), _) => Scalar::F32,
            (Type::Float(Float::F64), _) => Scalar::F64,
            (Type::Pointer(_), _) => Scalar::Pointer,
            (_, Some((1, true))) => Scalar::I8,
            (_, Some((1, false))) => Scalar::U8,
            (_, Some((2, true))) => Scalar::I16,
            (_, Some((2, false))) => Scalar::U16,
            (_, Some((4, true))) => Scalar::I32,
            (_, Some((4, false))) => Scalar::U32,
            (_, Some((8, true))) => Scalar::I64,
            (_, Some((8, false))) => Scalar::U64,
            _ => return None,
        })
    }

    /// Reads an object; says whether that could be done: not where its value is a BigInt.
    ///
    /// What is read is written where it is to be: values that are moved about cost more than reading them.
    ///
    /// # Safety
    /// An object of the type is there.
    #[inline(always)]
    pub(crate) unsafe fn read(self, host: &Host, object: *const u8, value: &mut MaybeUninit<JSValue>) -> bool {
        // SAFETY: said by the caller.
        let read = unsafe {
            match self {
                // The most frequent one needs no jump through a table.
                Scalar::I32 => JSValue::int(object.cast::<i32>().read_unaligned()),
                _ => match self.read_other(host, object) {
                    Some(read) => read,
                    None => return false,
                },
            }
        };
        value.write(read);
        true
    }

    /// # Safety
    /// As for [`Scalar::read`].
    #[inline(never)]
    unsafe fn read_other(self, host: &Host, object: *const u8) -> Option<JSValue> {
        const EXACT: u64 = LARGEST_EXACT as u64;
        // SAFETY: said by the caller.
        unsafe {
            Some(match self {
                Scalar::Bool => JSValue::bool(*object != 0),
                Scalar::I8 => JSValue::int(object.cast::<i8>().read().into()),
                Scalar::U8 => JSValue::int(object.read().into()),
                Scalar::I16 => JSValue::int(object.cast::<i16>().read_unaligned().into()),
                Scalar::U16 => JSValue::int(object.cast::<u16>().read_unaligned().into()),
                Scalar::I32 => JSValue::int(object.cast::<i32>().read_unaligned()),
                Scalar::U32 => host.tidy(object.cast::<u32>().read_unaligned().into()),
                Scalar::I64 => match object.cast::<i64>().read_unaligned() {
                    number if number.unsigned_abs() <= EXACT => host.tidy(number as f64),
                    _ => return None,
                },
                Scalar::U64 => match object.cast::<u64>().read_unaligned() {
                    number if number <= EXACT => host.tidy(number as f64),
                    _ => return None,
                },
                Scalar::Pointer => match object.cast::<u64>().read_unaligned() {
                    0 => JSValue::NULL,
                    address if address <= EXACT => host.tidy(address as f64),
                    _ => return None,
                },
                Scalar::F32 => host.tidy(object.cast::<f32>().read_unaligned().into()),
                Scalar::F64 => host.tidy(object.cast::<f64>().read_unaligned()),
            })
        }
    }

    /// Writes a value as an object; says whether it was one that can be written in this way.
    ///
    /// # Safety
    /// There is room for an object of the type.
    #[inline(always)]
    pub(crate) unsafe fn write(self, host: &Host, value: JSValue, object: *mut u8) -> bool {
        // SAFETY: said by the caller.
        unsafe {
            if self == Scalar::I32 && value.is(tag::INT) {
                object.cast::<i32>().write_unaligned(value.as_int());
                return true;
            }
            self.write_other(host, value, object)
        }
    }

    /// # Safety
    /// As for [`Scalar::write`].
    #[inline(never)]
    unsafe fn write_other(self, host: &Host, value: JSValue, object: *mut u8) -> bool {
        let (kind, int) = (value.kind(), value.as_int());
        // SAFETY: said by the caller.
        unsafe {
            match self {
                Scalar::F64 if kind == host.double => object.cast::<u64>().write_unaligned(value.payload),
                Scalar::F32 if kind == host.double => {
                    object.cast::<f32>().write_unaligned(f64::from_bits(value.payload) as f32);
                }
                Scalar::F64 if kind == tag::INT => object.cast::<f64>().write_unaligned(int.into()),
                Scalar::F32 if kind == tag::INT => object.cast::<f32>().write_unaligned(int as f32),
                Scalar::Bool if kind == tag::BOOL => object.write((int != 0).into()),
                Scalar::Pointer if kind == tag::NULL => object.cast::<u64>().write_unaligned(0),
                Scalar::I64 if kind == tag::INT => object.cast::<i64>().write_unaligned(int.into()),
                Scalar::U64 if kind == tag::INT && int >= 0 => object.cast::<i64>().write_unaligned(int.into()),
                Scalar::U32 if kind == tag::INT && int >= 0 => object.cast::<i32>().write_unaligned(int),
                _ => return false,
            }
        }
        true
    }
}
