// The guarded call of AArch64: calls a call stub so that a fault below it can be left for here.
//
//   fn(slots: x0, record: x1, result: x2)
//
// This is the body of a naked function of src/guard/aarch64.rs, which names it and fills in what stands in braces:
// offsets of fields of Record. ../README.md explains the files of this folder.
//
// The frame, whose size is fixed, so that all of it can be found from sp alone:
//
//            sp + 168    not used
//            sp + 160    fpcr
//            sp + 96     caller's d8 to d15
//            sp + 16     caller's x19 to x28
//            sp + 8      return address, the caller's x30
//   sp  ->   sp          caller's x29, at which x29 points

    .cfi_startproc
    hint 34                         // bti c, for assemblers that do not know it
    stp x29, x30, [sp, -176]!
    .cfi_def_cfa_offset 176         // the CFA, the caller's sp at its call, is sp + 176 from here to the epilogue
    .cfi_offset x29, -176           // and the caller's x29 is stored at CFA - 176
    .cfi_offset x30, -168
    mov x29, sp                     // for those who walk along frame pointers
    stp x19, x20, [sp, 16]
    .cfi_offset x19, -160
    .cfi_offset x20, -152
    stp x21, x22, [sp, 32]
    .cfi_offset x21, -144
    .cfi_offset x22, -136
    stp x23, x24, [sp, 48]
    .cfi_offset x23, -128
    .cfi_offset x24, -120
    stp x25, x26, [sp, 64]
    .cfi_offset x25, -112
    .cfi_offset x26, -104
    stp x27, x28, [sp, 80]
    .cfi_offset x27, -96
    .cfi_offset x28, -88
    stp d8, d9, [sp, 96]
    .cfi_offset d8, -80
    .cfi_offset d9, -72
    stp d10, d11, [sp, 112]
    .cfi_offset d10, -64
    .cfi_offset d11, -56
    stp d12, d13, [sp, 128]
    .cfi_offset d12, -48
    .cfi_offset d13, -40
    stp d14, d15, [sp, 144]
    .cfi_offset d14, -32
    .cfi_offset d15, -24
    mrs x9, fpcr
    str x9, [sp, 160]

// The register state is now: x0 slots, x1 record, x2 result, sp at the frame, which is complete.
//
// Arm the record: from the store to {stack} on, a fault is resumed at 2. Then call the stub that it names; slots and
// result are where that expects them.

    mov x19, x1
    adr x9, 2f
    str x9, [x19, {instruction}]
    mov x9, sp
    str x9, [x19, {stack}]
    ldr x1, [x19, {context}]
    ldr x16, [x19, {stub}]
    blr x16

// The register state is now: x19 record, the function's result in its registers, where it stays.
// Disarm the record.

    str xzr, [x19, {stack}]
    b 3f
2:

// The register state is now: sp at the frame; everything else is as the fault left it. The signal handler disarmed the
// record and cleared the branch type, so that this need not be a landing pad.
//
// Bring floating point into the state of the call, and return zeros.

    ldr x9, [sp, 160]
    msr fpcr, x9
    mov x0, 0
    mov x1, 0
    movi d0, 0
    movi d1, 0
    movi d2, 0
    movi d3, 0
3:

// The register state is now: sp at the frame; the result's registers hold the result, or zeros.

    ldp d14, d15, [sp, 144]
    .cfi_restore d14
    .cfi_restore d15
    ldp d12, d13, [sp, 128]
    .cfi_restore d12
    .cfi_restore d13
    ldp d10, d11, [sp, 112]
    .cfi_restore d10
    .cfi_restore d11
    ldp d8, d9, [sp, 96]
    .cfi_restore d8
    .cfi_restore d9
    ldp x27, x28, [sp, 80]
    .cfi_restore x27
    .cfi_restore x28
    ldp x25, x26, [sp, 64]
    .cfi_restore x25
    .cfi_restore x26
    ldp x23, x24, [sp, 48]
    .cfi_restore x23
    .cfi_restore x24
    ldp x21, x22, [sp, 32]
    .cfi_restore x21
    .cfi_restore x22
    ldp x19, x20, [sp, 16]
    .cfi_restore x19
    .cfi_restore x20
    ldp x29, x30, [sp], 176
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0           // nothing is left
    ret
    .cfi_endproc
