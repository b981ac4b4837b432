//! Sizes, alignments and offsets of random aggregates are those of the C compiler.

mod support;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use jitcall::types::{Aggregate, Arch, Type, layout};
use support::Run;
use support::c_source::{Definitions, PROLOGUE};
use support::compile::{Compiler, Folder};
use support::generate::{Purpose, Source};
use support::shrink;

/// How many types one C file has.
const BATCH: usize = 500;

/// How many failing types are simplified.
const SHRUNK: usize = 8;

/// Finds a bit-field by the ones in an object that is zero elsewhere: its first bit, and its width.
const FIND_BITS: &str = "\
static void find(const byte *object, size_t size, size_t *result) {
  result[0] = result[1] = 0;
  for (size_t bit = 8 * size; bit-- > 0;)
    if (object[bit / 8] >> bit % 8 & 1) { result[0] = bit; result[1]++; }
}
";

/// One number that the compiler and the engine must agree on.
struct Fact {
    /// What is asked, as a C programmer would say it.
    question: String,
    expected: usize,
}

/// A type, and the C function that measures it.
struct Measured {
    facts: Vec<Fact>,
    definition: String,
    function: String,
}

fn measure(ty: &Type, number: usize) -> Measured {
    let mut definitions = Definitions::new(&format!("t{number}"));
    definitions.name(ty);
    let mut seen: Vec<Arc<Aggregate>> = Vec::new();
    collect(ty, &mut seen);
    let mut body = String::new();
    let mut facts = Vec::new();
    for aggregate in seen {
        let ty = Type::Aggregate(aggregate.clone());
        let name = definitions.name(&ty);
        let layout = layout::of(&ty, Arch::HOST).expect("aggregates have sizes");
        for (operator, expected) in [("sizeof", layout.size), ("_Alignof", layout.align)] {
            let question = format!("{operator}({name})");
            let _ = writeln!(body, "  out[{}] = {question};", facts.len());
            facts.push(Fact { question, expected });
        }
        measure_members(&aggregate, &name, 0, &mut body, &mut facts);
    }
    let function = format!("{}void f{number}(size_t *out) {{\n{body}}}\n", definitions.text);
    Measured { facts, definition: definitions.text, function }
}

fn measure_members(aggregate: &Aggregate, name: &str, base: usize, body: &mut String, facts: &mut Vec<Fact>) {
    for (member, at) in aggregate.members().iter().zip(&aggregate.layout(Arch::HOST).bit_offsets) {
        let at = base + at;
        match (&member.name, member.bits, &member.ty) {
            (Some(field), None, _) => {
                let question = format!("offsetof({name}, {field})");
                let _ = writeln!(body, "  out[{}] = {question};", facts.len());
                facts.push(Fact { question, expected: at / 8 });
            }
            (Some(field), Some(bits), _) => {
                let _ = writeln!(
                    body,
                    "  {{ {name} object; __builtin_memset(&object, 0, sizeof object); \
                     object.{field} = ({})-1; find((byte *)&object, sizeof object, out + {}); }}",
                    if member.ty == Type::Bool { "_Bool" } else { "wide" },
                    facts.len()
                );
                facts.push(Fact { question: format!("first bit of {name}.{field}"), expected: at });
                facts.push(Fact { question: format!("width of {name}.{field}"), expected: bits as usize });
            }
            (None, None, Type::Aggregate(inner)) => measure_members(inner, name, at, body, facts),
            _ => {}
        }
    }
}

/// The aggregates that a type consists of, except the anonymous ones: nothing can be asked about them alone.
fn collect(ty: &Type, seen: &mut Vec<Arc<Aggregate>>) {
    match ty {
        Type::Array(array) => collect(array.element(), seen),
        Type::Aggregate(aggregate) if !seen.contains(aggregate) => {
            seen.push(aggregate.clone());
            collect_members(aggregate, seen);
        }
        _ => {}
    }
}

fn collect_members(aggregate: &Aggregate, seen: &mut Vec<Arc<Aggregate>>) {
    for member in aggregate.members() {
        match (&member.name, &member.ty) {
            (None, Type::Aggregate(inner)) => collect_members(inner, seen),
            _ => collect(&member.ty, seen),
        }
    }
}

/// What is wrong with each type, if anything.
fn disagreements(types: &[Type], compiler: &Compiler, folder: &Folder) -> Vec<Option<String>> {
    let measured: Vec<Measured> = types.iter().enumerate().map(|(index, ty)| measure(ty, index)).collect();
    let sources: Vec<String> = measured
        .chunks(BATCH)
        .map(|batch| {
            let functions: Vec<&str> = batch.iter().map(|measured| measured.function.as_str()).collect();
            format!("{PROLOGUE}{FIND_BITS}{}", functions.concat())
        })
        .collect();
    let libraries = compiler.compile(folder, &sources);
    let mut found = Vec::new();
    for (batch, (measured, path)) in measured.chunks(BATCH).zip(libraries).enumerate() {
        // SAFETY: the library has just been compiled from the source above and runs nothing when it is loaded.
        let library = unsafe { libloading::Library::new(path) }.expect("a library that loads");
        for (index, measured) in measured.iter().enumerate() {
            let symbol = format!("f{}", batch * BATCH + index);
            // SAFETY: the source defines the function with this type.
            let function = unsafe { library.get::<unsafe extern "C" fn(*mut usize)>(symbol.as_bytes()) };
            let function = function.expect("a function that is exported");
            let mut answers = vec![usize::MAX; measured.facts.len()];
            // SAFETY: the function writes one number per fact.
            unsafe { function(answers.as_mut_ptr()) };
            found.push(compare(measured, &answers));
        }
    }
    found
}

fn compare(measured: &Measured, answers: &[usize]) -> Option<String> {
    let wrong: Vec<String> = measured
        .facts
        .iter()
        .zip(answers)
        .filter(|(fact, answer)| fact.expected != **answer)
        .map(|(fact, answer)| format!("{} is {answer}, the engine says {}", fact.question, fact.expected))
        .collect();
    if wrong.is_empty() { None } else { Some(format!("{}{}\n", measured.definition, wrong.join("\n"))) }
}

fn simpler(ty: &Type) -> Vec<Type> {
    ty.as_aggregate().map(|aggregate| shrink::aggregates(aggregate)).unwrap_or_default()
}

#[test]
fn random_layouts_are_the_compilers() {
    let run = Run::from_env(1000);
    let (compiler, folder) = (Compiler::from_env(), Folder::new());
    let types: Vec<Type> =
        run.seeds().map(|seed| Source::new(seed, Purpose::Layouts, compiler.dialect).aggregate()).collect();
    let found = disagreements(&types, &compiler, &folder);
    let shrink = |ty: &Type| {
        let fails = |types: &[Type]| disagreements(types, &compiler, &folder).iter().position(Option::is_some);
        let smallest = shrink::smallest(ty.clone(), simpler, fails);
        disagreements(&[smallest], &compiler, &folder).remove(0).expect("a type that fails")
    };
    let failing: Vec<usize> = (0..types.len()).filter(|index| found[*index].is_some()).collect();
    let Some(first) = failing.first() else { return };
    let mut smallest: Vec<String> = failing.iter().take(SHRUNK).map(|index| shrink(&types[*index])).collect();
    smallest.dedup();
    panic!(
        "{} of {} layouts differ from {}.\nThe first, JITCALL_SEED={} JITCALL_SIGNATURES=1:\n{}\nSimplified:\n{}",
        failing.len(),
        run.count,
        compiler.line(),
        run.seed.wrapping_add(*first as u64),
        found[*first].as_deref().unwrap_or_default(),
        smallest.join("\n"),
    );
}

/// The comparison notices a wrong number, and the search arrives at the smallest type.
#[test]
fn a_wrong_layout_is_noticed() {
    let ty = Type::structure().member("a", Type::U8).bit_field("b", Type::I32, 5).build().expect("a struct");
    let mut measured = measure(&ty, 0);
    let right: HashMap<_, _> = measured.facts.iter().map(|fact| (fact.question.clone(), fact.expected)).collect();
    assert_eq!(right["first bit of struct t0_0.b"], 8);
    let answers: Vec<usize> = measured.facts.iter().map(|fact| fact.expected).collect();
    assert_eq!(compare(&measured, &answers), None);
    measured.facts[1].expected += 1;
    assert!(compare(&measured, &answers).is_some_and(|text| text.contains("_Alignof(struct t0_0) is 4")));
    let smallest = shrink::smallest(ty, simpler, |types| {
        types.iter().position(|ty| ty.as_aggregate().is_some_and(|known| known.members().len() > 1))
    });
    assert_eq!(smallest.as_aggregate().map(|known| known.members().len()), Some(2));
}
