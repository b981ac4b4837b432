//! Exports QuickJS's functions from the program, for the native modules that its scripts import.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=JS_*");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=__JS_*");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=js_*");
}
