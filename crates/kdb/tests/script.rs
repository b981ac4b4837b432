//! `q/test.q`: the table of the letters as a script for those who have q.
//!
//! `JITCALL_BLESS=1` writes the script anew. Without q its cases are run here as well, by the same functions of C's library.

mod ffi;
mod support;
mod table;

use std::fmt::Write;

use ffi::*;
use support::*;
use table::{C, Is, Sample, Sees, all_letters, c_type, samples, sees};

/// A function of C's library that shows what it was given under a letter.
struct Probe {
    name: &'static str,
    parameters: String,
    result: char,
}

fn probe(letter: char) -> Probe {
    let is_text = matches!(letter, 's' | 'C');
    let (name, result) = match c_type(letter) {
        C::Byte => ("toupper", 'x'),
        C::Short => ("ntohs", 'h'),
        C::Int => ("abs", 'i'),
        C::Long => ("labs", 'j'),
        C::Real => ("fabsf", 'e'),
        C::Float => ("fabs", 'f'),
        C::Pointer if is_text => ("strlen", 'j'),
        // Of no bytes: only whether the value is taken shows.
        C::Pointer => return Probe { name: "memcmp", parameters: format!("{letter}{letter}l"), result: 'i' },
    };
    Probe { name, parameters: letter.to_string(), result }
}

/// What the script can know of a case.
enum Case {
    Result(Value),
    Refused,
    /// An address, or a call that C does not survive.
    Unknown,
}

fn case(letter: char, sample: &Sample) -> Case {
    let is_pointer = c_type(letter) == C::Pointer;
    match sees(letter, sample) {
        Sees::Error => Case::Refused,
        Sees::Code => Case::Unknown,
        _ if probe(letter).name == "strlen" => match sample.is {
            Is::Symbol => Case::Result(long(sample.value.text().len() as i64)),
            Is::Vector(_) => {
                let bytes = sample.value.slice::<u8>();
                Case::Result(long(bytes.iter().take_while(|byte| **byte != 0).count() as i64))
            }
            _ => Case::Unknown,
        },
        _ if is_pointer => Case::Result(int(0)),
        Sees::Bits(bits) if sample.is != Is::Nothing => Case::Result(match c_type(letter) {
            C::Byte => byte((bits as u8).to_ascii_uppercase()),
            C::Short => short((bits as i16).swap_bytes()),
            C::Int => int((bits as i32).wrapping_abs()),
            C::Long => long((bits as i64).wrapping_abs()),
            C::Real => real(f32::from_bits(bits as u32).abs()),
            _ => float(f64::from_bits(bits).abs()),
        }),
        _ => Case::Unknown,
    }
}

/// Items as a list of q's.
fn q_list(items: &[String]) -> String {
    match items {
        [] => "()".to_owned(),
        [one] => format!("enlist {one}"),
        all => format!("({})", all.join(";")),
    }
}

/// Numbers as a vector of q's.
fn q_longs(numbers: &[usize]) -> String {
    let words: Vec<String> = numbers.iter().map(usize::to_string).collect();
    if words.len() > 1 { words.join(" ") } else { q_list(&words) }
}

/// The line of a letter: which values give what; all others but those that are left out are refused.
fn line(letter: char, samples: &[Sample]) -> String {
    let (mut taken, mut results, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (at, sample) in samples.iter().enumerate() {
        match case(letter, sample) {
            Case::Result(value) => {
                taken.push(at);
                results.push(format!("{value:?}"));
            }
            Case::Refused => {}
            Case::Unknown => left_out.push(at),
        }
    }
    let Probe { name, parameters, result } = probe(letter);
    let (taken, results, left_out) = (q_longs(&taken), q_list(&results), q_longs(&left_out));
    format!("under[`{name};\"{parameters}\";\"{result}\";{taken};{results};{left_out}]\n")
}

const HEAD: &str = r#"/ Tests of ffi.q for those who have q. In this folder: q test.q
/ Prints how many passed, and exits with 1 if any failed.
/ Generated from the table of the Rust tests: JITCALL_BLESS=1 cargo test -p jitcall-kdb --test script

\l ffi.q

passed:0
failed:0
check:{[name;expected;got]
  $[expected~got;
    passed::passed+1;
    [failed::failed+1; -1 name,": ",(-3!got)," instead of ",-3!expected]]; }

/ the class of an error
class:{`$first ":" vs x}

/ the values of the table under a letter: those taken give the results, others are refused, some are left out
one:{[f;letters;taken;results;i]
  args:$[1=count letters;(values i;::);(values i;values i;0;::)];
  expected:$[i in taken;results taken?i;`type];
  check[letters," ",-3!values i;expected;@[f;args;class]]; }
under:{[name;letters;result;taken;results;out]
  one[.ffi.bind[name;letters;result];letters;taken;results] each til[count values] except out; }

"#;

const TAIL: &str = r#"
/ lists of arguments
pow:.ffi.bind[`pow;"ff";"f"]
check["general";1024f;pow (2f;10f;::)]
check["general by itself";1024f;pow (2f;10)]
check["collapsed";`rank;@[pow;(2f;10f);class]]
check["too few";`rank;@[pow;(2f;::);class]]
check["one argument";3i;.ffi.bind[`abs;"i";"i"] -3i]
check["library and name";3i;.ffi.bind[`libc.so.6`abs;"i";"i"] -3i]
check["no such function";`os;.[.ffi.bind;(`nosuchfunction;"i";"i");class]]
check["no such letter";`type;.[.ffi.bind;(`abs;"?";"i");class]]
pid:.ffi.bind[`getpid;"";"i"]
check["no arguments";3#.z.i;(pid enlist(::);pid(::;::);pid(::))]

/ types as the values have them
check["inferred int";3i;.ffi.callFunction[`abs;(-3i;::)]]
check["inferred float";8f;.ffi.callFunction[("f";`pow);(2f;3f;::)]]
check["inferred text";4;.ffi.callFunction[("j";`strlen);("four";::)]]

/ functions of their own rank
power:.ffi.fn[`pow;"ff";"f"]
check["own rank";1024f;power[2;10]]
check["vectors";1 4 9f;power[1 2 3f;2]]
check["projection";8f;power[;3] 2f]
check["lengths";`length;.[power;(1 2f;1 2 3f);class]]

/ memory
to:4#0x00
.ffi.bind[`memcpy;"XXl";"r"](to;0x01020304;4;::)
check["memcpy";0x01020304;to]
room:20#"?"
room[19]:"\000"
check["snprintf";13i;.ffi.bind[`snprintf;"Clsifs";"i"](room;20;`$"%d %g %s";7i;2.5;`sevens;::)]
check["formatted";"7 2.5 sevens";12#room]
check["guid";0i;.ffi.bind[`memcmp;"gXl";"i"](0x0 sv 0x000102030405060708090a0b0c0d0e0f;`byte$til 16;16;::)]

/ callbacks
qsort:.ffi.bind[`qsort;"Jllk";" "]
v:5 3 9 1
qsort (v;4;8;({signum x-y};"JJ";"i");::)
check["qsort";1 3 5 9;v]
w:2 1
check["failing callback";`oops;@[qsort;(w;2;8;({'`oops};"JJ";"i");::);class]]
check["no callback";`type;@[qsort;(w;2;8;(1;2);::);class]]

/ errno
check["open";-1i;.ffi.bind[`open;"Ci";"i"]("/no/such/file";0i;::)]
check["errno";2i;.ffi.setErrno 0i]
check["errno again";0i;.ffi.setErrno[]]

-1 string[passed]," passed, ",string[failed]," failed";
exit $[failed;1;0]
"#;

/// The samples that q can write.
fn written() -> Vec<Sample> {
    samples().into_iter().filter(|sample| !sample.q.is_empty()).collect()
}

fn script() -> String {
    let samples = written();
    let values: Vec<String> = samples.iter().map(|sample| sample.q.to_owned()).collect();
    let mut script = HEAD.to_owned();
    let _ = writeln!(script, "values:{}\n", q_list(&values));
    script.extend(all_letters().into_iter().map(|letter| line(letter, &samples)));
    script + TAIL
}

#[test]
fn the_script_says_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/q/test.q");
    let script = q(|_| script());
    if std::env::var_os("JITCALL_BLESS").is_some() {
        std::fs::write(path, &script).expect("a script that can be written");
    }
    let kept = std::fs::read_to_string(path).expect("q/test.q");
    assert!(kept == script, "q/test.q is not what the table says: JITCALL_BLESS=1 writes it anew");
}

#[test]
fn the_values_are_as_q_writes_them() {
    q(|_| {
        // Those that are written as expressions have other names, or none.
        let is_literal =
            |text: &str| !["#", "sv", "xexp", "enlist", "(", "{", "neg"].iter().any(|word| text.contains(word));
        for sample in written().iter().filter(|sample| is_literal(sample.q)) {
            let shown = format!("{:?}", sample.value);
            let shown = if sample.q == "3e38" { "3e38".to_owned() } else { shown };
            assert_eq!(shown, sample.q);
        }
    });
}

#[test]
fn the_cases_hold() {
    ffi(|ffi| {
        let samples = written();
        for letter in all_letters() {
            let Probe { name, parameters, result } = probe(letter);
            let function = ffi.bound(name, &parameters, result);
            for sample in &samples {
                let zero = long(0);
                let arguments = [&sample.value, &sample.value, &zero];
                let call = || ffi.list_call(&function, &arguments[..parameters.len()]);
                let context = format!("{name} {letter:?} {:?}", sample.value);
                match case(letter, sample) {
                    Case::Result(value) => assert_eq!(ffi.twice(call), Ok(value), "{context}"),
                    Case::Refused => {
                        let outcome = ffi.twice(call);
                        assert!(matches!(&outcome, Err(text) if text.starts_with("type: ")), "{context}: {outcome:?}");
                    }
                    Case::Unknown => {}
                }
            }
        }
    });
}
