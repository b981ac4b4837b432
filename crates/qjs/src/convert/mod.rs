//! Values on their way between JavaScript and C: without loss, or not at all.
//!
//! | C type | takes | gives |
//! |---|---|---|
//! | integers | numbers that are integers and BigInts, in range; `true`, `false` | numbers; BigInts where a number is not exact |
//! | `_Bool` | `true`, `false`, 0, 1 | `true`, `false` |
//! | `double`, `float` | numbers; BigInts that are exact; `true`, `false` | numbers |
//! | pointers | `null`; addresses; memory of buffers and views; strings, as copies; what has a `ptr` | `null` or a number |
//! | structs, unions | instances; buffers of their size; objects with their members; arrays | instances, or plain objects |
//! | `long double` | numbers, BigInts | numbers |
//! | `__int128` | as integers | BigInts where a number is not exact |
//! | `_Complex`, vectors | arrays | arrays |
//!
//! Emitted code converts the most common of these itself, in the same way; this is what it leaves.

pub(crate) mod scalar;
pub(crate) mod to_c;
pub(crate) mod to_js;
