//! Which way closures of a signature are entered, for either architecture on any host.

use crate::abi::{Convention, Move, Place, Plan, Register, Source};
use crate::error::{Error, Result};
use crate::types::Type;
use crate::types::signature::{Parameter, Signature};

/// The most arguments of handlers over slots that are entered with registers.
pub(super) const REGISTERS: usize = 5;

/// How closures of a signature can be entered.
///
/// ```
/// use jitcall::Signature;
/// use jitcall::abi::Convention;
/// use jitcall::closure::Entrance;
/// let compare = Signature::parse("int compare(const void *, const void *)")?;
/// let entrance = Entrance::of(&compare, Convention::SysV64)?;
/// assert_eq!(entrance.register, Some(2), "rdx, behind rdi and rsi");
/// assert!(entrance.suffices);
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Where arguments arrive, and which slots they go to.
    pub plan: Plan,
    /// The general argument register behind those of the declared arguments, if there is one: typed handlers are entered
    /// with the record there, and no code gathers their arguments.
    pub register: Option<u8>,
    /// Whether handlers over slots and values are entered so as well, and nobody needs
    /// [`emit::closure_entry`](crate::emit::closure_entry): for up to 5 integers and pointers, and a result of 4 or 8
    /// bytes in the first general register, or none.
    pub suffices: bool,
}

impl Entrance {
    /// That of a signature.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the signature is variadic, or the convention cannot pass it.
    pub fn of(signature: &Signature, convention: Convention) -> Result<Entrance> {
        if signature.is_variadic() {
            return Err(Error::unsupported(format!(
                "{signature} as a callback: what follows the named arguments cannot be known"
            )));
        }
        let plan = Plan::new(signature, convention)?;
        // Handlers are Rust's, of C's own convention.
        let own = convention == Convention::of(convention.arch());
        let register = if own { free_register(signature, convention)? } else { None };
        Ok(Entrance { register, suffices: register.is_some() && fits_registers(&plan), plan })
    }
}

/// The general register that an argument behind the declared ones is passed in, if there is one.
fn free_register(signature: &Signature, convention: Convention) -> Result<Option<u8>> {
    let mut parameters = signature.parameters().to_vec();
    parameters.push(Parameter::unnamed(Type::pointer()));
    // A signature may have too many parameters for one more.
    let Ok(longer) = Signature::with_parameters(signature.result().clone(), parameters) else { return Ok(None) };
    let plan = Plan::new(&longer, convention)?;
    Ok(plan.moves.last().and_then(|value| match value.place {
        Place::Register(Register::Gpr(number)) => Some(number),
        _ => None,
    }))
}

/// Whether arguments and result are what [`register_runner`](super::handler::register_runner) has functions for.
fn fits_registers(plan: &Plan) -> bool {
    let mut moves = plan.moves.iter().enumerate();
    let mut results = plan.result.parts();
    let general = |number: usize, value: &Move| {
        value.place == Place::Register(Register::Gpr(number as u8)) && value.source == Source::Slot(8 * number as u32)
    };
    plan.moves.len() <= REGISTERS
        && plan.blocks.is_empty()
        && moves.all(|(number, value)| general(number, value))
        && results.len() <= 1
        && results.all(|part| part.register == Register::Gpr(0) && part.size >= 4)
        && (plan.result.size == 0 || plan.result.parts().len() == 1)
}
