//! Any text either is refused with its place, or is read as something that is written and read back the same.
#![no_main]

use jitcall::types::declaration::Declarations;
use jitcall::{Error, Signature, Type};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Declarations::parse(text) {
        Ok(declarations) => {
            for signature in declarations.functions() {
                reread_signature(signature);
            }
            for variable in declarations.variables() {
                reread_type(&variable.ty);
            }
        }
        Err(error) => check_place(&error, text),
    }
    match Signature::parse(text) {
        Ok(signature) => reread_signature(&signature),
        Err(error) => check_place(&error, text),
    }
    match Type::parse(text) {
        Ok(ty) => reread_type(&ty),
        Err(error) => check_place(&error, text),
    }
});

fn reread_signature(signature: &Signature) {
    let declaration = signature.declaration();
    match Signature::parse(&declaration) {
        Ok(again) => assert_eq!(again, *signature, "{declaration}"),
        Err(error) => panic!("{error}"),
    }
}

fn reread_type(ty: &Type) {
    let text = format!("{}{ty}", ty.definitions());
    match Type::parse(&text) {
        Ok(again) => assert_eq!(again, *ty, "{text}"),
        Err(error) => panic!("{error}"),
    }
}

/// The error lies within the text, and can be shown.
fn check_place(error: &Error, text: &str) {
    let Error::Declaration(place) = error else {
        panic!("an error of another kind: {error:?}");
    };
    let line = text.split('\n').nth(place.line - 1).expect("a line of the text");
    assert!(place.column <= line.chars().count() + 1, "{place:?}");
    assert!(!error.to_string().is_empty());
}
