//! Plays the q of the examples, on the objects of the host, by way of the library.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;

use super::reader::{Function, Node, read};
use crate::support::*;

type Outcome = Result<Value, String>;

/// Names, and what they stand for.
type Names = Rc<RefCell<HashMap<String, Value>>>;

/// A session of q that has loaded `ffi.q`.
pub(crate) struct Player<'q> {
    q: &'q Q,
    names: Names,
    printed: Rc<RefCell<Vec<String>>>,
}

/// Where names are looked up: of a function that runs, in its own first.
#[derive(Clone)]
struct Scope {
    names: Names,
    locals: Option<Names>,
    printed: Rc<RefCell<Vec<String>>>,
}

impl Player<'_> {
    pub(crate) fn new(q: &Q) -> Player<'_> {
        Player { q, names: Names::default(), printed: Rc::default() }
    }

    /// Loads a script: only definitions, whose `2:` are looked up in the library.
    ///
    /// # Panics
    /// If it does not load.
    pub(crate) fn load(&self, script: &str) {
        for line in script.lines() {
            for expression in read(line).0 {
                self.play(&expression).unwrap_or_else(|error| panic!("{line}: '{error}"));
            }
        }
    }

    /// The value of an expression.
    pub(crate) fn play(&self, expression: &Node) -> Outcome {
        if let Node::Assign(name, value) = expression
            && let Node::Terms(terms) = &**value
            && let [_, Node::Verb(verb), what] = &terms[..]
            && verb == "2:"
        {
            let what = self.scope().value(what)?.values();
            let function = self.q.load(&what[0].text(), what[1].atom::<i64>() as usize);
            self.names.borrow_mut().insert(name.clone(), function);
            return Ok(null());
        }
        self.scope().value(expression)
    }

    /// What has been printed since this was asked last.
    pub(crate) fn take_printed(&self) -> Vec<String> {
        self.printed.take()
    }

    fn scope(&self) -> Scope {
        Scope { names: self.names.clone(), locals: None, printed: self.printed.clone() }
    }
}

impl Scope {
    fn value(&self, node: &Node) -> Outcome {
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => self.name(name),
            Node::Verb(verb) => panic!("{verb} has no arguments"),
            Node::Apply(function, arguments) => self.apply_to(function, arguments),
            Node::Each(function, arguments) => self.each(function, arguments),
            Node::List(items) if items.len() == 1 => self.value(&items[0]),
            Node::List(items) => {
                let mut values = items.iter().rev().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>()?;
                values.reverse();
                Ok(collapsed(values))
            }
            Node::Terms(terms) => self.terms(terms),
            Node::Assign(name, value) => {
                let value = self.value(value)?;
                let names = self.locals.as_ref().unwrap_or(&self.names);
                names.borrow_mut().insert(name.clone(), value.clone());
                Ok(value)
            }
            Node::AssignGlobal(name, value) => {
                let value = self.value(value)?;
                self.names.borrow_mut().insert(name.clone(), value.clone());
                Ok(value)
            }
            Node::Function(function) => Ok(self.function(function.clone())),
        }
    }

    fn name(&self, name: &str) -> Outcome {
        let local = self.locals.as_ref().and_then(|locals| locals.borrow().get(name).cloned());
        if let Some(value) = local.or_else(|| self.names.borrow().get(name).cloned()) {
            return Ok(value);
        }
        Ok(match name {
            ".z.o" => symbol("l64"),
            "count" => lambda(1, |x| Ok(long(x[0].len() as i64))),
            "type" => lambda(1, |x| Ok(short(x[0].kind().into()))),
            "first" => lambda(1, |x| Ok(items(x[0]).remove(0))),
            "enlist" => lambda(1, |x| Ok(collapsed(vec![x[0].clone()]))),
            "string" => lambda(1, |x| Ok(string(x[0].text()))),
            "til" => lambda(1, |x| Ok(longs(&(0..integer(x[0])).collect::<Vec<_>>()))),
            _ => return Err(name.to_owned()),
        })
    }

    /// What stands side by side, from the right.
    fn terms(&self, terms: &[Node]) -> Outcome {
        let mut left = terms;
        let Some((last, rest)) = left.split_last() else { return Ok(null()) };
        let mut value = self.value(last)?;
        left = rest;
        loop {
            (left, value) = match left {
                [] => return Ok(value),
                [rest @ .., noun, Node::Verb(verb)] if !matches!(noun, Node::Verb(_)) => {
                    (rest, self.between(verb, &self.value(noun)?, &value)?)
                }
                [rest @ .., Node::Verb(verb)] => (rest, in_front(verb, &value)?),
                [rest @ .., function] => (rest, self.apply(&self.value(function)?, &[&value])?),
            };
        }
    }

    fn apply_to(&self, function: &Node, arguments: &[Option<Node>]) -> Outcome {
        let arguments = self.arguments(arguments)?;
        let function = self.value(function)?;
        self.apply(&function, &arguments.iter().collect::<Vec<_>>())
    }

    /// Arguments in brackets; `[]` is `[::]`.
    fn arguments(&self, arguments: &[Option<Node>]) -> Result<Vec<Value>, String> {
        if arguments.is_empty() {
            return Ok(vec![null()]);
        }
        arguments.iter().map(|argument| argument.as_ref().map_or_else(|| Ok(hole()), |node| self.value(node))).collect()
    }

    fn each(&self, function: &Node, arguments: &[Option<Node>]) -> Outcome {
        let arguments = self.arguments(arguments)?;
        let function = self.value(function)?;
        let columns: Vec<Vec<Value>> = arguments.iter().map(items).collect();
        let rows = (0..columns.iter().map(Vec::len).max().unwrap_or(0)).map(|row| {
            // Atoms go with every row.
            let row: Vec<&Value> = columns.iter().map(|column| &column[row % column.len()]).collect();
            self.apply(&function, &row)
        });
        Ok(collapsed(rows.collect::<Result<_, _>>()?))
    }

    fn function(&self, function: Rc<Function>) -> Value {
        let scope = self.clone();
        lambda(function.parameters.len(), move |arguments| {
            let values = arguments.iter().map(|value| (*value).clone());
            let locals: HashMap<String, Value> = function.parameters.iter().cloned().zip(values).collect();
            let scope = Scope { locals: Some(Rc::new(RefCell::new(locals))), ..scope.clone() };
            function.body.iter().try_fold(null(), |_, expression| scope.value(expression))
        })
    }

    /// Applies a function, or an index to a list.
    fn apply(&self, function: &Value, arguments: &[&Value]) -> Outcome {
        match function.kind() {
            100.. => applied(function, arguments),
            -7 => {
                self.printed.borrow_mut().push(arguments[0].text());
                Ok(function.clone())
            }
            _ => index(function, arguments[0]),
        }
    }

    fn between(&self, verb: &str, left: &Value, right: &Value) -> Outcome {
        match verb {
            "each" => {
                let results = items(right).iter().map(|item| self.apply(left, &[item])).collect::<Result<_, _>>()?;
                Ok(collapsed(results))
            }
            "@" => self.apply(left, &[right]),
            "." => self.apply(left, &items(right).iter().collect::<Vec<_>>()),
            "," => Ok(collapsed([items(left), items(right)].concat())),
            "#" => Ok(collapsed(items(right).into_iter().cycle().take(integer(left) as usize).collect())),
            "!" => Ok(dict(left.clone(), right.clone())),
            "~" => Ok(boolean(left == right)),
            "sv" => Ok(symbol(&items(right).iter().map(Value::text).collect::<Vec<_>>().join("."))),
            _ if left.kind() >= 0 || right.kind() >= 0 => {
                let (left, right) = (items(left), items(right));
                let pairs = left.iter().cycle().zip(right.iter().cycle()).take(left.len().max(right.len()));
                Ok(collapsed(pairs.map(|(left, right)| calculated(verb, left, right)).collect()))
            }
            _ => Ok(calculated(verb, left, right)),
        }
    }
}

/// A function in front of its only argument.
fn in_front(verb: &str, value: &Value) -> Outcome {
    match verb {
        "'" => Err(value.text()),
        "#" => Ok(long(value.len() as i64)),
        _ => panic!("{verb} has no left argument"),
    }
}

/// `f . arguments`.
fn applied(function: &Value, arguments: &[&Value]) -> Outcome {
    let arguments = list_of(arguments.iter().map(|value| (*value).clone()).collect());
    // SAFETY: both are objects.
    let result = unsafe { (api().host_apply)(function.raw(), arguments.raw()) };
    if !result.is_null() {
        // SAFETY: the reference is ours.
        return Ok(unsafe { Value::from_raw(result) });
    }
    let text = (api().host_error)();
    // SAFETY: an error's text is a string of C's.
    Err(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The items of a vector as atoms, of a list as they are; an atom alone.
fn items(value: &Value) -> Vec<Value> {
    macro_rules! atoms {
        ($($kind:literal $type:ty => $atom:ident,)*) => {
            match value.kind() {
                0 => value.values(),
                $($kind => value.slice::<$type>().iter().map(|item| $atom(*item)).collect(),)*
                11 => value.slice::<*const std::ffi::c_char>().iter().map(|text| atom_of(11, *text)).collect(),
                _ => vec![value.clone()],
            }
        };
    }
    atoms! {
        1 bool => boolean, 2 [u8; 16] => guid, 4 u8 => byte, 5 i16 => short, 6 i32 => int, 7 i64 => long, 8 f32 => real,
        9 f64 => float, 10 u8 => char, 14 i32 => date, 19 i32 => time,
    }
}

/// A vector where all are atoms of one type.
fn collapsed(values: Vec<Value>) -> Value {
    // SAFETY: the reference is given away.
    unsafe { Value::from_raw((api().vk)(list_of(values).into_raw())) }
}

/// The items in those places, or under those keys.
fn index(list: &Value, places: &Value) -> Outcome {
    if places.kind() >= 0 {
        return Ok(collapsed(items(places).iter().map(|place| index(list, place)).collect::<Result<_, _>>()?));
    }
    let table = if list.kind() == 98 { Some(list.columns()) } else { None };
    let list = table.as_ref().unwrap_or(list);
    if list.kind() == 99 {
        let place = items(&list.item(0)).iter().position(|key| key == places).ok_or("type")?;
        return Ok(items(&list.item(1)).swap_remove(place));
    }
    items(list).get(integer(places) as usize).cloned().ok_or_else(|| "index".to_owned())
}

fn integer(value: &Value) -> i64 {
    number(value) as i64
}

fn number(value: &Value) -> f64 {
    match value.kind() {
        -1 => f64::from(u8::from(value.atom::<bool>())),
        -4 | -10 => f64::from(value.atom::<u8>()),
        -5 => f64::from(value.atom::<i16>()),
        -6 | -14 | -19 => f64::from(value.atom::<i32>()),
        -7 => value.atom::<i64>() as f64,
        -8 => f64::from(value.atom::<f32>()),
        -9 => value.atom::<f64>(),
        _ => panic!("{value:?} is no number"),
    }
}

/// Arithmetic and comparisons of atoms.
fn calculated(verb: &str, left: &Value, right: &Value) -> Value {
    let order = match (left.kind(), right.kind()) {
        (-11, -11) => Some(left.text().cmp(&right.text())),
        _ => number(left).partial_cmp(&number(right)),
    };
    let result = match verb {
        "<" => return boolean(order == Some(Ordering::Less)),
        ">" => return boolean(order == Some(Ordering::Greater)),
        "=" => return boolean(order == Some(Ordering::Equal)),
        "+" => number(left) + number(right),
        "-" => number(left) - number(right),
        "*" => number(left) * number(right),
        _ => panic!("what is {verb}?"),
    };
    match left.kind().min(right.kind()) {
        -9 | -8 => float(result),
        -7 => long(result as i64),
        _ => int(result as i32),
    }
}
