//! Every letter with every value: as an argument, a result, a callback's argument and result, of variables and members.
//!
//! One table drives all of it: `table`.

mod ffi;
mod support;
mod table;

use ffi::*;
use support::*;
use table::{C, Is, Sample, Sees, all_letters, c_type, number, q_type, samples, sees};

/// The C function that records an argument of a letter: texts are copied.
fn recorder(letter: char) -> String {
    if is_text(letter) { "see_text".to_owned() } else { format!("see_{}", c_type(letter).name()) }
}

fn is_text(letter: char) -> bool {
    matches!(letter, 's' | 'C')
}

/// Checks what C has recorded, or the error.
fn check(context: &str, letter: char, sample: &Sample, outcome: &Result<Value, String>, expected: &Sees) {
    let itself = || if sample.value.kind() == -2 { sample.value.items::<u8>() } else { sample.value.items() } as u64;
    match (expected, outcome) {
        (Sees::Error, Err(text)) => {
            let place = if context.starts_with("callback") {
                format!("callback: result (\"{letter}\"): ")
            } else {
                format!("argument 1 (\"{letter}\"): ")
            };
            let is_right = text.starts_with("type: ") && (text.contains(&place) || text.contains("callback"));
            assert!(is_right, "{context}: {text}");
        }
        (Sees::Error, Ok(_)) => panic!("{context}: C sees {:#x} instead of an error", seen(0)),
        (expected, Err(text)) => panic!("{context}: {text} instead of {expected:x?}"),
        (Sees::Bits(bits), _) => assert_eq!(seen(0), *bits, "{context}: {:#x} {bits:#x}", seen(0)),
        (Sees::Itself, _) => assert_eq!(seen(0), itself(), "{context}"),
        (Sees::Interned, _) => assert_eq!(seen(0), intern(&sample.value.text()) as u64, "{context}"),
        (Sees::Copy(bytes), _) => {
            let up_to_zero: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0).collect();
            assert_eq!(seen_text(), up_to_zero, "{context}");
            assert_ne!(seen(0), itself(), "{context}: a text without a zero byte is copied");
        }
        (Sees::Code, _) => assert!(![0, itself()].contains(&seen(0)), "{context}"),
    }
}

/// Runs a call twice, the second time exactly, and checks what C sees each time and that the value's references are what
/// they were.
fn run(ffi: &Ffi<'_>, context: &str, letter: char, sample: &Sample, expected: &Sees, call: impl Fn() -> Outcome) {
    let mut references = sample.value.refcount();
    for is_first in [true, false] {
        forget_seen();
        let before = calls();
        let outcome = if is_first { call().map(drop) } else { ffi.q.exact(|_| call().map(drop)) };
        check(context, letter, sample, &outcome.map(|()| null()), expected);
        let made = i64::from(*expected != Sees::Error);
        assert_eq!(calls() - before, made, "{context}: calls");
        if is_first && *expected == Sees::Code {
            references = sample.value.refcount();
        }
    }
    assert_eq!(sample.value.refcount(), references, "{context}: references");
}

#[test]
fn arguments_of_bound_functions() {
    ffi(|ffi| {
        let samples = samples();
        for letter in all_letters() {
            let name = recorder(letter);
            let function = ffi.bound(&name, &letter.to_string(), ' ');
            for sample in &samples {
                let context = format!("bind {letter:?} {:?}", sample.value);
                run(ffi, &context, letter, sample, &sees(letter, sample), || {
                    ffi.list_call(&function, &[&sample.value])
                });
            }
        }
    });
}

/// Whether a function of its own rank goes into a value: lists where C takes one thing, and whatever has keys.
fn is_gone_into(letter: char, sample: &Sample) -> bool {
    let is_list = matches!(sample.is, Is::List | Is::Callback);
    let is_vector = is_list || matches!(sample.is, Is::Vector(_) | Is::Guids | Is::Symbols);
    matches!(sample.value.kind(), 98 | 99)
        || match letter {
            's' => is_list || sample.is == Is::Symbols,
            'g' => is_list || sample.is == Is::Guids,
            'C' => is_list,
            letter => letter.is_ascii_lowercase() && number(letter).is_some() && is_vector,
        }
}

#[test]
fn arguments_of_functions_of_their_own_rank() {
    ffi(|ffi| {
        let samples = samples();
        for letter in all_letters() {
            let function = ffi.own_rank(&recorder(letter), &letter.to_string(), ' ');
            for sample in samples.iter().filter(|sample| !is_gone_into(letter, sample)) {
                let context = format!("fn {letter:?} {:?}", sample.value);
                let call = || ffi.q.apply(&function, &[&sample.value]);
                run(ffi, &context, letter, sample, &sees(letter, sample), call);
            }
        }
    });
}

#[test]
fn elements_of_vectors_for_functions_of_their_own_rank() {
    ffi(|ffi| {
        let samples = samples();
        for letter in all_letters() {
            let (Some(to), true) = (number(letter), letter.is_ascii_lowercase()) else { continue };
            let function = ffi.own_rank(&recorder(letter), &letter.to_string(), ' ');
            for sample in &samples {
                let Is::Vector(from) = sample.is else { continue };
                if sample.value.len() == 0 {
                    continue;
                }
                let context = format!("fn {letter:?} {:?}", sample.value);
                let last = last_element(sample);
                let expected = if from == to { Some(last.1) } else { table::converted(last.0, to) };
                forget_seen();
                let before = calls();
                match (ffi.twice(|| ffi.q.apply(&function, &[&sample.value])), expected) {
                    (Ok(result), Some(bits)) => {
                        assert!(result.is_null(), "{context}: {result:?}");
                        assert_eq!(seen(0), bits, "{context}");
                        assert_eq!(calls() - before, 2 * sample.value.len() as i64, "{context}");
                    }
                    (Err(text), None) => {
                        let place = format!("argument 1 (\"{letter}\"): element ");
                        assert!(text.starts_with("type: ") && text.contains(&place), "{context}: {text}");
                        assert_eq!(calls(), before, "{context}: nothing is called before all is looked at");
                    }
                    (outcome, expected) => panic!("{context}: {outcome:?} instead of {expected:?}"),
                }
                assert_eq!(sample.value.refcount(), 0, "{context}");
            }
        }
    });
}

/// What the last element of a vector is, and its bits.
fn last_element(sample: &Sample) -> (Is, u64) {
    let value = &sample.value;
    let at = value.len() - 1;
    let integer = |c: C, value: i64, null: i64| {
        (if value == null { Is::Null(c) } else { Is::Integer(c, value) }, c.cut(value as u64))
    };
    let floating =
        |c: C, value: f64, bits: u64| (if value.is_nan() { Is::Null(c) } else { Is::Floating(c, value) }, bits);
    match sample.is {
        Is::Vector(C::Byte) => integer(C::Byte, value.slice::<u8>()[at].into(), -1),
        Is::Vector(C::Short) => integer(C::Short, value.slice::<i16>()[at].into(), i16::MIN.into()),
        Is::Vector(C::Int) => integer(C::Int, value.slice::<i32>()[at].into(), i32::MIN.into()),
        Is::Vector(C::Long) => integer(C::Long, value.slice::<i64>()[at], i64::MIN),
        Is::Vector(C::Real) => {
            floating(C::Real, value.slice::<f32>()[at].into(), value.slice::<f32>()[at].to_bits().into())
        }
        Is::Vector(C::Float) => floating(C::Float, value.slice::<f64>()[at], value.slice::<f64>()[at].to_bits()),
        is => panic!("{is:?} is no vector of numbers"),
    }
}

#[test]
fn arguments_whose_letters_are_inferred() {
    ffi(|ffi| {
        for sample in &samples() {
            let context = format!("callFunction {:?}", sample.value);
            let Some(letter) = table::inferred(sample) else {
                let outcome = ffi.twice(|| ffi.inferred("see_pointer", ' ', &[&sample.value]));
                let expected = format!("type: see_pointer: argument 1: {}h has no C type", sample.value.kind());
                assert_eq!(outcome, error(&expected), "{context}");
                continue;
            };
            let name = recorder(letter);
            // `::` alone would say that there are no arguments.
            let behind = long(0);
            let arguments = [&sample.value, &behind];
            let arguments = &arguments[..if sample.is == Is::Nothing { 2 } else { 1 }];
            run(ffi, &context, letter, sample, &sees(letter, sample), || ffi.inferred(&name, ' ', arguments));
        }
    });
}

/// Bytes that C may give as a value of a type: patterns that tell bytes apart, edges, q's nulls.
fn words(c: C) -> Vec<u64> {
    let mut words = vec![0, 1, 0x0807_0605_0403_0201, 0xf8f7_f6f5_f4f3_f2f1, u64::MAX >> 1, u64::MAX];
    words.extend([0x80, 0x8000, 0x8000_0000, 1 << 63, 0x7f80_0000, 0x7ff0 << 48, f64::NAN.to_bits()]);
    words.extend([1.5_f32.to_bits().into(), f32::NAN.to_bits().into(), 2.5_f64.to_bits()]);
    words.iter().map(|word| c.cut(*word)).collect()
}

/// q's value for a number of C's: what the letters say, and a boolean is 0 or 1.
fn q_value(letter: char, word: u64) -> Value {
    match q_type(letter) {
        1 => boolean(word as u8 != 0),
        kind @ (4 | 10) => atom_of(kind, word as u8),
        5 => short(word as i16),
        kind @ (6 | 13 | 14 | 17 | 18 | 19) => atom_of(kind, word as i32),
        kind @ (7 | 12 | 16) => atom_of(kind, word as i64),
        8 => real(f32::from_bits(word as u32)),
        kind @ (9 | 15) => atom_of(kind, f64::from_bits(word)),
        kind => panic!("{kind} is no number"),
    }
}

/// The null of a letter's type, which null pointers give.
fn q_null(letter: char) -> Value {
    match q_type(letter) {
        _ if letter.eq_ignore_ascii_case(&'c') => string(""),
        1 => boolean(false),
        4 => byte(0),
        5 => short(i16::MIN),
        kind @ (6 | 13 | 14 | 17 | 18 | 19) => atom_of(kind, i32::MIN),
        kind @ (7 | 12 | 16) => atom_of(kind, i64::MIN),
        8 => real(f32::NAN),
        kind @ (9 | 15) => atom_of(kind, f64::NAN),
        2 => guid([0; 16]),
        11 => symbol(""),
        _ => null(),
    }
}

static SIXTEEN: [u8; 16] = *b"0123456789abcdef";
static TEXT: &std::ffi::CStr = c"some text";

/// What C can give under a letter, as bytes of its type, with the value that q has for it. Pointers lead into `room`, which
/// stays where it is.
fn gifts(letter: char, room: &mut Room) -> Vec<(u64, Value)> {
    let lower = letter.to_ascii_lowercase();
    let mut gifts = Vec::new();
    if letter.is_ascii_uppercase() {
        gifts.push((0, q_null(letter)));
        if lower == 'c' {
            gifts.push((TEXT.as_ptr() as u64, string("some text")));
        } else if lower == 'g' {
            gifts.push((SIXTEEN.as_ptr() as u64, guid(SIXTEEN)));
        } else {
            gifts.extend(gifts_below(lower, room).into_iter().map(|(word, value)| (room.hold(word), value)));
        }
        return gifts;
    }
    gifts_below(letter, room)
}

fn gifts_below(letter: char, room: &mut Room) -> Vec<(u64, Value)> {
    match letter {
        'g' => vec![(0, guid([0; 16])), (SIXTEEN.as_ptr() as u64, guid(SIXTEEN))],
        's' => vec![(0, symbol("")), (TEXT.as_ptr() as u64, symbol("some text"))],
        'k' => vec![(0, null()), (room.object.raw() as u64, room.object.clone())],
        'r' => words(C::Pointer).into_iter().map(|word| (word, long(word as i64))).collect(),
        letter => words(c_type(letter)).into_iter().map(|word| (word, q_value(letter, word))).collect(),
    }
}

/// Memory that pointers of C's lead to, and an object of q's.
struct Room {
    cells: Vec<Box<u64>>,
    object: Value,
}

impl Room {
    fn new() -> Room {
        Room { cells: Vec::new(), object: longs(&[1, 2, 3]) }
    }

    /// The address of a word that stays.
    fn hold(&mut self, word: u64) -> u64 {
        self.cells.push(Box::new(word));
        &raw const **self.cells.last().expect("a cell") as u64
    }

    /// Gives one more reference to the object away, where C does.
    fn give_away(&self) {
        _ = self.object.clone().into_raw();
    }
}

#[test]
fn results() {
    ffi(|ffi| {
        for letter in all_letters() {
            let mut room = Room::new();
            let gifts = gifts(letter, &mut room);
            let name = format!("give_{}", c_type(letter).name());
            let functions = [ffi.bound(&name, "", letter), ffi.own_rank(&name, "", letter)];
            for (word, expected) in &gifts {
                let context = format!("result {letter:?} of {word:#x}");
                pass(0, &word.to_ne_bytes());
                // What C gives as a K is q's own afterwards.
                let give = || {
                    if letter == 'k' && *word != 0 {
                        room.give_away()
                    }
                };
                for function in &functions {
                    let argument = if function.raw() == functions[0].raw() { ended(&[&null()]) } else { null() };
                    drop(ffi.q.apply(function, &[&argument]).inspect(|_| give()));
                    ffi.q.exact(|_| {
                        give();
                        let outcome = ffi.q.apply(function, &[&argument]);
                        assert_eq!(outcome.as_ref(), Ok(expected), "{context}");
                    });
                }
                ffi.q.exact(|_| {
                    give();
                    assert_eq!(ffi.inferred(&name, letter, &[]).as_ref(), Ok(expected), "{context}, inferred");
                });
            }
        }
    });
}

#[test]
fn a_result_of_void_is_nothing() {
    ffi(|ffi| {
        let function = ffi.bound("see_nothing", "", ' ');
        assert_eq!(ffi.twice(|| ffi.list_call(&function, &[&null()])), Ok(null()));
    });
}

thread_local! {
    /// What the lambda of a test has been given last.
    static GIVEN: std::cell::RefCell<Option<Value>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn arguments_of_callbacks() {
    ffi(|ffi| {
        for letter in all_letters() {
            let mut room = Room::new();
            let gifts = gifts(letter, &mut room);
            let function = lambda(1, |arguments| {
                GIVEN.set(Some(arguments[0].clone()));
                Ok(null())
            });
            let callback = callback(&function, &letter.to_string(), ' ');
            let hand = ffi.bound(&format!("hand_{}", c_type(letter).name()), "k", ' ');
            for (word, expected) in &gifts {
                pass(0, &word.to_ne_bytes());
                let outcome = ffi.list_call(&hand, &[&callback]);
                let context = format!("callback with {letter:?} of {word:#x}");
                assert_eq!(outcome, Ok(null()), "{context}");
                assert_eq!(GIVEN.take().as_ref(), Some(expected), "{context}");
            }
            // The list of arguments is kept from run to run: nothing is left by further runs.
            ffi.q.exact(|_| {
                for (word, _) in &gifts {
                    pass(0, &word.to_ne_bytes());
                    assert_eq!(ffi.list_call(&hand, &[&callback]), Ok(null()));
                }
                let first = gifts[0].0;
                pass(0, &first.to_ne_bytes());
                // A value that is somebody else's as well is never written anew.
                assert_eq!(ffi.list_call(&hand, &[&callback]), Ok(null()));
                let kept = GIVEN.take();
                pass(0, &gifts[gifts.len() - 1].0.to_ne_bytes());
                assert_eq!(ffi.list_call(&hand, &[&callback]), Ok(null()));
                assert_eq!(kept.as_ref(), Some(&gifts[0].1), "{letter:?}: a kept argument has changed");
                GIVEN.take();
            });
            assert_eq!(ffi.q.apply(&ffi.free, &[&callback]), Ok(boolean(true)));
        }
    });
}

thread_local! {
    /// What the lambda of a test gives.
    static GIFT: std::cell::RefCell<Option<Value>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn results_of_callbacks() {
    ffi(|ffi| {
        let samples = samples();
        for letter in all_letters() {
            let function = lambda(0, |_| Ok(GIFT.with_borrow(|gift| gift.clone().expect("a gift"))));
            let callback = callback(&function, "", letter);
            let take = match is_text(letter) {
                true => "take_text".to_owned(),
                false => format!("take_{}", c_type(letter).name()),
            };
            let take = ffi.bound(&take, "k", ' ');
            for sample in &samples {
                let context = format!("callback gives {letter:?} {:?}", sample.value);
                let expected = callback_result(letter, sample);
                let references = sample.value.refcount();
                GIFT.set(Some(sample.value.clone()));
                for _ in 0..2 {
                    forget_seen();
                    let outcome = ffi.list_call(&take, &[&callback]);
                    if letter == 'k' {
                        assert_eq!((outcome, seen(0)), (Ok(null()), sample.value.raw() as u64), "{context}");
                        // SAFETY: C was given a reference.
                        drop(unsafe { Value::from_raw(sample.value.raw()) });
                        continue;
                    }
                    check(&context, letter, sample, &outcome, &expected);
                    if expected == Sees::Error {
                        assert_eq!(seen(0), 0, "{context}: C gets zero");
                    }
                }
                GIFT.set(None);
                // The last pointer that C was given stays good until the next one.
                let held = i32::from(sample.value.refcount() != references);
                let may_be_held = letter != 'k' && c_type(letter) == C::Pointer || letter == 'l';
                assert!(sample.value.refcount() - references == held && (held == 0 || may_be_held), "{context}");
            }
            assert_eq!(ffi.q.apply(&ffi.free, &[&callback]), Ok(boolean(true)));
            drop((callback, function));
            assert!(samples.iter().all(|sample| sample.value.refcount() <= 1), "{letter:?} keeps what it was given");
        }
        drop(samples);
    });
}

/// What C sees of a callback's result: the same as of an argument, but a number is always an atom, and there is no callback.
fn callback_result(letter: char, sample: &Sample) -> Sees {
    match sees(letter, sample) {
        Sees::Itself | Sees::Bits(_) if is_number(letter) && sample.value.kind() >= 0 => Sees::Error,
        expected => expected,
    }
}

fn is_number(letter: char) -> bool {
    letter.is_ascii_lowercase() && letter != 'l' && number(letter).is_some()
}

#[test]
fn variables() {
    ffi(|ffi| {
        let sixteen = guid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        for letter in all_letters() {
            let Some(c) = number(letter) else { continue };
            let word = match c {
                C::Byte => 7,
                C::Short => c.cut(-2_i64 as u64),
                C::Int => 42,
                C::Long => -5_000_000_000_i64 as u64,
                C::Real => 1.5_f32.to_bits().into(),
                _ => 2.5_f64.to_bits(),
            };
            let (name, expected) = match letter.is_ascii_uppercase() {
                true => ("v_none".to_owned(), q_null(letter)),
                false => (format!("v_{}", c.name()), q_value(letter, word)),
            };
            let read = ffi.twice(|| ffi.q.apply(&ffi.cvar, &[&list![ffi::letter(letter), symbol(&name)]]));
            assert_eq!(read, Ok(expected), "{letter:?}");
        }
        let cases = [
            ('g', "v_guid", sixteen.clone()),
            ('g', "v_none", guid([0; 16])),
            ('G', "v_guid", sixteen),
            ('s', "v_text", symbol("variable")),
            ('C', "v_text", string("variable")),
            ('s', "v_none", symbol("")),
            ('r', "v_pointer", long(address::<i32>("v_int") as i64)),
            ('r', "v_none", long(0)),
            ('I', "v_pointer", int(42)),
            ('k', "v_none", null()),
            ('K', "v_none", null()),
            ('S', "v_none", symbol("")),
            ('R', "v_none", long(i64::MIN)),
        ];
        for (letter, name, expected) in cases {
            let read = ffi.twice(|| ffi.q.apply(&ffi.cvar, &[&list![ffi::letter(letter), symbol(name)]]));
            assert_eq!(read, Ok(expected), "{letter:?} {name}");
        }
        assert_eq!(ffi.q.apply(&ffi.cvar, &[&symbol("v_int")]), Ok(int(42)));
    });
}

#[test]
fn members() {
    ffi(|ffi| {
        for letter in all_letters() {
            let mut room = Room::new();
            for (word, expected) in gifts(letter, &mut room) {
                // A byte, then the value at its own alignment, twice.
                let (c, mut bytes) = (c_type(letter), [0_u64; 4]);
                let stride = 2 * c.size();
                for at in [c.size(), stride + c.size()] {
                    // SAFETY: two structs have at most 32 bytes.
                    unsafe {
                        let to = bytes.as_mut_ptr().cast::<u8>().add(at);
                        to.copy_from_nonoverlapping(word.to_ne_bytes().as_ptr(), c.size());
                    }
                }
                let at = long(bytes.as_mut_ptr() as i64);
                let letters = string(format!("x{letter}"));
                for index in [long(0), long(1), int(1)] {
                    let read = ffi.twice(|| ffi.q.apply(&ffi.deref, &[&at, &letters, &index]));
                    assert_eq!(read, Ok(list![byte(0), expected.clone()]), "{letter:?} {word:#x}");
                }
            }
        }
    });
}
