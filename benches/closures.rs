//! Closures: preparing a signature, making and freeing one, and the memory that each takes.

#[path = "support/memory.rs"]
mod memory;
mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jitcall::closure::{Arguments, Outcome};
use jitcall::{CallbackInterface, Closure, Engine, Signature, Tier};
use support::ThreadTime;

/// How many closures are alive when they are weighed.
const ALIVE: usize = 10_000;

fn signature() -> Signature {
    Signature::parse("int callback(int, int)").expect("the declaration is valid")
}

fn engine() -> Engine {
    Engine::builder().tier(Tier::Jit).build().expect("executable memory can be had where benches run")
}

fn prepare(engine: &Engine) -> CallbackInterface {
    engine.prepare_callback(&signature()).expect("integers can be passed")
}

/// A closure over slots that captures one word.
fn slots(interface: &CallbackInterface, offset: i64) -> Closure<'static> {
    let handler = move |arguments: Arguments<'_>, result: Outcome<'_>| {
        // SAFETY: the signature has two `int`s, in one slot each, and an `int` result.
        unsafe { result.write(arguments.read::<i32>(0) + arguments.read::<i32>(1) + offset as i32) };
    };
    interface.slots(handler).expect("there are entries")
}

/// Says how much memory closures take, with a word that each captures.
fn weigh() {
    let engine = engine();
    let interface = prepare(&engine);
    let mut closures = Vec::with_capacity(ALIVE);
    // The first one maps a block, and makes what its thread keeps.
    drop(slots(&interface, 0));
    let heap_before = memory::in_use();
    closures.extend((0..ALIVE).map(|number| slots(&interface, number as i64)));
    let heap = memory::in_use() - heap_before;
    let entries = engine.statistics().entry_bytes;
    let each = |bytes: usize| bytes as f64 / ALIVE as f64;
    println!("memory for each of {ALIVE} closures that capture a word, in bytes:");
    println!("  heap {:.1}, mapped for entries and records {:.1}", each(heap), each(entries));
    println!("  together {:.1}", each(heap + entries));
}

fn creation(criterion: &mut Criterion<ThreadTime>) {
    weigh();
    let interface = prepare(&engine());
    let mut group = criterion.benchmark_group("closure");
    group.bench_function("slots: make and free", |bencher| {
        bencher.iter(|| slots(black_box(&interface), black_box(1)).as_ptr());
    });
    group.bench_function("typed: make and free", |bencher| {
        bencher.iter(|| {
            let offset = black_box(1);
            let handler = move |a: i32, b: i32| -> i32 { a + b + offset };
            black_box(&interface).typed(handler).expect("there are entries").as_ptr()
        });
    });
    group.bench_function("shared: make and free", |bencher| {
        bencher.iter(|| {
            let offset = black_box(1);
            let handler = move |a: i32, b: i32| -> i32 { a + b + offset };
            black_box(&interface).typed_shared(handler).expect("there are entries").as_ptr()
        });
    });
    group.bench_function("the handler boxed and freed, alone", |bencher| {
        bencher.iter(|| black_box(Box::new([black_box(1u64); 6])));
    });
    group.finish();
}

fn preparation(criterion: &mut Criterion<ThreadTime>) {
    let engine = engine();
    let mut group = criterion.benchmark_group("callback interface");
    let declarations = [("2 integers", "int f(int, int)"), ("2 doubles", "double f(double, double)")];
    for (name, declaration) in declarations {
        let signature = Signature::parse(declaration).expect("the declaration is valid");
        let prepare = || engine.prepare_callback(black_box(&signature)).expect("scalars can be passed");
        let _known = prepare();
        group.bench_function(format!("{name}: known shape"), |bencher| bencher.iter(prepare));
    }
    group.finish();
}

criterion_group! {
    name = closures;
    config = support::criterion();
    targets = creation, preparation
}
criterion_main!(closures);
