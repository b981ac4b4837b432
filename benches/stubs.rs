//! Stubs: making one for a new shape, finding one for a known shape, and the memory that each takes.

#[path = "support/memory.rs"]
mod memory;
mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jitcall::abi::{Convention, Plan};
use jitcall::{CallInterface, Engine, Signature, Tier, Type};
use support::ThreadTime;

/// How many shapes are made.
const SHAPES: usize = 1000;

/// Parameters whose shapes all differ.
const TYPES: [Type; 4] = [Type::I32, Type::I64, Type::F32, Type::F64];

fn signature(parameters: impl IntoIterator<Item = Type>) -> Signature {
    Signature::new(Type::I32, parameters).expect("scalars can be passed")
}

/// Signatures of five parameters, no two of one shape: the number of a signature in base 4 gives the types.
fn signatures() -> Vec<Signature> {
    (0..SHAPES).map(|number| signature((0..5).map(|digit| TYPES[number >> (2 * digit) & 3].clone()))).collect()
}

fn engine() -> Engine {
    Engine::builder().tier(Tier::Jit).build().expect("executable memory can be had where benches run")
}

fn prepare(engine: &Engine, signature: &Signature) -> CallInterface {
    engine.prepare(signature).expect("scalars can be passed")
}

/// Says how much memory the shapes take, interfaces apart.
fn weigh(signatures: &[Signature]) {
    let before = memory::in_use();
    let engine = engine();
    signatures.iter().for_each(|signature| drop(prepare(&engine, signature)));
    let statistics = engine.statistics();
    assert_eq!(statistics.stubs, SHAPES);
    let heap = memory::in_use() - before;
    let each = |bytes: usize| bytes as f64 / SHAPES as f64;
    println!("memory for each of {SHAPES} shapes, in bytes:");
    println!("  code {:.1}, mapped for it {:.1}", each(statistics.code_bytes), each(statistics.mapped_bytes));
    println!("  cache {:.1}, all that is in use on the heap {:.1}", each(statistics.cache_bytes), each(heap));
    println!("  together {:.1}", each(statistics.mapped_bytes + heap));
}

fn creation(criterion: &mut Criterion<ThreadTime>) {
    let signatures = signatures();
    weigh(&signatures);
    let mut group = criterion.benchmark_group("new shapes");
    group.throughput(Throughput::Elements(SHAPES as u64));
    group.bench_function("1000 on a fresh engine", |bencher| {
        let make = |engine: Engine| -> Vec<CallInterface> {
            signatures.iter().map(|signature| prepare(&engine, signature)).collect()
        };
        bencher.iter_batched(engine, make, BatchSize::PerIteration);
    });
    group.bench_function("1000 plans, without stubs", |bencher| {
        let plan = |signature| Plan::new(signature, Convention::HOST).expect("scalars can be passed");
        bencher.iter_with_large_drop(|| signatures.iter().map(plan).collect::<Vec<_>>());
    });
    group.finish();
}

fn look_up(criterion: &mut Criterion<ThreadTime>) {
    let engine = engine();
    signatures().iter().for_each(|signature| drop(prepare(&engine, signature)));
    let mut group = criterion.benchmark_group("known shape");
    for (name, parameters) in [("2 parameters", 2), ("8 parameters", 8)] {
        let signature = signature(TYPES.iter().cycle().take(parameters).cloned());
        prepare(&engine, &signature);
        group.bench_function(format!("{name}: prepare"), |bencher| {
            bencher.iter(|| prepare(&engine, black_box(&signature)));
        });
        group.bench_function(format!("{name}: plan alone"), |bencher| {
            bencher.iter(|| Plan::new(black_box(&signature), Convention::HOST));
        });
    }
    group.finish();
}

criterion_group! {
    name = stubs;
    config = support::criterion();
    targets = creation, look_up
}
criterion_main!(stubs);
