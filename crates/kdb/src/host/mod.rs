//! The host: what k.h says of q's objects, and the functions that q has for them.

pub(crate) mod api;
pub(crate) mod object;

pub(crate) use api::api;
pub(crate) use object::{K, Object, Owned};

/// q's numbers for types: a vector's own, an atom's negated.
pub(crate) mod kind {
    /// A general list.
    pub(crate) const LIST: i8 = 0;
    pub(crate) const BOOLEAN: i8 = 1;
    pub(crate) const GUID: i8 = 2;
    pub(crate) const BYTE: i8 = 4;
    pub(crate) const SHORT: i8 = 5;
    pub(crate) const INT: i8 = 6;
    pub(crate) const LONG: i8 = 7;
    pub(crate) const REAL: i8 = 8;
    pub(crate) const FLOAT: i8 = 9;
    pub(crate) const CHAR: i8 = 10;
    pub(crate) const SYMBOL: i8 = 11;
    pub(crate) const TIMESTAMP: i8 = 12;
    pub(crate) const MONTH: i8 = 13;
    pub(crate) const DATE: i8 = 14;
    pub(crate) const DATETIME: i8 = 15;
    pub(crate) const TIMESPAN: i8 = 16;
    pub(crate) const MINUTE: i8 = 17;
    pub(crate) const SECOND: i8 = 18;
    pub(crate) const TIME: i8 = 19;
    pub(crate) const TABLE: i8 = 98;
    pub(crate) const DICTIONARY: i8 = 99;
    /// The first of the functions.
    pub(crate) const LAMBDA: i8 = 100;
    /// `::`, and q's other unary primitives.
    pub(crate) const UNARY: i8 = 101;
    /// Functions of `dl`, and foreign objects.
    pub(crate) const FOREIGN: i8 = 112;
    /// What `ee` gives.
    pub(crate) const ERROR: i8 = -128;
}
