//! Reads the q of the examples: literals, lists, names, applications, functions, assignments.

use crate::support::api;
use crate::support::*;

/// A part of an expression.
#[derive(Debug)]
pub(crate) enum Node {
    Literal(Value),
    Name(String),
    /// One of q's own functions that stand between their arguments, or in front of one.
    Verb(String),
    /// `f[a;b]`; an argument may be left out.
    Apply(Box<Node>, Vec<Option<Node>>),
    /// `f'[a;b]`.
    Each(Box<Node>, Vec<Option<Node>>),
    /// `(a;b)`; of one, the parentheses alone.
    List(Vec<Node>),
    /// What stands side by side, from left to right.
    Terms(Vec<Node>),
    Assign(String, Box<Node>),
    /// `name::value`: of the session, even in a function.
    AssignGlobal(String, Box<Node>),
    Function(std::rc::Rc<Function>),
}

/// `{[a;b] ..}`.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) parameters: Vec<String>,
    pub(crate) body: Vec<Node>,
}

/// Reads a line: the expressions in it, and the comment behind them.
///
/// # Panics
/// If it is no q that this reads.
pub(crate) fn read(line: &str) -> (Vec<Node>, Option<&str>) {
    let (code, comment) = split(line);
    let mut reader = Reader { text: code.as_bytes(), at: 0, line: code };
    let expressions = reader.expressions(None);
    assert_eq!(reader.at, code.len(), "{line}: what is at {}?", reader.at);
    (expressions, comment)
}

/// Takes the comment off, which is not in a text.
fn split(line: &str) -> (&str, Option<&str>) {
    let (mut is_text, mut is_escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'/' if !is_text && (at == 0 || line.as_bytes()[at - 1] == b' ') => {
                return (line[..at].trim_end(), Some(line[at + 1..].trim()));
            }
            _ => {}
        }
    }
    (line.trim_end(), None)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: &'a str,
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn is_at(&self, word: &str) -> bool {
        self.text[self.at..].starts_with(word.as_bytes())
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.is_at(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn spaces(&mut self) {
        while self.peek() == b' ' {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &str) {
        assert!(self.skip(word), "{}: expected {word} at {}", self.line, self.at);
    }

    /// Expressions with `;` between them, up to a bracket.
    fn expressions(&mut self, end: Option<&str>) -> Vec<Node> {
        self.optional(end).into_iter().flatten().collect()
    }

    /// The same, with `None` for what is left out.
    fn optional(&mut self, end: Option<&str>) -> Vec<Option<Node>> {
        let mut all = Vec::new();
        loop {
            self.spaces();
            let is_end = end.map_or(self.at == self.text.len(), |end| self.is_at(end));
            if is_end || self.peek() == b';' {
                all.push(None);
            } else {
                all.push(Some(self.expression()));
            }
            if !self.skip(";") {
                break;
            }
        }
        if let Some(end) = end {
            self.expect(end);
        }
        if all.len() == 1 && all[0].is_none() { Vec::new() } else { all }
    }

    fn expression(&mut self) -> Node {
        let mut terms = Vec::new();
        loop {
            self.spaces();
            if matches!(self.peek(), 0 | b';' | b')' | b']' | b'}') {
                break;
            }
            let after_noun = terms.last().is_some_and(|term| !matches!(term, Node::Verb(_)));
            let term = self.term(after_noun);
            if let Node::Name(name) = &term
                && self.peek() == b':'
            {
                let name = name.clone();
                let assign = if self.skip("::") { Node::AssignGlobal } else { Node::Assign };
                self.skip(":");
                terms.push(assign(name, Box::new(self.expression())));
                break;
            }
            terms.push(term);
        }
        if terms.len() == 1 { terms.remove(0) } else { Node::Terms(terms) }
    }

    /// A term, with the brackets behind it.
    fn term(&mut self, after_noun: bool) -> Node {
        let mut term = self.bare(after_noun);
        if matches!(term, Node::Verb(_)) {
            return term;
        }
        loop {
            if self.skip("[") {
                term = Node::Apply(Box::new(term), self.optional(Some("]")));
            } else if self.skip("'[") {
                term = Node::Each(Box::new(term), self.optional(Some("]")));
            } else {
                return term;
            }
        }
    }

    fn bare(&mut self, after_noun: bool) -> Node {
        let next = self.text.get(self.at + 1).copied().unwrap_or(0);
        match self.peek() {
            b'(' => {
                self.at += 1;
                let items = self.expressions(Some(")"));
                Node::List(items)
            }
            b'{' => self.function(),
            b'"' => self.string(),
            b'`' => self.symbols(),
            b':' if self.skip("::") => Node::Literal(null()),
            _ if self.skip("2:") => Node::Verb("2:".to_owned()),
            b'0'..=b'9' => self.numbers(),
            b'-' if next.is_ascii_digit() && !(after_noun && self.text[self.at - 1] != b' ') => self.numbers(),
            b'.' if next.is_ascii_alphabetic() => self.name(),
            byte if byte.is_ascii_alphabetic() => self.name(),
            byte if b"+-*<>=~,#!@.'".contains(&byte) => {
                self.at += 1;
                Node::Verb(char::from(byte).to_string())
            }
            byte => panic!("{}: what is {:?} at {}?", self.line, char::from(byte), self.at),
        }
    }

    /// Bytes as long as they are of a kind.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        while self.at < self.text.len() && belongs(self.peek()) {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn name(&mut self) -> Node {
        let name = self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
        if matches!(name.as_str(), "each" | "sv") { Node::Verb(name) } else { Node::Name(name) }
    }

    fn function(&mut self) -> Node {
        self.expect("{");
        self.spaces();
        let explicit = self.skip("[").then(|| self.expressions(Some("]")));
        let start = self.at;
        let body = self.expressions(Some("}"));
        let text = &self.line[start..self.at];
        let parameters = match explicit {
            Some(names) => names
                .into_iter()
                .map(|name| match name {
                    Node::Name(name) => name,
                    other => panic!("{}: {other:?} is no parameter", self.line),
                })
                .collect(),
            None => implicit(text),
        };
        Node::Function(std::rc::Rc::new(Function { parameters, body }))
    }

    fn string(&mut self) -> Node {
        self.expect("\"");
        let mut bytes = Vec::new();
        while !self.skip("\"") {
            let byte = self.peek();
            self.at += 1;
            bytes.push(if byte == b'\\' { self.escape() } else { byte });
        }
        Node::Literal(if let [byte] = bytes[..] { char(byte) } else { string(bytes) })
    }

    fn escape(&mut self) -> u8 {
        let byte = self.peek();
        if byte.is_ascii_digit() {
            let digits = &self.line[self.at..self.at + 3];
            self.at += 3;
            return u8::from_str_radix(digits, 8).expect("an octal escape");
        }
        self.at += 1;
        match byte {
            b'n' => b'\n',
            b't' => b'\t',
            other => other,
        }
    }

    fn symbols(&mut self) -> Node {
        let mut texts = Vec::new();
        while self.skip("`") {
            texts.push(self.run(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte)));
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Node::Literal(if let [text] = texts[..] { symbol(text) } else { symbols(&texts) })
    }

    /// Numbers of one type, with spaces between them.
    fn numbers(&mut self) -> Node {
        let mut words = Vec::new();
        loop {
            let sign = if self.skip("-") { "-" } else { "" };
            words.push(format!("{sign}{}", self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'.')));
            let after = &self.text[self.at..];
            let next =
                after.get(1..).and_then(|rest| rest.strip_prefix(b"-").or(Some(rest))).and_then(|rest| rest.first());
            let is_verb = after.get(2) == Some(&b':');
            if after.first() != Some(&b' ') || !next.is_some_and(u8::is_ascii_digit) || is_verb {
                break;
            }
            self.at += 1;
        }
        Node::Literal(numbers(&words))
    }
}

/// The parameters of a function that names none: those of `x`, `y` and `z` that it uses, and the ones before.
fn implicit(body: &str) -> Vec<String> {
    let words: Vec<&str> = body.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let count = ["x", "y", "z"].iter().rposition(|name| words.contains(name)).map_or(1, |place| place + 1);
    ["x", "y", "z"][..count].iter().map(|name| (*name).to_owned()).collect()
}

/// Numbers as q writes them: a letter behind the last says what all are.
fn numbers(words: &[String]) -> Value {
    let last = words.last().expect("numbers");
    if let Some(digits) = last.strip_prefix("0x") {
        let bytes: Vec<u8> = (0..digits.len() / 2).map(|at| hexadecimal(&digits[2 * at..2 * at + 2])).collect();
        return if let [byte] = bytes[..] { self::byte(byte) } else { self::bytes(&bytes) };
    }
    if let Some(digits) = last.strip_suffix('b') {
        let bits: Vec<bool> = digits.bytes().map(|digit| digit == b'1').collect();
        return if let [bit] = bits[..] { boolean(bit) } else { booleans(&bits) };
    }
    if last.matches('.').count() == 2 {
        return single_or(words.iter().map(|word| day(word)).collect(), date, dates);
    }
    let kind = match last.as_bytes()[last.len() - 1] {
        letter @ (b'h' | b'i' | b'j' | b'e' | b'f') => letter,
        _ if words.iter().any(|word| word.contains(['.', 'n', 'w', 'e'])) => b'f',
        _ => b'j',
    };
    let digits: Vec<&str> = words.iter().map(|word| word.trim_end_matches(['h', 'i', 'j', 'e', 'f'])).collect();
    let integers = |null: i64| digits.iter().map(|word| integer(word, null)).collect::<Vec<i64>>();
    let floats = || digits.iter().map(|word| floating(word)).collect::<Vec<f64>>();
    match kind {
        b'h' => single_or(integers(i16::MIN.into()).into_iter().map(|n| n as i16).collect(), short, shorts),
        b'i' => single_or(integers(i32::MIN.into()).into_iter().map(|n| n as i32).collect(), int, ints),
        b'j' => single_or(integers(i64::MIN), long, longs),
        b'e' => single_or(floats().into_iter().map(|n| n as f32).collect(), real, reals),
        _ => single_or(floats(), float, self::floats),
    }
}

fn single_or<T: Copy>(values: Vec<T>, atom: fn(T) -> Value, vector: fn(&[T]) -> Value) -> Value {
    if let [value] = values[..] { atom(value) } else { vector(&values) }
}

fn hexadecimal(digits: &str) -> u8 {
    u8::from_str_radix(digits, 16).expect("a byte")
}

fn integer(word: &str, null: i64) -> i64 {
    match word {
        "0N" => null,
        "0W" => -(null + 1),
        "-0W" => null + 1,
        _ => word.parse().unwrap_or_else(|_| panic!("{word} is no integer")),
    }
}

fn floating(word: &str) -> f64 {
    match word {
        "0n" | "0N" => f64::NAN,
        "0w" => f64::INFINITY,
        "-0w" => f64::NEG_INFINITY,
        _ => word.parse().unwrap_or_else(|_| panic!("{word} is no number")),
    }
}

fn day(word: &str) -> i32 {
    let parts: Vec<i32> = word.split('.').map(|part| part.parse().expect("a date")).collect();
    (api().ymd)(parts[0], parts[1], parts[2])
}
