//! Disassembly of jitcall's stubs for people: x86_64 in Intel syntax and AArch64, on any host.
//!
//! ```
//! use jitcall_disasm::{Machine, disassemble, listing};
//! let lines = disassemble(&[0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0xe6], Machine::X86_64);
//! assert_eq!(listing(&lines), "  0  f3 0f 1e fa  endbr64\n  4  ff e6        jmp rsi\n");
//! ```

mod aarch64;
mod x86_64;

use std::fmt::Write;

/// Whose machine code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// AMD64, also called Intel 64.
    X86_64,
    /// The 64-bit Arm architecture, little-endian.
    Aarch64,
}

/// One instruction, or bytes that are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Distance from the start of the code in bytes.
    pub offset: usize,
    /// The bytes as they stand in memory; never empty.
    pub bytes: Vec<u8>,
    /// The instruction in assembler syntax. Targets of branches are distances from the start of the code. Bytes that
    /// are no instruction read `.byte 0x06` (x86_64) or `.word 0x00000000` (AArch64).
    pub text: String,
}

/// Disassembles `code` from its first byte to its last.
///
/// Every byte belongs to exactly one line, whatever the code is.
pub fn disassemble(code: &[u8], machine: Machine) -> Vec<Line> {
    match machine {
        Machine::X86_64 => x86_64::disassemble(code),
        Machine::Aarch64 => aarch64::disassemble(code),
    }
}

/// Writes lines as columns: offset (hexadecimal), bytes, text.
pub fn listing(lines: &[Line]) -> String {
    let offset_width = lines.last().map_or(0, |line| format!("{:x}", line.offset).len()).max(3);
    let bytes_width = lines.iter().map(|line| 3 * line.bytes.len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let bytes: String = line.bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        writeln!(text, "{:>offset_width$x}  {bytes:<bytes_width$} {}", line.offset, line.text)
            .expect("a String takes any text");
    }
    text
}

/// A line for bytes that are no instruction.
fn data(offset: usize, bytes: &[u8]) -> Line {
    let text = match bytes {
        [a, b, c, d] => format!(".word 0x{:08x}", u32::from_le_bytes([*a, *b, *c, *d])),
        bytes => {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
            format!(".byte {}", bytes.join(", "))
        }
    };
    Line { offset, bytes: bytes.to_vec(), text }
}
