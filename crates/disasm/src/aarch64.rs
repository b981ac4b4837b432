//! AArch64 through yaxpeax-arm.

use yaxpeax_arch::{Arch, Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::ARMv8;

use crate::{Line, data};

pub(crate) fn disassemble(code: &[u8]) -> Vec<Line> {
    let words = code.chunks(4).enumerate();
    words.map(|(index, bytes)| instruction(4 * index, bytes).unwrap_or_else(|| data(4 * index, bytes))).collect()
}

fn instruction(offset: usize, bytes: &[u8]) -> Option<Line> {
    let word = u32::from_le_bytes(bytes.try_into().ok()?);
    let text = match branch_target_identification(word) {
        Some(text) => text.to_owned(),
        None => with_absolute_target(decode(bytes)?, offset),
    };
    Some(Line { offset, bytes: bytes.to_vec(), text })
}

fn decode(bytes: &[u8]) -> Option<String> {
    let decoder = <ARMv8 as Arch>::Decoder::default();
    let instruction = decoder.decode(&mut U8Reader::new(bytes)).ok()?;
    Some(instruction.to_string())
}

/// The landing pads, which are in the space of hints (Arm ARM C6.2, BTI): `hint 32` to `hint 38`.
fn branch_target_identification(word: u32) -> Option<&'static str> {
    match word {
        0xd503_241f => Some("bti"),
        0xd503_245f => Some("bti c"),
        0xd503_249f => Some("bti j"),
        0xd503_24df => Some("bti jc"),
        _ => None,
    }
}

/// Replaces a distance from the instruction (`$-0xc`) by one from the start of the code, as x86_64's lines have it.
/// The page that `adrp` counts from is not known before the code is loaded: its operand stays.
fn with_absolute_target(text: String, offset: usize) -> String {
    let Some((before, distance)) = text.split_once('$').filter(|_| !text.starts_with("adrp")) else {
        return text;
    };
    let hex = |digits: &str| i64::from_str_radix(digits, 16).ok();
    let distance = match (distance.strip_prefix("+0x"), distance.strip_prefix("-0x")) {
        (Some(digits), _) => hex(digits),
        (_, Some(digits)) => hex(digits).map(|digits| -digits),
        _ => None,
    };
    let target = distance.and_then(|distance| i64::try_from(offset).ok()?.checked_add(distance));
    match target {
        Some(target) if target < 0 => format!("{before}-0x{:x}", target.unsigned_abs()),
        Some(target) => format!("{before}0x{target:x}"),
        None => text,
    }
}
