//! Names the C library within itself, so that programs linked with it find it, and a library that is loaded already is found
//! by its name; and keeps it where it is when it is closed, for its threads may be running.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgwsocket.so");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
