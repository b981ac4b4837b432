#!/usr/bin/env bash
# For machines where `rustup target add aarch64-unknown-linux-gnu` does not work: unpacks Debian's rustc, with the
# standard library of both architectures, into PREFIX. Nothing is installed system-wide.
#
#   aarch64-toolchain.sh PREFIX     then:
#   RUSTC=PREFIX/bin/rustc RUSTDOC=PREFIX/bin/rustdoc cargo test --target aarch64-unknown-linux-gnu
#
# Linking and running needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
set -euo pipefail
prefix=$(mkdir -p "${1:?usage: aarch64-toolchain.sh PREFIX}" && cd "$1" && pwd)
[ -x "$prefix/bin/rustc" ] && "$prefix/bin/rustc" --version && exit 0

mkdir -p "$prefix"/{lists/partial,cache/archives/partial,debs,root,bin}
cat >"$prefix/apt.conf" <<CONF
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Dir::State::lists "$prefix/lists";
Dir::Cache "$prefix/cache";
CONF
export APT_CONFIG="$prefix/apt.conf"
apt-get -qq update

version=$(apt-cache madison rustc-web | awk -F'|' 'NR == 1 { gsub(/ /, "", $2); print $2 }')
minor=$(cut -d. -f1,2 <<<"$version")
llvm=$(apt-cache show "libstd-rust-web-$minor=$version" | grep -o 'libllvm[0-9]*' | head -1)
(cd "$prefix/debs" && apt-get -qq download \
    "rustc-web=$version" "libstd-rust-web-$minor=$version" \
    "libstd-rust-web-dev=$version" "libstd-rust-web-dev:arm64=$version" "$llvm")
for deb in "$prefix"/debs/*.deb; do dpkg -x "$deb" "$prefix/root"; done
rm -r "$prefix"/{debs,cache,lists}

for tool in rustc rustdoc; do
    cat >"$prefix/bin/$tool" <<WRAPPER
#!/bin/sh
export LD_LIBRARY_PATH="$prefix/root/usr/lib/x86_64-linux-gnu"
exec "$prefix/root/usr/bin/$tool" "\$@"
WRAPPER
    chmod +x "$prefix/bin/$tool"
done
"$prefix/bin/rustc" --version
