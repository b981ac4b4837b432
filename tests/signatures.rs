//! Calls of functions of every kind of signature arrive as the C compiler means them to, on every tier.

mod support;

use jitcall::pointers::StateIn;
use jitcall::{Engine, Signature, Tier, Type};
use support::check::{Callback, Compiled, Native, OwnCode, Pointers, PointersCallback, Road, Slots, Wrong};
use support::compile::{Compiler, Folder};
use support::generate::Source;
use support::{Case, Run, shrink, table};

/// How many failing cases of each road are simplified.
const SHRUNK: usize = 4;

/// Tries the cases by every road, and fails with the simplest cases that fail.
fn check(cases: Vec<Case>) {
    let (compiler, folder) = (Compiler::from_env(), Folder::new());
    let (variadic, others): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.signature.is_variadic());
    let calls: [&dyn Road; 2] = [&Slots(Tier::Jit), &Slots(Tier::Asm)];
    // What follows the named arguments of a variadic function, no callback can know.
    let [jit, asm] = [Tier::Jit, Tier::Asm].map(|tier| Engine::builder().tier(tier).build().expect("either tier"));
    let calls: [&dyn Road; 4] = [calls[0], calls[1], &Pointers(&jit), &Pointers(&asm)];
    let in_place = PointersCallback(&jit, StateIn::Place);
    let in_place: Option<&dyn Road> = match OwnCode::new() {
        Some(_) => Some(&in_place),
        None => {
            println!("left out: {}: the system refuses memory that is writable and executable", in_place.name());
            None
        }
    };
    let callbacks: [&dyn Road; 6] = [
        &Callback::Slots(&jit),
        &Callback::Slots(&asm),
        &Callback::Values(&jit),
        &Callback::Values(&asm),
        &PointersCallback(&jit, StateIn::Record),
        &PointersCallback(&asm, StateIn::Record),
    ];
    let variadic = Compiled::new(variadic, false, &compiler, &folder);
    let others = Compiled::new(others, true, &compiler, &folder);
    let tried = calls.iter().map(|road| (*road, &variadic));
    let tried = tried.chain(calls.iter().chain(&callbacks).chain(&in_place).map(|road| (*road, &others)));
    let reports: Vec<String> =
        tried.filter_map(|(road, compiled)| report(road, compiled, &compiler, &folder)).collect();
    assert!(reports.is_empty(), "compared with {}:\n\n{}", compiler.line(), reports.join("\n"));
}

/// What fails by one road.
fn report(road: &dyn Road, compiled: &Compiled, compiler: &Compiler, folder: &Folder) -> Option<String> {
    let found = compiled.failures(road);
    let failing: Vec<usize> = (0..found.len())
        .filter(|index| found[*index].is_some() && compiler_succeeds(&compiled.cases()[*index], compiler, folder))
        .collect();
    let first = found[*failing.first()?].as_deref().unwrap_or_default();
    let mut simplified: Vec<String> =
        failing.iter().take(SHRUNK).map(|index| simplify(&compiled.cases()[*index], road, compiler, folder)).collect();
    simplified.dedup();
    Some(format!(
        "{}: {} of {} cases fail. The first:\n{first}\n\nSimplified:\n{}",
        road.name(),
        failing.len(),
        found.len(),
        simplified.join("\n\n")
    ))
}

/// Whether the compiler's own call of a case is right. Where it is not (gcc 12 crashes in some `va_arg`s of unions with
/// `__int128`), there is nothing to compare with.
fn compiler_succeeds(case: &Case, compiler: &Compiler, folder: &Folder) -> bool {
    let failure = Compiled::new(vec![case.clone()], true, compiler, folder).failures(&Native).remove(0);
    if failure.is_some() {
        println!("left out, since the compiler's own call fails: {}", case.label);
    }
    failure.is_none()
}

fn simplify(case: &Case, road: &dyn Road, compiler: &Compiler, folder: &Folder) -> String {
    let failures = |cases: &[Case], road| Compiled::new(cases.to_vec(), true, compiler, folder).failures(road);
    let first_failing = |cases: &[Case]| failures(cases, road).iter().position(Option::is_some);
    let smallest = [shrink::smallest(case.clone(), shrink::cases, first_failing)];
    let verdict = match failures(&smallest, &Native).remove(0) {
        None => "the compiler's own call of it is right",
        Some(_) => "the compiler's own call of it fails as well",
    };
    let text = failures(&smallest, road).remove(0).unwrap_or_else(|| "fails now and then".into());
    format!("{text}\n({verdict})")
}

#[test]
fn the_table_is_called_as_the_compiler_does() {
    check(table::cases(Compiler::from_env().dialect));
}

#[test]
fn random_signatures_are_called_as_the_compiler_does() {
    let run = Run::from_env(300);
    let dialect = Compiler::from_env().dialect;
    check(run.seeds().map(|seed| Source::case(seed, dialect)).collect());
}

/// The comparison accepts what the compiler itself does, and notices a wrong bit.
#[test]
fn the_comparison_can_tell_right_from_wrong() {
    let (compiler, folder) = (Compiler::from_env(), Folder::new());
    let run = Run { count: 40, ..Run::from_env(0) };
    let mut cases = table::cases(compiler.dialect);
    cases.extend(run.seeds().map(|seed| Source::case(seed, compiler.dialect)));
    let compiled = Compiled::new(cases, true, &compiler, &folder);
    let found: Vec<String> = compiled.failures(&Native).into_iter().flatten().collect();
    assert!(found.is_empty(), "{} of the compiler's own calls fail:\n{}", found.len(), found.join("\n\n"));

    let signature = Signature::new(Type::I32, [Type::I32, Type::F64]).expect("a signature");
    let case = Case { label: "int, double".into(), signature, choice: 0 };
    let compiled = Compiled::new(vec![case], true, &compiler, &folder);
    let found = compiled.failures(&Wrong).remove(0).expect("a wrong bit");
    assert!(found.contains("argument a0: byte 0 is 0x11 instead of 0x10"), "{found}");
}
