//! The host itself: what the tests of the library rely on.

mod support;

use support::*;

#[test]
fn objects_are_counted() {
    q(|q| {
        q.exact(|_| {
            let list = list![int(1), string("abc"), list![symbol("a"), null()]];
            assert_eq!(format!("{list:?}"), "(1i;\"abc\";(`a;::))");
        });
    });
}
