#!/bin/sh
# Builds libffi.so.8 and puts it, its headers and its pkg-config file under a folder: install.sh PREFIX
set -eu

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

case ${1:-} in
-h | --help)
    echo "usage: install.sh PREFIX"
    exit 0
    ;;
-*) fail "there is no option $1; usage: install.sh PREFIX" ;;
'') fail "where to? usage: install.sh PREFIX" ;;
esac
[ $# -eq 1 ] || fail "one PREFIX; usage: install.sh PREFIX"
mkdir -p "$1/lib/pkgconfig" "$1/include" || fail "$1 cannot be written"
prefix=$(cd "$1" && pwd)

case $(uname -s)-$(uname -m) in
Linux-x86_64 | Linux-aarch64) ;;
*) fail "it runs on Linux, x86_64 and AArch64, not on $(uname -s) $(uname -m)" ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
command -v cargo >/dev/null || fail "building the library wants cargo: install Rust"
target=${CARGO_TARGET_DIR:-$here/../../target}
# The static library alone: where a Rust library is made beside it, nothing is optimised over crates.
cargo rustc --release --locked -p jitcall-libffi --lib --crate-type staticlib \
    --manifest-path "$here/../../Cargo.toml" --target-dir "$target" || fail "the library could not be built"

# A library that a program has loaded is replaced, not written to.
sh "$here/link.sh" "$target/release/libjitcall_libffi.a" "$prefix/lib/libffi.so.8.new" ||
    fail "the library could not be linked"
strip --strip-unneeded "$prefix/lib/libffi.so.8.new" 2>/dev/null || true
mv "$prefix/lib/libffi.so.8.new" "$prefix/lib/libffi.so.8"
ln -sf libffi.so.8 "$prefix/lib/libffi.so"
cp "$here/include/ffi.h" "$here/include/ffitarget.h" "$prefix/include/"
sed "s|@PREFIX@|$prefix|" "$here/libffi.pc.in" >"$prefix/lib/pkgconfig/libffi.pc"
echo "installed $prefix/lib/libffi.so.8, and in $prefix/include ffi.h and ffitarget.h"
