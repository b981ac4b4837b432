//! What is compared: each figure's way by hand, ours, and the limit.

use std::ffi::{CStr, CString, c_longlong, c_void};
use std::mem::transmute;
use std::path::Path;

use crate::measure::Way;
use crate::support::api::K;
use crate::support::{Q, Value, api, float, floats, int, list, null, string, symbol};

/// The code of a lambda.
type Run = unsafe extern "C" fn(*mut c_void, *const K, c_longlong) -> K;

/// How many elements vectors have.
const ELEMENTS: usize = 1_000_000;

/// Two ways to the same.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The most that the ratio may be.
    pub(crate) limit: f64,
    /// How many calls of the C function, or back from it, one run makes.
    pub(crate) calls: usize,
    pub(crate) by_hand: Way,
    pub(crate) ours: Way,
}

/// All figures, with the libraries of that folder.
pub(crate) fn all(q: &Q, folder: &Path) -> Vec<Figure> {
    let libraries = Libraries::load(q, folder);
    let numbers = |offset: f64| floats(&(0..ELEMENTS).map(|index| index as f64 + offset).collect::<Vec<_>>());
    let by_list = |arguments: &[Value]| [list_of(arguments)];
    let doubles = [float(1.5), float(2.5)];
    let ints = [int(1), int(2), int(3)];
    let vectors = [numbers(0.5), numbers(-7.0)];
    let called = |name, limit, calls, by_hand: &CStr, ours: Value, arguments: &[Value]| {
        let by_hand = q.function(libraries.by_hand(by_hand), arguments.len()).expect("a function");
        same_result(q, &by_hand, &ours, arguments);
        Figure { name, limit, calls, by_hand: calls_of(by_hand, arguments), ours: calls_of(ours, arguments) }
    };
    vec![
        called("fn, 2 doubles", 1.10, 1, c"hand_power", libraries.bound("ffi_fn", "power", "ff", "f"), &doubles),
        called("fn, 3 ints", 1.10, 1, c"hand_add3", libraries.bound("ffi_fn", "add3", "iii", "i"), &ints),
        called(
            "bind, 2 doubles",
            1.5,
            1,
            c"hand_power_listed",
            libraries.bound("bind", "power", "ff", "f"),
            &by_list(&doubles),
        ),
        called(
            "bind, 3 ints",
            1.5,
            1,
            c"hand_add3_listed",
            libraries.bound("bind", "add3", "iii", "i"),
            &by_list(&ints),
        ),
        called(
            "map, 1 vector",
            1.15,
            ELEMENTS,
            c"hand_half_each",
            libraries.bound("ffi_fn", "half", "f", "f"),
            &vectors[..1],
        ),
        called(
            "map, 2 vectors",
            1.15,
            ELEMENTS,
            c"hand_power_each",
            libraries.bound("ffi_fn", "power", "ff", "f"),
            &vectors,
        ),
        callback::<i64>(q, &libraries, ["callback, int", "int", "increment", "i"], vec![int(1)]),
        callback::<f64>(q, &libraries, ["callback, 2 doubles", "float", "sum", "ff"], vec![float(1.5), float(0.5)]),
    ]
}

/// The libraries that are compiled for the bench, and the library that is measured.
struct Libraries<'a> {
    q: &'a Q,
    by_hand: *mut c_void,
}

impl<'a> Libraries<'a> {
    fn load(q: &'a Q, folder: &Path) -> Libraries<'a> {
        let path = |name: &str| folder.join(name).into_os_string().into_string().expect("a path of UTF-8");
        let loaded = q.apply(&q.load("loadlib", 1), &[&string(path("callees.so"))]);
        loaded.expect("the callees can be loaded");
        let path = CString::new(path("by_hand.so")).expect("a path");
        // SAFETY: the library has no initialisers.
        let by_hand = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!by_hand.is_null(), "the library by hand can be loaded");
        Libraries { q, by_hand }
    }

    /// A function of the library by hand.
    fn by_hand(&self, name: &CStr) -> *const c_void {
        find(self.by_hand, name)
    }

    /// A lambda that runs a function of the library by hand.
    fn lambda(&self, name: &CStr, rank: usize) -> Value {
        // SAFETY: the C source has these types for the functions.
        let (run, drop) = unsafe {
            (
                transmute::<*const c_void, Run>(self.by_hand(name)),
                transmute::<*const c_void, unsafe extern "C" fn(*mut c_void)>(self.by_hand(c"keep")),
            )
        };
        // SAFETY: neither looks at the context.
        let object = unsafe { (api().host_lambda)(rank as i64, run, std::ptr::null_mut(), drop) };
        self.q.result(object).expect("a lambda")
    }

    /// A callee bound by one of the functions that are measured.
    fn bound(&self, with: &str, name: &str, parameters: &str, result: &str) -> Value {
        let letters = [string(parameters), crate::support::char(result.as_bytes()[0])];
        self.q.apply(&self.q.load(with, 3), &[&symbol(name), &letters[0], &letters[1]]).expect("a function")
    }
}

fn find(library: *mut c_void, name: &CStr) -> *const c_void {
    // SAFETY: the name ends.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert!(!address.is_null(), "no {name:?}");
    address
}

/// Arguments as functions of one list take them.
fn list_of(arguments: &[Value]) -> Value {
    let mut items = arguments.to_vec();
    items.push(null());
    crate::support::list_of(items)
}

/// Both functions give the same before they are measured.
fn same_result(q: &Q, by_hand: &Value, ours: &Value, arguments: &[Value]) {
    let arguments: Vec<&Value> = arguments.iter().collect();
    let [by_hand, ours] = [by_hand, ours].map(|function| q.apply(function, &arguments).expect("a result"));
    assert!(by_hand == ours, "the results differ");
}

/// Calls a function as q does: the code of the 112h object with objects; the result is released.
fn calls_of(function: Value, arguments: &[Value]) -> Way {
    // SAFETY: it is an object.
    let code = unsafe { (api().host_code)(function.raw()) };
    assert!(!code.is_null(), "a function of C");
    let r0 = api().r0;
    // The function and the arguments live as long as the way.
    let kept = (function, arguments.to_vec());
    let objects: Vec<K> = arguments.iter().map(Value::raw).collect();
    Box::new(move |runs| {
        let _ = &kept;
        // SAFETY: the code takes so many objects; who calls has the result.
        unsafe {
            match objects[..] {
                [a] => {
                    let code = transmute::<*const c_void, unsafe extern "C" fn(K) -> K>(code);
                    (0..runs).for_each(|_| r0(code(a)));
                }
                [a, b] => {
                    let code = transmute::<*const c_void, unsafe extern "C" fn(K, K) -> K>(code);
                    (0..runs).for_each(|_| r0(code(a, b)));
                }
                [a, b, c] => {
                    let code = transmute::<*const c_void, unsafe extern "C" fn(K, K, K) -> K>(code);
                    (0..runs).for_each(|_| r0(code(a, b, c)));
                }
                _ => unreachable!("functions take one to three objects here"),
            }
        }
    })
}

/// A callback from a loop in C, beside a loop in C that has q apply the same function to arguments that are ready. `R` is
/// what the loops return: the sum.
fn callback<R: 'static>(q: &Q, libraries: &Libraries<'_>, names: [&'static str; 4], arguments: Vec<Value>) -> Figure {
    let [name, kind, function, letters] = names;
    let text = |text: String| CString::new(text).expect("a name");
    let function = libraries.lambda(&text(function.to_owned()), arguments.len());
    let result = crate::support::char(letters.as_bytes()[0]);
    let description = list![function.clone(), string(letters), result];
    let pointer = q.apply(&q.load("ffi_callback", 1), &[&description]).expect("a callback").atom::<i64>();
    let pointer = std::ptr::with_exposed_provenance::<c_void>(pointer as usize);
    let repeat = find(libc::RTLD_DEFAULT, &text(format!("repeat_{kind}")));
    let by_hand = libraries.by_hand(&text(format!("hand_repeat_{kind}")));
    // SAFETY: the C sources have these types for the functions.
    let (repeat, by_hand) = unsafe {
        (
            transmute::<*const c_void, unsafe extern "C" fn(*const c_void, i64) -> R>(repeat),
            transmute::<*const c_void, unsafe extern "C" fn(K, K, i64) -> R>(by_hand),
        )
    };
    let arguments = crate::support::list_of(arguments);
    Figure {
        name,
        limit: 1.3,
        calls: 1,
        by_hand: Box::new(move |runs| {
            // SAFETY: a function and its arguments.
            unsafe { by_hand(function.raw(), arguments.raw(), runs as i64) };
        }),
        ours: Box::new(move |runs| {
            // SAFETY: the function pointer is of that type.
            unsafe { repeat(pointer, runs as i64) };
        }),
    }
}
