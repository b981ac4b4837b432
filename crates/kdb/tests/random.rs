//! Random functions of random letters: calls and callbacks with random values, against what C records.
//!
//! `JITCALL_SEED` repeats a run; `JITCALL_PROGRAMS` says how many functions there are for each letter.

mod ffi;
mod support;
mod table;

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::OnceLock;

use ffi::*;
use support::*;
use table::{C, LETTERS, c_type, converted, q_type};

/// A generator of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Letters of numbers and addresses: what C gets and gives as they are.
fn letters() -> Vec<char> {
    LETTERS.iter().map(|(letter, ..)| *letter).filter(|letter| !"gsk".contains(*letter)).collect()
}

/// Those whose values C gets as addresses of q's own memory.
fn addresses() -> Vec<char> {
    table::all_letters().into_iter().filter(|letter| is_address(*letter)).collect()
}

fn is_address(letter: char) -> bool {
    letter.is_ascii_uppercase() || "gs".contains(letter)
}

/// A function with the letters of its arguments and of its result, and its number.
struct Function {
    number: usize,
    parameters: Vec<char>,
    result: char,
}

/// Functions such that each letter is an argument of as many, and the result of as many.
fn functions(random: &mut Random, for_each: usize) -> Vec<Function> {
    let letters = letters();
    let mut functions = Vec::new();
    let all = [letters.clone(), addresses()].concat();
    for letter in addresses() {
        for _ in 0..for_each {
            let count = random.below(14);
            let mut parameters: Vec<char> = (0..count).map(|_| random.pick(&all)).collect();
            parameters.insert(random.below(count + 1), letter);
            functions.push(Function { number: functions.len(), parameters, result: random.pick(&letters) });
        }
    }
    for letter in &letters {
        for _ in 0..for_each {
            let count = random.below(14);
            let mut parameters: Vec<char> = (0..count).map(|_| random.pick(&letters)).collect();
            parameters.insert(random.below(count + 1), *letter);
            functions.push(Function { number: functions.len(), parameters, result: random.pick(&letters) });
            let parameters = (0..random.below(12)).map(|_| random.pick(&letters)).collect();
            functions.push(Function { number: functions.len(), parameters, result: *letter });
        }
    }
    functions
}

impl Function {
    /// A C function that records its arguments and gives what it is told to, and one that calls a callback with what it is
    /// told to and records the result.
    fn source(&self) -> String {
        let types: Vec<&str> = self.parameters.iter().map(|letter| c_type(*letter).declaration()).collect();
        let result = c_type(self.result).declaration();
        let (mut parameters, mut record, mut fetch) = (Vec::new(), String::new(), String::new());
        for (at, ty) in types.iter().enumerate() {
            parameters.push(format!("{ty} a{at}"));
            let _ = write!(record, "seen[{at}] = 0; memcpy(&seen[{at}], &a{at}, sizeof a{at}); ");
            let _ = write!(fetch, "{ty} a{at}; memcpy(&a{at}, pass + 8 * {at}, sizeof a{at}); ");
        }
        let arguments: Vec<String> = (0..types.len()).map(|at| format!("a{at}")).collect();
        let (number, parameters, arguments) = (self.number, parameters.join(", "), arguments.join(", "));
        let parameters = if parameters.is_empty() { "void" } else { &parameters };
        let types = if types.is_empty() { "void".to_owned() } else { types.join(", ") };
        format!(
            "{result} call{number}({parameters}) {{ {record}{result} r; memcpy(&r, pass + 120, sizeof r); return r; }}\n\
             void back{number}({result} (*f)({types})) {{ {fetch}{result} r = f({arguments}); seen[15] = 0; \
             memcpy(&seen[15], &r, sizeof r); }}\n"
        )
    }
}

/// Random bits of a C type, often edges and nulls.
fn bits(random: &mut Random, c: C) -> u64 {
    let edges = [0, 1, u64::MAX, 0x80, 0x8000, 0x8000_0000, 1 << 63, u64::MAX >> 1, 0x7fff_ffff, 0x3ff0 << 48];
    c.cut(if random.below(3) == 0 { random.pick(&edges) } else { random.next() })
}

/// The value of a letter's own type with these bits.
fn own(letter: char, bits: u64) -> Value {
    match q_type(letter) {
        1 => boolean(bits & 1 != 0),
        kind @ (4 | 10) => atom_of(kind, bits as u8),
        5 => short(bits as i16),
        kind @ (6 | 13 | 14 | 17 | 18 | 19) => atom_of(kind, bits as i32),
        kind @ (7 | 12 | 16) => atom_of(kind, bits as i64),
        8 => real(f32::from_bits(bits as u32)),
        kind => atom_of(kind, f64::from_bits(bits)),
    }
}

/// The bits of a number that a letter is given, and a value for them: of its own type, or of another one that has the
/// number.
fn given(random: &mut Random, letter: char) -> (Value, u64) {
    if is_address(letter) {
        return table::value(letter, random.below(100));
    }
    let c = if letter == 'r' { C::Long } else { c_type(letter) };
    if random.below(3) > 0 {
        let bits = if letter == 'b' { bits(random, c) & 1 } else { bits(random, c) };
        return (own(letter, bits), bits);
    }
    // Small numbers that every type has.
    let number = random.below(100) as i64;
    let others = ['h', 'i', 'j', 'e', 'f', 'd', 'p', 'z', 'x'];
    // A byte is no address.
    let other = random.pick(if letter == 'r' { &others[..8] } else { &others[..] });
    let from = match c_type(other) {
        C::Real | C::Float => table::Is::Floating(c_type(other), number as f64),
        c => table::Is::Integer(c, number),
    };
    let as_other = converted(table::Is::Integer(C::Long, number), c_type(other)).expect("a small number");
    (own(other, as_other), converted(from, c).expect("a small number"))
}

/// What q has for bits that C gives.
fn read(letter: char, bits: u64) -> Value {
    if letter == 'b' { boolean(bits as u8 != 0) } else { own(letter, bits) }
}

/// The seed, the functions, and the library with them.
fn program() -> &'static (u64, Vec<Function>, std::path::PathBuf) {
    static PROGRAM: OnceLock<(u64, Vec<Function>, std::path::PathBuf)> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
        let time = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_nanos() as u64;
        let seed = number("JITCALL_SEED").unwrap_or_else(time);
        println!("JITCALL_SEED={seed}");
        let for_each = number("JITCALL_PROGRAMS").unwrap_or(10) as usize;
        let functions = functions(&mut Random(seed | 1), for_each);
        let source = functions.iter().map(Function::source).collect::<String>();
        let head = "#include <string.h>\nextern unsigned long seen[16];\nextern unsigned char pass[128];\n";
        (seed, functions, compiled(&format!("{head}{source}")))
    })
}

#[test]
fn calls() {
    ffi(|ffi| {
        let (seed, functions, library) = program();
        ffi.load(library);
        let mut random = Random(seed ^ 0x5555 | 1);
        for function in functions {
            let letters: String = function.parameters.iter().collect();
            let name = format!("call{}", function.number);
            let bound = ffi.bound(&name, &letters, function.result);
            for _ in 0..5 {
                let (values, words): (Vec<Value>, Vec<u64>) =
                    function.parameters.iter().map(|letter| given(&mut random, *letter)).unzip();
                let result = bits(&mut random, c_type(function.result));
                pass(15, &result.to_ne_bytes());
                let context = format!("JITCALL_SEED={seed}: {name} {letters} -> {}: {values:?}", function.result);
                let arguments: Vec<&Value> = values.iter().collect();
                let expected = read(function.result, result);
                forget_seen();
                let outcome = ffi.twice(|| ffi.list_call(&bound, &arguments));
                assert_eq!(outcome.as_ref(), Ok(&expected), "{context}");
                let recorded: Vec<u64> = (0..words.len()).map(seen).collect();
                assert_eq!(recorded, words, "{context}");
                assert!(values.iter().all(|value| value.refcount() == 0), "{context}");
            }
        }
    });
}

thread_local! {
    static GIVEN: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static GIFT: RefCell<Option<Value>> = const { RefCell::new(None) };
}

#[test]
fn callbacks() {
    ffi(|ffi| {
        let (seed, functions, library) = program();
        ffi.load(library);
        let mut random = Random(seed ^ 0xaaaa | 1);
        // What C passes as an address has to lead somewhere: `letters.rs` has those.
        for function in functions.iter().filter(|function| !function.parameters.iter().any(|l| is_address(*l))) {
            let count = function.parameters.len();
            let run = lambda(if count > 8 { 1 } else { count }, move |arguments| {
                let is_folded = count > 8;
                GIVEN.set(if is_folded {
                    arguments[0].values()
                } else {
                    arguments.iter().map(|v| (*v).clone()).collect()
                });
                Ok(GIFT.with_borrow(|gift| gift.clone().expect("a gift")))
            });
            let letters: String = function.parameters.iter().collect();
            let callback = callback(&run, &letters, function.result);
            let name = format!("back{}", function.number);
            let list = ended(&[&callback]);
            let caller = list![letter(' '), symbol(&name)];
            for _ in 0..5 {
                let words: Vec<u64> =
                    function.parameters.iter().map(|letter| bits(&mut random, c_type(*letter))).collect();
                words.iter().enumerate().for_each(|(at, word)| pass(at, &word.to_ne_bytes()));
                let (gift, result) = given(&mut random, function.result);
                let context = format!("JITCALL_SEED={seed}: {name} {letters} -> {}: {gift:?}", function.result);
                GIFT.set(Some(gift));
                assert_eq!(ffi.q.apply(&ffi.call_function, &[&caller, &list]), Ok(null()), "{context}");
                let expected: Vec<Value> =
                    function.parameters.iter().zip(&words).map(|(letter, word)| read(*letter, *word)).collect();
                assert_eq!(GIVEN.take(), expected, "{context}");
                assert_eq!(seen(15), result, "{context}");
            }
            // Further runs leave nothing behind.
            ffi.q.exact(|q| {
                q.apply(&ffi.call_function, &[&caller, &list]).expect("nothing");
                GIVEN.take();
            });
            assert_eq!(ffi.q.apply(&ffi.free, &[&callback]), Ok(boolean(true)));
            GIFT.set(None);
        }
    });
}
