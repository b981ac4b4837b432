//! Calls and closures through libffi's interface, with types described as its clients describe them, are what the C
//! compiler makes of them: the cases of the engine's own comparison that libffi has types for.

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::ffi::c_void;
use std::ptr;

use jitcall::Signature;
use jitcall::abi::Convention;
use jitcall::types::{AggregateKind, Arch, Float, Type, layout};
use jitcall_libffi::FFI_OK;
use jitcall_libffi::call::ffi_call;
use jitcall_libffi::cif::{abi, ffi_abi, ffi_cif, ffi_prep_cif, ffi_prep_cif_var};
use jitcall_libffi::closure::{ffi_closure, ffi_closure_alloc, ffi_closure_free, ffi_prep_closure_loc};
use jitcall_libffi::types::{ffi_type, kind};
use support::check::{Compiled, Native, Road, Target, with_room_for_a_word};
use support::compile::{Compiler, Folder};
use support::generate::Source;
use support::{Case, Run, table};

/// Whether libffi has a description of a type: no bit-fields, no unions, nothing packed, no empty struct, no `_Float16`.
fn is_expressible(ty: &Type) -> bool {
    match ty {
        Type::Float(float) => *float != Float::F16,
        Type::Vector(vector) => is_expressible(&vector.element()),
        Type::Array(array) => array.length().is_some_and(|length| length > 0) && is_expressible(array.element()),
        Type::Aggregate(aggregate) => {
            let plain = aggregate.kind() == AggregateKind::Struct && !aggregate.is_packed();
            let members = aggregate.members();
            let member = |member: &jitcall::types::Member| {
                member.bits.is_none() && member.align.is_none() && !member.packed && is_expressible(&member.ty)
            };
            plain && aggregate.requested_align().is_none() && !members.is_empty() && members.iter().all(member)
        }
        _ => true,
    }
}

fn is_expressible_signature(signature: &Signature) -> bool {
    signature.parameters().iter().all(|parameter| is_expressible(&parameter.ty)) && is_expressible(signature.result())
}

/// Descriptions of types, which stay where they are.
#[derive(Default)]
struct Types {
    #[expect(clippy::vec_box, reason = "their addresses are handed out")]
    types: Vec<Box<ffi_type>>,
    lists: Vec<Box<[*mut ffi_type]>>,
    /// Whether structs have their size, as clients give it that know it.
    sized: bool,
}

impl Types {
    fn of(&mut self, ty: &Type) -> *mut ffi_type {
        let kind = match ty {
            Type::Void => return self.add(kind::VOID, 1, 1, ptr::null_mut()),
            Type::Bool => kind::UINT8,
            Type::Float(Float::F32) => kind::FLOAT,
            Type::Float(Float::F64) => kind::DOUBLE,
            Type::Float(_) => kind::LONGDOUBLE,
            Type::Pointer(_) => kind::POINTER,
            Type::Complex(_) => kind::COMPLEX,
            Type::Vector(_) => kind::VECTOR,
            Type::Aggregate(_) => kind::STRUCT,
            _ => {
                let integer = ty.as_integer().expect("an integer");
                match (integer.size(), integer.is_signed(Arch::HOST)) {
                    (1, false) => kind::UINT8,
                    (1, true) => kind::SINT8,
                    (2, false) => kind::UINT16,
                    (2, true) => kind::SINT16,
                    (4, false) => kind::UINT32,
                    (4, true) => kind::SINT32,
                    (8, false) => kind::UINT64,
                    (8, true) => kind::SINT64,
                    (_, false) => kind::UINT128,
                    (_, true) => kind::SINT128,
                }
            }
        };
        let elements = match ty {
            Type::Complex(float) => vec![Type::Float(*float)],
            Type::Vector(vector) => vec![vector.element(); vector.lanes()],
            Type::Aggregate(aggregate) => aggregate.members().iter().flat_map(|member| flat(&member.ty)).collect(),
            _ => Vec::new(),
        };
        let elements = if elements.is_empty() { ptr::null_mut() } else { self.list(&elements) };
        let found = layout::of(ty, Arch::HOST).expect("a size");
        let known = self.sized || !matches!(ty, Type::Aggregate(_));
        let (size, align) = if known { (found.size, found.align as u16) } else { (0, 0) };
        self.add(kind, size, align, elements)
    }

    fn add(&mut self, kind: u16, size: usize, alignment: u16, elements: *mut *mut ffi_type) -> *mut ffi_type {
        self.types.push(Box::new(ffi_type { size, alignment, kind, elements }));
        &raw mut **self.types.last_mut().expect("just added")
    }

    /// The types, and a null pointer behind them.
    fn list(&mut self, types: &[Type]) -> *mut *mut ffi_type {
        let mut list: Vec<*mut ffi_type> = types.iter().map(|ty| self.of(ty)).collect();
        list.push(ptr::null_mut());
        self.lists.push(list.into());
        self.lists.last_mut().expect("just added").as_mut_ptr()
    }
}

/// A member as libffi has it: an array is its elements.
fn flat(ty: &Type) -> Vec<Type> {
    match ty {
        Type::Array(array) => {
            let length = array.length().unwrap_or(0);
            std::iter::repeat_n(array.element(), length).flat_map(flat).collect()
        }
        other => vec![other.clone()],
    }
}

/// A prepared signature, with its types.
struct Prepared {
    cif: Box<ffi_cif>,
    _types: Types,
}

fn abi_of(signature: &Signature) -> ffi_abi {
    match signature.convention() {
        #[cfg(target_arch = "x86_64")]
        Some(Convention::Win64) => abi::GNUW64,
        Some(other) => panic!("{other} on this machine"),
        None => abi::DEFAULT,
    }
}

impl Prepared {
    fn new(signature: &Signature) -> Result<Prepared, String> {
        // Half of the cases describe structs with their sizes.
        let mut types = Types { sized: signature.parameters().len() % 2 == 1, ..Types::default() };
        let result = types.of(signature.result());
        let parameters: Vec<Type> = signature.parameters().iter().map(|parameter| parameter.ty.clone()).collect();
        let arguments = types.list(&parameters);
        let (abi, count, fixed) = (abi_of(signature), parameters.len() as u32, signature.fixed() as u32);
        let mut cif = Box::<ffi_cif>::new_uninit();
        // SAFETY: the types stay as long as the `ffi_cif`, and may be written to.
        let status = unsafe {
            match signature.is_variadic() {
                true => ffi_prep_cif_var(cif.as_mut_ptr(), abi, fixed, count, result, arguments),
                false => ffi_prep_cif(cif.as_mut_ptr(), abi, count, result, arguments),
            }
        };
        if status != FFI_OK {
            return Err(format!("{status:?}"));
        }
        // SAFETY: prepared.
        Ok(Prepared { cif: unsafe { cif.assume_init() }, _types: types })
    }
}

/// Calls by `ffi_call`.
struct Calls;

impl Road for Calls {
    fn name(&self) -> String {
        "ffi_call".into()
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let mut prepared = Prepared::new(signature)?;
        let pointers: Vec<*mut c_void> = arguments.iter().map(|bytes| bytes.as_ptr().cast_mut().cast()).collect();
        let size = size_of_result(signature);
        // SAFETY: the caller vouches for target and result.
        unsafe {
            with_room_for_a_word(size, result, |place| {
                ffi_call(&raw mut *prepared.cif, target.function, place, pointers.as_ptr().cast_mut());
            });
        }
        Ok(())
    }
}

fn size_of_result(signature: &Signature) -> usize {
    if signature.result().is_void() { 0 } else { layout::of(signature.result(), Arch::HOST).expect("a size").size }
}

/// Has C call a closure, which calls the function.
struct Closures;

/// Passes the arguments on to the function that the closure's own word names.
unsafe extern "C-unwind" fn pass_on(
    cif: *const c_void,
    result: *mut c_void,
    arguments: *mut *mut c_void,
    function: *mut c_void,
) {
    // SAFETY: the closure is one of this signature, and so is the function.
    unsafe { ffi_call(cif.cast_mut().cast(), function, result, arguments) };
}

impl Road for Closures {
    fn name(&self) -> String {
        "closures".into()
    }

    unsafe fn call(
        &self,
        signature: &Signature,
        target: Target,
        arguments: &[Vec<u8>],
        result: *mut u8,
    ) -> Result<(), String> {
        let mut prepared = Prepared::new(signature)?;
        let mut code = ptr::null_mut();
        // SAFETY: the closure lives until the call has returned.
        unsafe {
            let closure = ffi_closure_alloc(size_of::<ffi_closure>(), &raw mut code);
            let function = target.function.cast_mut();
            let status = ffi_prep_closure_loc(closure.cast(), &raw mut *prepared.cif, Some(pass_on), function, code);
            assert_eq!(status, FFI_OK);
            let called = Native.call(signature, Target { function: code, ..target }, arguments, result);
            ffi_closure_free(closure);
            called
        }
    }
}

fn check(cases: Vec<Case>) {
    let (compiler, folder) = (Compiler::from_env(), Folder::new());
    let all = cases.len();
    let cases: Vec<Case> = cases.into_iter().filter(|case| is_expressible_signature(&case.signature)).collect();
    println!("{} of {all} cases have types that libffi describes", cases.len());
    assert!(cases.len() > all / 8);
    let (variadic, others): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.signature.is_variadic());
    let variadic = Compiled::new(variadic, false, &compiler, &folder);
    let others = Compiled::new(others, true, &compiler, &folder);
    let roads: [(&dyn Road, &Compiled); 3] = [(&Calls, &variadic), (&Calls, &others), (&Closures, &others)];
    for (road, compiled) in roads {
        let found: Vec<String> = compiled.failures(road).into_iter().flatten().collect();
        assert!(found.is_empty(), "{}: {} cases fail:\n{}", road.name(), found.len(), found.join("\n\n"));
    }
}

#[test]
fn the_table_is_called_as_the_compiler_does() {
    check(table::cases(Compiler::from_env().dialect));
}

#[test]
fn random_signatures_are_called_as_the_compiler_does() {
    let run = Run::from_env(300);
    let dialect = Compiler::from_env().dialect;
    check(run.seeds().map(|seed| Source::case(seed, dialect)).collect());
}
