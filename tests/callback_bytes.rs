//! What arrives in a closure's slots, and what comes back from it: bytes that say where they belong, by calls of the
//! engine's own, on either tier. The declarations are those that the ways into a closure differ in.

use std::cell::Cell;

use jitcall::types::layout;
use jitcall::{Arch, Engine, Signature, Slot, Tier};

const DECLARATIONS: &[&str] = &[
    "void nothing(void)",
    "int two(int, const void *)",
    "long five(long, long, long, long, long)",
    "signed char narrow(short, unsigned char, _Bool)",
    "float floats(float, double, float, float)",
    "double mix8(int, double, long, float, void *, double, short, float)",
    "long stack(long, long, long, long, long, long, long, long, signed char, double, double, double, double, double, \
     double, double, double, float, double)",
    "struct pair { long a, b; }; struct pair pair(struct pair)",
    "struct mixed { long a; double b; }; struct mixed mixed(struct mixed, double)",
    "struct big { long a, b, c; }; struct big big(struct big, long)",
    "struct color { float r, g, b; }; struct color color(struct color, float, struct color)",
    "struct quad { double a, b, c, d; }; struct quad quad(struct quad, struct quad)",
    "struct odd { char bytes[11]; }; struct odd odd(char, struct odd)",
    "struct record { int id; char name[20]; }; int reference(struct record, int, struct record)",
    "struct block { char bytes[400]; }; struct block block(long, long, long, long, long, long, long, long, struct block)",
    "__int128 wide(__int128, long, __int128, long, __int128)",
    "long double extended(long double, int, long double)",
    "long double _Complex parts(double _Complex, float _Complex, long double _Complex)",
    "typedef float vector __attribute__((vector_size(16))); vector vector_add(vector, vector)",
    "typedef float short_vector __attribute__((vector_size(8))); short_vector short_add(short_vector, short_vector)",
    "typedef float wide_vector __attribute__((vector_size(32))); wide_vector wide_add(wide_vector, float, wide_vector)",
];

/// Bytes of a type that are its value: of x87's 16, ten are.
fn value_bytes(signature: &Signature, argument: Option<usize>) -> Vec<usize> {
    let ty = argument.map_or_else(|| signature.result(), |index| &signature.parameters()[index].ty);
    if ty.is_void() {
        return Vec::new();
    }
    let size = layout::of(ty, Arch::HOST).unwrap().size;
    let padding = |byte: usize| ty.to_string().starts_with("long double") && byte % 16 >= 10;
    (0..size).filter(|byte| cfg!(target_arch = "aarch64") || !padding(*byte)).collect()
}

/// A byte that tells which value it is of, and which of its bytes.
fn graffiti(value: usize, byte: usize) -> u8 {
    (0x11 * (value + 1)) as u8 ^ (5 * byte) as u8
}

/// Calls a closure of that signature, and checks what passes in both directions.
fn check(signature: &Signature, tier: Tier) {
    let engine = Engine::builder().tier(tier).build().unwrap();
    let interface = engine.prepare(signature).unwrap();
    let offsets = interface.slot_offsets().to_vec();
    let (count, ran) = (offsets.len(), Cell::new(0));
    let callback = engine.prepare_callback(signature).unwrap();
    assert_eq!(callback.slot_offsets(), offsets);
    let closure = callback
        .slots(|arguments, mut result| {
            for (index, offset) in offsets.iter().enumerate() {
                let start = arguments.as_ptr().cast::<u8>().wrapping_add(*offset as usize);
                for byte in value_bytes(signature, Some(index)) {
                    // SAFETY: the argument's bytes are there.
                    let found = unsafe { start.add(byte).read() };
                    assert_eq!(found, graffiti(index, byte), "{signature}: argument {index}, byte {byte}");
                }
            }
            for byte in value_bytes(signature, None) {
                // SAFETY: there is room for the result.
                unsafe { result.as_mut_ptr().add(byte).write(graffiti(count, byte)) };
            }
            ran.set(ran.get() + 1);
        })
        .unwrap();
    let mut slots = vec![0u128; interface.slots().div_ceil(2)];
    for (index, offset) in offsets.iter().enumerate() {
        for byte in value_bytes(signature, Some(index)) {
            // SAFETY: the argument lies within the slots.
            unsafe { slots.as_mut_ptr().cast::<u8>().add(*offset as usize + byte).write(graffiti(index, byte)) };
        }
    }
    #[repr(align(64))]
    struct Room([u8; 512]);
    let mut room = Room([0; 512]);
    let slots = slots.as_ptr().cast::<Slot>();
    // SAFETY: the closure has that signature; there is room for the result.
    let called = jitcall::closure::catch(|| unsafe { interface.call(closure.as_ptr(), slots, room.0.as_mut_ptr()) });
    called.unwrap();
    assert_eq!(ran.get(), 1, "{signature}");
    for byte in value_bytes(signature, None) {
        assert_eq!(room.0[byte], graffiti(count, byte), "{signature}: result, byte {byte}");
    }
}

#[test]
fn all_bytes_arrive_and_come_back() {
    for declaration in DECLARATIONS {
        #[cfg(target_arch = "x86_64")]
        if declaration.contains("vector_size(32)") && !is_x86_feature_detected!("avx") {
            println!("left out, for want of AVX: {declaration}");
            continue;
        }
        let signature = Signature::parse(declaration).unwrap();
        for tier in [Tier::Jit, Tier::Asm] {
            check(&signature, tier);
        }
    }
}
