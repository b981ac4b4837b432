# What the scripts of this folder share.

# Says what comes next, and when.
step() {
    printf '\n== %s (%ds)\n' "$1" "$SECONDS"
}

# Runs a command that fetches something. Mirrors and registries fail now and then for a moment.
retry() {
    "$@" || { sleep 10 && "$@"; } || { sleep 30 && "$@"; }
}
