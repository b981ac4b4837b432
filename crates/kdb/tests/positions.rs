//! Every letter in every position, in functions of 1 to 10 arguments: in registers of both kinds, and beyond them.

mod ffi;
mod support;
mod table;

use std::fmt::Write;

use ffi::*;
use support::*;
use table::{C, all_letters, c_type, value};

/// The most arguments.
const MOST: usize = 10;

/// What stands in the other positions: integers and floats, so that both kinds of registers run out at different places.
const OTHERS: [(char, C); 7] = [
    ('i', C::Int),
    ('f', C::Float),
    ('j', C::Long),
    ('e', C::Real),
    ('h', C::Short),
    ('x', C::Byte),
    ('r', C::Pointer),
];

/// The letters of a function of so many arguments with a letter at a place.
fn letters(count: usize, place: usize, letter: char) -> Vec<char> {
    (0..count).map(|at| if at == place { letter } else { OTHERS[(at + count) % OTHERS.len()].0 }).collect()
}

/// The name of the C function for them: it depends on their C types alone.
fn name(count: usize, place: usize, c: C) -> String {
    format!("at_{count}_{place}_{}", c.name())
}

/// A C function that records all of its arguments, and one that calls a callback with what it is told to.
fn source() -> String {
    let mut source =
        String::from("#include <string.h>\nextern unsigned long seen[16];\nextern unsigned char pass[128];\n");
    for c in C::ALL {
        for count in 1..=MOST {
            for place in 0..count {
                let letters = letters(count, place, letter_of(c));
                let types: Vec<&str> = letters.iter().map(|letter| c_type(*letter).declaration()).collect();
                let list = |write: &dyn Fn(usize) -> String| (0..count).map(write).collect::<Vec<_>>().join(", ");
                let name = name(count, place, c);
                let parameters = list(&|at| format!("{} a{at}", types[at]));
                let record = (0..count).fold(String::new(), |mut text, at| {
                    let _ = write!(text, "seen[{at}] = 0; memcpy(&seen[{at}], &a{at}, sizeof a{at}); ");
                    text
                });
                let fetch = (0..count).fold(String::new(), |mut text, at| {
                    let _ = write!(text, "{} a{at}; memcpy(&a{at}, pass + 8 * {at}, sizeof a{at}); ", types[at]);
                    text
                });
                let _ = writeln!(source, "int {name}({parameters}) {{ {record}return {count}; }}");
                let arguments = list(&|at| format!("a{at}"));
                let _ = writeln!(
                    source,
                    "int back_{name}(int (*f)({})) {{ {fetch}return f({arguments}); }}",
                    types.join(", ")
                );
            }
        }
    }
    source
}

/// The letter that stands for a C type by itself.
fn letter_of(c: C) -> char {
    OTHERS.iter().find(|(_, other)| *other == c).expect("a letter for each C type").0
}

/// The cases: every C type everywhere, and every letter in every position of a function of ten arguments.
fn cases() -> Vec<(usize, usize, char)> {
    let types = C::ALL
        .into_iter()
        .flat_map(|c| (1..=MOST).flat_map(move |count| (0..count).map(move |place| (count, place, letter_of(c)))));
    let letters = all_letters().into_iter().flat_map(|letter| (0..MOST).map(move |place| (MOST, place, letter)));
    let mut cases: Vec<_> = types.chain(letters).collect();
    cases.sort_unstable();
    cases.dedup();
    cases
}

/// A function of a case, and what it is called with.
struct Called {
    context: String,
    name: String,
    letters: String,
    values: Vec<Value>,
    /// What C sees of the values.
    words: Vec<u64>,
}

impl Called {
    fn new((count, place, letter): (usize, usize, char)) -> Called {
        let letters = letters(count, place, letter);
        let context = format!("{letter:?} at {place} of {letters:?}");
        let (values, words) = letters.iter().enumerate().map(|(at, letter)| value(*letter, at)).unzip();
        let letters = letters.into_iter().collect();
        Called { context, name: name(count, place, c_type(letter)), letters, values, words }
    }
}

fn library(ffi: &Ffi<'_>) {
    static LIBRARY: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    ffi.load(LIBRARY.get_or_init(|| compiled(&source())));
}

#[test]
fn arguments() {
    ffi(|ffi| {
        library(ffi);
        for (count, place, letter) in cases() {
            let Called { context, name, letters, values, words } = Called::new((count, place, letter));
            let arguments: Vec<&Value> = values.iter().collect();
            let bound = ffi.bound(&name, &letters, 'i');
            forget_seen();
            assert_eq!(ffi.twice(|| ffi.list_call(&bound, &arguments)), Ok(int(count as i32)), "{context}");
            let recorded: Vec<u64> = (0..count).map(seen).collect();
            assert_eq!(recorded, words, "{context}");
            assert!(values.iter().all(|value| value.refcount() == 0), "{context}");
        }
    });
}

#[test]
fn arguments_of_functions_of_their_own_rank() {
    ffi(|ffi| {
        library(ffi);
        // Code for each would be more than there is without a JIT: here every second one.
        for (count, place, letter) in cases()
            .into_iter()
            .filter(|(count, place, letter)| *count <= 8 && (*letter as usize + count + place).is_multiple_of(2))
        {
            let Called { context, name, letters, values, words } = Called::new((count, place, letter));
            let arguments: Vec<&Value> = values.iter().collect();
            let function = ffi.own_rank(&name, &letters, 'i');
            forget_seen();
            assert_eq!(ffi.twice(|| ffi.q.apply(&function, &arguments)), Ok(int(count as i32)), "{context}");
            let recorded: Vec<u64> = (0..count).map(seen).collect();
            assert_eq!(recorded, words, "{context}");
        }
    });
}

thread_local! {
    static GIVEN: std::cell::RefCell<Vec<Value>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn arguments_of_callbacks() {
    ffi(|ffi| {
        library(ffi);
        // Freed at the end of each case, so there are entries for all.
        for (count, place, letter) in cases() {
            // What C points at is a value's own memory; the letter below reads it.
            if letter.is_ascii_uppercase() || "gsk".contains(letter) {
                continue;
            }
            let Called { context, name, letters, values, words } = Called::new((count, place, letter));
            words.iter().enumerate().for_each(|(at, word)| pass(at, &word.to_ne_bytes()));
            // More than eight come in one list.
            let rank = if count > 8 { 1 } else { count };
            let function = lambda(rank, move |arguments| {
                let is_folded = count > 8;
                GIVEN.set(if is_folded {
                    arguments[0].values()
                } else {
                    arguments.iter().map(|v| (*v).clone()).collect()
                });
                Ok(int(-3))
            });
            let callback = callback(&function, &letters, 'i');
            let name = format!("back_{name}");
            let argument = ended(&[&callback]);
            let call = || ffi.q.apply(&ffi.call_function, &[&symbol(&name), &argument]);
            let expected = values.into_iter().zip(letters.chars());
            // An address is a long in q.
            let expected: Vec<Value> =
                expected.map(|(value, letter)| if letter == 'r' { long(value.atom()) } else { value }).collect();
            for _ in 0..2 {
                assert_eq!(call(), Ok(int(-3)), "{context}");
                assert_eq!(GIVEN.take(), expected, "{context}");
            }
            assert_eq!(ffi.q.apply(&ffi.free, &[&callback]), Ok(boolean(true)));
        }
    });
}
