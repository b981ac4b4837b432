//! Calls: each way in, beside a direct call.

#[path = "../crates/cli/src/callees.rs"]
#[allow(dead_code, unreachable_pub, reason = "the program loads them as a library")]
mod callees;
#[path = "../crates/cli/src/bench/cases.rs"]
#[allow(dead_code, reason = "the program measures more of them")]
mod cases;
mod support;

use std::hint::black_box;

use cases::{Add2, Case, Fma3, Mix8, Mix16, Noop, StructBig24, StructIntFloat, StructPoint};
use criterion::{Criterion, criterion_group, criterion_main};
use jitcall::{Engine, Function, Signature, Tier};
use support::ThreadTime;

fn bind<C: Case>(tier: Tier) -> Function {
    let engine = Engine::builder().tier(tier).build().expect("either tier works where benches run");
    let signature = Signature::parse(C::DECLARATION).expect("the cases' declarations are valid");
    Function::with_engine(&engine, C::address(), signature).expect("the cases' functions can be called")
}

fn case<C: Case>(criterion: &mut Criterion<ThreadTime>) {
    let function = bind::<C>(Tier::Jit);
    let mut group = criterion.benchmark_group(C::NAME);
    let direct = black_box(C::function());
    group.bench_function("direct", |bencher| bencher.iter(|| C::direct(direct, black_box(&C::ARGUMENTS))));
    let typed = function.typed::<C::Arguments, C::Result>().expect("the cases' types are the declared ones");
    group.bench_function("typed", |bencher| {
        // SAFETY: the declaration is the case's own.
        bencher.iter(|| unsafe { typed.call(*black_box(&C::ARGUMENTS)) });
    });
    for (name, function) in [("slots", &function), ("slots, without JIT", &bind::<C>(Tier::Asm))] {
        let slots = function.slots::<C::Result>().expect("the cases' types are the declared ones");
        let mut room = C::SLOTS;
        let room = (&raw mut room).cast();
        group.bench_function(name, |bencher| {
            // SAFETY: as above; the room is slots for this case.
            bencher.iter(|| unsafe {
                C::store(black_box(&C::ARGUMENTS), room);
                slots.call(room)
            });
        });
    }
    let mut values = C::values(function.signature());
    group.bench_function("values", |bencher| {
        bencher.iter(|| {
            C::refresh(black_box(&C::ARGUMENTS), &mut values);
            // SAFETY: as above.
            let result = unsafe { function.call(values.as_ref()) };
            // Given back, it would be moved, which is part of no call.
            black_box(&result);
        });
    });
    group.finish();
}

criterion_group! {
    name = calls;
    config = support::criterion();
    targets = case::<Noop>, case::<Add2>, case::<Fma3>, case::<Mix8>, case::<Mix16>, case::<StructPoint>,
        case::<StructBig24>, case::<StructIntFloat>
}
criterion_main!(calls);
