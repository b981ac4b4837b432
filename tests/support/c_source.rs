//! C source: type definitions, and functions that report what they were given.
//!
//! It is written from the types alone and shares nothing with the engine's own printer.

use std::fmt::Write;

use jitcall::abi::Convention;
use jitcall::types::{Aggregate, Arch, Enum, Member, Type, layout};
use jitcall::{Parameter, Signature};

use super::Case;
use super::leaves::{self, Kind, Leaf};

/// Bytes in each of the C file's two buffers, `in` and `out`.
pub(crate) const BUFFER: usize = 1 << 16;

/// What stands at the top of each file.
pub(crate) const PROLOGUE: &str = "\
#include <stdarg.h>
#include <stddef.h>
typedef unsigned char byte;
typedef unsigned __int128 wide;
_Alignas(64) byte in[1 << 16], out[1 << 16];
";

/// Writes the definitions of types, each once.
pub(crate) struct Definitions {
    /// Starts the names of this writer's types.
    prefix: String,
    names: Vec<(Type, String)>,
    pub(crate) text: String,
}

impl Definitions {
    pub(crate) fn new(prefix: &str) -> Definitions {
        Definitions { prefix: prefix.to_owned(), names: Vec::new(), text: String::new() }
    }

    /// The name of a type that is no array; defines it where it needs that.
    pub(crate) fn name(&mut self, ty: &Type) -> String {
        match ty {
            Type::Void => "void".into(),
            Type::Bool => "_Bool".into(),
            Type::Integer(integer) => integer.name().into(),
            Type::Float(float) => float.name().into(),
            Type::Complex(float) => format!("{} _Complex", float.name()),
            Type::Pointer(_) => "void *".into(),
            Type::Array(_) => unreachable!("arrays are declared around a name"),
            _ => self.defined(ty),
        }
    }

    fn defined(&mut self, ty: &Type) -> String {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| known == ty) {
            return name.clone();
        }
        let name = |count: usize| format!("{}_{count}", self.prefix);
        let name = match ty {
            Type::Aggregate(aggregate) => {
                let body = self.body(aggregate, 1);
                let name = format!("{} {}_{}", aggregate.kind().keyword(), self.prefix, self.names.len());
                let attributes = attributes(aggregate.is_packed(), aggregate.requested_align());
                let _ = writeln!(self.text, "{name} {{\n{body}}}{attributes};");
                name
            }
            Type::Enum(definition) => {
                let name = format!("enum {}", name(self.names.len()));
                let constants = constants(definition, &format!("{}_{}", self.prefix, self.names.len()));
                let _ = writeln!(self.text, "{name} {{ {constants} }};");
                name
            }
            Type::Vector(vector) => {
                let (name, element) = (name(self.names.len()), self.name(&vector.element()));
                let size = vector.size();
                let _ = writeln!(self.text, "typedef {element} {name} __attribute__((vector_size({size})));");
                name
            }
            _ => unreachable!("{ty:?} has a name of its own"),
        };
        self.names.push((ty.clone(), name.clone()));
        name
    }

    fn body(&mut self, aggregate: &Aggregate, depth: usize) -> String {
        let mut text = String::new();
        for member in aggregate.members() {
            let declaration = self.member(member, depth);
            let _ = writeln!(text, "{}{declaration};", "  ".repeat(depth));
        }
        text
    }

    fn member(&mut self, member: &Member, depth: usize) -> String {
        let attributes = attributes(member.packed, member.align);
        match (&member.name, &member.ty, member.bits) {
            (name, ty, Some(bits)) => {
                format!("{} {}: {bits}{attributes}", self.name(ty), name.as_deref().unwrap_or_default())
            }
            (Some(name), ty, None) => format!("{}{attributes}", self.declare(ty, name)),
            (None, Type::Aggregate(inner), None) => {
                let body = self.body(inner, depth + 1);
                let indent = "  ".repeat(depth);
                let attributes = self::attributes(inner.is_packed(), inner.requested_align());
                format!("{} {{\n{body}{indent}}}{attributes}", inner.kind().keyword())
            }
            (None, ty, None) => unreachable!("an unnamed member of type {ty:?}"),
        }
    }

    /// A declaration of `name`.
    pub(crate) fn declare(&mut self, ty: &Type, name: &str) -> String {
        match ty {
            Type::Array(array) => {
                let length = array.length().map(|length| length.to_string()).unwrap_or_default();
                self.declare(array.element(), &format!("{name}[{length}]"))
            }
            _ => format!("{} {name}", self.name(ty)),
        }
    }
}

fn attributes(packed: bool, align: Option<usize>) -> String {
    let align = align.map(|align| format!("aligned({align})"));
    let list: Vec<String> = packed.then(|| "packed".to_owned()).into_iter().chain(align).collect();
    if list.is_empty() { String::new() } else { format!(" __attribute__(({}))", list.join(", ")) }
}

fn constants(definition: &Enum, prefix: &str) -> String {
    let constants = definition.constants().iter().enumerate();
    let constants: Vec<String> = constants.map(|(index, (_, value))| format!("{prefix}_{index} = {value}")).collect();
    constants.join(", ")
}

/// One function in C, and where it reports what.
pub(crate) struct Function {
    /// Its types and prototype, for reports.
    pub(crate) declaration: String,
    /// Its body, and the function that calls it.
    pub(crate) text: String,
    pub(crate) symbol: String,
    /// What it writes to `out`.
    pub(crate) probes: Vec<Probe>,
    /// What it makes its result of.
    pub(crate) results: Vec<(Leaf, Span)>,
}

/// Bytes of one of the two buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) at: usize,
    pub(crate) size: usize,
}

/// One thing that a function reports about one of its arguments.
pub(crate) struct Probe {
    pub(crate) argument: usize,
    pub(crate) what: What,
    pub(crate) span: Span,
}

pub(crate) enum What {
    /// The bytes of a leaf.
    Leaf(Leaf),
    /// The value of a narrow integer after its conversion to `long`: a compiler may rely on what the psABI says of
    /// the upper part of the register.
    Widened,
    /// Its address modulo its alignment.
    Misalignment,
}

/// Writes the function of a case; with `caller`, also a function that calls it from an array of pointers to the
/// arguments, so that the compiler's own calls can be checked in the engine's place.
pub(crate) fn function(case: &Case, number: usize, caller: bool) -> Function {
    let mut writer = Writer {
        definitions: Definitions::new(&format!("t{number}")),
        body: String::new(),
        out: 0,
        probes: Vec::new(),
    };
    let symbol = format!("f{number}");
    let prototype = writer.prototype(&case.signature, &symbol);
    writer.arguments(case);
    let results = writer.result(case);
    let tail = writer.tail(&case.signature);
    let declaration = format!("{}{prototype};{tail}\n", writer.definitions.text);
    let mut text = format!("{}{prototype} {{\n{}}}\n", writer.definitions.text, writer.body);
    if caller {
        text += &writer.caller(&case.signature, &symbol);
    }
    Function { declaration, text, symbol, probes: writer.probes, results }
}

struct Writer {
    definitions: Definitions,
    body: String,
    /// How much of `out` is used.
    out: usize,
    probes: Vec<Probe>,
}

impl Writer {
    fn prototype(&mut self, signature: &Signature, symbol: &str) -> String {
        let named = signature.parameters()[..signature.fixed()].iter().enumerate();
        let mut list: Vec<String> =
            named.map(|(index, parameter)| self.definitions.declare(&parameter.ty, &format!("a{index}"))).collect();
        if signature.is_variadic() {
            list.push("...".into());
        }
        if list.is_empty() {
            list.push("void".into());
        }
        let result = self.definitions.name(signature.result());
        let attribute = if is_windows(signature) { "__attribute__((ms_abi)) " } else { "" };
        format!("{attribute}{result} {symbol}({})", list.join(", "))
    }

    /// The types of the variadic arguments, as a comment.
    fn tail(&mut self, signature: &Signature) -> String {
        let tail = &signature.parameters()[signature.fixed()..];
        let names: Vec<String> = tail.iter().map(|parameter| self.definitions.name(&parameter.ty)).collect();
        if names.is_empty() { String::new() } else { format!(" // ... {}", names.join(", ")) }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.body, "  {text}");
    }

    fn arguments(&mut self, case: &Case) {
        let signature = &case.signature;
        if signature.is_variadic() {
            let (list, start) = va_list(signature);
            self.line(&format!("{list} list;"));
            self.line(&format!("{start}(list, a{});", signature.fixed() - 1));
        }
        for (index, Parameter { ty, .. }) in signature.parameters().iter().enumerate() {
            if index >= signature.fixed() {
                let declaration = self.definitions.declare(ty, &format!("a{index}"));
                let name = self.definitions.name(ty);
                self.line(&format!("{declaration} = va_arg(list, {name});"));
            }
            self.argument(index, ty, case, index < signature.fixed());
        }
        // What a callee does to its parameters is no concern of the caller's: its copies of them must not change.
        for (index, parameter) in signature.parameters().iter().enumerate() {
            if layout::of(&parameter.ty, Arch::HOST).expect("parameters have sizes").size > 0 {
                self.line(&format!("__builtin_memset(&a{index}, 0xEE, sizeof a{index});"));
                self.line(&format!("__asm__ volatile(\"\" : : \"r\"(&a{index}) : \"memory\");"));
            }
        }
    }

    fn argument(&mut self, index: usize, ty: &Type, case: &Case, named: bool) {
        for leaf in leaves::of(ty, Arch::HOST, case.choice) {
            let span = self.probe(index, leaf.size(), What::Leaf(leaf.clone()));
            let object = format!("a{index}{}", leaf.path);
            self.line(&match leaf.kind {
                Kind::Bits(width) => format!(
                    "{{ wide bits = (wide){object} & (~(wide)0 >> {}); __builtin_memcpy(out + {}, &bits, {}); }}",
                    128 - width,
                    span.at,
                    span.size
                ),
                Kind::Bytes(_) | Kind::Bool => {
                    format!("__builtin_memcpy(out + {}, (char *)&{object} + {}, {});", span.at, leaf.skip, span.size)
                }
            });
        }
        let layout = layout::of(ty, Arch::HOST).expect("parameters have sizes");
        if named && widens(ty) {
            let Span { at, .. } = self.probe(index, 8, What::Widened);
            self.line(&format!("{{ long widened = a{index}; __builtin_memcpy(out + {at}, &widened, 8); }}"));
        }
        if named && reports_alignment(ty) {
            let Span { at, .. } = self.probe(index, 8, What::Misalignment);
            // The compiler knows the address's low bits, or so it believes.
            self.line(&format!(
                "{{ size_t address = (size_t)&a{index}; __asm__(\"\" : \"+r\"(address)); address %= {}; \
                 __builtin_memcpy(out + {at}, &address, 8); }}",
                layout.align
            ));
        }
    }

    fn probe(&mut self, argument: usize, size: usize, what: What) -> Span {
        let span = Span { at: self.out, size };
        self.out += size;
        assert!(self.out <= BUFFER, "a signature with too much to report");
        self.probes.push(Probe { argument, what, span });
        span
    }

    fn result(&mut self, case: &Case) -> Vec<(Leaf, Span)> {
        let ty = case.signature.result();
        if case.signature.is_variadic() {
            self.line(if is_windows(&case.signature) { "__builtin_ms_va_end(list);" } else { "va_end(list);" });
        }
        if ty.is_void() {
            return Vec::new();
        }
        let declaration = self.definitions.declare(ty, "r");
        self.line(&format!("{declaration};"));
        let mut results = Vec::new();
        let mut at = 0;
        for leaf in leaves::of(ty, Arch::HOST, case.choice) {
            let (object, size) = (format!("r{}", leaf.path), leaf.size());
            self.line(&match leaf.kind {
                Kind::Bits(_) => {
                    format!("{{ wide bits = 0; __builtin_memcpy(&bits, in + {at}, {size}); {object} = bits; }}")
                }
                Kind::Bytes(_) | Kind::Bool => {
                    format!("__builtin_memcpy((char *)&{object} + {}, in + {at}, {size});", leaf.skip)
                }
            });
            results.push((leaf, Span { at, size }));
            at += size;
        }
        assert!(at <= BUFFER, "a result that is too large");
        self.line("return r;");
        results
    }

    fn caller(&mut self, signature: &Signature, symbol: &str) -> String {
        let mut text = format!("void call_{symbol}(void *function, void **arguments, void *result) {{\n");
        let _ = writeln!(text, "  __typeof__({symbol}) *target = function;");
        let mut names = Vec::new();
        for (index, parameter) in signature.parameters().iter().enumerate() {
            let declaration = self.definitions.declare(&parameter.ty, &format!("a{index}"));
            let _ = writeln!(text, "  {declaration};");
            let _ = writeln!(text, "  __builtin_memcpy(&a{index}, arguments[{index}], sizeof a{index});");
            names.push(format!("a{index}"));
        }
        let call = format!("target({})", names.join(", "));
        if signature.result().is_void() {
            let _ = writeln!(text, "  {call};\n}}");
        } else {
            let declaration = self.definitions.declare(signature.result(), "r");
            let _ = writeln!(text, "  {declaration} = {call};\n  __builtin_memcpy(result, &r, sizeof r);\n}}");
        }
        text
    }
}

/// Whether a function is of Windows' convention.
fn is_windows(signature: &Signature) -> bool {
    signature.convention() == Some(Convention::Win64)
}

/// The type of a function's variadic arguments, and what begins with them.
fn va_list(signature: &Signature) -> (&'static str, &'static str) {
    match is_windows(signature) {
        true => ("__builtin_ms_va_list", "__builtin_ms_va_start"),
        false => ("va_list", "va_start"),
    }
}

/// Whether a parameter is reported as a `long` too.
fn widens(ty: &Type) -> bool {
    *ty == Type::Bool || ty.as_integer().is_some_and(|integer| integer.size() < 8)
}

/// Whether a parameter reports its address modulo its alignment.
///
/// AAPCS64 passes composites by their natural alignment, at most 16, and leaves what `aligned` asks of the whole to
/// the callee; only what is passed by reference is the caller's.
fn reports_alignment(ty: &Type) -> bool {
    let layout = layout::of(ty, Arch::HOST).expect("parameters have sizes");
    layout.align >= 16 && layout.size > 0 && Arch::HOST == Arch::X86_64
}
