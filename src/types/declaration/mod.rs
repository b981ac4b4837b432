//! C declarations to types and signatures, and back.
//!
//! What is read is what a C compiler reads after the preprocessor, without bodies and initial values: prototypes,
//! variables, typedefs, and definitions of structs, unions and enums. Names must be declared before they are used;
//! the usual typedefs of <stdint.h>, <stddef.h>, <stdbool.h>, <wchar.h> and <sys/types.h> are known from the start,
//! and a text may declare them otherwise. `sizeof` and character constants are those of the machine that runs this.
//!
//! It differs from C in few places. All names and tags of a text are in one scope, those of parameter lists too.
//! `()` means no parameters, as in C23. A pointer to a struct that has no definition yet, or to the struct that is
//! being defined, knows only its tag ([`Pointee::Incomplete`]).
//!
//! Attributes that do not change how a value is laid out or passed (`nonnull`, `pure`, `format`, ...) are skipped;
//! those that do are understood (`packed`, `aligned`, `vector_size`, `ms_abi`) or refused.
//!
//! [`Pointee::Incomplete`]: crate::types::Pointee::Incomplete

mod aggregate;
mod attribute;
mod constant;
mod cursor;
mod declarator;
mod fault;
mod lexer;
mod limit;
mod parser;
mod printer;
mod scope;
mod specifiers;

use crate::error::Result;
use crate::types::signature::Signature;
use crate::types::{Pointee, Type};
use parser::{Goal, Parser};
use scope::{Name, Scope};

/// A variable that a text declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type; an array keeps its length, if the text says it.
    pub ty: Type,
}

/// What a text in C declares, in the order of the text.
///
/// ```
/// use jitcall::types::declaration::Declarations;
/// use jitcall::types::Type;
/// let declarations = Declarations::parse(
///     "typedef struct point { double x, y; } point;
///      enum mode { READ = 1, WRITE };
///      double norm(point);
///      point scale(point, double factor);
///      extern int limits[2];",
/// )?;
/// let names: Vec<_> = declarations.functions().iter().filter_map(|function| function.name()).collect();
/// assert_eq!(names, ["norm", "scale"]);
/// assert_eq!(declarations.last_function().unwrap().to_string(), "struct point scale(struct point, double factor)");
/// assert_eq!(declarations.variables()[0].ty, Type::array(Type::I32, 2)?);
/// assert_eq!(declarations.ty("point"), declarations.ty("struct point"));
/// assert_eq!(declarations.constant("WRITE"), Some(2));
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    scope: Scope,
}

impl Declarations {
    /// Reads C declarations; the `;` after the last may be left out.
    ///
    /// # Errors
    /// [`Error::Declaration`](crate::Error::Declaration) says at which place of the text what was expected.
    pub fn parse(text: &str) -> Result<Declarations> {
        let parser = Parser::parse(text, Goal::Declarations).map_err(|fault| fault.into_error(text))?;
        Ok(Declarations { scope: parser.scope })
    }

    /// Reads declarations in which the types and enum constants of these are known, as if they stood before them. What
    /// comes back knows them too, but its functions and variables are those of the text alone.
    ///
    /// A tag or typedef may be declared again, if that is done in the same way.
    ///
    /// ```
    /// use jitcall::Declarations;
    /// let types = Declarations::parse("struct point { double x, y; };")?;
    /// let more = types.parse_after("double norm(struct point);")?;
    /// assert_eq!(more.function("norm").unwrap().parameters()[0].ty, types.ty("struct point").unwrap());
    /// assert!(types.parse_after("struct point { double x, y; };").is_ok());
    /// assert!(types.parse_after("struct point { float x, y; };").is_err());
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Declarations::parse`]; also where a name was declared otherwise.
    pub fn parse_after(&self, text: &str) -> Result<Declarations> {
        let parsed = Parser::parse_in(self.scope.for_later(), text, Goal::Declarations);
        Ok(Declarations { scope: parsed.map_err(|fault| fault.into_error(text))?.scope })
    }

    /// Reads a C type name, as [`Type::parse`] does, in which the types and constants that are declared here are known.
    ///
    /// ```
    /// use jitcall::Declarations;
    /// let declarations = Declarations::parse("typedef struct point { double x, y; } point;")?;
    /// assert_eq!(declarations.parse_type("point *")?.to_string(), "struct point *");
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Type::parse`].
    pub fn parse_type(&self, text: &str) -> Result<Type> {
        let parsed = Parser::parse_in(self.scope.for_later(), text, Goal::Type).and_then(Parser::into_type);
        parsed.map_err(|fault| fault.into_error(text))
    }

    /// The functions, each with its name. One that is declared twice is listed once.
    pub fn functions(&self) -> &[Signature] {
        &self.scope.functions
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&Signature> {
        match self.scope.names.get(name) {
            Some(Name::Function(index)) => self.scope.functions.get(*index),
            _ => None,
        }
    }

    /// The function whose declaration stands last.
    pub fn last_function(&self) -> Option<&Signature> {
        self.scope.functions.get(self.scope.last_function?)
    }

    /// The variables.
    pub fn variables(&self) -> &[Variable] {
        &self.scope.variables
    }

    /// The type that a typedef name (the known ones included) or `struct tag`, `union tag` or `enum tag` stands for.
    ///
    /// There is none for tags without a definition and for typedefs of functions.
    pub fn ty(&self, name: &str) -> Option<Type> {
        let what = match name.split_once(char::is_whitespace) {
            None => self.scope.resolve(&self.scope.typedef(name)?.what).ok()?,
            Some((keyword, tag)) => {
                let found = self.scope.tags.get(tag.trim()).filter(|found| found.keyword == keyword)?;
                return found.definition.clone();
            }
        };
        match what {
            Pointee::Type(ty) => Some(ty),
            _ => None,
        }
    }

    /// The value of an enum constant.
    pub fn constant(&self, name: &str) -> Option<i128> {
        self.scope.constant(name)
    }
}

impl Signature {
    /// Reads the function that a text in C declares last; the `;` after it may be left out.
    ///
    /// A prototype without a name is accepted in the last place, as [`Display`](std::fmt::Display) writes it.
    ///
    /// ```
    /// use jitcall::Signature;
    /// let div = Signature::parse("struct { int quot; int rem; } div(int, int)")?;
    /// assert_eq!((div.name(), div.parameters().len()), (Some("div"), 2));
    ///
    /// let error = Signature::parse("double pow(flaot, double)").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 1, column 12: expected a type, found `flaot`; did you mean `float`?\n  \
    ///        double pow(flaot, double)\n             ^^^^^"
    /// );
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Declaration`](crate::Error::Declaration) says at which place of the text what was expected.
    pub fn parse(text: &str) -> Result<Signature> {
        let parsed = Parser::parse(text, Goal::Signature).and_then(Parser::into_signature);
        parsed.map_err(|fault| fault.into_error(text))
    }
}

impl Type {
    /// Reads a C type name; declarations that it needs may stand before it, each with its `;`.
    ///
    /// ```
    /// use jitcall::Type;
    /// assert_eq!(Type::parse("const char *")?, Type::c_string());
    /// assert_eq!(Type::parse("int[4]")?, Type::array(Type::I32, 4)?);
    /// let pair = Type::parse("typedef float real; struct { real re, im; }")?;
    /// assert_eq!(pair.to_string(), "struct { float re; float im; }");
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Declaration`](crate::Error::Declaration) says at which place of the text what was expected.
    pub fn parse(text: &str) -> Result<Type> {
        let parsed = Parser::parse(text, Goal::Type).and_then(Parser::into_type);
        parsed.map_err(|fault| fault.into_error(text))
    }
}
