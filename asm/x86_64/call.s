# The call trampoline of x86_64, System V: calls a function by its plan, with no code made at run time.
#
#   fn(slots: rdi, context: rsi, result: rdx)
#
# Intel syntax. This is the body of a naked function of src/trampoline/call.rs, which names it and fills in what stands in
# braces: sizes, field offsets and the addresses of two Rust functions. ../README.md explains both files.
#
# The frame:
#
#            rbp + 8     return address
#   rbp ->   rbp         caller's rbp
#            rbp - 8     caller's rbx
#            rbp - 16    caller's r12
#            ...         image of the registers: struct Registers, {image} bytes
#            ...         padding, where the plan asks for more than 16-byte alignment
#   rsp ->   rsp         the plan's area: arguments in memory, then copies passed by reference

    .cfi_startproc
    endbr64
    push rbp
    .cfi_def_cfa_offset 16          # the CFA, the caller's rsp before its call, is rsp + 16 now
    .cfi_offset rbp, -16            # and the caller's rbp is stored at CFA - 16
    mov rbp, rsp
    .cfi_def_cfa_register rbp       # from here on the CFA is rbp + 16, wherever rsp moves
    push rbx
    .cfi_offset rbx, -24
    push r12
    .cfi_offset r12, -32
    mov rbx, rsi
    mov r12, rdx

# The register state is now: rdi slots, rbx context, r12 result, rsp = rbp - 16.
#
#            rbp - 16    caller's r12
#   rsp ->               touched, by the push
#
# Make the image and the area, page by page, so that a stack that overflows meets its guard page and does not step
# over it: fewer than 4096 bytes are below the last page touched when the loop ends, room for a return address in them.

    lea rax, [rbp - 16 - {image}]
    sub rax, [rbx + {area}]
    and rax, [rbx + {align_mask}]
2:
    lea r10, [rsp - 4096]
    cmp r10, rax
    jb 3f
    mov rsp, r10
    mov [rsp], r10
    jmp 2b
3:
    mov rsp, rax

# The register state is now: rdi slots, rbx context, r12 result, rsp at the area and aligned as the plan asks.
#
#            image       not filled
#   rsp ->   area        not filled
#
# Have them filled: fill(image, area, slots, context, result).

    mov rdx, rdi
    lea rdi, [rbp - 16 - {image}]
    mov rsi, rsp
    mov rcx, rbx
    mov r8, r12
    call {fill}

# The register state is now: rbx context, r12 result, rsp at the area.
#
#            image       arguments in registers
#   rsp ->   area        arguments in memory, copies
#
# Load the vector registers, as wide as the widest vector argument. Loads no wider than fill's stores are forwarded
# from them, others wait for the cache; and AVX must not be touched on a machine without it.

    lea r10, [rbp - 16 - {image}]
    cmp byte ptr [rbx + {vector_bytes}], 8
    jb 6f
    ja 4f
    movsd xmm0, [r10 + {vectors}]
    movsd xmm1, [r10 + {vectors} + 32]
    movsd xmm2, [r10 + {vectors} + 64]
    movsd xmm3, [r10 + {vectors} + 96]
    movsd xmm4, [r10 + {vectors} + 128]
    movsd xmm5, [r10 + {vectors} + 160]
    movsd xmm6, [r10 + {vectors} + 192]
    movsd xmm7, [r10 + {vectors} + 224]
    jmp 6f
4:
    cmp byte ptr [rbx + {vector_bytes}], 16
    ja 5f
    movups xmm0, [r10 + {vectors}]
    movups xmm1, [r10 + {vectors} + 32]
    movups xmm2, [r10 + {vectors} + 64]
    movups xmm3, [r10 + {vectors} + 96]
    movups xmm4, [r10 + {vectors} + 128]
    movups xmm5, [r10 + {vectors} + 160]
    movups xmm6, [r10 + {vectors} + 192]
    movups xmm7, [r10 + {vectors} + 224]
    jmp 6f
5:
    vmovups ymm0, [r10 + {vectors}]
    vmovups ymm1, [r10 + {vectors} + 32]
    vmovups ymm2, [r10 + {vectors} + 64]
    vmovups ymm3, [r10 + {vectors} + 96]
    vmovups ymm4, [r10 + {vectors} + 128]
    vmovups ymm5, [r10 + {vectors} + 160]
    vmovups ymm6, [r10 + {vectors} + 192]
    vmovups ymm7, [r10 + {vectors} + 224]
6:

# The register state is now: rbx context, r12 result, r10 image, vector registers loaded.
# Load the general registers, al with the number of vector registers used, which variadic functions ask for, and the
# static chain, which few functions look at.

    mov rdi, [r10]
    mov rsi, [r10 + 8]
    mov rdx, [r10 + 16]
    mov rcx, [r10 + 24]
    mov r8, [r10 + 32]
    mov r9, [r10 + 40]
    movzx eax, byte ptr [rbx + {vector_count}]
    mov r10, [rbx + {chain}]
    call [rbx + {target}]

# The register state is now: rbx context, r12 result, the function's result in rax, rdx, xmm0, xmm1, ymm0, st0, st1.
# Leave it there, unless the stub's caller cannot take it from there.

    cmp byte ptr [rbx + {stores}], 0
    je 9f

# Write the registers that may hold the result to the image. The x87 stack is popped where the result is on it and only
# there; the upper halves are cleared after the use of ymm0, so that SSE code is not slowed down.

    lea rdi, [rbp - 16 - {image}]
    test byte ptr [rbx + {stores}], {store_x87}
    jnz 7f
    test byte ptr [rbx + {stores}], {store_wide}
    jnz 5f
    mov [rdi], rax
    mov [rdi + 8], rdx
    movups [rdi + {vectors}], xmm0
    movups [rdi + {vectors} + 32], xmm1
    jmp 8f
5:
    vmovups [rdi + {vectors}], ymm0
    vzeroupper
    jmp 8f
7:
    fstp tbyte ptr [rdi + {x87}]
    test byte ptr [rbx + {stores}], {store_x87_pair}
    jz 8f
    fstp tbyte ptr [rdi + {x87} + 16]
8:

# The register state is now: rbx context, r12 result, rdi image.
# Have the result written to its buffer: store(image, context, result).

    mov rsi, rbx
    mov rdx, r12
    call {store}
9:

# The register state is now: rbp frame; the result's registers, unless it is stored, are the function's.

    lea rsp, [rbp - 16]
    pop r12
    .cfi_restore r12
    pop rbx
    .cfi_restore rbx
    pop rbp
    .cfi_restore rbp
    .cfi_def_cfa rsp, 8             # only the return address is left
    ret
    .cfi_endproc
