//! Whether source text ends inside something: a bracket, a template, a comment.

/// What the text is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// A bracket, by the one that closes it.
    Bracket(u8),
    Template,
}

/// Whether something is left open at the end of the text. What is closed and was never opened counts as nothing: the
/// compiler tells that.
pub(super) fn is_open(source: &str) -> bool {
    let mut rest = source.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    // The last byte that was no space, by which a slash is told: a division, or the start of a regular expression.
    let mut last = b';';
    while let [byte, behind @ ..] = rest {
        let byte = *byte;
        if open.last() == Some(&Open::Template) {
            rest = match (byte, behind) {
                (b'\\', [_, behind @ ..]) => behind,
                (b'$', [b'{', behind @ ..]) => {
                    open.push(Open::Bracket(b'}'));
                    last = b'{';
                    behind
                }
                (b'`', _) => {
                    open.pop();
                    last = byte;
                    behind
                }
                _ => behind,
            };
            continue;
        }
        rest = match (byte, behind) {
            (b'/', [b'/', ..]) => past(behind, b"\n").unwrap_or_default(),
            (b'/', [b'*', behind @ ..]) => match past(behind, b"*/") {
                Some(behind) => behind,
                None => return true,
            },
            (b'/', _) if starts_expression(last) => past_regular_expression(behind),
            (b'"' | b'\'', _) => past_string(behind, byte),
            _ => behind,
        };
        match byte {
            b'(' => open.push(Open::Bracket(b')')),
            b'[' => open.push(Open::Bracket(b']')),
            b'{' => open.push(Open::Bracket(b'}')),
            b'`' => open.push(Open::Template),
            b')' | b']' | b'}' if open.last() == Some(&Open::Bracket(byte)) => {
                open.pop();
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    !open.is_empty()
}

/// Whether an expression can start behind a byte.
fn starts_expression(last: u8) -> bool {
    b"(,=:[!&|?{};+-*%<>~^".contains(&last)
}

/// What stands behind the next `end`.
fn past<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(end.len()).position(|window| window == end)?;
    Some(&text[at + end.len()..])
}

/// What stands behind a string that `quote` ends, or the line's end does.
fn past_string(mut text: &[u8], quote: u8) -> &[u8] {
    loop {
        text = match text {
            [b'\\', _, behind @ ..] => behind,
            [byte, behind @ ..] if *byte == quote || *byte == b'\n' => return behind,
            [_, behind @ ..] => behind,
            [] => return text,
        };
    }
}

/// What stands behind a regular expression that is begun, which ends with its line at the latest.
fn past_regular_expression(mut text: &[u8]) -> &[u8] {
    let mut in_class = false;
    loop {
        text = match text {
            [b'\\', _, behind @ ..] => behind,
            [b'\n', behind @ ..] => return behind,
            [b'/', behind @ ..] if !in_class => return behind,
            [byte, behind @ ..] => {
                in_class = (in_class || *byte == b'[') && *byte != b']';
                behind
            }
            [] => return text,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn open_ends_are_told() {
        for source in [
            "f(",
            "{",
            "[1,",
            "`a",
            "`${",
            "`${ {} ",
            "/* a",
            "x = (/[/)]/",
            "a / 2 + (b / 3",
            "'(' + (",
            "({ // )",
            "`\\``+`",
        ] {
            assert!(is_open(source), "{source}");
        }
        for source in [
            "",
            "f()",
            "'('",
            "\"\\\"(\"",
            "// (",
            "/* ( */",
            "/[(/]/",
            "x = /\\(/",
            "`(`",
            "`${f({})}`",
            "}",
            "'unended (",
            "a / (b) / c",
        ] {
            assert!(!is_open(source), "{source}");
        }
    }
}
