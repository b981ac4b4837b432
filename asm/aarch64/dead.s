// What the entry of a closure that was freed jumps to on AArch64: notes that it was called, and returns zero.
//
// This is the body of a naked function of src/trampoline/entry.rs.
//
//   x29 + 8     return address, the caller's x30
//   x29         caller's x29

    .cfi_startproc
    hint 34                         // bti c, for assemblers that do not know it
    stp x29, x30, [sp, -16]!
    .cfi_def_cfa_offset 16          // the CFA, the caller's sp at its call, is sp + 16 now
    .cfi_offset x29, -16            // and the caller's x29 is stored at CFA - 16
    .cfi_offset x30, -8
    mov x29, sp
    bl {note}
    mov x0, xzr
    mov x1, xzr
    movi v0.2d, 0
    movi v1.2d, 0
    movi v2.2d, 0
    movi v3.2d, 0
    ldp x29, x30, [sp], 16
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0           // nothing is left
    ret
    .cfi_endproc
