# The guarded call of x86_64: calls a call stub so that a fault below it can be left for here.
#
#   fn(slots: rdi, record: rsi, result: rdx)
#
# Intel syntax. This is the body of a naked function of src/guard/x86_64.rs, which names it and fills in what stands in
# braces: offsets of fields of Record. ../README.md explains the files of this folder.
#
# The frame, whose size is fixed, so that all of it can be found from rsp alone:
#
#            rsp + 72    return address
#   rbp ->   rsp + 64    caller's rbp
#            rsp + 56    caller's rbx
#            rsp + 48    caller's r12
#            rsp + 40    caller's r13
#            rsp + 32    caller's r14
#            rsp + 24    caller's r15
#            rsp + 8     not used, 16 bytes
#            rsp + 4     x87 control word
#   rsp ->   rsp         mxcsr

    .cfi_startproc
    endbr64
    push rbp
    .cfi_def_cfa_offset 16          # the CFA, the caller's rsp before its call, is rsp + 16 now
    .cfi_offset rbp, -16            # and the caller's rbp is stored at CFA - 16
    mov rbp, rsp                    # for those who walk along frame pointers
    push rbx
    .cfi_def_cfa_offset 24
    .cfi_offset rbx, -24
    push r12
    .cfi_def_cfa_offset 32
    .cfi_offset r12, -32
    push r13
    .cfi_def_cfa_offset 40
    .cfi_offset r13, -40
    push r14
    .cfi_def_cfa_offset 48
    .cfi_offset r14, -48
    push r15
    .cfi_def_cfa_offset 56
    .cfi_offset r15, -56
    sub rsp, 24
    .cfi_def_cfa_offset 80          # from here to the epilogue
    stmxcsr [rsp]
    fnstcw [rsp + 4]

# The register state is now: rdi slots, rsi record, rdx result, rsp at the frame, which is complete.
#
# Arm the record: from the store to {stack} on, a fault is resumed at 2. Then call the stub that it names; slots and
# result are where that expects them.

    mov rbx, rsi
    lea rax, [rip + 2f]
    mov [rbx + {instruction}], rax
    mov [rbx + {stack}], rsp
    mov rsi, [rbx + {context}]
    call [rbx + {stub}]

# The register state is now: rbx record, the function's result in its registers, where it stays.
# Disarm the record.

    mov qword ptr [rbx + {stack}], 0
    jmp 3f
2:

# The register state is now: rsp at the frame; everything else is as the fault left it. The signal handler disarmed the
# record and cleared the direction flag.
#
# Bring floating point into the state of the call, with nothing on the x87 stack, and return zeros.

    fninit
    fldcw [rsp + 4]
    ldmxcsr [rsp]
    xor eax, eax
    xor edx, edx
    xorps xmm0, xmm0
    xorps xmm1, xmm1
3:

# The register state is now: rsp at the frame; the result's registers hold the result, or zeros.

    add rsp, 24
    .cfi_def_cfa_offset 56
    pop r15
    .cfi_restore r15
    .cfi_def_cfa_offset 48
    pop r14
    .cfi_restore r14
    .cfi_def_cfa_offset 40
    pop r13
    .cfi_restore r13
    .cfi_def_cfa_offset 32
    pop r12
    .cfi_restore r12
    .cfi_def_cfa_offset 24
    pop rbx
    .cfi_restore rbx
    .cfi_def_cfa_offset 16
    pop rbp
    .cfi_restore rbp
    .cfi_def_cfa_offset 8           # only the return address is left
    ret
    .cfi_endproc
