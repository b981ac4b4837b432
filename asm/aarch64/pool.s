// The pool of closure entries of AArch64: {count} of them, which the linker makes, for where no page can be made
// executable at run time. Each knows the place of its record, and jumps where that says.
//
// This is the body of a naked function of src/trampoline/entry.rs; the entries start at the next multiple of their size
// from its own start.
//
//   entry n:    x16 = address of record n; jump to what the record's first word says

    .p2align 5
    .cfi_startproc
    .set .Ljitcall_entry, 0
    .rept {count}
    .p2align 5
    hint 34                         // bti c, for assemblers that do not know it
    adrp x16, {records} + {size} * .Ljitcall_entry
    add x16, x16, :lo12:{records} + {size} * .Ljitcall_entry
    ldr x17, [x16]
    br x17
    .set .Ljitcall_entry, .Ljitcall_entry + 1
    .endr
    .p2align 5
    .cfi_endproc
