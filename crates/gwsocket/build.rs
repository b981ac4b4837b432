//! Names the C library within itself, so that programs linked with it find it, and a library that is loaded already is found
//! by its name.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgwsocket.so");
}
