//! From `ffi_type` to the engine's types.
//!
//! A struct whose size is 0 is laid out as C would lay out its elements, and its `ffi_type` is filled in, as libffi does
//! it. One that has a size keeps its size and alignment, whatever its elements say: clients describe packed structs and
//! unions so.

use jitcall::types::{AggregateBuilder, Member, layout};
use jitcall::{Arch, Type};

use crate::prepared::Key;
use crate::types::{ffi_type, kind};
use crate::{FFI_BAD_TYPEDEF, Result};

/// The deepest nesting of types; a type that contains itself is deeper than any.
const MAX_DEPTH: usize = 64;

/// Checks a type and what it is made of, lays out what has no size yet, and adds the words of it to a key: they are equal
/// for types that mean the same.
///
/// # Errors
/// [`FFI_BAD_TYPEDEF`] where it is no type that can be passed by value.
///
/// # Safety
/// It is a null pointer or a type, whose elements are null or a list of types that ends in a null pointer; types without
/// a size may be written to.
pub(crate) unsafe fn check(ty: *mut ffi_type, key: &mut Key) -> Result<()> {
    // SAFETY: said by the caller.
    unsafe { check_at(ty, key, 0) }
}

/// # Safety
/// As for [`check`].
unsafe fn check_at(ty: *mut ffi_type, key: &mut Key, depth: usize) -> Result<()> {
    // SAFETY: said by the caller: null or a type.
    let Some(kind) = (unsafe { ty.as_ref() }).map(|ty| ty.kind) else { return Err(FFI_BAD_TYPEDEF) };
    if depth > MAX_DEPTH {
        return Err(FFI_BAD_TYPEDEF);
    }
    if kind > kind::VECTOR {
        return Err(FFI_BAD_TYPEDEF);
    }
    if !kind::has_elements(kind) {
        key.push(kind.into());
        // SAFETY: said by the caller.
        return if unsafe { ffi_type::layout(ty).0 } == 0 { Err(FFI_BAD_TYPEDEF) } else { Ok(()) };
    }
    // SAFETY: said by the caller.
    unsafe {
        if ffi_type::layout(ty).0 == 0 {
            lay_out(ty, None, depth)?;
        }
        let (size, alignment) = ffi_type::layout(ty);
        key.push(u64::from(kind) | 1 << 8 | u64::from(alignment) << 16);
        key.push(size as u64);
        if kind != kind::STRUCT {
            return check_parts(ty, key);
        }
        for element in elements(ty)? {
            check_at(element, key, depth + 1)?;
        }
    }
    key.push(1 << 9);
    Ok(())
}

/// The parts of a complex or vector type: scalars of one type.
///
/// # Safety
/// As for [`check`].
unsafe fn check_parts(ty: *mut ffi_type, key: &mut Key) -> Result<()> {
    // SAFETY: said by the caller.
    unsafe {
        let first = (*first_element(ty)?).kind;
        let scalar = first != kind::VOID && !kind::has_elements(first) && first <= kind::VECTOR;
        if !scalar || elements(ty)?.any(|element| (*element).kind != first) {
            return Err(FFI_BAD_TYPEDEF);
        }
        key.push(first.into());
    }
    Ok(())
}

/// The elements of a type.
///
/// # Safety
/// As for [`check`]; the list stays as long as the iterator.
unsafe fn elements(ty: *mut ffi_type) -> Result<impl Iterator<Item = *mut ffi_type>> {
    // SAFETY: said by the caller.
    let list = unsafe { (*ty).elements };
    if list.is_null() {
        return Err(FFI_BAD_TYPEDEF);
    }
    // SAFETY: the list ends in a null pointer, at which this stops.
    let at = move |index| unsafe { *list.add(index) };
    Ok((0..).map(at).take_while(|element: &*mut ffi_type| !element.is_null()))
}

/// The first one, where there is one.
///
/// # Safety
/// As for [`check`].
unsafe fn first_element(ty: *mut ffi_type) -> Result<*mut ffi_type> {
    // SAFETY: said by the caller.
    unsafe { elements(ty) }?.next().ok_or(FFI_BAD_TYPEDEF)
}

/// Lays out a struct, or what else has elements, one behind the other; writes the distance of each to `offsets`.
///
/// # Errors
/// [`FFI_BAD_TYPEDEF`] where there are no elements, or nothing that has a size.
///
/// # Safety
/// As for [`check`]; there is room for as many offsets as there are elements.
pub(crate) unsafe fn lay_out(ty: *mut ffi_type, offsets: Option<*mut usize>, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(FFI_BAD_TYPEDEF);
    }
    let (mut end, mut alignment) = (0usize, 1u16);
    // SAFETY: said by the caller.
    for (index, element) in unsafe { elements(ty) }?.enumerate() {
        // SAFETY: elements are types.
        unsafe {
            if ffi_type::layout(element).0 == 0 && kind::has_elements((*element).kind) {
                lay_out(element, None, depth + 1)?;
            }
            let (size, align) = ffi_type::layout(element);
            if !align.is_power_of_two() {
                return Err(FFI_BAD_TYPEDEF);
            }
            let at = end.next_multiple_of(align.into());
            if let Some(offsets) = offsets {
                offsets.add(index).write(at);
            }
            end = at.checked_add(size).filter(|end| *end <= layout::MAX_SIZE).ok_or(FFI_BAD_TYPEDEF)?;
            alignment = alignment.max(align);
        }
    }
    // SAFETY: said by the caller.
    unsafe {
        if end == 0 {
            return Err(FFI_BAD_TYPEDEF);
        }
        if (*ty).kind == kind::VECTOR {
            // The size is a power of two, as GNU C has it; libffi aligns to no more than 16 bytes.
            end = end.next_power_of_two();
            alignment = end.min(16) as u16;
        }
        ffi_type::set_layout(ty, end.next_multiple_of(alignment.into()), alignment);
    }
    Ok(())
}

/// The engine's type for one that was checked.
///
/// # Errors
/// [`FFI_BAD_TYPEDEF`] where the engine has none.
///
/// # Safety
/// As for [`check`], which has found nothing wrong.
pub(crate) unsafe fn describe(ty: *mut ffi_type) -> Result<Type> {
    // SAFETY: said by the caller.
    let kind = unsafe { (*ty).kind };
    Ok(match kind {
        kind::VOID => Type::Void,
        kind::INT | kind::SINT32 => Type::I32,
        kind::FLOAT => Type::F32,
        kind::DOUBLE => Type::F64,
        kind::LONGDOUBLE => Type::LONG_DOUBLE,
        kind::UINT8 => Type::U8,
        kind::SINT8 => Type::I8,
        kind::UINT16 => Type::U16,
        kind::SINT16 => Type::I16,
        kind::UINT32 => Type::U32,
        kind::UINT64 => Type::U64,
        kind::SINT64 => Type::I64,
        kind::POINTER => Type::pointer(),
        kind::UINT128 => Type::U128,
        kind::SINT128 => Type::I128,
        // SAFETY: said by the caller.
        kind::STRUCT => unsafe { describe_struct(ty)? },
        // SAFETY: said by the caller.
        kind::COMPLEX => match unsafe { describe(first_element(ty)?)? } {
            Type::Float(float) => Type::Complex(float),
            // gcc's complex integers are passed as a struct of the two parts.
            part => struct_of(vec![part.clone(), part], |builder| builder)?,
        },
        kind::VECTOR => {
            // SAFETY: said by the caller.
            let (element, size) = unsafe { (describe(first_element(ty)?)?, ffi_type::layout(ty).0) };
            Type::vector(element, size).map_err(|_| FFI_BAD_TYPEDEF)?
        }
        _ => return Err(FFI_BAD_TYPEDEF),
    })
}

/// The same for an argument: `void`, of which some clients make a list of no arguments, takes no place, like an empty
/// struct.
///
/// # Errors
/// As for [`describe`].
///
/// # Safety
/// As for [`describe`].
pub(crate) unsafe fn describe_argument(ty: *mut ffi_type) -> Result<Type> {
    // SAFETY: said by the caller.
    match unsafe { describe(ty)? } {
        Type::Void => struct_of(Vec::new(), |builder| builder),
        ty => Ok(ty),
    }
}

/// # Safety
/// As for [`describe`].
unsafe fn describe_struct(ty: *mut ffi_type) -> Result<Type> {
    // SAFETY: said by the caller.
    let (size, alignment) = unsafe { ffi_type::layout(ty) };
    let (size, align) = (size, usize::from(alignment));
    // SAFETY: said by the caller.
    let members = unsafe { elements(ty)?.map(|element| describe(element)).collect::<Result<Vec<Type>>>()? };
    let natural = struct_of(members.clone(), |builder| builder)?;
    let found = layout::of(&natural, Arch::HOST).map_err(|_| FFI_BAD_TYPEDEF)?;
    if (found.size, found.align) == (size, align) {
        return Ok(natural);
    }
    if found.size <= size && found.align <= align {
        return struct_of(members, |builder| builder.aligned(align).sized(size));
    }
    // It is smaller than C would make it, or less aligned: it is packed.
    struct_of(members, |builder| builder.packed().aligned(align).sized(size))
}

/// A struct of members without names that matter.
fn struct_of(members: Vec<Type>, with: impl FnOnce(AggregateBuilder) -> AggregateBuilder) -> Result<Type> {
    let named = members.into_iter().enumerate().map(|(index, ty)| Member::new(&format!("m{index}"), ty));
    with(named.fold(Type::structure(), AggregateBuilder::push)).build().map_err(|_| FFI_BAD_TYPEDEF)
}
