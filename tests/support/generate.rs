//! Random types and signatures, the same for the same seed.

use std::sync::Arc;

use jitcall::Signature;
use jitcall::types::layout::AggregateLayout;
use jitcall::types::{AggregateBuilder, AggregateKind, Arch, Enum, Float, Integer, Member, Type, layout};
use quickcheck::Gen;

use super::compile::Dialect;
use super::{Case, in_windows_convention, leaves, signature};

/// How deep aggregates nest.
const DEPTH: usize = 4;

/// What the types are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be passed and returned: mostly what programs have.
    Calls,
    /// To be laid out: attributes and bit-fields everywhere.
    Layouts,
}

/// A source of random types.
pub(crate) struct Source {
    random: Gen,
    purpose: Purpose,
    dialect: Dialect,
    /// How many members have got names.
    names: usize,
}

impl Source {
    pub(crate) fn new(seed: u64, purpose: Purpose, dialect: Dialect) -> Source {
        Source { random: Gen::from_size_and_seed(0, seed), purpose, dialect, names: 0 }
    }

    /// A case of its own.
    pub(crate) fn case(seed: u64, dialect: Dialect) -> Case {
        let mut source = Source::new(seed, Purpose::Calls, dialect);
        let signature = source.signature();
        // A quarter is of Windows' convention, where there is one.
        let windows = in_windows_convention(&signature, dialect).filter(|_| source.chance(25));
        let signature = windows.unwrap_or(signature);
        let choice = if source.chance(50) { 0 } else { source.between(1, 4) };
        Case { label: format!("JITCALL_SEED={seed} JITCALL_SIGNATURES=1"), signature, choice }
    }

    fn below(&mut self, end: usize) -> usize {
        self.between(0, end - 1)
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        let all: Vec<usize> = (low..=high).collect();
        self.pick(&all)
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        self.random.choose(among).expect("something to choose from").clone()
    }

    /// True in that many cases of 100.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True in that many cases of 100, and more often where the types are for layouts.
    fn oddity(&mut self, percent: usize) -> bool {
        let factor = if self.purpose == Purpose::Layouts { 3 } else { 1 };
        self.chance(factor * percent)
    }

    /// Whether there may be what gcc and clang pass differently: bit-fields that have no name (padding for clang), unions
    /// with bit-fields (whose place does not count for clang), arrays of no length (which spoil homogeneity for clang) or
    /// of empty structs (which crash it).
    fn gcc_only(&self) -> bool {
        self.purpose == Purpose::Layouts || self.dialect == Dialect::Gcc
    }

    /// One of the alternatives, each as likely as its weight.
    fn weighted<T: Copy>(&mut self, among: &[(usize, T)]) -> T {
        let mut left = self.below(among.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in among {
            match left.checked_sub(*weight) {
                None => return *value,
                Some(rest) => left = rest,
            }
        }
        unreachable!("less than the sum")
    }

    /// A signature: parameters until the registers run out, and a bit further.
    pub(crate) fn signature(&mut self) -> Signature {
        let most = self.weighted(&[(15, 2), (40, 6), (30, 12), (15, 20)]);
        let count = self.between(0, most);
        let aggregates = self.pick(&[0, 20, 40, 60, 100]);
        let mut parameters: Vec<Type> = (0..count).map(|_| self.value(aggregates)).collect();
        let result = match self.below(100) {
            0..10 => Type::Void,
            10..45 => self.scalar(),
            45..97 => self.value(100),
            _ => self.large(),
        };
        let variadic = count > 0 && self.chance(15);
        if !variadic {
            return signature(result, parameters, None);
        }
        let tail = self.between(0, 10);
        parameters.extend((0..tail).map(|_| self.value(aggregates)));
        // clang passes named vectors of 32 bytes on the stack where the function is variadic, against the psABI; gcc 12
        // fails to compile a `va_arg` of a union of one.
        parameters.iter_mut().filter(|ty| contains(ty, &is_wide)).for_each(|ty| *ty = Type::F64);
        // gcc's own variadic functions do not find what follows a struct of padding only, nor, on AArch64, packed
        // bit-fields of 128-bit integers.
        let lost = |ty: &Type| is_padding(ty) || contains(ty, &has_wide_bit_field);
        parameters.iter_mut().filter(|ty| lost(ty)).for_each(|ty| *ty = Type::I32);
        signature(result, parameters, Some(count))
    }

    /// A type that can be passed: an aggregate in that many cases of 100.
    fn value(&mut self, aggregates: usize) -> Type {
        if !self.chance(aggregates) {
            return self.scalar();
        }
        if self.chance(1) {
            return self.large();
        }
        loop {
            let ty = self.aggregate();
            if self.dialect == Dialect::Gcc || !contains(&ty, &is_odd_to_clang) {
                return ty;
            }
        }
    }

    /// A struct of up to some kilobytes.
    fn large(&mut self) -> Type {
        let bytes = self.pick(&[64, 100, 255, 1024, 4096]);
        let element = self.pick(&[Type::U8, Type::I32, Type::F64]);
        let length = bytes / layout::of(&element, Arch::HOST).expect("scalars have sizes").size;
        let member = Type::array(element, length).expect("an array");
        let builder = Type::structure().member(&self.name(), member);
        builder.build().expect("a struct")
    }

    /// A scalar type.
    pub(crate) fn scalar(&mut self) -> Type {
        match self.below(100) {
            0..46 => Type::Integer(self.pick(&Integer::ALL)),
            46..52 => Type::Bool,
            52..70 => self.pick(&[Type::F32, Type::F64]),
            70..75 => Type::F16,
            75..80 => Type::LONG_DOUBLE,
            80..86 => Type::Complex(self.pick(&[Float::F32, Float::F64, Float::LongDouble])),
            86..91 => self.vector(),
            91..96 => Type::pointer(),
            _ => self.enumeration(),
        }
    }

    fn vector(&mut self) -> Type {
        let sizes: &[usize] = if has_wide_vectors() { &[8, 16, 16, 32] } else { &[8, 16] };
        loop {
            let bytes = self.pick(sizes);
            let integer = self.pick(&Integer::ALL);
            let element = self.pick(&[Type::Integer(integer), Type::F32, Type::F64, Type::F16]);
            // Vectors of a single lane are each compiler's own affair: the psABIs know none.
            match Type::vector(element, bytes) {
                Ok(Type::Vector(vector)) if vector.lanes() > 1 => return Type::Vector(vector),
                _ => {}
            }
        }
    }

    fn enumeration(&mut self) -> Type {
        let constants = self.pick(&[
            &[0, 1][..],
            &[-1, 1],
            &[0, u32::MAX as i128],
            &[0, u32::MAX as i128 + 1],
            &[-1, 1 << 40],
            &[0, i64::MAX as i128 + 1],
        ]);
        let constants = constants.iter().enumerate().map(|(index, value)| (format!("K{index}"), *value)).collect();
        Type::Enum(Arc::new(Enum::new(None, constants).expect("constants that fit")))
    }

    /// A struct or union, mostly of 1 to 40 bytes.
    pub(crate) fn aggregate(&mut self) -> Type {
        let (floats, strange) = match self.purpose {
            Purpose::Calls => (25, 3),
            Purpose::Layouts => (5, 3),
        };
        match self.below(100) {
            roll if roll < floats => self.homogeneous(),
            roll if roll < floats + strange => self.hollow(),
            _ => {
                let room = self.weighted(&[(30, 8), (40, 16), (20, 24), (10, 40)]);
                let room = self.between(1, room);
                self.members(DEPTH, room)
            }
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        let letter = char::from(b'a' + ((self.names - 1) % 26) as u8);
        match (self.names - 1) / 26 {
            0 => letter.to_string(),
            round => format!("{letter}{round}"),
        }
    }

    /// An aggregate without any scalar, or of padding only.
    fn hollow(&mut self) -> Type {
        let builder = Type::structure();
        let builder = match self.below(if self.gcc_only() { 4 } else { 2 }) {
            0 => builder,
            1 => builder.member(&self.name(), Type::structure().build().expect("a struct")),
            2 => builder.member(&self.name(), Type::array(Type::I32, 0).expect("an array")),
            _ => builder.push(Member::unnamed(self.pick(&[Type::U8, Type::I32, Type::I64])).with_bits(3)),
        };
        builder.build().expect("a struct")
    }

    /// An aggregate of one to five members of one floating or vector type, in many shapes.
    fn homogeneous(&mut self) -> Type {
        let vector = |bytes| Type::vector(Type::F32, bytes).expect("a vector");
        let bases = [Type::F16, Type::F32, Type::F32, Type::F64, Type::F64, Type::LONG_DOUBLE, vector(8), vector(16)];
        let base = self.pick(&bases);
        let count = self.between(1, 5);
        let array = |count| Type::array(base.clone(), count).expect("an array");
        let one = |name: String, ty| Type::structure().member(&name, ty).build().expect("a struct");
        match self.below(6) {
            0 => one(self.name(), array(count)),
            1 => {
                let inner = one(self.name(), array(count));
                one(self.name(), inner)
            }
            2 => {
                let (single, many) = (self.name(), self.name());
                let union = Type::union().member(&single, base.clone()).member(&many, array(count));
                union.build().expect("a union")
            }
            3 if matches!(base, Type::F32 | Type::F64 | Type::LONG_DOUBLE) => {
                let Type::Float(float) = base else { unreachable!("one of the three") };
                let complex = one(self.name(), Type::Complex(float));
                let name = self.name();
                Type::structure().member(&name, complex).member(&self.name(), base).build().expect("a struct")
            }
            _ => {
                let mut builder = Type::structure();
                for _ in 0..count {
                    builder = builder.member(&self.name(), base.clone());
                }
                builder.build().expect("a struct")
            }
        }
    }

    /// Members until there are `room` bytes.
    fn members(&mut self, depth: usize, room: usize) -> Type {
        let kind = self.weighted(&[(82, AggregateKind::Struct), (18, AggregateKind::Union)]);
        let bit_fields = self.oddity(18) && (kind == AggregateKind::Struct || self.gcc_only());
        let bit_fields = if bit_fields { 65 } else { 0 };
        let mut builder = AggregateBuilder::new(kind);
        if self.oddity(7) {
            builder = builder.packed();
        }
        if self.oddity(6) {
            builder = builder.aligned(self.pick(&[1, 2, 4, 8, 16, 16, 32, 64]));
        }
        let mut taken = 0;
        let mut count = 0;
        while taken < room && count < 12 {
            let member = if self.chance(bit_fields) { self.bit_field() } else { self.member(depth, room - taken) };
            builder = builder.push(member);
            count += 1;
            let size = size_of(&builder);
            // Unions grow by their largest member: some more of them, then enough.
            taken = if kind == AggregateKind::Union { size.max(room * count / 3) } else { size };
        }
        builder.build().expect("an aggregate")
    }

    fn bit_field(&mut self) -> Member {
        let integer = self.pick(&Integer::ALL);
        let ty = match self.below(10) {
            0 => Type::Bool,
            1 => self.enumeration(),
            2..5 => self.pick(&[Type::I32, Type::U32]),
            _ => Type::Integer(integer),
        };
        let most = ty.as_integer().map_or(1, |integer| 8 * integer.size());
        let most = if self.chance(70) { most.min(20) } else { most };
        let bits = self.between(1, most) as u32;
        let mut member = if !self.chance(20) || !self.gcc_only() {
            Member::new(&self.name(), ty).with_bits(bits)
        } else {
            let bits = if self.chance(40) { 0 } else { bits };
            Member::unnamed(ty).with_bits(bits)
        };
        self.decorate(&mut member);
        member
    }

    fn member(&mut self, depth: usize, room: usize) -> Member {
        let nested = depth > 1 && self.chance(20);
        let mut ty = if nested {
            let room = self.between(1, room);
            self.members(depth - 1, room)
        } else if self.oddity(1) {
            self.hollow()
        } else {
            self.scalar()
        };
        if nested && self.chance(20) {
            return Member::unnamed(ty);
        }
        let size = layout::of(&ty, Arch::HOST).expect("members have sizes").size;
        if self.chance(12) && (size > 0 || self.gcc_only()) {
            let length = self.between(1, (room / size.max(1)).clamp(1, 6));
            let length = if self.gcc_only() && self.oddity(1) { 0 } else { length };
            ty = Type::array(ty, length).expect("an array");
        }
        let mut member = Member::new(&self.name(), ty);
        self.decorate(&mut member);
        member
    }

    fn decorate(&mut self, member: &mut Member) {
        if self.oddity(3) {
            let align = self.pick(&[1, 2, 4, 8, 16, 16, 32, 64]);
            // clang lets a bit-field that is aligned to less than its type cross a boundary of its type, gcc does not.
            let type_size = member.ty.as_integer().map_or(1, Integer::size);
            if member.bits.is_none() || align >= type_size || self.dialect == Dialect::Gcc {
                member.align = Some(align);
            }
        }
        if self.oddity(3) {
            member.packed = true;
        }
    }
}

/// Whether a type is such a one or has one in it.
fn contains(ty: &Type, such: &dyn Fn(&Type) -> bool) -> bool {
    such(ty)
        || match ty {
            Type::Aggregate(aggregate) => aggregate.members().iter().any(|member| contains(&member.ty, such)),
            Type::Array(array) => contains(array.element(), such),
            _ => false,
        }
}

fn is_wide(ty: &Type) -> bool {
    matches!(ty, Type::Vector(vector) if vector.size() == 32)
}

fn has_wide_bit_field(ty: &Type) -> bool {
    let is_wide = |ty: &Type| ty.as_integer().is_some_and(|integer| integer.size() == 16);
    let wide = |member: &Member| member.bits.is_some() && is_wide(&member.ty);
    ty.as_aggregate().is_some_and(|aggregate| aggregate.members().iter().any(wide))
}

/// Aggregates that clang passes otherwise than gcc.
fn is_odd_to_clang(ty: &Type) -> bool {
    let Type::Aggregate(aggregate) = ty else { return false };
    let half = |ty: &Type| *ty == Type::F16;
    let vector = |ty: &Type| matches!(ty, Type::Vector(_));
    let AggregateLayout { size, .. } = aggregate.layout(Arch::HOST);
    // On x86_64 it loses what lies on top of a `_Float16`, and takes two vectors in a union for one of 32 bytes.
    let union =
        aggregate.kind() == AggregateKind::Union && (contains(ty, &half) || *size > 16 && contains(ty, &vector));
    // On AArch64 a packed bit-field does not ask for an even register.
    let wide_bit_field = |member: &Member| {
        let align = layout::of(&member.ty, Arch::HOST).expect("members have sizes").align;
        member.bits.is_some() && align == 16
    };
    // On x86_64 a member of no size beside a vector of 32 bytes puts both in memory.
    let nothing = |member: &Member| layout::of(&member.ty, Arch::HOST).expect("members have sizes").size == 0;
    let beside_nothing = contains(ty, &is_wide) && aggregate.members().iter().any(nothing);
    union || beside_nothing || aggregate.members().iter().any(wide_bit_field) || has_unaligned_member(ty, 0)
}

/// Whether a value at that offset has a member, at any depth, that is less aligned than its type: to clang such a
/// struct puts the whole in memory on x86_64, even where all the scalars in it are aligned or are bit-fields.
fn has_unaligned_member(ty: &Type, offset: usize) -> bool {
    match ty {
        Type::Array(array) => {
            let size = layout::of(array.element(), Arch::HOST).expect("elements have sizes").size;
            let length = array.length().unwrap_or(0);
            (0..length).any(|index| has_unaligned_member(array.element(), offset + index * size))
        }
        Type::Aggregate(aggregate) => {
            let AggregateLayout { bit_offsets, .. } = aggregate.layout(Arch::HOST);
            aggregate.members().iter().zip(bit_offsets).filter(|(member, _)| member.bits.is_none()).any(
                |(member, at)| {
                    let at = offset + at / 8;
                    let align = layout::of(&member.ty, Arch::HOST).expect("members have sizes").align;
                    !at.is_multiple_of(align) || has_unaligned_member(&member.ty, at)
                },
            )
        }
        _ => false,
    }
}

/// Whether a type has a size, and nothing in it but padding.
fn is_padding(ty: &Type) -> bool {
    let size = layout::of(ty, Arch::HOST).expect("values have sizes").size;
    size > 0 && (0..2).all(|choice| leaves::of(ty, Arch::HOST, choice).is_empty())
}

fn size_of(builder: &AggregateBuilder) -> usize {
    let ty = builder.clone().build().expect("an aggregate");
    layout::of(&ty, Arch::HOST).expect("aggregates have sizes").size
}

/// Whether this machine has 32-byte vectors: on x86_64 they travel in the registers that AVX brought.
pub(crate) fn has_wide_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx");
    #[cfg(not(target_arch = "x86_64"))]
    return true;
}
