//! Windows' convention beyond values: what a callback preserves, what is refused, how declarations say it.
#![cfg(target_arch = "x86_64")]

mod support;

use std::ffi::c_void;

use jitcall::abi::Convention;
use jitcall::closure::{Arguments, Outcome};
use jitcall::{Arch, Engine, Error, Function, Signature, Tier, Value};
use libloading::Library;
use support::compile::{Compiler, Folder};

/// Fills the registers that Windows' convention preserves and System V's does not, calls, and says which have changed: a bit
/// for each.
const SOURCE: &str = r#"
unsigned preserved(void *callback)
{
    static double before[10], after[10];
    static unsigned long general[2];
    for (int i = 0; i < 10; i++) before[i] = 6.5 + i;
    __asm__ volatile(
        "movsd 0(%[before]), %%xmm6\n movsd 8(%[before]), %%xmm7\n movsd 16(%[before]), %%xmm8\n"
        "movsd 24(%[before]), %%xmm9\n movsd 32(%[before]), %%xmm10\n movsd 40(%[before]), %%xmm11\n"
        "movsd 48(%[before]), %%xmm12\n movsd 56(%[before]), %%xmm13\n movsd 64(%[before]), %%xmm14\n"
        "movsd 72(%[before]), %%xmm15\n"
        "mov $0x1234, %%rdi\n mov $0x5678, %%rsi\n mov $1, %%ecx\n mov $2, %%edx\n"
        "mov %%rsp, %%rbx\n sub $160, %%rsp\n and $-16, %%rsp\n call *%[callback]\n mov %%rbx, %%rsp\n"
        "mov %%rdi, 0(%[general])\n mov %%rsi, 8(%[general])\n"
        "movsd %%xmm6, 0(%[after])\n movsd %%xmm7, 8(%[after])\n movsd %%xmm8, 16(%[after])\n"
        "movsd %%xmm9, 24(%[after])\n movsd %%xmm10, 32(%[after])\n movsd %%xmm11, 40(%[after])\n"
        "movsd %%xmm12, 48(%[after])\n movsd %%xmm13, 56(%[after])\n movsd %%xmm14, 64(%[after])\n"
        "movsd %%xmm15, 72(%[after])\n"
        :
        : [before] "r"(before), [after] "r"(after), [general] "r"(general), [callback] "r"(callback)
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3",
          "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    unsigned changed = (general[0] != 0x1234) | (general[1] != 0x5678) << 1;
    for (int i = 0; i < 10; i++) changed |= (before[i] != after[i]) << (2 + i);
    return changed;
}
"#;

#[test]
fn callbacks_preserve_what_windows_does() {
    let (compiler, folder) = (Compiler::from_env(), Folder::new());
    let libraries = compiler.compile(&folder, &[SOURCE.to_owned()]);
    // SAFETY: the library runs nothing when it is loaded.
    let library = unsafe { Library::new(&libraries[0]) }.unwrap();
    // SAFETY: that is its type.
    let preserved: libloading::Symbol<'_, unsafe extern "C" fn(*const c_void) -> u32> =
        unsafe { library.get(b"preserved").unwrap() };
    let signature = Signature::parse("int sum(int, int) __attribute__((ms_abi))").unwrap();
    for tier in [Tier::Jit, Tier::Asm] {
        let engine = Engine::builder().tier(tier).build().unwrap();
        let interface = engine.prepare_callback(&signature).unwrap();
        let disturb = |arguments: Arguments<'_>, result: Outcome<'_>| {
            // SAFETY: all of these registers may be changed by a function of C's own convention.
            unsafe {
                std::arch::asm!(
                    "xorps xmm6, xmm6", "xorps xmm7, xmm7", "xorps xmm8, xmm8", "xorps xmm9, xmm9", "xorps xmm10, xmm10",
                    "xorps xmm11, xmm11", "xorps xmm12, xmm12", "xorps xmm13, xmm13", "xorps xmm14, xmm14",
                    "xorps xmm15, xmm15",
                    out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                );
            }
            // SAFETY: the signature has two `int`s and an `int` result.
            unsafe { result.write(arguments.read::<i32>(0) + arguments.read::<i32>(1)) };
        };
        let closure = interface.slots(disturb).unwrap();
        // SAFETY: the closure is of Windows' convention.
        assert_eq!(unsafe { preserved(closure.as_ptr()) }, 0, "{tier}");
    }
}

extern "win64" fn mixed(a: i32, b: f64, c: i8, d: f32, e: u16, f: f64) -> f64 {
    f64::from(a) + 2.0 * b + 3.0 * f64::from(c) + 5.0 * f64::from(d) + 7.0 * f64::from(e) + 11.0 * f
}

const MIXED: &str = "double mixed(int, double, signed char, float, unsigned short, double) __attribute__((ms_abi))";

#[test]
fn functions_are_called_by_values_and_not_by_types() {
    let signature = Signature::parse(MIXED).unwrap();
    assert_eq!(signature.convention(), Some(Convention::Win64));
    assert_eq!(signature.to_string(), MIXED);
    for tier in [Tier::Jit, Tier::Asm] {
        let engine = Engine::builder().tier(tier).build().unwrap();
        let function = Function::with_engine(&engine, mixed as *const _, signature.clone()).unwrap();
        let values = [1.into(), 2.0.into(), (-3).into(), 0.5.into(), 7.into(), 8.0.into()];
        // SAFETY: that is its signature.
        assert_eq!(unsafe { function.call(&values) }.unwrap(), Value::F64(1.0 + 4.0 - 9.0 + 2.5 + 49.0 + 88.0));
        let typed = function.typed::<(i32, f64, i8, f32, u16, f64), f64>();
        assert!(matches!(typed, Err(Error::Unsupported { .. })));
    }
}

#[test]
fn another_architecture_does_not_have_it() {
    let signature = Signature::parse(MIXED).unwrap();
    let error = Convention::of_signature(&signature, Arch::Aarch64).unwrap_err().to_string();
    assert!(error.contains("Windows x86_64 on aarch64"), "{error}");
    assert!(Signature::parse("int x __attribute__((ms_abi))").is_err());
    assert!(jitcall::Declarations::parse("int x __attribute__((ms_abi));").is_err());
    let pointer = jitcall::Type::parse("int (*)(int) __attribute__((ms_abi))");
    let written = pointer.map(|ty| ty.to_string());
    assert_eq!(written.unwrap(), "int (*)(int) __attribute__((ms_abi))");
}
