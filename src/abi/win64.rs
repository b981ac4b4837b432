//! Windows x64, for functions that gcc and clang compile with `__attribute__((ms_abi))`: where arguments and results go.
//!
//! The rules are those of Microsoft's *x64 calling convention* and *x64 ABI conventions*; types keep the sizes that they
//! have on Linux. Where Microsoft's C has no such type, gcc's behaviour decides and is said so.
//!
//! | | registers, in order |
//! |---|---|
//! | arguments by position | rcx rdx r8 r9, or xmm0 .. xmm3 at the same positions |
//! | results | rax, xmm0 |
//!
//! The caller makes 32 bytes of *shadow space* below the arguments in memory, for the callee to use ("Parameter
//! passing"). rdi, rsi and xmm6 to xmm15 are callee-saved, besides those of System V ("Register usage").

use crate::abi::sysv64::{is_empty, is_in_memory};
use crate::abi::{Argument, Planner, Register, scalar_width};
use crate::error::Result;
use crate::types::signature::Signature;
use crate::types::{Arch, Float, Type, layout};

const GPRS: [&str; 4] = ["rcx", "rdx", "r8", "r9"];

/// How many arguments are passed in registers, of either kind.
const POSITIONS: u8 = 4;

/// The shadow space, in bytes.
const SHADOW: usize = 32;

pub(super) fn argument_register(register: Register) -> String {
    match register {
        Register::Gpr(number) => GPRS[usize::from(number)].to_owned(),
        other => result_register(other),
    }
}

pub(super) fn result_register(register: Register) -> String {
    match register {
        Register::Gpr(_) => "rax".to_owned(),
        Register::Fpr(number) => format!("xmm{number}"),
        Register::X87(number) => format!("st{number}"),
    }
}

/// Plans a call: result first, because a result in memory takes the first position.
pub(super) fn plan(signature: &Signature, planner: &mut Planner) -> Result<()> {
    planner.stack = SHADOW;
    let first = plan_result(signature.result(), planner)?;
    for (index, parameter) in signature.parameters().iter().enumerate() {
        plan_argument(&parameter.ty, index < signature.fixed(), first + index, planner)?;
    }
    Ok(())
}

/// "Parameter passing": what fits 8, 16, 32 or 64 bits is passed as an integer of that size, all else by the address of
/// a copy.
fn plan_argument(ty: &Type, named: bool, position: usize, planner: &mut Planner) -> Result<()> {
    let argument = planner.argument(ty)?;
    let register = u8::try_from(position).ok().filter(|position| *position < POSITIONS);
    // gcc has no register for a vector of one double.
    let strange = matches!(ty, Type::Vector(vector) if is_in_memory(*vector));
    if strange || !matches!(argument.size, 1 | 2 | 4 | 8) {
        return by_reference(argument, register, planner);
    }
    let width = scalar_width(ty, Arch::X86_64);
    let Some(position) = register else {
        // gcc gives a struct of padding a register, but no place on the stack.
        if is_empty(ty) {
            return Ok(());
        }
        return planner.pass_on_stack(&argument, 8, width);
    };
    if is_floating(ty) {
        planner.pass_in_register(&argument, 0, width, Register::Fpr(position));
        if named {
            return Ok(());
        }
    }
    // "Varargs": floating values are in both registers of their position, as the callee does not know which one to
    // look at.
    planner.pass_in_register(&argument, 0, width, Register::Gpr(position));
    Ok(())
}

fn by_reference(argument: Argument, register: Option<u8>, planner: &mut Planner) -> Result<()> {
    let copy = planner.copy(&argument)?;
    match register {
        Some(position) => planner.pass_address_in_register(&argument, copy, Register::Gpr(position)),
        None => planner.pass_address_on_stack(&argument, copy)?,
    }
    Ok(())
}

/// "Return values": what fits 8, 16, 32 or 64 bits comes back in rax, floating values and vectors of 16 bytes in xmm0, all
/// else where a hidden first argument points. Says how many positions the result takes.
fn plan_result(ty: &Type, planner: &mut Planner) -> Result<usize> {
    if ty.is_void() {
        return Ok(0);
    }
    let size = layout::of(ty, Arch::X86_64)?.size;
    // gcc returns __int128 as it does vectors.
    let wide = size == 16 && (matches!(ty, Type::Vector(_)) || ty.as_integer().is_some());
    if is_empty(ty) {
        // To gcc, structs of padding come back nowhere.
        planner.result.size = size;
        return Ok(0);
    }
    match size {
        _ if is_floating(ty) || wide => planner.result_part(size, 0, 16, Register::Fpr(0)),
        1 | 2 | 4 | 8 => planner.result_part(size, 0, 8, Register::Gpr(0)),
        _ => {
            planner.result_in_memory(size, Register::Gpr(0));
            return Ok(1);
        }
    }
    Ok(0)
}

/// Whether it is passed and returned in a vector register. gcc 12 takes `_Float16` for an integer.
fn is_floating(ty: &Type) -> bool {
    matches!(ty, Type::Float(Float::F32 | Float::F64))
}
