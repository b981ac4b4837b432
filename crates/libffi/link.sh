#!/bin/sh
# Links libffi.so.8 from the static library that cargo makes: link.sh LIBRARY.a OUTPUT [COMPILER...]
#
# rustc gives the shared libraries that it links a version script of its own, in which there is no place for libffi's
# version nodes.
set -eu

[ $# -ge 2 ] || { echo "usage: link.sh LIBRARY.a OUTPUT [COMPILER...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
library=$1
output=$2
shift 2
[ $# -gt 0 ] || set -- cc
"$@" -shared -o "$output" -Wl,-soname,libffi.so.8 -Wl,--version-script="$here/libffi.map" -Wl,--gc-sections \
    -Wl,-z,relro,-z,now -Wl,--whole-archive "$library" -Wl,--no-whole-archive
