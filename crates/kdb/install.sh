#!/bin/sh
# Installs ffikdb.so and ffi.q where q looks for them: install.sh [--library FILE] QHOME
set -eu

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

library=
home=
while [ $# -gt 0 ]; do
    case $1 in
    --library)
        [ $# -gt 1 ] || fail "--library wants a file"
        library=$2
        shift
        ;;
    -h | --help)
        echo "usage: install.sh [--library FILE] QHOME"
        exit 0
        ;;
    -*) fail "there is no option $1; usage: install.sh [--library FILE] QHOME" ;;
    *)
        [ -z "$home" ] || fail "one QHOME, not both $home and $1"
        home=$1
        ;;
    esac
    shift
done
[ -n "$home" ] || fail "which QHOME? usage: install.sh [--library FILE] QHOME"
[ -d "$home" ] || fail "$home is no folder"
[ -z "$library" ] || [ -f "$library" ] || fail "there is no file $library"

# q's own names for the folders of its libraries.
case $(uname -s)-$(uname -m) in
Linux-x86_64) folder=$home/l64 ;;
Linux-aarch64) folder=$home/l64arm ;;
*) fail "it runs on Linux, x86_64 and AArch64, not on $(uname -s) $(uname -m)" ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$library" ]; then
    command -v cargo >/dev/null || fail "building the library wants cargo: install Rust, or give the library by --library FILE"
    target=${CARGO_TARGET_DIR:-$here/../../target}
    # The shared library alone: where a Rust library is made beside it, nothing is optimised over crates.
    cargo rustc --release --locked -p jitcall-kdb --lib --crate-type cdylib \
        --manifest-path "$here/../../Cargo.toml" --target-dir "$target" ||
        fail "the library could not be built"
    library=$target/release/libffikdb.so
fi

# A file that q has loaded is replaced, not written to.
put() {
    cp "$1" "$2.new" && mv "$2.new" "$2" || fail "$2 could not be written"
    echo "installed $2"
}

script=$home/ffi.q
if [ -e "$script" ] && ! grep -q "docs/kdb.md is the reference of every name" "$script"; then
    [ ! -e "$script.bak" ] || fail "$script is another project's, and so is $script.bak: move one of them away"
    mv "$script" "$script.bak"
    echo "kept the ffi.q that was there as $script.bak"
fi
mkdir -p "$folder"
put "$library" "$folder/ffikdb.so"
put "$here/q/ffi.q" "$script"
