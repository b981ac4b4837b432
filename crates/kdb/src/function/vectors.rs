//! Functions over vectors: as q's own atomic functions, one of its own rank takes lists where C takes numbers.
//!
//! Atoms go with every element, lists are of one length, lists in lists are gone into, and of dictionaries and tables the
//! values. Where the arguments are vectors and atoms of numbers and the result is a number, a map of the engine makes the
//! calls: a loop in machine code from vector to vector. Vectors of another type are converted a piece at a time on the
//! stack; whether that can be done without loss is looked at before the first call. Everything else is called element by
//! element.

use jitcall::map::{Column, Map};

use super::Function;
use crate::convert::{number, to_c, to_q};
use crate::error::{Class, Fault, Result};
use crate::host::{K, Object, Owned, api, kind};
use crate::letters::{Letter, Meaning, Scalar};
use crate::thread::{self, Thread};

/// Elements that are converted at a time, and how many arguments may be.
const PIECE: usize = 256;
const CONVERTED: usize = super::own_rank::MOST;

/// What a function is called with.
enum Extent {
    /// Atoms, and what C takes as a whole.
    One,
    /// Lists of so many elements.
    Many(usize),
    /// A dictionary or a table in that place.
    Keyed(usize),
}

/// Calls the function once, or for all elements where an argument has more than one.
///
/// # Errors
/// `'length` where the lists are not of one length, and as for [`Function::call`].
pub(crate) fn call(function: &Function, arguments: &[K<'_>]) -> Result<*mut Object> {
    function.check_count(arguments.len())?;
    match extent(function, arguments)? {
        Extent::One => function.call(arguments),
        Extent::Keyed(place) => keyed(function, arguments, place),
        Extent::Many(count) if is_mapped(function, arguments) => {
            thread::with(|thread| map(function, thread, arguments, count))
        }
        Extent::Many(count) => each(function, arguments, count),
    }
}

/// Whether a function goes into a list that is given for a letter.
fn extends(letter: Letter, value: K<'_>) -> bool {
    match letter.meaning() {
        Meaning::Number(..) | Meaning::Size => value.is_vector() || value.t() == kind::LIST,
        Meaning::Symbol => matches!(value.t(), kind::SYMBOL | kind::LIST),
        Meaning::Guid => matches!(value.t(), kind::GUID | kind::LIST),
        // A list of strings.
        Meaning::Pointer(to) => to.meaning() == Meaning::Number(Scalar::Byte, kind::CHAR) && value.t() == kind::LIST,
        Meaning::Void | Meaning::Raw | Meaning::Callback => false,
    }
}

fn extent(function: &Function, arguments: &[K<'_>]) -> Result<Extent> {
    let mut many = None;
    for (place, (letter, value)) in function.letters.parameters.iter().zip(arguments).enumerate() {
        if matches!(value.t(), kind::DICTIONARY | kind::TABLE) {
            return Ok(Extent::Keyed(place));
        }
        if !extends(*letter, *value) {
            continue;
        }
        match many {
            None => many = Some((place, value.count())),
            Some((_, count)) if count == value.count() => {}
            Some((first, count)) => {
                let text = format!(
                    "{}: arguments {} and {}: {count} and {} elements",
                    function.name,
                    first + 1,
                    place + 1,
                    value.count()
                );
                return Err(Fault::new(Class::Length, text));
            }
        }
    }
    Ok(many.map_or(Extent::One, |(_, count)| Extent::Many(count)))
}

/// Whether a map can make the calls: numbers from vectors to a vector, or to nothing.
fn is_mapped(function: &Function, arguments: &[K<'_>]) -> bool {
    let letters = &function.letters;
    let is_vector = |(letter, value): (&Letter, &K<'_>)| match extends(*letter, *value) {
        true => letter.scalar().is_some() && Scalar::of_type(value.t()).is_some(),
        false => true,
    };
    let result = letters.result.meaning();
    !function.is_guarded()
        && letters.fixed == letters.parameters.len()
        && letters.fixed <= CONVERTED
        && matches!(result, Meaning::Void | Meaning::Number(..) | Meaning::Size | Meaning::Raw)
        && letters.parameters.iter().zip(arguments).all(is_vector)
}

/// An argument of a map.
#[derive(Clone, Copy)]
enum Source {
    /// The same word for all calls.
    Same(u64),
    /// Elements as C takes them.
    Elements(*const u8, usize),
    /// Elements of another type.
    Converted { elements: *const u8, from: Scalar, to: Scalar },
}

/// Makes the calls in a loop of machine code.
fn map(function: &Function, thread: &Thread, arguments: &[K<'_>], count: usize) -> Result<*mut Object> {
    let mut temporaries = to_c::Temporaries::new();
    let mut sources = [Source::Same(0); CONVERTED];
    for (index, value) in arguments.iter().enumerate() {
        sources[index] = source(function, thread, index, *value, &mut temporaries)?;
    }
    let sources = &sources[..arguments.len()];
    let (scalar, t) = match function.letters.result.meaning() {
        Meaning::Number(scalar, t) => (Some(scalar), t),
        Meaning::Void => (None, kind::LIST),
        _ => (Some(Scalar::Long), kind::LONG),
    };
    let results = scalar.map(|_| Owned::vector(t, count));
    let to = results.as_ref().map_or(std::ptr::null_mut(), |results| results.elements());
    let map = function.function.mapper()?;
    thread.calling(|| pieces(map, function, sources, count, to, scalar.map_or(0, Scalar::size)))?;
    thread.check_callbacks()?;
    let Some(results) = results else { return Ok(std::ptr::null_mut()) };
    if t == kind::BOOLEAN {
        // SAFETY: the vector's bytes were written, one for each call.
        unsafe { std::slice::from_raw_parts_mut(to, count) }.iter_mut().for_each(|byte| *byte = (*byte != 0).into());
    }
    Ok(results.into_raw())
}

/// Where the calls find an argument.
fn source(
    function: &Function,
    thread: &Thread,
    index: usize,
    value: K<'_>,
    temporaries: &mut to_c::Temporaries,
) -> Result<Source> {
    let letter = function.letters.parameters[index];
    let (Some(to), Some(from), true) = (letter.scalar(), Scalar::of_type(value.t()), extends(letter, value)) else {
        return function.word(thread, index, value, temporaries).map(Source::Same);
    };
    let elements = value.elements().cast_const();
    if from == to {
        return Ok(Source::Elements(elements, to.size()));
    }
    for element in 0..value.count() {
        // SAFETY: there are as many elements.
        let bits = unsafe { load(from, elements, element) };
        if number::convert(bits, from, to).is_none() {
            let text = format!("element {element}: {}h {}", value.t(), number::show(bits, from));
            return Err(Fault::of_type(text).at(function.place(index)));
        }
    }
    Ok(Source::Converted { elements, from, to })
}

/// # Safety
/// There is an element of that number.
unsafe fn load(from: Scalar, elements: *const u8, element: usize) -> u64 {
    // SAFETY: said by the caller.
    unsafe { number::load(from, elements.add(element * from.size())) }
}

/// Makes the calls: all at once, or, where elements are converted, a piece at a time.
fn pieces(
    map: &Map,
    function: &Function,
    sources: &[Source],
    count: usize,
    results: *mut u8,
    size: usize,
) -> Result<()> {
    let mut columns = [Column { address: std::ptr::null(), stride: 0 }; CONVERTED];
    let columns = &mut columns[..sources.len()];
    for (column, source) in columns.iter_mut().zip(sources) {
        *column = match source {
            Source::Same(word) => Column { address: std::ptr::from_ref(word).cast(), stride: 0 },
            Source::Elements(elements, size) => Column { address: *elements, stride: *size as isize },
            Source::Converted { .. } => continue,
        };
    }
    let target = function.function.target();
    if !sources.iter().any(|source| matches!(source, Source::Converted { .. })) {
        // SAFETY: each column has as many elements of its parameter's type, and so has the room for results; who declared
        // the function answers for the rest.
        return Ok(unsafe { map.call(target, count, columns, results) }?);
    }
    let mut converted = [[0_u64; PIECE]; CONVERTED];
    for start in (0..count).step_by(PIECE) {
        let length = PIECE.min(count - start);
        for ((column, source), room) in columns.iter_mut().zip(sources).zip(&mut converted) {
            match *source {
                Source::Same(_) => {}
                Source::Elements(elements, size) => column.address = elements.wrapping_add(start * size),
                Source::Converted { elements, from, to } => {
                    convert(elements, from, to, start, &mut room[..length]);
                    *column = Column { address: room.as_ptr().cast(), stride: size_of::<u64>() as isize };
                }
            }
        }
        // SAFETY: as above, for so many elements.
        unsafe { map.call(target, length, columns, results.wrapping_add(start * size)) }?;
    }
    Ok(())
}

/// Converts elements, each to a word. All can be.
fn convert(elements: *const u8, from: Scalar, to: Scalar, start: usize, room: &mut [u64]) {
    for (index, word) in room.iter_mut().enumerate() {
        // SAFETY: there are as many elements.
        let bits = unsafe { load(from, elements, start + index) };
        *word = number::convert(bits, from, to).unwrap_or_default();
    }
}

/// Calls the function element by element, which may be lists themselves.
fn each(function: &Function, arguments: &[K<'_>], count: usize) -> Result<*mut Object> {
    let mut results = Vec::with_capacity(count);
    for index in 0..count {
        let items: Vec<Owned> = function
            .letters
            .parameters
            .iter()
            .zip(arguments)
            .map(|(letter, value)| if extends(*letter, *value) { item(*value, index) } else { value.share() })
            .collect();
        let items: Vec<K<'_>> = items.iter().map(Owned::as_k).collect();
        let result = call(function, &items)?;
        if !result.is_null() {
            // SAFETY: the reference is ours.
            results.push(unsafe { Owned::new(result) });
        }
    }
    if function.letters.result.meaning() == Meaning::Void {
        return Ok(std::ptr::null_mut());
    }
    let results = match results.is_empty() {
        true => Owned::vector(function.letters.result.vector_type(), 0),
        false => to_q::collapsed(results),
    };
    Ok(results.into_raw())
}

/// An element of a list or a vector.
fn item(list: K<'_>, index: usize) -> Owned {
    if list.t() == kind::LIST {
        return list.items()[index].share();
    }
    let (t, elements) = (list.t(), list.elements());
    // SAFETY: there is an element of that number, as wide as its type says; the reference is ours.
    unsafe {
        Owned::new(match Scalar::of_type(t) {
            Some(scalar) => to_q::atom(scalar, t, load(scalar, elements, index)),
            None if t == kind::GUID => to_q::guid(elements.add(16 * index)),
            None => (api().ks)(elements.cast::<*mut std::ffi::c_char>().add(index).read()),
        })
    }
}

/// Calls the function with the values of a dictionary, or the columns of a table, and gives what comes their keys.
fn keyed(function: &Function, arguments: &[K<'_>], place: usize) -> Result<*mut Object> {
    let value = arguments[place];
    if arguments
        .iter()
        .enumerate()
        .any(|(at, other)| at != place && matches!(other.t(), kind::DICTIONARY | kind::TABLE))
    {
        return Err(Fault::of_type(format!("{}: two of the arguments have keys", function.name)));
    }
    let is_table = value.t() == kind::TABLE;
    let dictionary = if is_table { value.columns() } else { value };
    let [keys, values] = dictionary.halves();
    let mut arguments = arguments.to_vec();
    arguments[place] = values;
    let result = call(function, &arguments)?;
    if result.is_null() {
        return Ok(result);
    }
    // SAFETY: the reference is ours.
    let dictionary = Owned::dictionary(keys.share(), unsafe { Owned::new(result) });
    // SAFETY: a dictionary of columns makes a table, and takes the reference.
    Ok(if is_table { unsafe { (api().xT)(dictionary.into_raw()) } } else { dictionary.into_raw() })
}
