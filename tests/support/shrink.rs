//! Simpler types and signatures, to find the smallest that still fails.

use jitcall::Signature;
use jitcall::types::{Aggregate, AggregateBuilder, Member, Type};

use super::{Case, signature};

/// How often the whole set of simpler cases is tried.
const ROUNDS: usize = 60;

/// How many candidates one round tries.
const CANDIDATES: usize = 150;

/// Looks for a simpler failing case. `check` takes candidates, simplest first, and gives the first that fails.
pub(crate) fn smallest<T>(
    failing: T,
    simpler: impl Fn(&T) -> Vec<T>,
    mut check: impl FnMut(&[T]) -> Option<usize>,
) -> T {
    let mut smallest = failing;
    for _ in 0..ROUNDS {
        let mut candidates = simpler(&smallest);
        candidates.truncate(CANDIDATES);
        match check(&candidates) {
            Some(index) => smallest = candidates.swap_remove(index),
            None => break,
        }
    }
    smallest
}

/// Simpler cases, the boldest cuts first.
pub(crate) fn cases(case: &Case) -> Vec<Case> {
    let signature = &case.signature;
    let result = signature.result().clone();
    let types: Vec<Type> = signature.parameters().iter().map(|parameter| parameter.ty.clone()).collect();
    let fixed = signature.is_variadic().then_some(signature.fixed());
    let mut found = Vec::new();
    let mut add = |result: &Type, types: Vec<Type>, fixed: Option<usize>| {
        let smaller = self::signature(result.clone(), types, fixed);
        let smaller = signature.convention().into_iter().fold(smaller, Signature::with_convention);
        found.push(Case { signature: smaller, ..case.clone() });
    };
    if !result.is_void() {
        add(&Type::Void, types.clone(), fixed);
    }
    let half = types.len() / 2;
    if fixed.is_none() && half > 0 {
        add(&result, types[half..].to_vec(), None);
        add(&result, types[..half].to_vec(), None);
    }
    if fixed.is_some() {
        add(&result, types.clone(), None);
    }
    for index in 0..types.len() {
        let fixed = fixed.map(|fixed| if index < fixed { fixed - 1 } else { fixed });
        // A variadic function has a named parameter.
        if fixed == Some(0) {
            continue;
        }
        let mut fewer = types.clone();
        fewer.remove(index);
        add(&result, fewer, fixed);
    }
    for ty in self::types(&result) {
        add(&ty, types.clone(), fixed);
    }
    for index in 0..types.len() {
        for ty in self::types(&types[index]) {
            let mut simpler = types.clone();
            simpler[index] = ty;
            add(&result, simpler, fixed);
        }
    }
    found
}

/// Simpler types that can stand in the same place.
pub(crate) fn types(ty: &Type) -> Vec<Type> {
    match ty {
        Type::Void | Type::Integer(jitcall::types::Integer::Int) => Vec::new(),
        Type::Aggregate(aggregate) => {
            let members = aggregate.members().iter().filter(|member| !matches!(member.ty, Type::Array(_)));
            let mut found = vec![Type::I32];
            found.extend(members.map(|member| member.ty.clone()).filter(|ty| *ty != Type::I32));
            found.extend(aggregates(aggregate));
            found
        }
        Type::Array(array) => {
            let length = array.length().unwrap_or(0);
            let mut found = vec![array.element().clone()];
            let shorter = [1, length / 2, length.saturating_sub(1)].into_iter().filter(|new| *new < length);
            found.extend(shorter.filter_map(|new| Type::array(array.element().clone(), new).ok()));
            found.extend(types(array.element()).into_iter().filter_map(|ty| Type::array(ty, length).ok()));
            found
        }
        _ => vec![Type::I32],
    }
}

/// Simpler aggregates.
pub(crate) fn aggregates(aggregate: &Aggregate) -> Vec<Type> {
    let build = |members: Vec<Member>, packed: bool, align: Option<usize>| {
        let mut builder = AggregateBuilder::new(aggregate.kind());
        builder = members.into_iter().fold(builder, AggregateBuilder::push);
        builder = if packed { builder.packed() } else { builder };
        builder = align.map_or(builder.clone(), |align| builder.aligned(align));
        builder.build().ok()
    };
    let (members, packed, align) = (aggregate.members(), aggregate.is_packed(), aggregate.requested_align());
    let mut found = Vec::new();
    for index in 0..members.len() {
        let mut fewer = members.to_vec();
        fewer.remove(index);
        found.extend(build(fewer, packed, align));
    }
    if packed {
        found.extend(build(members.to_vec(), false, align));
    }
    if align.is_some() {
        found.extend(build(members.to_vec(), packed, None));
    }
    for index in 0..members.len() {
        for member in self::members(&members[index]) {
            let mut simpler = members.to_vec();
            simpler[index] = member;
            found.extend(build(simpler, packed, align));
        }
    }
    found
}

fn members(member: &Member) -> Vec<Member> {
    let mut found = Vec::new();
    if member.align.is_some() {
        found.push(Member { align: None, ..member.clone() });
    }
    if member.packed {
        found.push(Member { packed: false, ..member.clone() });
    }
    if let Some(bits) = member.bits {
        if member.name.is_some() {
            found.push(Member { bits: None, ..member.clone() });
        }
        if bits > 1 {
            found.push(Member { bits: Some(bits / 2), ..member.clone() });
            found.push(Member { bits: Some(bits - 1), ..member.clone() });
        }
        if member.ty != Type::I32 && bits <= 32 {
            found.push(Member { ty: Type::I32, ..member.clone() });
        }
        return found;
    }
    // Only structs and unions can do without a name.
    let fits = |ty: &Type| member.name.is_some() || matches!(ty, Type::Aggregate(_));
    found.extend(types(&member.ty).into_iter().filter(fits).map(|ty| Member { ty, ..member.clone() }));
    found
}
