#!/bin/sh
# Prints how many instructions a call takes, all that is in its loop included, as callgrind counts them.
#
#   benches/instructions.sh [CASES [ENGINES]]
#
# CASES and ENGINES are lists in quotes, of names that `jitcall bench --help` knows; by default all but libffi-plan.
# The program makes N calls, then 2 N: the difference is that of N calls, without what starting takes.
set -eu

cases=${1:-noop add2 fma3 mix8 mix16 point big24 intfloat}
engines=${2:-direct typed stub values asm libffi}
calls=10000

cd "$(dirname "$0")/.."
cargo build --release --quiet --package jitcall-cli
program=${CARGO_TARGET_DIR:-target}/release/jitcall

# Stubs are in files without names, where valgrind would not look for changes of its own accord.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --smc-check=all-non-file \
        "$program" bench --instructions "$1" "$2" "$3" 2>&1 | sed -n 's/.*Collected : //p'
}

printf '%-10s' ''
printf '%15s' $engines
printf '\n'
for case in $cases; do
    printf '%-10s' "$case"
    for engine in $engines; do
        once=$(count "$case" "$engine" $calls)
        twice=$(count "$case" "$engine" $((2 * calls)))
        printf '%15s' $(((twice - once + calls / 2) / calls))
    done
    printf '\n'
done
