//! Signatures: reading declarations, laying types out, and planning calls.

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jitcall::abi::{Convention, Plan};
use jitcall::types::layout;
use jitcall::{Arch, Signature, Type};
use support::ThreadTime;

const DECLARATIONS: [(&str, &str); 4] = [
    ("two doubles", "double pow(double, double)"),
    ("eight scalars", "double mix8(int, double, int64_t, float, const void *, double, int, long)"),
    ("a callback", "void qsort(void *, size_t, size_t, int (*)(const void *, const void *))"),
    ("a struct", "struct point { double x, y; }; struct point mirror(struct point, int)"),
];

fn parse(criterion: &mut Criterion<ThreadTime>) {
    let mut group = criterion.benchmark_group("parse");
    for (name, declaration) in DECLARATIONS {
        group.bench_function(name, |bencher| bencher.iter(|| Signature::parse(black_box(declaration))));
    }
    group.finish();
}

fn plan(criterion: &mut Criterion<ThreadTime>) {
    let mut group = criterion.benchmark_group("plan");
    for (name, declaration) in DECLARATIONS {
        let signature = Signature::parse(declaration).expect("the declarations are valid");
        for convention in [Convention::SysV64, Convention::Aapcs64] {
            group.bench_function(format!("{name}, {convention}"), |bencher| {
                bencher.iter(|| Plan::new(black_box(&signature), convention));
            });
        }
    }
    group.finish();
}

fn lay_out(criterion: &mut Criterion<ThreadTime>) {
    let ty = "struct { char tag; union { double number; long bits[4]; } value; struct { int a : 3, b : 5; } flags; }";
    let mut group = criterion.benchmark_group("layout");
    group.bench_function("read a nested struct", |bencher| bencher.iter(|| Type::parse(black_box(ty))));
    let known = Type::parse(ty).expect("the type is valid");
    group.bench_function("of a known struct", |bencher| bencher.iter(|| layout::of(black_box(&known), Arch::HOST)));
    group.finish();
}

criterion_group! {
    name = signatures;
    config = support::criterion();
    targets = parse, plan, lay_out
}
criterion_main!(signatures);
