//! Maps: each element of arrays by a map stub, beside a loop as a C compiler makes it, and beside loops over single calls.

mod support;

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use jitcall::map::Column;
use jitcall::{Engine, Function, Library, Signature, Slot, Tier};
use support::ThreadTime;

/// How many elements the arrays have: few enough for the first cache, and more than any cache close by holds.
const COUNTS: [usize; 2] = [1000, 1_000_000];

type One = unsafe extern "C" fn(f64) -> f64;
type Two = unsafe extern "C" fn(f64, f64) -> f64;

/// The loop as it is written in C, over a pointer that the compiler knows nothing of.
#[inline(never)]
unsafe extern "C" fn loop_of_one(target: One, count: usize, a: *const f64, results: *mut f64) {
    for index in 0..count {
        // SAFETY: the caller gives a function of the type, and arrays of as many elements.
        unsafe { *results.add(index) = target(*a.add(index)) };
    }
}

/// The same for functions of two.
#[inline(never)]
unsafe extern "C" fn loop_of_two(target: Two, count: usize, a: *const f64, b: *const f64, results: *mut f64) {
    for index in 0..count {
        // SAFETY: as above.
        unsafe { *results.add(index) = target(*a.add(index), *b.add(index)) };
    }
}

fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|number| number as f64 - 500.5).collect()
}

/// A function of the C library.
fn find(tier: Tier, declaration: &str) -> Function {
    let engine = Engine::builder().tier(tier).build().expect("either tier works where benches run");
    let signature = Signature::parse(declaration).expect("the declarations are valid");
    // SAFETY: libm has no initialisers that could do harm.
    let libm = unsafe { Library::open("libm.so.6") }.expect("the C library is there");
    libm.function_with(&engine, signature).expect("the C library has it")
}

/// The ways that do not depend on the number of arguments: all arrays are as long as the results.
fn maps(group: &mut BenchmarkGroup<'_, ThreadTime>, declaration: &str, arrays: &[&[f64]], results: &mut [f64]) {
    let (jit, asm) = (find(Tier::Jit, declaration), find(Tier::Asm, declaration));
    let dense: Vec<Column> = arrays.iter().map(|array| Column::of(array)).collect();
    let same: Vec<Column> = dense.iter().map(|column| Column { stride: 0, ..*column }).collect();
    let (count, place) = (results.len(), results.as_mut_ptr());
    for (name, function, columns) in [("map", &jit, &dense), ("map, strides", &jit, &same), ("map, asm", &asm, &dense)]
    {
        group.bench_function(name, |bencher| {
            // SAFETY: that is how <math.h> declares it, and the arrays are as long as the results.
            bencher.iter(|| unsafe { function.map(count, black_box(columns), place.cast()) });
        });
    }
    let slots = jit.slots::<f64>().expect("it returns a double");
    group.bench_function("slots", |bencher| {
        bencher.iter(|| {
            for index in 0..count {
                let mut arguments = [Slot::EMPTY; 2];
                for (slot, array) in arguments.iter_mut().zip(arrays) {
                    *slot = array[index].into();
                }
                // SAFETY: as above.
                unsafe { *place.add(index) = slots.call(arguments.as_ptr()) };
            }
        });
    });
}

fn one(criterion: &mut Criterion<ThreadTime>) {
    const DECLARATION: &str = "double fabs(double)";
    for count in COUNTS {
        let (a, mut results) = (numbers(count), numbers(count));
        let mut group = criterion.benchmark_group(format!("fabs of {count}"));
        group.throughput(Throughput::Elements(count as u64));
        let function = find(Tier::Jit, DECLARATION);
        // SAFETY: that is the type of it.
        let target: One = unsafe { std::mem::transmute(function.target()) };
        let (from, to) = (a.as_ptr(), results.as_mut_ptr());
        group.bench_function("loop", |bencher| {
            // SAFETY: the arrays have as many elements.
            bencher.iter(|| unsafe { loop_of_one(black_box(target), count, from, to) });
        });
        maps(&mut group, DECLARATION, &[&a], &mut results);
        group.finish();
    }
}

fn two(criterion: &mut Criterion<ThreadTime>) {
    const DECLARATION: &str = "double fmax(double, double)";
    for count in COUNTS {
        let (a, b, mut results) = (numbers(count), vec![0.0; count], numbers(count));
        let mut group = criterion.benchmark_group(format!("fmax of {count}"));
        group.throughput(Throughput::Elements(count as u64));
        let function = find(Tier::Jit, DECLARATION);
        // SAFETY: that is the type of it.
        let target: Two = unsafe { std::mem::transmute(function.target()) };
        let (first, second, to) = (a.as_ptr(), b.as_ptr(), results.as_mut_ptr());
        group.bench_function("loop", |bencher| {
            // SAFETY: the arrays have as many elements.
            bencher.iter(|| unsafe { loop_of_two(black_box(target), count, first, second, to) });
        });
        maps(&mut group, DECLARATION, &[&a, &b], &mut results);
        group.finish();
    }
}

criterion_group! {
    name = map;
    config = support::criterion();
    targets = one, two
}
criterion_main!(map);
