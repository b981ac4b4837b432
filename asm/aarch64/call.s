// The call trampoline of AArch64, AAPCS64: calls a function by its plan, with no code made at run time.
//
//   fn(slots: x0, context: x1, result: x2)
//
// This is the body of a naked function of src/trampoline/call.rs, which names it and fills in what stands in braces: sizes,
// field offsets and the addresses of two Rust functions. ../README.md explains both files.
//
// The frame:
//
//            x29 + 24    caller's x20
//            x29 + 16    caller's x19
//            x29 + 8     return address, the caller's x30
//   x29 ->   x29         caller's x29
//            ...         image of the registers: struct Registers, {image} bytes
//            ...         padding, where the plan asks for more than 16-byte alignment
//   sp  ->   sp          the plan's area: arguments in memory, then copies passed by reference

    .cfi_startproc
    hint 34                         // bti c, for assemblers that do not know it
    stp x29, x30, [sp, -32]!
    .cfi_def_cfa_offset 32          // the CFA, the caller's sp at its call, is sp + 32 now
    .cfi_offset x29, -32            // and the caller's x29 is stored at CFA - 32
    .cfi_offset x30, -24
    mov x29, sp
    .cfi_def_cfa_register x29       // from here on the CFA is x29 + 32, wherever sp moves
    stp x19, x20, [sp, 16]
    .cfi_offset x19, -16
    .cfi_offset x20, -8
    mov x19, x1
    mov x20, x2

// The register state is now: x0 slots, x19 context, x20 result, sp = x29.
//
//            x29         caller's x29
//   sp  ->               touched, by the store
//
// Make the image and the area, page by page, so that a stack that overflows meets its guard page and does not step
// over it: fewer than 4096 bytes are below the last page touched when the loop ends.

    sub x9, x29, {image}
    ldr x10, [x19, {area}]
    sub x9, x9, x10
    ldr x10, [x19, {align_mask}]
    and x9, x9, x10
2:
    sub x10, sp, 4096
    cmp x10, x9
    b.lo 3f
    mov sp, x10
    str xzr, [sp]
    b 2b
3:
    mov sp, x9

// The register state is now: x0 slots, x19 context, x20 result, sp at the area and aligned as the plan asks.
//
//            image       not filled
//   sp  ->   area        not filled
//
// Have them filled: fill(image, area, slots, context, result).

    mov x2, x0
    sub x0, x29, {image}
    mov x1, sp
    mov x3, x19
    mov x4, x20
    bl {fill}

// The register state is now: x19 context, x20 result, sp at the area.
//
//            image       arguments in registers
//   sp  ->   area        arguments in memory, copies
//
// Load the vector registers, as wide as the widest vector argument. Loads no wider than fill's stores are forwarded
// from them, others wait for the cache.

    sub x9, x29, {image}
    ldrb w10, [x19, {vector_bytes}]
    cmp w10, 8
    b.lo 6f
    b.hi 4f
    ldr d0, [x9, {vectors}]
    ldr d1, [x9, {vectors} + 16]
    ldr d2, [x9, {vectors} + 32]
    ldr d3, [x9, {vectors} + 48]
    ldr d4, [x9, {vectors} + 64]
    ldr d5, [x9, {vectors} + 80]
    ldr d6, [x9, {vectors} + 96]
    ldr d7, [x9, {vectors} + 112]
    b 6f
4:
    ldp q0, q1, [x9, {vectors}]
    ldp q2, q3, [x9, {vectors} + 32]
    ldp q4, q5, [x9, {vectors} + 64]
    ldp q6, q7, [x9, {vectors} + 96]
6:

// The register state is now: x19 context, x20 result, x9 image, vector registers loaded.
// Load the general registers, x8 among them, the address of a result in memory, and the static chain, which few functions
// look at.

    ldp x0, x1, [x9]
    ldp x2, x3, [x9, 16]
    ldp x4, x5, [x9, 32]
    ldp x6, x7, [x9, 48]
    ldr x8, [x9, 64]
    ldr x18, [x19, {chain}]
    ldr x16, [x19, {target}]
    blr x16

// The register state is now: x19 context, x20 result, the function's result in x0, x1, v0 to v3.
// Leave it there, unless the stub's caller cannot take it from there.

    ldrb w9, [x19, {stores}]
    cbz w9, 9f

// Write the registers that may hold the result to the image.

    sub x9, x29, {image}
    stp x0, x1, [x9]
    stp q0, q1, [x9, {vectors}]
    stp q2, q3, [x9, {vectors} + 32]

// The register state is now: x19 context, x20 result, x9 image.
// Have the result written to its buffer: store(image, context, result).

    mov x0, x9
    mov x1, x19
    mov x2, x20
    bl {store}
9:

// The register state is now: x29 frame; the result's registers, unless it is stored, are the function's.

    mov sp, x29
    .cfi_def_cfa_register sp
    ldp x19, x20, [sp, 16]
    .cfi_restore x19
    .cfi_restore x20
    ldp x29, x30, [sp], 32
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0           // nothing is left
    ret
    .cfi_endproc
