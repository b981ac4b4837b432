//! Functions: of C, and lambdas of the tests.
//!
//! A function of C is a foreign object, 112h, which the destructor here tells from those of others. A lambda is a list
//! of type 100h with such an object as its only item. Every object layer frees both in its usual way.

use std::ffi::{c_longlong, c_void};
use std::mem::transmute;

use crate::object::{self, FOREIGN, K, LAMBDA};
use crate::process::{list, signal};

/// What a function runs.
enum Code {
    /// A function of C that takes so many objects.
    C(*const c_void),
    Lambda(Lambda),
}

/// What a lambda runs, with what it is given. The arguments are borrowed, and the result is the caller's.
pub(crate) struct Lambda {
    run: unsafe extern "C" fn(*mut c_void, *const K, c_longlong) -> K,
    context: *mut c_void,
    drop: unsafe extern "C" fn(*mut c_void),
}

impl Drop for Lambda {
    fn drop(&mut self) {
        // SAFETY: who made it says that the context may be dropped once.
        unsafe { (self.drop)(self.context) };
    }
}

/// A function with the number of its arguments.
pub(crate) struct Function {
    pub(crate) rank: usize,
    code: Code,
}

impl Function {
    /// The function that an object is, if it is one.
    ///
    /// # Safety
    /// It is an object, which lives as long as what is given is used.
    pub(crate) unsafe fn of<'object>(object: K) -> Option<&'object Function> {
        // SAFETY: both kinds are laid out as lists; a foreign object with the destructor here was made here.
        unsafe {
            let code = match object::kind(object) {
                LAMBDA if object::count(object) == 1 => *object::items::<K>(object),
                _ => object,
            };
            if object::kind(code) != FOREIGN || object::count(code) != 2 {
                return None;
            }
            let items = object::items::<*const c_void>(code);
            (*items == destructor()).then(|| &*(*items.add(1)).cast::<Function>())
        }
    }

    /// Calls it, and gives what it gives.
    ///
    /// # Safety
    /// The arguments are objects, as many as the rank says.
    pub(crate) unsafe fn run(&self, arguments: &[K]) -> K {
        match &self.code {
            // SAFETY: said by the caller, and by who made the function.
            Code::C(address) => unsafe { call(*address, arguments) },
            Code::Lambda(lambda) => {
                // SAFETY: the same.
                unsafe { (lambda.run)(lambda.context, arguments.as_ptr(), arguments.len() as c_longlong) }
            }
        }
    }

    fn into_object(self) -> K {
        let pointer = Box::into_raw(Box::new(self));
        list(FOREIGN, &[destructor().cast_mut().cast(), pointer.cast()])
    }
}

/// Calls a function of C that takes objects in its convention.
///
/// # Safety
/// The function takes so many objects.
unsafe fn call(address: *const c_void, arguments: &[K]) -> K {
    // SAFETY: said by the caller. Each type has as many parameters as there are arguments.
    unsafe {
        match *arguments {
            [a] => transmute::<*const c_void, extern "C" fn(K) -> K>(address)(a),
            [a, b] => transmute::<*const c_void, extern "C" fn(K, K) -> K>(address)(a, b),
            [a, b, c] => transmute::<*const c_void, extern "C" fn(K, K, K) -> K>(address)(a, b, c),
            [a, b, c, d] => transmute::<*const c_void, extern "C" fn(K, K, K, K) -> K>(address)(a, b, c, d),
            [a, b, c, d, e] => transmute::<*const c_void, extern "C" fn(K, K, K, K, K) -> K>(address)(a, b, c, d, e),
            [a, b, c, d, e, f] => {
                transmute::<*const c_void, extern "C" fn(K, K, K, K, K, K) -> K>(address)(a, b, c, d, e, f)
            }
            [a, b, c, d, e, f, g] => {
                transmute::<*const c_void, extern "C" fn(K, K, K, K, K, K, K) -> K>(address)(a, b, c, d, e, f, g)
            }
            [a, b, c, d, e, f, g, h] => {
                transmute::<*const c_void, extern "C" fn(K, K, K, K, K, K, K, K) -> K>(address)(a, b, c, d, e, f, g, h)
            }
            _ => signal(c"rank"),
        }
    }
}

fn destructor() -> *const c_void {
    drop_function as *const c_void
}

/// The destructor of a function's foreign object.
///
/// # Safety
/// It is one, and not used again.
unsafe extern "C" fn drop_function(object: K) -> K {
    // SAFETY: the second item was made by `Box::into_raw`.
    drop(unsafe { Box::from_raw(*object::items::<*mut Function>(object).add(1)) });
    std::ptr::null_mut()
}

/// A q function of a C function that takes 1 to 8 objects.
#[unsafe(no_mangle)]
extern "C" fn dl(address: *const c_void, rank: c_longlong) -> K {
    if address.is_null() || !(1..=8).contains(&rank) {
        return signal(if address.is_null() { c"type" } else { c"rank" });
    }
    Function { rank: rank as usize, code: Code::C(address) }.into_object()
}

/// Where the code of a C function is, for who calls it without this host's way to apply functions; null for all else.
///
/// # Safety
/// It is an object.
#[unsafe(no_mangle)]
unsafe extern "C" fn host_code(function: K) -> *const c_void {
    // SAFETY: said by the caller.
    match unsafe { Function::of(function) } {
        Some(Function { code: Code::C(address), .. }) => *address,
        _ => std::ptr::null(),
    }
}

/// A lambda of up to 8 arguments. The context is dropped with it.
#[unsafe(no_mangle)]
extern "C" fn host_lambda(
    rank: c_longlong,
    run: unsafe extern "C" fn(*mut c_void, *const K, c_longlong) -> K,
    context: *mut c_void,
    drop: unsafe extern "C" fn(*mut c_void),
) -> K {
    let lambda = Lambda { run, context, drop };
    if !(0..=8).contains(&rank) {
        return signal(c"rank");
    }
    let code = Function { rank: rank as usize, code: Code::Lambda(lambda) }.into_object();
    list(LAMBDA, &[code])
}
