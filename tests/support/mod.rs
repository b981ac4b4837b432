//! What the tests that compare with C compilers share: random types and signatures, the C made of them, its
//! compilation, the comparison, and the search for a smaller failing case.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub(crate) mod c_source;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod generate;
pub(crate) mod leaves;
pub(crate) mod shrink;
pub(crate) mod table;

use std::time::{SystemTime, UNIX_EPOCH};

use compile::Dialect;
use jitcall::abi::Convention;
use jitcall::types::{Float, Member, layout};
use jitcall::{Arch, Signature, Type};

/// One signature to try.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Where it comes from: a name in the table, or its seed.
    pub(crate) label: String,
    pub(crate) signature: Signature,
    /// Which members of its unions hold the values; see [`leaves::of`].
    pub(crate) choice: usize,
}

/// How many random cases a run makes, and the seed of the first one; the next ones count up from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) count: usize,
    pub(crate) seed: u64,
}

impl Run {
    /// `JITCALL_SIGNATURES` and `JITCALL_SEED`; without them `count`, and the time.
    pub(crate) fn from_env(count: usize) -> Run {
        let number = |name| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
        };
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
        let run = Run {
            count: number("JITCALL_SIGNATURES").map_or(count, |n| n as usize),
            seed: number("JITCALL_SEED").unwrap_or_else(now),
        };
        println!("{} random cases from JITCALL_SEED={}", run.count, run.seed);
        run
    }

    /// The seed of each case: any of them can be had again on its own.
    pub(crate) fn seeds(self) -> impl Iterator<Item = u64> {
        (0..self.count as u64).map(move |index| self.seed.wrapping_add(index))
    }
}

/// The same signature in Windows' convention, where the machine has it and the compilers agree: on Linux gcc's `va_arg`
/// does not look behind references, and what Microsoft's C does not have, each compiler passes as it likes.
pub(crate) fn in_windows_convention(signature: &Signature, dialect: Dialect) -> Option<Signature> {
    let tail = &signature.parameters()[signature.fixed()..];
    let size = |ty: &Type| layout::of(ty, Arch::HOST).expect("parameters have sizes").size;
    let direct = tail.iter().all(|parameter| matches!(size(&parameter.ty), 1 | 2 | 4 | 8));
    let mut types = signature.parameters().iter().map(|parameter| &parameter.ty).chain([signature.result()]);
    let agreed = dialect == Dialect::Gcc || types.all(|ty| ty.is_void() || is_in_microsofts_c(ty));
    (direct && agreed && Arch::HOST == Arch::X86_64).then(|| signature.clone().with_convention(Convention::Win64))
}

/// Whether a type has nothing that is GNU's or of C99 alone.
fn is_in_microsofts_c(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Pointer(_) | Type::Enum(_) | Type::Float(Float::F32 | Float::F64) => true,
        Type::Integer(integer) => integer.size() <= 8,
        Type::Array(array) => array.length() != Some(0) && is_in_microsofts_c(array.element()),
        Type::Aggregate(aggregate) => {
            let plain = !aggregate.is_packed() && aggregate.requested_align().is_none();
            let member = |member: &Member| {
                member.bits.is_none() && member.align.is_none() && !member.packed && is_in_microsofts_c(&member.ty)
            };
            plain && !aggregate.members().is_empty() && aggregate.members().iter().all(member)
        }
        _ => false,
    }
}

/// A signature from its parts: `fixed` is given where it is variadic, and says how many parameters have names.
pub(crate) fn signature(result: Type, parameters: Vec<Type>, fixed: Option<usize>) -> Signature {
    let (named, tail) = parameters.split_at(fixed.unwrap_or(parameters.len()));
    let signature = Signature::new(result, named.iter().cloned()).expect("types that can be passed");
    match fixed {
        None => signature,
        Some(_) => signature.variadic().with_tail(tail.iter().cloned()).expect("a tail that can be passed"),
    }
}
