//! The scalars inside a value, where they lie, and the patterns that are written into them.

use jitcall::types::{Aggregate, AggregateKind, Arch, Float, Type, layout};

/// A scalar, a bit-field or an array of scalars inside a value.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// What C appends to the name of the value, such as `.a.b[2]`.
    pub(crate) path: String,
    /// Where it starts in the object that the path names, in bytes: not 0 in the imaginary part only.
    pub(crate) skip: usize,
    /// Distance from the start of the value, in bits.
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// What a leaf is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That many bytes, all of which count.
    Bytes(usize),
    /// `_Bool`: one byte, 0 or 1.
    Bool,
    /// A bit-field of that many bits.
    Bits(usize),
}

impl Leaf {
    /// How many bytes it takes on its own: a bit-field is extended with zero bits.
    pub(crate) fn size(&self) -> usize {
        match self.kind {
            Kind::Bytes(size) => size,
            Kind::Bool => 1,
            Kind::Bits(width) => width.div_ceil(8),
        }
    }

    /// Its bytes in a value.
    pub(crate) fn extract(&self, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; self.size()];
        match self.kind {
            Kind::Bits(width) => {
                for bit in (0..width).filter(|bit| bit_of(value, self.at + bit)) {
                    bytes[bit / 8] |= 1 << (bit % 8);
                }
            }
            Kind::Bytes(_) | Kind::Bool => bytes.copy_from_slice(&value[self.at / 8..][..self.size()]),
        }
        bytes
    }

    fn fill(&self, value: &mut [u8], graffiti: Graffiti) {
        let start = self.at / 8;
        match self.kind {
            Kind::Bytes(size) => {
                for (offset, byte) in value.iter_mut().enumerate().skip(start).take(size) {
                    *byte = graffiti.byte(offset);
                }
            }
            Kind::Bool => value[start] = graffiti.byte(start).count_ones() as u8 & 1,
            Kind::Bits(width) => {
                for bit in self.at..self.at + width {
                    let mask = 1 << (bit % 8);
                    value[bit / 8] = value[bit / 8] & !mask | graffiti.byte(bit / 8) & mask;
                }
            }
        }
    }
}

fn bit_of(value: &[u8], bit: usize) -> bool {
    value[bit / 8] >> (bit % 8) & 1 != 0
}

/// Writes the pattern into every leaf of a value and leaves the padding as it is.
pub(crate) fn fill(leaves: &[Leaf], value: &mut [u8], graffiti: Graffiti) {
    for leaf in leaves {
        leaf.fill(value, graffiti);
    }
}

/// A pattern whose bytes tell the argument (upper digit, from 1) and the offset in it (lower digit), as far as two
/// hexadecimal digits can: further on the digits shift, so that neighbours stay different.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graffiti {
    /// Number of the argument, from 0.
    pub(crate) argument: usize,
    /// Whether all bits are turned over, so that every sign bit is seen as 0 and as 1.
    pub(crate) inverted: bool,
}

impl Graffiti {
    fn byte(self, offset: usize) -> u8 {
        let argument = 16 * (self.argument + 1) + 5 * (self.argument / 16);
        let byte = (argument + offset + 7 * (offset / 16)) as u8;
        if self.inverted { !byte } else { byte }
    }
}

/// The leaves of a value of that type.
///
/// Of the members of a union one holds the value: the largest where `choice` is 0, else the `choice - 1`th, counted
/// round.
pub(crate) fn of(ty: &Type, arch: Arch, choice: usize) -> Vec<Leaf> {
    let mut walk = Walk { arch, choice, leaves: Vec::new() };
    walk.visit(ty, "", 0);
    walk.leaves
}

struct Walk {
    arch: Arch,
    choice: usize,
    leaves: Vec<Leaf>,
}

impl Walk {
    fn visit(&mut self, ty: &Type, path: &str, at: usize) {
        let kind = match ty {
            Type::Aggregate(aggregate) => return self.visit_aggregate(aggregate, path, at),
            Type::Array(array) => {
                let length = array.length().expect("arrays in values have a length");
                if let Some(size) = self.solid(ty) {
                    if size > 0 {
                        self.push(path, at, Kind::Bytes(size));
                    }
                    return;
                }
                let stride = 8 * layout::of(array.element(), self.arch).expect("elements have sizes").size;
                for index in 0..length {
                    self.visit(array.element(), &format!("{path}[{index}]"), at + index * stride);
                }
                return;
            }
            Type::Bool => Kind::Bool,
            Type::Complex(Float::LongDouble) if self.arch == Arch::X86_64 => {
                self.push(path, at, Kind::Bytes(10));
                let imaginary = Leaf { path: path.to_owned(), skip: 16, at: at + 128, kind: Kind::Bytes(10) };
                return self.leaves.push(imaginary);
            }
            Type::Float(Float::LongDouble) if self.arch == Arch::X86_64 => Kind::Bytes(10),
            _ => Kind::Bytes(layout::of(ty, self.arch).expect("scalars have sizes").size),
        };
        self.push(path, at, kind);
    }

    fn push(&mut self, path: &str, at: usize, kind: Kind) {
        self.leaves.push(Leaf { path: path.to_owned(), skip: 0, at, kind });
    }

    /// The size of an array of scalars without any padding.
    fn solid(&self, ty: &Type) -> Option<usize> {
        match ty {
            Type::Array(array) => Some(self.solid(array.element())? * array.length()?),
            Type::Aggregate(_) | Type::Bool => None,
            Type::Float(Float::LongDouble) | Type::Complex(Float::LongDouble) if self.arch == Arch::X86_64 => None,
            _ => layout::of(ty, self.arch).ok().map(|layout| layout.size),
        }
    }

    fn visit_aggregate(&mut self, aggregate: &Aggregate, path: &str, at: usize) {
        let offsets = &aggregate.layout(self.arch).bit_offsets;
        let members = aggregate.members();
        let chosen = match aggregate.kind() {
            AggregateKind::Struct => 0..members.len(),
            AggregateKind::Union => self.active(aggregate),
        };
        for index in chosen {
            let member = &members[index];
            let at = at + offsets[index];
            match (&member.name, member.bits) {
                (Some(name), Some(_)) if member.ty == Type::Bool => {
                    self.push(&format!("{path}.{name}"), at, Kind::Bits(1));
                }
                (Some(name), Some(bits)) => self.push(&format!("{path}.{name}"), at, Kind::Bits(bits as usize)),
                (Some(name), None) => self.visit(&member.ty, &format!("{path}.{name}"), at),
                (None, Some(_)) => {}
                (None, None) => self.visit(&member.ty, path, at),
            }
        }
    }

    fn active(&self, union: &Aggregate) -> std::ops::Range<usize> {
        let count = union.members().len();
        if count == 0 {
            return 0..0;
        }
        let size = |index: usize| {
            let member = &union.members()[index];
            let bytes = layout::of(&member.ty, self.arch).map_or(0, |layout| layout.size);
            member.bits.map_or(8 * bytes, |bits| bits as usize)
        };
        let index = match self.choice {
            0 => (0..count).max_by_key(|index| size(*index)).unwrap_or(0),
            choice => (choice - 1) % count,
        };
        index..index + 1
    }
}
