//! `ffikdb.so`: call C from kdb+.
