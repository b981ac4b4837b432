//! q's values as C has them, and C's as q has them.

pub(crate) mod number;
pub(crate) mod to_c;
pub(crate) mod to_q;
