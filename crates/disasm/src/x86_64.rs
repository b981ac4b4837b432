//! x86_64 through iced-x86, in Intel syntax.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

use crate::{Line, data};

pub(crate) fn disassemble(code: &[u8]) -> Vec<Line> {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut formatter = formatter();
    let mut lines = Vec::new();
    while decoder.can_decode() {
        let offset = decoder.position();
        let instruction = decoder.decode();
        // What follows a byte that starts no instruction may be one: go on at the next byte.
        if instruction.is_invalid() {
            lines.push(data(offset, &code[offset..=offset]));
            decoder.set_ip(offset as u64 + 1);
            if decoder.set_position(offset + 1).is_err() {
                break;
            }
            continue;
        }
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        lines.push(Line { offset, bytes: code[offset..decoder.position()].to_vec(), text });
    }
    lines
}

fn formatter() -> IntelFormatter {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_space_between_memory_add_operators(false);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(true);
    options.set_branch_leading_zeros(false);
    options.set_rip_relative_addresses(true);
    formatter
}
