//! What libffi's own tests do not look at: the life of a `ffi_cif`, threads, fork, closures in memory of the client's own,
//! the static chain, arguments in words, errors, call plans, versions.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Barrier;
use std::thread;

use jitcall_libffi::call::{
    ffi_call, ffi_call_go, ffi_call_plan_alloc, ffi_call_plan_free, ffi_call_plan_invoke, ffi_call_plan_size,
};
use jitcall_libffi::cif::{abi, ffi_cif, ffi_get_struct_offsets, ffi_prep_cif, ffi_prep_cif_var};
use jitcall_libffi::closure::{
    FFI_TRAMPOLINE_SIZE, ffi_closure, ffi_closure_alloc, ffi_closure_free, ffi_go_closure, ffi_prep_closure,
    ffi_prep_closure_loc, ffi_prep_go_closure,
};
use jitcall_libffi::raw::{
    ffi_java_raw_call, ffi_java_raw_size, ffi_prep_java_raw_closure_loc, ffi_prep_raw_closure_loc, ffi_raw,
    ffi_raw_call, ffi_raw_closure, ffi_raw_size,
};
use jitcall_libffi::types::*;
use jitcall_libffi::version::{ffi_get_closure_size, ffi_get_default_abi, ffi_get_version, ffi_get_version_number};
use jitcall_libffi::{FFI_BAD_ABI, FFI_BAD_ARGTYPE, FFI_BAD_TYPEDEF, FFI_OK, ffi_status};

/// A type of the library's, as its functions want it.
fn ty(ty: &'static ffi_type) -> *mut ffi_type {
    ptr::from_ref(ty).cast_mut()
}

/// Types of arguments, as a list that stays.
fn list(types: &[*mut ffi_type]) -> *mut *mut ffi_type {
    types.to_vec().leak().as_mut_ptr()
}

/// Prepares a signature in the machine's convention.
fn prepared(result: *mut ffi_type, arguments: &[*mut ffi_type]) -> ffi_cif {
    let mut cif = std::mem::MaybeUninit::uninit();
    // SAFETY: the types and their list stay.
    unsafe {
        let status = ffi_prep_cif(cif.as_mut_ptr(), abi::DEFAULT, arguments.len() as u32, result, list(arguments));
        assert_eq!(status, FFI_OK);
        cif.assume_init()
    }
}

extern "C" fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}

fn add_cif() -> ffi_cif {
    prepared(ty(&ffi_type_sint32), &[ty(&ffi_type_sint32), ty(&ffi_type_sint32)])
}

/// Calls a function of two `int`s.
fn call_add(cif: *mut ffi_cif, function: *const c_void, a: i32, b: i32) -> i64 {
    let (mut a, mut b, mut sum) = (a, b, i64::MAX);
    let mut arguments = [(&raw mut a).cast(), (&raw mut b).cast()];
    // SAFETY: the function has that signature; the result is widened to a word.
    unsafe { ffi_call(cif, function, (&raw mut sum).cast(), arguments.as_mut_ptr()) };
    sum
}

#[test]
fn a_cif_may_be_copied_moved_and_freed() {
    let first = Box::new(add_cif());
    // SAFETY: clients copy them so.
    let mut copy = unsafe { ptr::read(&raw const *first) };
    drop(first);
    assert_eq!(call_add(&raw mut copy, add as *const _, 1, -3), -2, "sign-extended to a word");
    let mut moved = Box::new(copy);
    assert_eq!(call_add(&raw mut *moved, add as *const _, 40, 2), 42);
}

#[test]
fn threads_may_share_a_cif_from_its_first_call_on() {
    for round in 0..50u16 {
        // A struct of its own for each round, so that nothing is prepared yet.
        let elements =
            list(&[&[ty(&ffi_type_uint16)][..], &vec![ty(&ffi_type_uint8); round.into()], &[ptr::null_mut()]].concat());
        let structure = Box::leak(Box::new(ffi_type { size: 0, alignment: 0, kind: kind::STRUCT, elements }));
        let structure = ptr::from_mut(structure).expose_provenance();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let structure = ptr::with_exposed_provenance_mut(structure);
                    let mut cif = prepared(ty(&ffi_type_sint32), &[ty(&ffi_type_sint32), structure]);
                    extern "C" fn twice(a: i32) -> i32 {
                        2 * a
                    }
                    let (mut a, mut bytes, mut result) = (21, [0u8; 64], 0i64);
                    let mut arguments = [(&raw mut a).cast(), bytes.as_mut_ptr().cast()];
                    // SAFETY: the function does not look at its second argument.
                    unsafe {
                        ffi_call(&raw mut cif, twice as *const _, (&raw mut result).cast(), arguments.as_mut_ptr());
                    }
                    assert_eq!(result, 42);
                });
            }
        });
    }
}

#[test]
fn a_child_calls_and_makes_closures_after_a_fork() {
    let mut cif = add_cif();
    assert_eq!(call_add(&raw mut cif, add as *const _, 1, 2), 3);
    // SAFETY: the child does nothing but what is tested, and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let mut other = prepared(ty(&ffi_type_double), &[ty(&ffi_type_double), ty(&ffi_type_sint8)]);
        let (mut x, mut y, mut result) = (1.5f64, 1i8, 0f64);
        let mut arguments = [(&raw mut x).cast(), (&raw mut y).cast()];
        extern "C" fn sum(x: f64, y: i8) -> f64 {
            x + f64::from(y)
        }
        // SAFETY: that is its signature.
        unsafe { ffi_call(&raw mut other, sum as *const _, (&raw mut result).cast(), arguments.as_mut_ptr()) };
        let right = result == 2.5 && call_add(&raw mut cif, add as *const _, 2, 2) == 4 && call_closure(&mut cif) == 7;
        // SAFETY: leaves at once.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let mut status = -1;
    // SAFETY: waits for the child.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}

/// Adds the arguments and the number that the user data is.
unsafe extern "C-unwind" fn add_all(
    _: *const c_void,
    result: *mut c_void,
    arguments: *mut *mut c_void,
    user: *mut c_void,
) {
    // SAFETY: the closures of these tests have two `int`s and return one.
    unsafe {
        let sum = (*arguments).cast::<i32>().read() + (*arguments.add(1)).cast::<i32>().read();
        result.cast::<i64>().write(i64::from(sum) + user.addr() as i64);
    }
}

type Add = unsafe extern "C" fn(i32, i32) -> i32;

/// Makes a closure, calls it with 1 and 2, and frees it.
fn call_closure(cif: &mut ffi_cif) -> i32 {
    let mut code = ptr::null_mut();
    // SAFETY: the closure is called as its signature says, and freed then.
    unsafe {
        let closure = ffi_closure_alloc(size_of::<ffi_closure>(), &raw mut code);
        let user = ptr::without_provenance_mut(4);
        assert_eq!(ffi_prep_closure_loc(closure.cast(), cif, Some(add_all), user, code), FFI_OK);
        let result = std::mem::transmute::<*mut c_void, Add>(code)(1, 2);
        ffi_closure_free(closure);
        result
    }
}

#[test]
fn closures_come_and_go() {
    let mut cif = add_cif();
    for _ in 0..10_000 {
        assert_eq!(call_closure(&mut cif), 7);
    }
    // SAFETY: null is nothing.
    unsafe {
        ffi_closure_free(ptr::null_mut());
        assert!(ffi_closure_alloc(64, ptr::null_mut()).is_null());
    }
}

/// A page that may be written to and executed; `None` where the system refuses that.
fn page() -> Option<*mut c_void> {
    let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: new memory.
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    (page != libc::MAP_FAILED).then_some(page)
}

#[test]
fn closures_in_memory_of_the_clients_own_stand_alone() {
    let mut cif = add_cif();
    let (Some(first), Some(second)) = (page(), page()) else {
        return println!("left out: the system refuses memory that is writable and executable");
    };
    let first = first.cast::<ffi_closure>();
    // SAFETY: the pages are writable and executable; the bytes of one are a closure in the other as well.
    unsafe {
        let user = ptr::without_provenance_mut(10);
        assert_eq!(ffi_prep_closure(first, &raw mut cif, Some(add_all), user), FFI_OK);
        assert_eq!(std::mem::transmute::<*mut ffi_closure, Add>(first)(1, 2), 13);
        // The client may have the memory at two addresses: what is executed is relative to itself.
        second.cast::<u8>().copy_from_nonoverlapping(first.cast(), size_of::<ffi_closure>());
        ptr::write_bytes(first.cast::<u8>(), 0, FFI_TRAMPOLINE_SIZE);
        jitcall::pointers::publish_code(second.cast(), second.cast(), FFI_TRAMPOLINE_SIZE);
        assert_eq!(std::mem::transmute::<*mut c_void, Add>(second)(2, 2), 14);
    }
}

#[test]
fn the_static_chain_leads_to_gos_closures() {
    unsafe extern "C-unwind" fn own_address(
        _: *const c_void,
        result: *mut c_void,
        arguments: *mut *mut c_void,
        user: *mut c_void,
    ) {
        // SAFETY: the closure has an `int` and returns a pointer.
        unsafe { result.cast::<usize>().write(user.addr() + (*arguments).cast::<i32>().read() as usize) };
    }
    let mut cif = prepared(ty(&ffi_type_pointer), &[ty(&ffi_type_sint32)]);
    let mut closure = std::mem::MaybeUninit::<ffi_go_closure>::uninit();
    let (mut offset, mut result) = (5i32, 0usize);
    let mut arguments = [(&raw mut offset).cast()];
    // SAFETY: the closure is called with its own address in the static chain's register.
    unsafe {
        assert_eq!(ffi_prep_go_closure(closure.as_mut_ptr(), &raw mut cif, Some(own_address)), FFI_OK);
        let code = closure.as_ptr().cast::<*const c_void>().read();
        let chain = closure.as_mut_ptr().cast();
        ffi_call_go(&raw mut cif, code, (&raw mut result).cast(), arguments.as_mut_ptr(), chain);
    }
    assert_eq!(result, closure.as_ptr().addr() + 5);
}

#[test]
fn arguments_in_words() {
    extern "C" fn mixed(a: i8, b: f32, c: i64, d: u16) -> f64 {
        f64::from(a) + f64::from(b) + c as f64 + f64::from(d)
    }
    unsafe extern "C-unwind" fn sum(_: *mut ffi_cif, result: *mut c_void, raw: *mut ffi_raw, user: *mut c_void) {
        // SAFETY: the words are those of the signature, in Java's layout where the user data says so.
        unsafe {
            let words = raw.cast::<u64>();
            let d = if user.is_null() { words.add(3) } else { words.add(4) };
            let b = f32::from_bits(words.add(1).read() as u32);
            let whole = words.read().cast_signed() + words.add(2).read().cast_signed() + d.read().cast_signed();
            result.cast::<f64>().write(f64::from(b) + whole as f64);
        }
    }
    type Mixed = unsafe extern "C" fn(i8, f32, i64, u16) -> f64;
    let types = [ty(&ffi_type_sint8), ty(&ffi_type_float), ty(&ffi_type_sint64), ty(&ffi_type_uint16)];
    let mut cif = prepared(ty(&ffi_type_double), &types);
    let plain = [(-1i64).cast_unsigned(), u64::from(0.5f32.to_bits()), 100, 7];
    let java = [(-1i64).cast_unsigned(), u64::from(0.5f32.to_bits()), 100, 0, 7];
    let (cif, mut result) = (&raw mut cif, 0f64);
    // SAFETY: the words are those of the signature, which is `mixed`'s.
    unsafe {
        assert_eq!((ffi_raw_size(cif), ffi_java_raw_size(cif)), (32, 40));
        ffi_raw_call(cif, mixed as *const _, (&raw mut result).cast(), plain.as_ptr().cast_mut().cast());
        assert_eq!(result, 106.5);
        ffi_java_raw_call(cif, mixed as *const _, (&raw mut result).cast(), java.as_ptr().cast_mut().cast());
        assert_eq!(result, 106.5);
        for is_java in [false, true] {
            let mut code = ptr::null_mut();
            let closure = ffi_closure_alloc(size_of::<ffi_raw_closure>(), &raw mut code);
            let user = ptr::without_provenance_mut(is_java.into());
            let prepare = if is_java { ffi_prep_java_raw_closure_loc } else { ffi_prep_raw_closure_loc };
            assert_eq!(prepare(closure.cast(), cif, Some(sum), user, code), FFI_OK);
            assert_eq!(std::mem::transmute::<*mut c_void, Mixed>(code)(-1, 0.5, 100, 7), 106.5);
            ffi_closure_free(closure);
        }
    }
}

/// A struct of these elements.
fn structure(elements: &[*mut ffi_type]) -> *mut ffi_type {
    let elements = list(&[elements, &[ptr::null_mut()]].concat());
    ptr::from_mut(Box::leak(Box::new(ffi_type { size: 0, alignment: 0, kind: kind::STRUCT, elements })))
}

#[test]
fn structs_are_laid_out() {
    let inner = structure(&[ty(&ffi_type_uint8), ty(&ffi_type_sint16)]);
    let outer = structure(&[ty(&ffi_type_uint8), inner, ty(&ffi_type_double), ty(&ffi_type_uint8)]);
    let mut offsets = [usize::MAX; 4];
    // SAFETY: there is room for four offsets.
    unsafe {
        assert_eq!(ffi_get_struct_offsets(abi::DEFAULT, outer, offsets.as_mut_ptr()), FFI_OK);
        assert_eq!((offsets, (*outer).size, (*outer).alignment), ([0, 2, 8, 16], 24, 8));
        assert_eq!(ffi_get_struct_offsets(99, outer, offsets.as_mut_ptr()), FFI_BAD_ABI);
        assert_eq!(ffi_get_struct_offsets(abi::DEFAULT, ty(&ffi_type_double), offsets.as_mut_ptr()), FFI_BAD_TYPEDEF);
        assert_eq!(ffi_get_struct_offsets(abi::DEFAULT, structure(&[]), offsets.as_mut_ptr()), FFI_BAD_TYPEDEF);
    }
}

#[test]
fn what_is_wrong_is_told() {
    let prepare = |abi, result: *mut ffi_type, arguments: &[*mut ffi_type]| -> ffi_status {
        let mut cif = std::mem::MaybeUninit::uninit();
        // SAFETY: the types and their list stay, or are null.
        unsafe { ffi_prep_cif(cif.as_mut_ptr(), abi, arguments.len() as u32, result, list(arguments)) }
    };
    let (int, void) = (ty(&ffi_type_sint32), ty(&ffi_type_void));
    assert_eq!(prepare(0, void, &[]), FFI_BAD_ABI);
    assert_eq!(prepare(99, void, &[]), FFI_BAD_ABI);
    assert_eq!(prepare(abi::DEFAULT, ptr::null_mut(), &[]), FFI_BAD_TYPEDEF);
    assert_eq!(prepare(abi::DEFAULT, void, &[ptr::null_mut()]), FFI_BAD_TYPEDEF);
    let unknown = ffi_type { size: 4, alignment: 4, kind: 99, elements: ptr::null_mut() };
    assert_eq!(prepare(abi::DEFAULT, ptr::from_ref(&unknown).cast_mut(), &[]), FFI_BAD_TYPEDEF);
    let hollow = ffi_type { size: 0, alignment: 0, kind: kind::STRUCT, elements: ptr::null_mut() };
    assert_eq!(prepare(abi::DEFAULT, void, &[ptr::from_ref(&hollow).cast_mut()]), FFI_BAD_TYPEDEF);
    // A struct that contains itself.
    let knot = structure(&[int]);
    // SAFETY: the list has two words.
    unsafe { (*knot).elements.write(knot) };
    assert_eq!(prepare(abi::DEFAULT, void, &[knot]), FFI_BAD_TYPEDEF);

    // Sizes that differ in their high halves alone are two types, of which one is too large.
    for (size, expected) in [(8, FFI_OK), (8 + (1 << 32), FFI_BAD_TYPEDEF)] {
        let sized = structure(&[ty(&ffi_type_uint64)]);
        // SAFETY: the type is the test's own.
        unsafe { ((*sized).size, (*sized).alignment) = (size, 8) };
        assert_eq!(prepare(abi::DEFAULT, void, &[sized]), expected, "{size} bytes");
    }

    let vary = |fixed, types: &[*mut ffi_type]| -> ffi_status {
        let mut cif = std::mem::MaybeUninit::uninit();
        let count = types.len() as u32;
        // SAFETY: the types and their list stay.
        unsafe { ffi_prep_cif_var(cif.as_mut_ptr(), abi::DEFAULT, fixed, count, int, list(types)) }
    };
    assert_eq!(vary(1, &[int, ty(&ffi_type_double)]), FFI_OK);
    assert_eq!(vary(1, &[ty(&ffi_type_float), int]), FFI_OK, "it has a name");
    for promoted in [&ffi_type_float, &ffi_type_uint8, &ffi_type_sint8, &ffi_type_uint16, &ffi_type_sint16] {
        assert_eq!(vary(1, &[int, ty(promoted)]), FFI_BAD_ARGTYPE);
    }
    assert_eq!(vary(3, &[int, int]), FFI_BAD_ARGTYPE);
}

#[test]
fn results_that_nobody_wants_go_nowhere() {
    #[repr(C)]
    struct Large([u64; 100]);
    extern "C" fn large(value: u64) -> Large {
        Large([value; 100])
    }
    let result = structure(&[ty(&ffi_type_uint64); 100]);
    let mut cif = prepared(result, &[ty(&ffi_type_uint64)]);
    let mut value = 9u64;
    let mut arguments = [(&raw mut value).cast()];
    // SAFETY: that is its signature.
    unsafe { ffi_call(&raw mut cif, large as *const _, ptr::null_mut(), arguments.as_mut_ptr()) };
    let mut cif = add_cif();
    let (mut a, mut b) = (1, 2);
    let mut arguments = [(&raw mut a).cast(), (&raw mut b).cast()];
    // SAFETY: that is its signature.
    unsafe { ffi_call(&raw mut cif, add as *const _, ptr::null_mut(), arguments.as_mut_ptr()) };
}

#[test]
fn call_plans_call() {
    let mut cif = add_cif();
    let (mut a, mut b, mut sum) = (40, 2, 0i64);
    let mut arguments = [(&raw mut a).cast(), (&raw mut b).cast()];
    // SAFETY: that is its signature.
    unsafe {
        let plan = ffi_call_plan_alloc(&raw mut cif);
        ffi_call_plan_invoke(plan, add as *const _, (&raw mut sum).cast(), arguments.as_mut_ptr());
        assert_eq!(sum, 42);
        ffi_call_plan_invoke(plan, add as *const _, ptr::null_mut(), arguments.as_mut_ptr());
        let larger = ffi_call_plan_alloc(&mut prepared(ty(&ffi_type_void), &[ty(&ffi_type_double); 9]));
        assert!(ffi_call_plan_size(plan) > 0 && ffi_call_plan_size(larger) >= ffi_call_plan_size(plan));
        assert_eq!(ffi_call_plan_size(ptr::null_mut()), 0);
        ffi_call_plan_free(plan);
        ffi_call_plan_free(larger);
        ffi_call_plan_free(ptr::null_mut());
    }
}

#[test]
fn sizes_and_versions_are_libffis() {
    let x86_64 = cfg!(target_arch = "x86_64");
    assert_eq!((size_of::<ffi_type>(), size_of::<ffi_cif>()), (24, 32));
    assert_eq!(size_of::<ffi_closure>(), if x86_64 { 56 } else { 48 });
    assert_eq!(size_of::<ffi_raw_closure>(), if x86_64 { 72 } else { 64 });
    assert_eq!(size_of::<ffi_go_closure>(), 24);
    assert_eq!(ffi_get_closure_size(), size_of::<ffi_closure>());
    assert_eq!(ffi_get_default_abi(), if x86_64 { 2 } else { 1 });
    // SAFETY: the text is a constant.
    let version = unsafe { CStr::from_ptr(ffi_get_version()) }.to_str().unwrap();
    let numbers: Vec<u64> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(ffi_get_version_number(), 10_000 * numbers[0] + 100 * numbers[1] + numbers[2]);
}
