# The pool of closure entries of x86_64: {count} of them, which the linker makes, for where no page can be made executable
# at run time. Each knows the place of its record, and jumps where that says.
#
# AT&T syntax, which takes an index in the address. This is the body of a naked function of src/trampoline/entry.rs; the
# entries start at the next multiple of their size from its own start.
#
#   entry n:    r11 = address of record n; jump to what the record's first word says

    .p2align 4
    .cfi_startproc
    .set .Ljitcall_entry, 0
    .rept {count}
    .p2align 4
    endbr64
    leaq {records} + {size} * .Ljitcall_entry(%rip), %r11
    jmpq *(%r11)
    .set .Ljitcall_entry, .Ljitcall_entry + 1
    .endr
    .p2align 4
    .cfi_endproc
