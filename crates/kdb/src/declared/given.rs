//! A value that a q user has given: an object, or what is none of its own: an element of a vector, a row of a table.

use std::ffi::{CStr, c_char};

use crate::convert::number;
use crate::error::Fault;
use crate::host::{K, kind};
use crate::letters::{Scalar, element_size};

/// A value.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Its type, an element's that of the atom.
    pub(super) t: i8,
    /// The payload of an atom or an element.
    at: *const u8,
    from: From<'a>,
}

/// What a value is.
#[derive(Clone, Copy)]
enum From<'a> {
    Object(K<'a>),
    Element,
    /// A row of a table.
    Row(K<'a>, usize),
}

impl<'a> Given<'a> {
    pub(super) fn of(value: K<'a>) -> Given<'a> {
        Given { t: value.t(), at: value.payload(), from: From::Object(value) }
    }

    /// The object, where it is one.
    pub(super) fn object(self) -> Option<K<'a>> {
        match self.from {
            From::Object(object) => Some(object),
            _ => None,
        }
    }

    /// What it is, where it is a number.
    pub(super) fn scalar(self) -> Option<Scalar> {
        Scalar::of_atom(self.t)
    }

    /// The bits of a number of that type.
    pub(super) fn bits(self, scalar: Scalar) -> u64 {
        debug_assert_eq!(self.scalar(), Some(scalar));
        // SAFETY: the atom, or the element, has such a payload.
        unsafe { number::load(scalar, self.at) }
    }

    /// The text of a symbol.
    pub(super) fn symbol(self) -> Option<&'a CStr> {
        // SAFETY: a symbol has the address of a text, which ends and stays.
        (self.t == -kind::SYMBOL).then(|| unsafe { CStr::from_ptr(self.at.cast::<*const c_char>().read_unaligned()) })
    }

    /// The bytes of a vector of them, or of chars or booleans.
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self.t {
            kind::BOOLEAN | kind::BYTE | kind::CHAR => self.object().map(K::bytes),
            _ => None,
        }
    }

    /// How many items there are in a list or vector, or rows in a table.
    pub(super) fn count(self) -> Option<usize> {
        let object = self.object()?;
        match object.t() {
            kind::TABLE => {
                let [_, columns] = object.columns().halves();
                let columns = Given::of(columns);
                if columns.count()? == 0 { Some(0) } else { columns.item(0).count() }
            }
            kind::LIST => Some(object.count()),
            _ => object.is_vector().then(|| object.count()),
        }
    }

    /// The item, or the row, at a place.
    ///
    /// # Panics
    /// Where there are none, or not so many.
    pub(super) fn item(self, index: usize) -> Given<'a> {
        match (self.object(), self.count()) {
            (Some(list), Some(count)) if index < count => item(list, index),
            _ => unreachable!("items are counted first"),
        }
    }

    /// Says what it is where it is not what was wanted.
    pub(super) fn mismatch(self) -> Fault {
        Fault::of_type(match (self.scalar(), self.symbol()) {
            (Some(scalar), _) => format!("{}h {}", self.t, number::show(self.bits(scalar), scalar)),
            (_, Some(text)) => format!("{}h `{}", self.t, text.to_string_lossy()),
            _ => format!("{}h", self.t),
        })
    }
}

fn item(list: K<'_>, index: usize) -> Given<'_> {
    match list.t() {
        kind::LIST => return Given::of(list.items()[index]),
        kind::TABLE => return Given { t: kind::DICTIONARY, at: list.payload(), from: From::Row(list, index) },
        _ => {}
    }
    let width = element_size(list.t());
    // SAFETY: the element is one of the vector's.
    Given { t: -list.t(), at: unsafe { list.elements().add(index * width) }, from: From::Element }
}

/// A dictionary from symbols to values.
pub(super) struct Dictionary<'a> {
    names: Given<'a>,
    /// The values; of a row the columns.
    values: Given<'a>,
    row: Option<usize>,
}

impl<'a> Dictionary<'a> {
    /// What a value is where it is a dictionary from symbols to a list, or a row.
    pub(super) fn of(given: Given<'a>) -> Option<Dictionary<'a>> {
        let (dictionary, row) = match given.from {
            From::Object(object) if object.t() == kind::DICTIONARY => (object, None),
            From::Row(table, index) => (table.columns(), Some(index)),
            _ => return None,
        };
        let [names, values] = dictionary.halves().map(Given::of);
        let is_whole = names.t == kind::SYMBOL && values.count() == names.count();
        is_whole.then_some(Dictionary { names, values, row })
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let names = self.names;
        (0..names.count().unwrap_or(0)).filter_map(move |index| names.item(index).symbol())
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<Given<'a>> {
        let index = self.names().position(|own| own.to_bytes() == name.as_bytes())?;
        let value = self.values.item(index);
        match self.row {
            None => Some(value),
            Some(row) => (row < value.count()?).then(|| value.item(row)),
        }
    }
}
