//! Memory that arguments point at.

use std::cell::Cell;
use std::ffi::c_void;

use jitcall::{Object, Type};

use crate::render::{self, text};

/// Memory for `void *` may hold anything: it is aligned for the widest vectors.
const LEAST_ALIGN: usize = 64;

/// Memory of a fixed place that C may write to.
pub(super) struct Memory {
    argument: usize,
    /// Cells, because C writes to them behind Rust's back.
    cells: Box<[Cell<u8>]>,
    /// Where the memory starts in `cells`, so that it is aligned.
    start: usize,
    initial: Box<[u8]>,
    show: Show,
}

/// When memory is shown after the call.
pub(super) enum Show {
    Never,
    /// Where C has changed it.
    IfChanged(Form),
    Always(Form),
}

/// How memory is shown.
pub(super) enum Form {
    /// As text where it is that, else byte by byte.
    Bytes,
    /// As text, with escapes for what is not printable.
    Text,
    /// As an object of that type.
    Object(Type),
}

impl Memory {
    /// Memory for the argument of that number, with that content, aligned to at least `align` bytes.
    pub(super) fn new(argument: usize, content: &[u8], align: usize, show: Show) -> Memory {
        let align = align.max(LEAST_ALIGN);
        let cells: Box<[Cell<u8>]> = vec![Cell::new(0); content.len() + align].into();
        let start = cells.as_ptr().addr().next_multiple_of(align) - cells.as_ptr().addr();
        let memory = Memory { argument, cells, start, initial: content.into(), show };
        memory.reset();
        memory
    }

    /// The number of the argument that it belongs to, from 1.
    pub(super) fn argument(&self) -> usize {
        self.argument
    }

    fn cells(&self) -> &[Cell<u8>] {
        &self.cells[self.start..][..self.initial.len()]
    }

    /// Its address, which stays.
    pub(super) fn address(&self) -> *mut c_void {
        // A pointer to cells may be written through.
        self.cells().as_ptr().cast_mut().cast()
    }

    /// Writes its first content again.
    pub(super) fn reset(&self) {
        self.cells().iter().zip(&self.initial).for_each(|(cell, byte)| cell.set(*byte));
    }

    /// What is to be shown of it after the call.
    pub(super) fn shown(&self) -> jitcall::Result<Option<String>> {
        let bytes: Vec<u8> = self.cells().iter().map(Cell::get).collect();
        let form = match &self.show {
            Show::Never => return Ok(None),
            Show::IfChanged(_) if *bytes == *self.initial => return Ok(None),
            Show::IfChanged(form) | Show::Always(form) => form,
        };
        match form {
            Form::Bytes => Ok(Some(text::memory(&bytes))),
            Form::Text => Ok(Some(text::buffer(&bytes))),
            Form::Object(ty) => render::object(&Object::from_bytes(ty, &bytes)?).map(Some),
        }
    }
}
