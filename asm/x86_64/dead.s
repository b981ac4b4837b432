# What the entry of a closure that was freed jumps to on x86_64: notes that it was called, and returns zero.
#
# Intel syntax. This is the body of a naked function of src/trampoline/entry.rs.
#
#   rbp + 8     return address
#   rbp         caller's rbp

    .cfi_startproc
    endbr64
    push rbp
    .cfi_def_cfa_offset 16          # the CFA, the caller's rsp before its call, is rsp + 16 now
    .cfi_offset rbp, -16            # and the caller's rbp is stored at CFA - 16
    mov rbp, rsp
    .cfi_def_cfa_register rbp
    call {note}
    xor eax, eax
    xor edx, edx
    xorps xmm0, xmm0
    xorps xmm1, xmm1
    pop rbp
    .cfi_def_cfa rsp, 8             # only the return address is left
    .cfi_restore rbp
    ret
    .cfi_endproc
