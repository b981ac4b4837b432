# The closure entry of x86_64, System V: runs a closure's handler by its plan, with no code made at run time.
#
# C has called an entry, which has touched no register but r11. This is the rest of several naked functions of
# src/trampoline/entry.rs, which differ in where they find the closure's state: they have left its address in r11, and in
# al whether the plan has vectors of 32 bytes among the arguments.
#
# Intel syntax. What stands in braces is filled in. ../README.md explains both files.
#
# The frame:
#
#            rbp + 16    arguments in memory, the caller's
#            rbp + 8     return address
#   rbp ->   rbp         caller's rbp
#   rsp ->   rsp         image of the registers: struct Registers, {image} bytes

    push rbp
    .cfi_def_cfa_offset 16          # the CFA, the caller's rsp before its call, is rsp + 16 now
    .cfi_offset rbp, -16            # and the caller's rbp is stored at CFA - 16
    mov rbp, rsp
    .cfi_def_cfa_register rbp       # from here on the CFA is rbp + 16
    sub rsp, {image}

# The register state is now: all argument registers as C left them, r11 state, al whether vectors are wide.
# Write them to the image: the vector registers whole where the plan has vectors of 32 bytes, which says that there is
# AVX, else their 16 bytes.

    mov [rsp], rdi
    mov [rsp + 8], rsi
    mov [rsp + 16], rdx
    mov [rsp + 24], rcx
    mov [rsp + 32], r8
    mov [rsp + 40], r9
    mov rdi, r11
    test al, al
    jne 2f
    movups [rsp + {vectors}], xmm0
    movups [rsp + {vectors} + 32], xmm1
    movups [rsp + {vectors} + 64], xmm2
    movups [rsp + {vectors} + 96], xmm3
    movups [rsp + {vectors} + 128], xmm4
    movups [rsp + {vectors} + 160], xmm5
    movups [rsp + {vectors} + 192], xmm6
    movups [rsp + {vectors} + 224], xmm7
    jmp 3f
2:
    vmovups [rsp + {vectors}], ymm0
    vmovups [rsp + {vectors} + 32], ymm1
    vmovups [rsp + {vectors} + 64], ymm2
    vmovups [rsp + {vectors} + 96], ymm3
    vmovups [rsp + {vectors} + 128], ymm4
    vmovups [rsp + {vectors} + 160], ymm5
    vmovups [rsp + {vectors} + 192], ymm6
    vmovups [rsp + {vectors} + 224], ymm7
    vzeroupper
3:

# The register state is now: rdi state, rsp image.
# Have the handler run, and its result written to the image: enter(state, image, arguments in memory).

    mov rsi, rsp
    lea rdx, [rbp + 16]
    call {enter}

# The register state is now: al where the result is, rsp image.
# Load the registers that may hold it. What is on the x87 stack must be there only where the result is.

    test al, al
    jnz 4f
    mov rax, [rsp]
    mov rdx, [rsp + 8]
    movups xmm0, [rsp + {vectors}]
    movups xmm1, [rsp + {vectors} + 32]
    jmp 6f
4:
    cmp al, {wide_result}
    jne 5f
    vmovups ymm0, [rsp + {vectors}]
    jmp 6f
5:
    cmp al, {x87_result}
    je 7f
    fld tbyte ptr [rsp + {x87} + 16]
7:
    fld tbyte ptr [rsp + {x87}]
6:
    leave
    .cfi_def_cfa rsp, 8             # only the return address is left
    .cfi_restore rbp
    ret
    .cfi_endproc
