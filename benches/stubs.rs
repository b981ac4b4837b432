//! Stubs: making one for a new shape, finding one for a known shape, and the memory that each takes.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jitcall::abi::{Convention, Plan};
use jitcall::{CallInterface, Engine, Signature, Tier, Type};
use support::ThreadTime;

/// How many shapes are made.
const SHAPES: usize = 1000;

/// Parameters whose shapes all differ.
const TYPES: [Type; 4] = [Type::I32, Type::I64, Type::F32, Type::F64];

/// The system's allocator, which counts the bytes that are in use.
struct Counting;

/// It is changed without an atomic instruction, which would take as long as an allocation: only one thread runs.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    IN_USE.store(IN_USE.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
}

// SAFETY: everything is left to the system's allocator; `realloc` falls back on these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(layout.size().wrapping_neg());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
    let before = IN_USE.load(Ordering::Relaxed);
    let engine = engine();
    signatures.iter().for_each(|signature| drop(prepare(&engine, signature)));
    let statistics = engine.statistics();
    assert_eq!(statistics.stubs, SHAPES);
    let heap = IN_USE.load(Ordering::Relaxed) - before;
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
