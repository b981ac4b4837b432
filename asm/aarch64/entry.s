// The closure entry of AArch64, AAPCS64: runs a closure's handler by its plan, with no code made at run time.
//
// C has called an entry, which has touched no register but x16 and x17. This is the rest of several naked functions of
// src/trampoline/entry.rs, which differ in where they find the closure's state: they have left its address in x16.
//
// What stands in braces is filled in. ../README.md explains both files.
//
// The frame:
//
//            x29 + 16    arguments in memory, the caller's
//            x29 + 8     return address, the caller's x30
//   x29 ->   x29         caller's x29
//   sp  ->   sp          image of the registers: struct Registers, {image} bytes

    stp x29, x30, [sp, -16]!
    .cfi_def_cfa_offset 16          // the CFA, the caller's sp at its call, is sp + 16 now
    .cfi_offset x29, -16            // and the caller's x29 is stored at CFA - 16
    .cfi_offset x30, -8
    mov x29, sp
    .cfi_def_cfa_register x29       // from here on the CFA is x29 + 16
    sub sp, sp, {image}

// The register state is now: all argument registers as C left them, x16 state.
// Write them to the image, x8 among them, the address of a result in memory.

    stp x0, x1, [sp]
    stp x2, x3, [sp, 16]
    stp x4, x5, [sp, 32]
    stp x6, x7, [sp, 48]
    str x8, [sp, 64]
    stp q0, q1, [sp, {vectors}]
    stp q2, q3, [sp, {vectors} + 32]
    stp q4, q5, [sp, {vectors} + 64]
    stp q6, q7, [sp, {vectors} + 96]

// The register state is now: x16 state, sp image.
// Have the handler run, and its result written to the image: enter(state, image, arguments in memory).

    mov x0, x16
    mov x1, sp
    add x2, x29, 16
    bl {enter}

// The register state is now: sp image.
// Load the registers that may hold the result.

    ldp x0, x1, [sp]
    ldp q0, q1, [sp, {vectors}]
    ldp q2, q3, [sp, {vectors} + 32]
    mov sp, x29
    .cfi_def_cfa_register sp
    ldp x29, x30, [sp], 16
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0           // nothing is left
    ret
    .cfi_endproc
