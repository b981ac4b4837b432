//! What C calls a thing: scalars, pointers, vectors, structs, unions, arrays.
//!
//! A [`Type`] is a small value that is cheap to clone; aggregates share their definition. It says what a C
//! programmer wrote, not what a machine does with it: sizes come from [`layout`], registers from
//! [`crate::abi`]. Where the two supported machines disagree about a C type (`char` is signed on x86_64 and
//! unsigned on AArch64, and so is `wchar_t`), the type stays the C one and the [`Arch`] decides later.

pub mod declaration;
pub mod layout;
pub mod signature;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use layout::AggregateLayout;
use signature::Signature;

/// A machine architecture that the engine knows calling conventions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// AMD64, also called Intel 64.
    X86_64,
    /// The 64-bit Arm architecture, little-endian.
    Aarch64,
}

impl Arch {
    /// Every architecture, in the order of tables that hold one entry for each.
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    /// The architecture this program was compiled for.
    #[cfg(target_arch = "x86_64")]
    pub const HOST: Arch = Arch::X86_64;
    /// The architecture this program was compiled for.
    #[cfg(target_arch = "aarch64")]
    pub const HOST: Arch = Arch::Aarch64;

    /// Its place in tables that hold one entry per architecture.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        })
    }
}

/// The integer types of C on LP64 Linux, except `_Bool` and enums.
///
/// `size_t`, `ptrdiff_t`, `intN_t` and `uintN_t` are typedefs of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Integer {
    /// `char`: one byte, signed on x86_64, unsigned on AArch64.
    Char,
    /// `signed char`, `int8_t`.
    SChar,
    /// `unsigned char`, `uint8_t`.
    UChar,
    /// `short`, `int16_t`.
    Short,
    /// `unsigned short`, `uint16_t`.
    UShort,
    /// `int`, `int32_t`.
    Int,
    /// `unsigned int`, `uint32_t`.
    UInt,
    /// `long`, `int64_t`, `ptrdiff_t`, `ssize_t`, `intptr_t`.
    Long,
    /// `unsigned long`, `uint64_t`, `size_t`, `uintptr_t`.
    ULong,
    /// `long long`.
    LongLong,
    /// `unsigned long long`.
    ULongLong,
    /// `__int128`.
    Int128,
    /// `unsigned __int128`.
    UInt128,
    /// `wchar_t`: four bytes, signed on x86_64, unsigned on AArch64.
    WChar,
}

impl Integer {
    /// Every integer type, narrow to wide.
    pub const ALL: [Integer; 14] = [
        Integer::Char,
        Integer::SChar,
        Integer::UChar,
        Integer::Short,
        Integer::UShort,
        Integer::Int,
        Integer::UInt,
        Integer::WChar,
        Integer::Long,
        Integer::ULong,
        Integer::LongLong,
        Integer::ULongLong,
        Integer::Int128,
        Integer::UInt128,
    ];

    /// Size in bytes, which is also the alignment.
    pub const fn size(self) -> usize {
        match self {
            Integer::Char | Integer::SChar | Integer::UChar => 1,
            Integer::Short | Integer::UShort => 2,
            Integer::Int | Integer::UInt | Integer::WChar => 4,
            Integer::Long | Integer::ULong | Integer::LongLong | Integer::ULongLong => 8,
            Integer::Int128 | Integer::UInt128 => 16,
        }
    }

    /// Whether the type is signed on that architecture.
    pub const fn is_signed(self, arch: Arch) -> bool {
        match self {
            // psABI x86-64 3.1.2; AAPCS64 10.1.1 (char) and 10.1.2 (wchar_t).
            Integer::Char | Integer::WChar => matches!(arch, Arch::X86_64),
            Integer::SChar | Integer::Short | Integer::Int | Integer::Long | Integer::LongLong | Integer::Int128 => {
                true
            }
            Integer::UChar
            | Integer::UShort
            | Integer::UInt
            | Integer::ULong
            | Integer::ULongLong
            | Integer::UInt128 => false,
        }
    }

    /// The name C gives it, as a declaration would spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Integer::Char => "char",
            Integer::SChar => "signed char",
            Integer::UChar => "unsigned char",
            Integer::Short => "short",
            Integer::UShort => "unsigned short",
            Integer::Int => "int",
            Integer::UInt => "unsigned int",
            Integer::Long => "long",
            Integer::ULong => "unsigned long",
            Integer::LongLong => "long long",
            Integer::ULongLong => "unsigned long long",
            Integer::Int128 => "__int128",
            Integer::UInt128 => "unsigned __int128",
            Integer::WChar => "wchar_t",
        }
    }
}

/// The real floating types of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Float {
    /// `_Float16`: IEEE 754 binary16.
    F16,
    /// `float`: binary32.
    F32,
    /// `double`: binary64.
    F64,
    /// `long double`: x87 extended precision in 16 bytes on x86_64, binary128 on AArch64.
    LongDouble,
}

impl Float {
    /// Every real floating type, narrow to wide.
    pub const ALL: [Float; 4] = [Float::F16, Float::F32, Float::F64, Float::LongDouble];

    /// Size in bytes, padding included; also the alignment.
    pub const fn size(self) -> usize {
        match self {
            Float::F16 => 2,
            Float::F32 => 4,
            Float::F64 => 8,
            Float::LongDouble => 16,
        }
    }

    /// The name C gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Float::F16 => "_Float16",
            Float::F32 => "float",
            Float::F64 => "double",
            Float::LongDouble => "long double",
        }
    }
}

/// A C type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// `void`: only as a result or behind a pointer.
    Void,
    /// `_Bool`.
    Bool,
    /// An integer type.
    Integer(Integer),
    /// A real floating type.
    Float(Float),
    /// `_Complex` of `float`, `double` or `long double`: real part first.
    Complex(Float),
    /// A vector of 8, 16 or 32 bytes, as `__attribute__((vector_size(n)))` makes it.
    Vector(Vector),
    /// A data or function pointer.
    Pointer(Pointer),
    /// An enumeration: passed as its underlying integer type.
    Enum(Arc<Enum>),
    /// A struct or union.
    Aggregate(Arc<Aggregate>),
    /// An array: a member of an aggregate, or behind a pointer; never passed by value on its own.
    Array(Array),
}

impl Type {
    /// `char`.
    pub const CHAR: Type = Type::Integer(Integer::Char);
    /// `signed char`, `int8_t`.
    pub const I8: Type = Type::Integer(Integer::SChar);
    /// `unsigned char`, `uint8_t`.
    pub const U8: Type = Type::Integer(Integer::UChar);
    /// `short`, `int16_t`.
    pub const I16: Type = Type::Integer(Integer::Short);
    /// `unsigned short`, `uint16_t`.
    pub const U16: Type = Type::Integer(Integer::UShort);
    /// `int`, `int32_t`.
    pub const I32: Type = Type::Integer(Integer::Int);
    /// `unsigned int`, `uint32_t`.
    pub const U32: Type = Type::Integer(Integer::UInt);
    /// `long`, `int64_t`.
    pub const I64: Type = Type::Integer(Integer::Long);
    /// `unsigned long`, `uint64_t`, `size_t`.
    pub const U64: Type = Type::Integer(Integer::ULong);
    /// `__int128`.
    pub const I128: Type = Type::Integer(Integer::Int128);
    /// `unsigned __int128`.
    pub const U128: Type = Type::Integer(Integer::UInt128);
    /// `_Float16`.
    pub const F16: Type = Type::Float(Float::F16);
    /// `float`.
    pub const F32: Type = Type::Float(Float::F32);
    /// `double`.
    pub const F64: Type = Type::Float(Float::F64);
    /// `long double`.
    pub const LONG_DOUBLE: Type = Type::Float(Float::LongDouble);

    /// `void *`.
    pub fn pointer() -> Type {
        Type::Pointer(Pointer::to(Type::Void))
    }

    /// `const char *`.
    pub fn c_string() -> Type {
        Type::Pointer(Pointer::to_const(Type::CHAR))
    }

    /// An array of `length` elements, as a member of an aggregate.
    ///
    /// # Errors
    /// [`Error::Type`] where the element has no size.
    pub fn array(element: Type, length: usize) -> Result<Type> {
        Array::new(element, Some(length)).map(Type::Array)
    }

    /// A vector of `bytes` bytes (8, 16 or 32) of integer or floating elements.
    ///
    /// # Errors
    /// [`Error::Type`] for other sizes and elements.
    pub fn vector(element: Type, bytes: usize) -> Result<Type> {
        Vector::new(element, bytes).map(Type::Vector)
    }

    /// Starts a struct definition.
    pub fn structure() -> AggregateBuilder {
        AggregateBuilder::new(AggregateKind::Struct)
    }

    /// Starts a union definition.
    pub fn union() -> AggregateBuilder {
        AggregateBuilder::new(AggregateKind::Union)
    }

    /// The integer type that stands for this type in a call: itself, or what an enum is made of.
    pub fn as_integer(&self) -> Option<Integer> {
        match self {
            Type::Integer(integer) => Some(*integer),
            Type::Enum(definition) => Some(definition.underlying),
            _ => None,
        }
    }

    /// The definition of a struct or union.
    pub fn as_aggregate(&self) -> Option<&Arc<Aggregate>> {
        match self {
            Type::Aggregate(aggregate) => Some(aggregate),
            _ => None,
        }
    }

    /// Whether this is `void`.
    pub fn is_void(&self) -> bool {
        matches!(self, Type::Void)
    }
}

/// A vector type: SIMD lanes of one scalar type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector {
    element: Lane,
    bytes: u8,
}

/// What a vector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Integer(Integer),
    Float(Float),
}

impl Vector {
    /// A vector of `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Type`] where the size is not 8, 16 or 32, or the element is not an integer or floating type that
    /// divides it.
    pub fn new(element: Type, bytes: usize) -> Result<Vector> {
        let lane = match &element {
            Type::Integer(integer) => Lane::Integer(*integer),
            Type::Float(float) if *float != Float::LongDouble => Lane::Float(*float),
            _ => return Err(Error::invalid_type(format!("a vector cannot have elements of type {element}"))),
        };
        let vector = Vector { element: lane, bytes: bytes as u8 };
        if !matches!(bytes, 8 | 16 | 32) || vector.element_size() > bytes {
            return Err(Error::invalid_type(format!(
                "a vector of {element} cannot have {bytes} bytes: 8, 16 and 32 are supported"
            )));
        }
        Ok(vector)
    }

    /// The type of one lane.
    pub fn element(self) -> Type {
        match self.element {
            Lane::Integer(integer) => Type::Integer(integer),
            Lane::Float(float) => Type::Float(float),
        }
    }

    fn element_size(self) -> usize {
        match self.element {
            Lane::Integer(integer) => integer.size(),
            Lane::Float(float) => float.size(),
        }
    }

    /// Size in bytes, which is also the alignment: 8, 16 or 32.
    pub const fn size(self) -> usize {
        self.bytes as usize
    }

    /// How many lanes there are.
    pub fn lanes(self) -> usize {
        self.size() / self.element_size()
    }
}

/// A pointer type: 8 bytes, whatever it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    pointee: Arc<Pointee>,
    is_const: bool,
}

/// What a pointer points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointee {
    /// An object of that type, or `void`.
    Type(Type),
    /// A function.
    Function(Signature),
    /// A struct or union whose definition is not known (here), such as `struct sqlite3`.
    Incomplete(AggregateKind, String),
}

impl Pointer {
    /// A pointer to an object that may be written through it.
    pub fn to(pointee: Type) -> Pointer {
        Pointer { pointee: Arc::new(Pointee::Type(pointee)), is_const: false }
    }

    /// A pointer to a `const` object.
    pub fn to_const(pointee: Type) -> Pointer {
        Pointer { pointee: Arc::new(Pointee::Type(pointee)), is_const: true }
    }

    /// A pointer to a function.
    pub fn to_function(signature: Signature) -> Pointer {
        Pointer { pointee: Arc::new(Pointee::Function(signature)), is_const: false }
    }

    /// A pointer to a struct or union that is known by its tag only.
    pub fn to_incomplete(kind: AggregateKind, tag: &str, is_const: bool) -> Pointer {
        Pointer { pointee: Arc::new(Pointee::Incomplete(kind, tag.to_owned())), is_const }
    }

    /// What it points at.
    pub fn pointee(&self) -> &Pointee {
        &self.pointee
    }

    /// Whether the object is `const`: C promises not to write through the pointer.
    pub fn is_const(&self) -> bool {
        self.is_const
    }

    /// The signature, where it points at a function.
    pub fn signature(&self) -> Option<&Signature> {
        match &*self.pointee {
            Pointee::Function(signature) => Some(signature),
            _ => None,
        }
    }

    /// Whether it points at `char`, `signed char` or `unsigned char`, `const` or not: C's strings.
    pub fn is_text(&self) -> bool {
        matches!(&*self.pointee, Pointee::Type(Type::Integer(Integer::Char | Integer::SChar | Integer::UChar)))
    }
}

/// An enumeration and its constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    tag: Option<String>,
    constants: Vec<(String, i128)>,
    underlying: Integer,
}

impl Enum {
    /// An enumeration; its underlying type is the one gcc and clang choose: `unsigned int` where no constant is
    /// negative, else `int`, and the 64-bit types where a constant needs them.
    ///
    /// # Errors
    /// [`Error::Type`] where no 64-bit integer type holds all constants.
    pub fn new(tag: Option<&str>, constants: Vec<(String, i128)>) -> Result<Enum> {
        let lowest = constants.iter().map(|(_, value)| *value).min().unwrap_or(0);
        let highest = constants.iter().map(|(_, value)| *value).max().unwrap_or(0);
        let holds = |low: i128, high: i128| lowest >= low && highest <= high;
        let underlying = if holds(0, u32::MAX.into()) {
            Integer::UInt
        } else if holds(i32::MIN.into(), i32::MAX.into()) {
            Integer::Int
        } else if holds(0, u64::MAX.into()) {
            Integer::ULong
        } else if holds(i64::MIN.into(), i64::MAX.into()) {
            Integer::Long
        } else {
            return Err(Error::invalid_type("an enum with constants that no 64-bit integer type holds".into()));
        };
        Ok(Enum { tag: tag.map(str::to_owned), constants, underlying })
    }

    /// The tag after `enum`, if it has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The constants in the order of declaration.
    pub fn constants(&self) -> &[(String, i128)] {
        &self.constants
    }

    /// The integer type it is passed as.
    pub fn underlying(&self) -> Integer {
        self.underlying
    }
}

/// Struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// `struct`: members follow each other.
    Struct,
    /// `union`: members share offset 0.
    Union,
}

impl AggregateKind {
    /// The C keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            AggregateKind::Struct => "struct",
            AggregateKind::Union => "union",
        }
    }
}

/// A member of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name; anonymous structs and unions and padding bit-fields have none.
    pub name: Option<String>,
    /// Its type.
    pub ty: Type,
    /// Its width in bits, where it is a bit-field; 0 closes the storage unit.
    pub bits: Option<u32>,
    /// The alignment that `aligned(n)` or `_Alignas(n)` asks for, in bytes.
    pub align: Option<usize>,
    /// Whether `packed` is said of this member alone.
    pub packed: bool,
}

impl Member {
    /// A plain named member.
    pub fn new(name: &str, ty: Type) -> Member {
        Member { name: Some(name.to_owned()), ..Member::unnamed(ty) }
    }

    /// A member without a name.
    pub fn unnamed(ty: Type) -> Member {
        Member { name: None, ty, bits: None, align: None, packed: false }
    }

    /// The same member as a bit-field of `bits` bits.
    pub fn with_bits(mut self, bits: u32) -> Member {
        self.bits = Some(bits);
        self
    }

    /// The same member aligned to at least `align` bytes.
    pub fn with_align(mut self, align: usize) -> Member {
        self.align = Some(align);
        self
    }
}

/// The definition of a struct or union, with its layout on every architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    kind: AggregateKind,
    tag: Option<String>,
    members: Vec<Member>,
    packed: bool,
    align: Option<usize>,
    least_size: usize,
    layouts: [AggregateLayout; 2],
}

impl Aggregate {
    /// Struct or union.
    pub fn kind(&self) -> AggregateKind {
        self.kind
    }

    /// The tag after `struct` or `union`, if it has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The members in the order of declaration.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether `packed` is said of the whole.
    pub fn is_packed(&self) -> bool {
        self.packed
    }

    /// The alignment that `aligned(n)` asks of the whole, in bytes.
    pub fn requested_align(&self) -> Option<usize> {
        self.align
    }

    /// Size, alignment and member offsets on that architecture.
    pub fn layout(&self, arch: Arch) -> &AggregateLayout {
        &self.layouts[arch.index()]
    }

    /// Whether the last member is an array of unknown length: such a struct cannot be passed by value.
    pub fn has_flexible_array(&self) -> bool {
        self.members.iter().any(|member| match &member.ty {
            Type::Array(array) => array.length.is_none(),
            Type::Aggregate(inner) => inner.has_flexible_array(),
            _ => false,
        })
    }
}

/// Collects the members and attributes of a struct or union.
///
/// ```
/// use jitcall::Type;
/// let point = Type::structure().tag("point").member("x", Type::F64).member("y", Type::F64).build()?;
/// assert_eq!(point.to_string(), "struct point");
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AggregateBuilder {
    kind: AggregateKind,
    tag: Option<String>,
    members: Vec<Member>,
    packed: bool,
    align: Option<usize>,
    least_size: usize,
}

impl AggregateBuilder {
    /// An aggregate without members.
    pub fn new(kind: AggregateKind) -> AggregateBuilder {
        AggregateBuilder { kind, tag: None, members: Vec::new(), packed: false, align: None, least_size: 0 }
    }

    /// Names it.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    /// Adds a plain named member.
    #[must_use]
    pub fn member(self, name: &str, ty: Type) -> Self {
        self.push(Member::new(name, ty))
    }

    /// Adds a bit-field of `bits` bits.
    #[must_use]
    pub fn bit_field(self, name: &str, ty: Type, bits: u32) -> Self {
        self.push(Member::new(name, ty).with_bits(bits))
    }

    /// Adds any member.
    #[must_use]
    pub fn push(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// `__attribute__((packed))`: no padding between members.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.packed = true;
        self
    }

    /// `__attribute__((aligned(bytes)))`: the whole is aligned to at least that.
    #[must_use]
    pub fn aligned(mut self, bytes: usize) -> Self {
        self.align = Some(bytes);
        self
    }

    /// Says that the whole has at least so many bytes: more than its members take, where not all of them are described.
    /// What is behind them is padding. C has no word for it.
    #[must_use]
    pub fn sized(mut self, bytes: usize) -> Self {
        self.least_size = bytes;
        self
    }

    /// Lays it out.
    ///
    /// # Errors
    /// [`Error::Type`] where a member has no size, a bit-field is wider than its type, two members share a name, an
    /// alignment is no power of two, or the whole is too large.
    pub fn build(self) -> Result<Type> {
        layout::check_members(self.kind, &self.members, self.align)?;
        let lay_out = |arch| {
            layout::lay_out(self.kind, &self.members, self.packed, self.align, arch)?.with_least_size(self.least_size)
        };
        let layouts = [lay_out(Arch::X86_64)?, lay_out(Arch::Aarch64)?];
        let AggregateBuilder { kind, tag, members, packed, align, least_size } = self;
        Ok(Type::Aggregate(Arc::new(Aggregate { kind, tag, members, packed, align, least_size, layouts })))
    }
}

/// An array type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    element: Arc<Type>,
    length: Option<usize>,
}

impl Array {
    /// An array; without a length it is a flexible array member, or stands behind a pointer.
    ///
    /// # Errors
    /// [`Error::Type`] where the element has no size.
    pub fn new(element: Type, length: Option<usize>) -> Result<Array> {
        layout::of(&element, Arch::X86_64)?;
        Ok(Array { element: Arc::new(element), length })
    }

    /// The type of an element.
    pub fn element(&self) -> &Type {
        &self.element
    }

    /// How many elements, where that is known.
    pub fn length(&self) -> Option<usize> {
        self.length
    }
}
