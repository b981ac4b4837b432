//! A minimal object file that describes code which is in memory already: where its functions are, what they are called,
//! and how to unwind them.
//!
//! ```text
//!   ELF header
//!   .eh_frame     exact at every instruction
//!   .symtab       null, then a symbol for each function
//!   .strtab       their names
//!   .shstrtab     the sections' names
//!   section headers: null, .text for each function (no bytes; its address), and the four above
//! ```

use std::io;

use super::Code;
use super::jitdump::MACHINE;
use crate::code::unwind::{self, Extent, FrameKind};

/// What is kept of code until its object file is made.
pub(super) struct Function {
    name: String,
    extent: Extent,
    frame: FrameKind,
}

impl Function {
    pub(super) fn new(code: &Code<'_>) -> Function {
        let extent = Extent { start: code.address(), length: code.bytes.len() as u32 };
        Function { name: code.name.to_owned(), extent, frame: code.frame }
    }
}

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;

/// `ET_REL`, in a file for this machine.
const RELOCATABLE: u16 = 1;

/// The sections' names, each at its offset.
const SECTION_NAMES: &[u8] = b"\0.text\0.eh_frame\0.symtab\0.strtab\0.shstrtab\0";
const TEXT_NAME: u32 = 1;
const EH_FRAME_NAME: u32 = 7;
const SYMTAB_NAME: u32 = 17;
const STRTAB_NAME: u32 = 25;
const SHSTRTAB_NAME: u32 = 33;

/// `SHT_PROGBITS`, `SHT_SYMTAB`, `SHT_STRTAB`, `SHT_NOBITS`.
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;

/// `SHF_ALLOC`, `SHF_EXECINSTR`.
const ALLOC: u64 = 2;
const EXECINSTR: u64 = 4;

/// `STB_GLOBAL` and `STT_FUNC`.
const GLOBAL_FUNCTION: u8 = 1 << 4 | 2;

/// Makes an object file.
///
/// # Errors
/// Where no unwind table can be written for the functions.
pub(super) fn image(functions: &[Function]) -> io::Result<Box<[u8]>> {
    let frames = functions.iter().map(|function| (function.extent, function.frame));
    let mut frames = unwind::exact(frames).map_err(|error| io::Error::other(error.to_string()))?;
    frames.extend([0; 4]); // the entry of length zero
    let (symbols, names) = symbols(functions);
    let mut image = vec![0; HEADER];
    let eh_frame = append(&mut image, &frames);
    let symtab = append(&mut image, &symbols);
    let strtab = append(&mut image, &names);
    let shstrtab = append(&mut image, SECTION_NAMES);
    let headers_at = image.len().next_multiple_of(8);
    let headers = functions.len() + 5;
    image.resize(headers_at + headers * SECTION_HEADER, 0);
    // From here on the image stays where it is, so the table that is in it has an address.
    let mut image = image.into_boxed_slice();
    let eh_frame_address = image.as_ptr().addr() as u64 + eh_frame.offset;
    image[..HEADER].copy_from_slice(&header(headers_at, headers));
    let texts = functions.iter().map(|Function { extent, .. }| Section {
        name: TEXT_NAME,
        kind: NOBITS,
        flags: ALLOC | EXECINSTR,
        address: extent.start,
        place: Place { offset: HEADER as u64, size: extent.length.into() },
        ..Section::default()
    });
    let strtab_index = functions.len() as u32 + 3;
    let others = [
        Section {
            name: EH_FRAME_NAME,
            kind: PROGBITS,
            flags: ALLOC,
            address: eh_frame_address,
            place: eh_frame,
            ..Section::default()
        },
        // Every symbol from the first one on is global.
        Section { name: SYMTAB_NAME, kind: SYMTAB, place: symtab, link: strtab_index, info: 1, ..Section::default() },
        Section { name: STRTAB_NAME, kind: STRTAB, place: strtab, ..Section::default() },
        Section { name: SHSTRTAB_NAME, kind: STRTAB, place: shstrtab, ..Section::default() },
    ];
    let sections = [Section::default()].into_iter().chain(texts).chain(others);
    for (to, section) in image[headers_at..].chunks_exact_mut(SECTION_HEADER).zip(sections) {
        to.copy_from_slice(&section.header());
    }
    Ok(image)
}

/// Where something is in the file, in bytes.
#[derive(Clone, Copy, Default)]
struct Place {
    offset: u64,
    size: u64,
}

/// Puts bytes at the end, aligned to 8.
fn append(image: &mut Vec<u8>, bytes: &[u8]) -> Place {
    image.resize(image.len().next_multiple_of(8), 0);
    let place = Place { offset: image.len() as u64, size: bytes.len() as u64 };
    image.extend(bytes);
    place
}

/// A symbol table and its strings. The n-th function is all of the n-th section.
fn symbols(functions: &[Function]) -> (Vec<u8>, Vec<u8>) {
    let (mut symbols, mut names) = (vec![0; SYMBOL], vec![0]);
    for (section, function) in (1u16..).zip(functions) {
        let (value, visibility) = (0u64, 0);
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([GLOBAL_FUNCTION, visibility]);
        symbols.extend(section.to_le_bytes());
        symbols.extend(value.to_le_bytes());
        symbols.extend(u64::from(function.extent.length).to_le_bytes());
        names.extend(function.name.as_bytes());
        names.push(0);
    }
    (symbols, names)
}

fn header(headers_at: usize, headers: usize) -> [u8; HEADER] {
    // 64 bits, little endian, version 1.
    const IDENTIFICATION: &[u8; 7] = b"\x7fELF\x02\x01\x01";
    let mut header = [0; HEADER];
    header[..7].copy_from_slice(IDENTIFICATION);
    header[16..18].copy_from_slice(&RELOCATABLE.to_le_bytes());
    header[18..20].copy_from_slice(&MACHINE.to_le_bytes());
    header[20..24].copy_from_slice(&1u32.to_le_bytes()); // version
    header[40..48].copy_from_slice(&(headers_at as u64).to_le_bytes());
    header[52..54].copy_from_slice(&(HEADER as u16).to_le_bytes());
    header[58..60].copy_from_slice(&(SECTION_HEADER as u16).to_le_bytes());
    header[60..62].copy_from_slice(&(headers as u16).to_le_bytes());
    header[62..64].copy_from_slice(&(headers as u16 - 1).to_le_bytes()); // .shstrtab
    header
}

#[derive(Default)]
struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    place: Place,
    link: u32,
    info: u32,
}

impl Section {
    fn header(&self) -> [u8; SECTION_HEADER] {
        let (align, entry_size): (u64, u64) = match self.kind {
            0 => (0, 0),
            NOBITS => (16, 0),
            SYMTAB => (8, SYMBOL as u64),
            PROGBITS => (8, 0),
            _ => (1, 0),
        };
        let mut header = [0; SECTION_HEADER];
        header[0..4].copy_from_slice(&self.name.to_le_bytes());
        header[4..8].copy_from_slice(&self.kind.to_le_bytes());
        let words = [self.flags, self.address, self.place.offset, self.place.size];
        for (to, word) in header[8..40].chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        header[40..44].copy_from_slice(&self.link.to_le_bytes());
        header[44..48].copy_from_slice(&self.info.to_le_bytes());
        header[48..56].copy_from_slice(&align.to_le_bytes());
        header[56..64].copy_from_slice(&entry_size.to_le_bytes());
        header
    }
}
