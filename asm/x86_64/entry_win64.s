# The closure entry of x86_64, Windows' convention: runs a closure's handler by its plan, with no code made at run time.
#
# C has called an entry, which has touched no register but r11. This is the rest of several naked functions of
# src/trampoline/entry.rs, which differ in where they find the closure's state: they have left its address in r11.
#
# Intel syntax. What stands in braces is filled in. ../README.md explains both files.
#
# The frame:
#
#            rbp + 48    arguments in memory, the caller's
#            rbp + 16    shadow space, the caller's
#            rbp + 8     return address
#   rbp ->   rbp         caller's rbp
#            rbp - 8     caller's rdi
#            rbp - 16    caller's rsi
#            rbp - 176   caller's xmm15 .. xmm6, upwards
#   rsp ->   rsp         image of the registers: struct Registers, {image} bytes

    push rbp
    .cfi_def_cfa_offset 16          # the CFA, the caller's rsp before its call, is rsp + 16 now
    .cfi_offset rbp, -16            # and the caller's rbp is stored at CFA - 16
    mov rbp, rsp
    .cfi_def_cfa_register rbp       # from here on the CFA is rbp + 16
    sub rsp, {image} + 176

# The register state is now: all argument registers as C left them, r11 state.
# Save what the caller's convention preserves and the handler's does not.

    mov [rbp - 8], rdi
    .cfi_offset rdi, -24
    mov [rbp - 16], rsi
    .cfi_offset rsi, -32
    movaps [rbp - 32], xmm6
    movaps [rbp - 48], xmm7
    movaps [rbp - 64], xmm8
    movaps [rbp - 80], xmm9
    movaps [rbp - 96], xmm10
    movaps [rbp - 112], xmm11
    movaps [rbp - 128], xmm12
    movaps [rbp - 144], xmm13
    movaps [rbp - 160], xmm14
    movaps [rbp - 176], xmm15

# Write the argument registers to the image, each to its place among those of System V.

    mov [rsp + 16], rdx
    mov [rsp + 24], rcx
    mov [rsp + 32], r8
    mov [rsp + 40], r9
    movups [rsp + {vectors}], xmm0
    movups [rsp + {vectors} + 32], xmm1
    movups [rsp + {vectors} + 64], xmm2
    movups [rsp + {vectors} + 96], xmm3

# The register state is now: r11 state, rsp image.
# Have the handler run, and its result written to the image: enter(state, image, arguments in memory). What it returns
# says where the result is, which is the same here for all: rax and xmm0.

    mov rdi, r11
    mov rsi, rsp
    lea rdx, [rbp + 16]
    call {enter}

# The register state is now: rsp image.
# Load the registers that may hold the result, and what was saved.

    mov rax, [rsp]
    movups xmm0, [rsp + {vectors}]
    movaps xmm6, [rbp - 32]
    movaps xmm7, [rbp - 48]
    movaps xmm8, [rbp - 64]
    movaps xmm9, [rbp - 80]
    movaps xmm10, [rbp - 96]
    movaps xmm11, [rbp - 112]
    movaps xmm12, [rbp - 128]
    movaps xmm13, [rbp - 144]
    movaps xmm14, [rbp - 160]
    movaps xmm15, [rbp - 176]
    mov rsi, [rbp - 16]
    .cfi_restore rsi
    mov rdi, [rbp - 8]
    .cfi_restore rdi
    leave
    .cfi_def_cfa rsp, 8             # only the return address is left
    .cfi_restore rbp
    ret
    .cfi_endproc
