//! `jitcall show`: where each argument goes, and the stub that brings it there; with `--callback`, the way back.

mod callback;

use std::io::Write as _;

use clap::ValueEnum;
use jitcall::abi::{BlockPlace, Carrier, Convention, Place, Plan, Register, Source, Width};
use jitcall::types::layout;
use jitcall::{Arch, Declarations, Signature, Type, emit};
use jitcall_disasm::{Machine, disassemble, listing};

use crate::Failure;

/// Shows where a call's arguments go, and the stub that brings them there.
///
/// With `--callback`: where the arguments of a closure arrive when C calls it, and the code that it enters. What there is
/// for both architectures can be shown on both.
#[derive(clap::Args)]
pub(crate) struct Show {
    /// C declaration; its last function is shown
    declaration: String,
    /// Architecture; this machine's, if it is not given
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Types of the variadic arguments, such as 'int, double'
    #[arg(long, value_name = "TYPES")]
    tail: Option<String>,
    /// Shows how C enters a closure of that declaration
    #[arg(long, conflicts_with = "tail")]
    callback: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Show {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let signature = self.signature()?;
        let arch = match self.target {
            None => Arch::HOST,
            Some(Target::X86_64) => Arch::X86_64,
            Some(Target::Aarch64) => Arch::Aarch64,
        };
        let mut output = std::io::stdout().lock();
        if self.callback {
            return callback::show(&signature, arch, &mut output);
        }
        let plan = Plan::new(&signature, Convention::of(arch))?;
        let stub = emit::call_stub(&plan)?;
        writeln!(output, "{}{signature};\n", signature.definitions())?;
        writeln!(output, "{}:\n{}", plan.convention, columns(&rows(&signature, &plan, argument_place, result_place)?))?;
        for line in notes(&plan) {
            writeln!(output, "{line}")?;
        }
        writeln!(output, "\nstub(slots, target, result), {} bytes:\n{}", stub.len(), code(&stub, arch))?;
        Ok(())
    }

    fn signature(&self) -> Result<Signature, Failure> {
        let declarations = Declarations::parse(&self.declaration)?;
        let function = declarations.last_function().ok_or("the declaration declares no function")?;
        let Some(tail) = &self.tail else { return Ok(function.clone()) };
        // Read together, because the tail may use the declaration's types.
        let declaration = self.declaration.trim_end_matches([';', ' ', '\t', '\n']);
        let both = Declarations::parse(&format!("{declaration};\nvoid jitcall_tail({tail});"))?;
        let types = both.last_function().ok_or("the tail is no list of types")?;
        Ok(function.with_tail(types.parameters().iter().map(|parameter| parameter.ty.clone()))?)
    }
}

/// Machine code, disassembled.
fn code(bytes: &[u8], arch: Arch) -> String {
    let machine = match arch {
        Arch::X86_64 => Machine::X86_64,
        Arch::Aarch64 => Machine::Aarch64,
    };
    listing(&disassemble(bytes, machine)).trim_end().to_owned()
}

/// One row for each argument and one for the result, below a heading.
fn rows(
    signature: &Signature,
    plan: &Plan,
    argument_place: fn(&Plan, u16) -> String,
    result_place: fn(&Plan) -> String,
) -> Result<Vec<[String; 5]>, Failure> {
    let mut rows = vec![["argument", "type", "bytes", "slots", "place"].map(str::to_owned)];
    let arch = plan.convention.arch();
    for (index, parameter) in signature.parameters().iter().enumerate() {
        let name = match &parameter.name {
            Some(name) => format!("{} {name}", index + 1),
            None => format!("{}", index + 1),
        };
        let size = layout::of(&parameter.ty, arch)?.size;
        let slots = if size == 0 { "none".to_owned() } else { format!("+{}", plan.slot_offsets[index]) };
        rows.push([name, type_name(&parameter.ty), size.to_string(), slots, argument_place(plan, index as u16)]);
    }
    let result = signature.result();
    let size = if result.is_void() { String::new() } else { layout::of(result, arch)?.size.to_string() };
    rows.push(["result".to_owned(), type_name(result), size, String::new(), result_place(plan)]);
    Ok(rows)
}

/// A type without a tag would bring its whole body.
fn type_name(ty: &Type) -> String {
    match ty.as_aggregate() {
        Some(aggregate) if aggregate.tag().is_none() => format!("{} {{...}}", aggregate.kind().keyword()),
        _ => ty.to_string(),
    }
}

fn argument_place(plan: &Plan, index: u16) -> String {
    let mut places: Vec<String> = Vec::new();
    for value in plan.moves.iter().filter(|value| value.argument == Some(index)) {
        let place = match (value.place, value.source) {
            (Place::Register(register), _) => argument_register(plan, register, value.width),
            (Place::Stack(at), Source::Copy(_)) => format!("stack+{at}"),
            (Place::Stack(_), _) => continue,
        };
        places.push(match value.source {
            Source::Copy(offset) => {
                format!("{place} = address of a copy at stack+{}", plan.copies_at() + offset as usize)
            }
            _ => place,
        });
    }
    places.extend(stack_words(plan, index));
    if places.is_empty() { "none".to_owned() } else { places.join(", ") }
}

/// Where on the stack an argument's own bytes are, if they are there.
fn stack_words(plan: &Plan, index: u16) -> Option<String> {
    let words = plan.moves.iter().filter(|value| value.argument == Some(index)).filter_map(|value| {
        match (value.place, value.source) {
            (Place::Stack(at), Source::Slot(_)) => Some((at, 8)),
            _ => None,
        }
    });
    let blocks = plan.blocks.iter().filter(|block| block.argument == index).filter_map(|block| match block.to {
        BlockPlace::Stack(at) => Some((at, block.size)),
        BlockPlace::Copy(_) => None,
    });
    let pieces: Vec<(u32, u32)> = words.chain(blocks).collect();
    let bytes: u32 = pieces.iter().map(|(_, bytes)| bytes).sum();
    pieces.first().map(|(at, _)| if bytes > 8 { format!("stack+{at}, {bytes} bytes") } else { format!("stack+{at}") })
}

fn argument_register(plan: &Plan, register: Register, width: Width) -> String {
    let name = plan.convention.argument_register(register);
    match width {
        Width::S1 | Width::S2 => format!("{name}, sign-extended"),
        Width::U1 | Width::U2 => format!("{name}, zero-extended"),
        _ => name,
    }
}

fn result_place(plan: &Plan) -> String {
    let convention = plan.convention;
    if plan.result.in_memory {
        let pointer = plan.moves.iter().find(|value| value.source == Source::Result);
        return match pointer.map(|value| value.place) {
            Some(Place::Register(register)) => {
                format!("memory: hidden pointer in {}", convention.argument_register(register))
            }
            _ => "memory".to_owned(),
        };
    }
    let registers: Vec<String> = plan.result.parts().map(|part| convention.result_register(part.register)).collect();
    match plan.result.carrier() {
        _ if registers.is_empty() => "none".to_owned(),
        Carrier::Buffer => format!("{}, stored by the stub", registers.join(", ")),
        _ => registers.join(", "),
    }
}

/// The frame, and what else the convention asks for.
fn notes(plan: &Plan) -> Vec<String> {
    let mut notes = vec![match (plan.needs_frame(), plan.area()) {
        (false, _) => "frame: none, the stub jumps to its target".to_owned(),
        (true, 0) => "frame: no arguments on the stack".to_owned(),
        (true, area) => {
            let copies = if plan.copies > 0 { format!(", {} of copies", plan.copies) } else { String::new() };
            format!(
                "frame: {area} bytes of stack ({} of arguments{copies}), aligned to {} bytes",
                plan.stack, plan.align
            )
        }
    }];
    if let Some(count) = plan.vector_count {
        notes.push(format!("al: {count}, the vector registers that a variadic call uses"));
    }
    notes
}

/// Rows as columns, two blanks apart.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("  {cell:<width$}"));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    });
    lines.collect()
}
