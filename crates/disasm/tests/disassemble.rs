//! Known code reads as assemblers write it; any bytes at all come out as lines that cover them.

use jitcall_disasm::{Line, Machine, disassemble, listing};

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Code, and what each of its instructions reads.
const KNOWN: &[(Machine, &str, &[&str])] = &[
    (Machine::X86_64, "f3 0f 1e fa", &["endbr64"]),
    (Machine::X86_64, "ff e6", &["jmp rsi"]),
    (Machine::X86_64, "f2 0f 10 47 08", &["movsd xmm0, [rdi+8]"]),
    (Machine::X86_64, "0f be 47 10", &["movsx eax, byte ptr [rdi+0x10]"]),
    (Machine::X86_64, "90 eb fd", &["nop", "jmp short 0"]),
    (Machine::X86_64, "06 c3", &[".byte 0x06", "ret"]),
    (Machine::X86_64, "c3 48 8b", &["ret", ".byte 0x48", ".byte 0x8b"]),
    (Machine::Aarch64, "5f 24 03 d5", &["bti c"]),
    (Machine::Aarch64, "9f 24 03 d5", &["bti j"]),
    (Machine::Aarch64, "1f 20 03 d5", &["nop"]),
    (Machine::Aarch64, "20 02 1f d6", &["br x17"]),
    (Machine::Aarch64, "fd 7b be a9", &["stp x29, x30, [sp, #-0x20]!"]),
    (Machine::Aarch64, "1f 20 03 d5 ff ff ff 17", &["nop", "b 0x0"]),
    (Machine::Aarch64, "1f 20 03 d5 c1 ff ff 54", &["nop", "b.ne -0x4"]),
    (Machine::Aarch64, "00 00 00 90", &["adrp x0, $+0x0"]),
    (Machine::Aarch64, "ff ff ff ff c0 03 5f d6", &[".word 0xffffffff", "ret"]),
    (Machine::Aarch64, "c0 03 5f d6 00 01", &["ret", ".byte 0x00, 0x01"]),
];

#[test]
fn known_code_reads_as_assemblers_write_it() {
    for (machine, code, expected) in KNOWN {
        let lines = disassemble(&hex(code), *machine);
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(&texts, expected, "{machine:?} {code}");
    }
}

fn assert_covers(code: &[u8], lines: &[Line]) {
    let mut at = 0;
    for line in lines {
        assert_eq!(line.offset, at, "{code:02x?}");
        assert!(!line.bytes.is_empty() && code[at..].starts_with(&line.bytes), "{code:02x?} at {at}");
        assert!(!line.text.is_empty(), "{code:02x?} at {at}");
        at += line.bytes.len();
    }
    assert_eq!(at, code.len(), "{code:02x?}");
}

#[test]
fn any_bytes_come_out_as_lines_that_cover_them() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in (0..4000).map(|round| round % 67) {
        let code: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .take(length)
        .collect();
        for machine in [Machine::X86_64, Machine::Aarch64] {
            assert_covers(&code, &disassemble(&code, machine));
        }
    }
}

#[test]
fn columns_are_as_wide_as_their_widest_line() {
    let lines = disassemble(&hex("48 b8 01 00 00 00 00 00 00 00 c3"), Machine::X86_64);
    assert_eq!(
        listing(&lines),
        "  0  48 b8 01 00 00 00 00 00 00 00  mov rax, 1\n  a  c3                             ret\n"
    );
    assert_eq!(listing(&[]), "");
}
