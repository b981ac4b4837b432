//! Callbacks: where C's arguments arrive, which slots they go to, and the code that C enters.

use std::io::Write;

use jitcall::abi::{BlockPlace, Convention, Place, Plan, Register, Source, Width};
use jitcall::closure::Entrance;
use jitcall::emit::{self, RECORD_DISTANCE, RecordPlace};
use jitcall::{Arch, Signature};

use super::{code, columns, rows, stack_words};
use crate::Failure;

/// Shows how closures of a signature are entered.
pub(super) fn show(signature: &Signature, arch: Arch, output: &mut impl Write) -> Result<(), Failure> {
    let entrance = Entrance::of(signature, Convention::of(arch))?;
    let plan = &entrance.plan;
    writeln!(output, "{}{signature};\n", signature.definitions())?;
    writeln!(output, "{}:\n{}", plan.convention, columns(&rows(signature, plan, argument_place, result_place)?))?;
    write!(output, "{}", columns(&ways(&entrance)))?;
    if let Some(register) = entrance.register {
        entry(arch, RecordPlace::Argument(register), plan.convention, output)?;
    }
    if !entrance.suffices {
        entry(arch, RecordPlace::Scratch, plan.convention, output)?;
        let closure_entry = emit::closure_entry(plan)?;
        writeln!(output, "\nclosure entry, {} bytes:\n{}", closure_entry.len(), code(&closure_entry, arch))?;
    }
    Ok(())
}

fn entry(arch: Arch, place: RecordPlace, convention: Convention, output: &mut impl Write) -> Result<(), Failure> {
    let bytes = emit::page_entry(arch, place, RECORD_DISTANCE);
    let register = register_name(convention, place);
    Ok(writeln!(output, "\nentry, record in {register}, {} bytes:\n{}", bytes.len(), code(&bytes, arch))?)
}

fn register_name(convention: Convention, place: RecordPlace) -> String {
    match (place, convention.arch()) {
        (RecordPlace::Argument(number), _) => convention.argument_register(Register::Gpr(number)),
        (RecordPlace::Scratch, Arch::X86_64) => "r11".to_owned(),
        (RecordPlace::Scratch, Arch::Aarch64) => "x16".to_owned(),
    }
}

/// How handlers are reached from the entry, below a heading.
fn ways(entrance: &Entrance) -> Vec<[String; 3]> {
    let name = |place| register_name(entrance.plan.convention, place);
    let scratch = format!("entry, record in {}", name(RecordPlace::Scratch));
    let gathered = [format!("{scratch}; closure entry; runner"), format!("{scratch}; enter_by_plan; runner")];
    let typed = match entrance.register {
        Some(number) => {
            let register = name(RecordPlace::Argument(number));
            [
                format!("entry, record in {register}; runner"),
                format!("{scratch}; record_in_{number}, which moves it to {register}; runner"),
            ]
        }
        None => gathered.clone(),
    };
    let slots = if entrance.suffices { typed.clone() } else { gathered };
    let mut rows = vec![["handler", "tier", "way in"].map(str::to_owned)];
    for (handler, ways) in [("typed", typed), ("slots, values", slots)] {
        rows.extend(["jit", "asm"].into_iter().zip(ways).map(|(tier, way)| [handler.to_owned(), tier.to_owned(), way]));
    }
    rows
}

/// Where C has put an argument.
fn argument_place(plan: &Plan, index: u16) -> String {
    let mut places: Vec<String> = Vec::new();
    for value in plan.moves.iter().filter(|value| value.argument == Some(index)) {
        let place = match (value.place, value.source) {
            (Place::Register(register), _) => plan.convention.argument_register(register),
            (Place::Stack(at), Source::Copy(_)) => format!("stack+{at}"),
            (Place::Stack(_), _) => continue,
        };
        places.push(match value.source {
            Source::Copy(copy) => format!("{place} = address of {} bytes", copied(plan, copy)),
            _ => place,
        });
    }
    places.extend(stack_words(plan, index));
    if places.is_empty() { "none".to_owned() } else { places.join(", ") }
}

/// Bytes of an argument that is passed by reference.
fn copied(plan: &Plan, copy: u32) -> u32 {
    plan.blocks.iter().find(|block| block.to == BlockPlace::Copy(copy)).map_or(0, |block| block.size)
}

/// Where C looks for the result.
fn result_place(plan: &Plan) -> String {
    let convention = plan.convention;
    if plan.result.in_memory {
        let pointer = plan.moves.iter().find(|value| value.source == Source::Result);
        let Some(Place::Register(register)) = pointer.map(|value| value.place) else { return "memory".to_owned() };
        let returned = match convention.arch() {
            Arch::X86_64 => ", returned in rax",
            Arch::Aarch64 => "",
        };
        return format!("memory: hidden pointer in {}{returned}", convention.argument_register(register));
    }
    let registers: Vec<String> = plan.result.parts().map(|part| convention.result_register(part.register)).collect();
    let extended = match plan.result.width {
        Width::S1 | Width::S2 => ", sign-extended",
        Width::U1 | Width::U2 => ", zero-extended",
        _ => "",
    };
    let general = plan.result.parts().any(|part| matches!(part.register, Register::Gpr(_)));
    match registers.is_empty() {
        true => "none".to_owned(),
        false => format!("{}{}", registers.join(", "), if general { extended } else { "" }),
    }
}
