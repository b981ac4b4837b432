//! A function's type: parameters, result, and whether more arguments may follow.

use crate::abi::Convention;
use crate::error::{Error, Result};
use crate::types::{Arch, Float, Integer, Type, layout};

/// The most arguments a call may have, the variadic ones included.
pub const MAX_ARGUMENTS: usize = 1024;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name in the declaration, if it gives one; errors use it.
    pub name: Option<String>,
    /// Its type: never `void`, an array or a function.
    pub ty: Type,
}

impl Parameter {
    /// A parameter without a name.
    pub fn unnamed(ty: Type) -> Parameter {
        Parameter { name: None, ty }
    }

    /// A named parameter.
    pub fn new(name: &str, ty: Type) -> Parameter {
        Parameter { name: Some(name.to_owned()), ty }
    }
}

/// The type of a function, as a C prototype says it.
///
/// ```
/// use jitcall::{Signature, Type};
/// let pow = Signature::parse("double pow(double, double)")?;
/// assert_eq!(pow, Signature::new(Type::F64, [Type::F64, Type::F64])?.named("pow"));
/// assert_eq!(pow.to_string(), "double pow(double, double)");
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: Option<String>,
    parameters: Vec<Parameter>,
    result: Type,
    variadic: bool,
    /// How many parameters stand before the `...`; all of them where there is none.
    fixed: usize,
    convention: Option<Convention>,
}

impl Signature {
    /// A signature with unnamed parameters.
    ///
    /// # Errors
    /// [`Error::Type`] where a type cannot be passed or returned by value.
    pub fn new(result: Type, parameters: impl IntoIterator<Item = Type>) -> Result<Signature> {
        Signature::with_parameters(result, parameters.into_iter().map(Parameter::unnamed).collect())
    }

    /// A signature whose parameters may have names.
    ///
    /// # Errors
    /// [`Error::Type`] where a type cannot be passed or returned by value.
    pub fn with_parameters(result: Type, parameters: Vec<Parameter>) -> Result<Signature> {
        if !result.is_void() {
            check_by_value(&result, "returned")?;
        }
        for parameter in &parameters {
            check_by_value(&parameter.ty, "passed")?;
        }
        if parameters.len() > MAX_ARGUMENTS {
            return Err(Error::invalid_type(format!(
                "{} parameters: at most {MAX_ARGUMENTS} are supported",
                parameters.len()
            )));
        }
        let fixed = parameters.len();
        Ok(Signature { name: None, parameters, result, variadic: false, fixed, convention: None })
    }

    /// The same signature with a function name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Signature {
        self.name = Some(name.to_owned());
        self
    }

    /// The same signature for functions of another convention than C's own: `__attribute__((ms_abi))` is
    /// [`Convention::Win64`].
    #[must_use]
    pub fn with_convention(mut self, convention: Convention) -> Signature {
        self.convention = Some(convention).filter(|convention| *convention == Convention::Win64);
        self
    }

    /// The convention that it names; `None` for C's own, whichever that is.
    pub fn convention(&self) -> Option<Convention> {
        self.convention
    }

    /// The same signature with `...` after its parameters.
    #[must_use]
    pub fn variadic(mut self) -> Signature {
        self.variadic = true;
        self
    }

    /// The signature of one call of a variadic function: the fixed parameters, then arguments of these types.
    ///
    /// The types are promoted as C promotes them: see [`promoted`].
    ///
    /// # Errors
    /// [`Error::Type`] where the function is not variadic or a type cannot be passed.
    pub fn with_tail(&self, tail: impl IntoIterator<Item = Type>) -> Result<Signature> {
        if !self.variadic {
            return Err(Error::invalid_type(format!("{self} takes no variadic arguments")));
        }
        let mut parameters = self.parameters[..self.fixed].to_vec();
        parameters.extend(tail.into_iter().map(|ty| Parameter::unnamed(promoted(ty))));
        let mut whole = Signature::with_parameters(self.result.clone(), parameters)?;
        whole.name = self.name.clone();
        whole.variadic = true;
        whole.fixed = self.fixed;
        whole.convention = self.convention;
        Ok(whole)
    }

    /// The function's name, if the declaration gives one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The parameters; for one call of a variadic function, the variadic arguments too.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The result type; [`Type::Void`] where there is none.
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// Whether the prototype ends in `...`.
    pub fn is_variadic(&self) -> bool {
        self.variadic
    }

    /// What errors call the function: its name, or its prototype where it has none.
    pub(crate) fn title(&self) -> String {
        self.name().map_or_else(|| self.to_string(), str::to_owned)
    }

    /// What errors call a parameter: `2`, or `2 (y)` where the declaration names it.
    pub(crate) fn place(&self, index: usize) -> String {
        match &self.parameters[index].name {
            Some(name) => format!("{} ({name})", index + 1),
            None => (index + 1).to_string(),
        }
    }

    /// How many parameters stand before the `...`: all of them in a function that is not variadic.
    pub fn fixed(&self) -> usize {
        self.fixed
    }
}

fn check_by_value(ty: &Type, verb: &str) -> Result<()> {
    match ty {
        Type::Void => Err(Error::invalid_type(format!("void cannot be {verb}"))),
        Type::Array(_) => Err(Error::invalid_type(format!("an array ({ty}) cannot be {verb} by value"))),
        Type::Aggregate(aggregate) if aggregate.has_flexible_array() => {
            Err(Error::invalid_type(format!("{ty} ends in a flexible array member and cannot be {verb} by value")))
        }
        _ => layout::of(ty, Arch::HOST).map(drop),
    }
}

/// The type that an argument of type `ty` has after C's default argument promotions (C11 6.5.2.2 p6, 6.3.1.1 p2):
/// integers narrower than `int` become `int`, `float` becomes `double`.
///
/// `_Float16` is not among the types C promotes (ISO/IEC TS 18661-3), and gcc and clang pass it as it is.
pub fn promoted(ty: Type) -> Type {
    match ty {
        Type::Bool => Type::I32,
        Type::Integer(integer) if integer.size() < Integer::Int.size() => Type::I32,
        Type::Float(Float::F32) => Type::F64,
        other => other,
    }
}
