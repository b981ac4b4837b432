//! Text and bytes in C's memory.

use std::ffi::c_void;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;

/// The bytes of one line of a dump.
const DUMPED: usize = 16;

/// The unit in which memory is readable or not: no page is smaller.
const PAGE: usize = 4096;

/// Text in double quotes, with escapes that the arguments of calls understand.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes, '"'))
}

/// Text with escapes for what is not printable, and for the quote around it.
pub(super) fn escaped(bytes: &[u8], quote: char) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                '\0' => text.push_str("\\000"),
                '\\' => text.push_str("\\\\"),
                _ if character == quote => text.extend(['\\', quote]),
                control if control.is_control() => {
                    control.to_string().bytes().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
                }
                other => text.push(other),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// Memory that held text as text, whatever it holds now, without the NUL at its end.
pub(crate) fn buffer(bytes: &[u8]) -> String {
    quoted(bytes.strip_suffix(&[0]).unwrap_or(bytes))
}

/// Memory as text where it is that, else as a dump.
pub(crate) fn memory(bytes: &[u8]) -> String {
    of_memory(bytes).unwrap_or_else(|| dump(bytes))
}

/// Memory as text, where it is printable up to a NUL and zero from there on.
pub(super) fn of_memory(bytes: &[u8]) -> Option<String> {
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(length);
    let text = std::str::from_utf8(text).ok()?;
    let is_text = text.chars().all(is_printable) && rest.iter().all(|byte| *byte == 0);
    is_text.then(|| quoted(text.as_bytes()))
}

fn is_printable(character: char) -> bool {
    !character.is_control() || matches!(character, '\n' | '\t' | '\r')
}

/// Lines of offset, bytes and characters, below the line that introduces them.
fn dump(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes", bytes.len());
    for (index, line) in bytes.chunks(DUMPED).enumerate() {
        let hex: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let characters: String =
            line.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }).collect();
        let width = 3 * DUMPED;
        write!(text, "\n  {:04x}  {hex:<width$} {characters}", index * DUMPED).expect("a String takes any text");
    }
    text
}

/// Reads text up to its NUL, but not more than `most` bytes; says whether that was all of it. `None` where there is no
/// memory to read.
///
/// The kernel copies the bytes, through a pipe, so that an address without memory is an error and no crash.
pub(crate) fn read(address: *const c_void, most: usize) -> Option<(Vec<u8>, bool)> {
    let mut text = Vec::new();
    let mut at = address.addr();
    while text.len() < most {
        let length = (PAGE - at % PAGE).min(most - text.len());
        let Some(page) = copy(at, length) else {
            return (!text.is_empty()).then_some((text, false));
        };
        if let Some(end) = page.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&page[..end]);
            return Some((text, true));
        }
        text.extend_from_slice(&page);
        at += length;
    }
    Some((text, false))
}

/// Copies `length` bytes, at most a page, from an address that may be wrong.
fn copy(address: usize, length: usize) -> Option<Vec<u8>> {
    let mut ends = [0; 2];
    // SAFETY: `pipe2` writes two descriptors to the array.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return None;
    }
    // SAFETY: both descriptors are new and belong to nobody else.
    let (mut reader, writer) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    let source = std::ptr::with_exposed_provenance::<c_void>(address);
    // SAFETY: `write` reads from memory that is there and reports EFAULT for other addresses. An empty pipe takes a
    // page without waiting.
    let written = unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&writer), source, length) };
    drop(writer);
    let mut bytes = Vec::with_capacity(length);
    let read = reader.read_to_end(&mut bytes).ok()?;
    (usize::try_from(written) == Ok(length) && read == length).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_text_or_a_dump() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "\"\""),
            (b"hello\0\0\0", "\"hello\""),
            (b"caf\xc3\xa9 \"x\"\n\0", "\"caf\u{e9} \\\"x\\\"\\n\""),
            (&[0; 4], "\"\""),
            (b"a\0b", "3 bytes\n  0000  61 00 62                                         a.b"),
            (b"\x01\x02", "2 bytes\n  0000  01 02                                            .."),
        ];
        for (bytes, expected) in cases {
            assert_eq!(memory(bytes), *expected, "{bytes:?}");
        }
    }

    #[test]
    fn text_is_read_as_far_as_there_is_memory() {
        let long = [vec![b'x'; 3 * PAGE], vec![0]].concat();
        assert_eq!(read(long.as_ptr().cast(), 1 << 20), Some((vec![b'x'; 3 * PAGE], true)));
        assert_eq!(read(long.as_ptr().cast(), 10), Some((vec![b'x'; 10], false)));
        assert_eq!(read(c"".as_ptr().cast(), 10), Some((Vec::new(), true)));
        for wrong in [1usize, 0xdead_beef, usize::MAX - 1] {
            assert_eq!(read(std::ptr::with_exposed_provenance(wrong), 10), None, "{wrong:#x}");
        }
    }
}
