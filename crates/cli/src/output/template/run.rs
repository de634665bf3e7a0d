//! Walks the tree of a template over a JSON value. Go's rules: a missing key of a map is `<no value>`, a missing field of a
//! struct is an error, `range` goes through maps in the order of their keys, `and` and `or` stop early.

use super::function;
use super::parse::{Branch, Call, Node, Operand, Pipe, Term, line};
use super::print;
use super::{Kind, Shape};
use serde_json::Value;
use std::borrow::Cow;

/// A value on its way through the template.
#[derive(Clone, Debug)]
pub struct Val<'a> {
    pub json: Cow<'a, Value>,
    pub kind: Kind,
    /// Name of the field it was found under.
    pub name: &'a str,
    /// A key that its map does not have: prints as `<no value>`.
    pub missing: bool,
}

impl<'a> Val<'a> {
    /// A result of a function.
    pub fn new(json: Value) -> Val<'a> {
        let kind = if json.is_object() { Kind::Map } else { Kind::Slice };
        Val { json: Cow::Owned(json), kind, name: "", missing: false }
    }

    /// `<no value>`.
    pub fn missing() -> Val<'a> {
        Val { missing: true, ..Val::new(Value::Null) }
    }

    /// Go's truth: not zero, not empty.
    pub fn truth(&self) -> bool {
        match &*self.json {
            Value::Null => false,
            Value::Bool(on) => *on,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => self.kind != Kind::Map || !map.is_empty(),
        }
    }
}

/// Writes the nodes to `out`.
pub fn run(nodes: &[Node], source: &str, root: &Value, shape: &dyn Shape, out: &mut String) -> Result<(), String> {
    let root = Val { json: Cow::Borrowed(root), kind: Kind::Struct, name: "", missing: false };
    let mut state = State { source, shape, out, variables: vec![("$", root.clone())] };
    state.list(nodes, &root).map(|_| ())
}

/// What a node does to the loop around it.
enum Flow {
    Next,
    Break,
    Continue,
}

struct State<'a, 'o> {
    source: &'a str,
    shape: &'a dyn Shape,
    out: &'o mut String,
    variables: Vec<(&'a str, Val<'a>)>,
}

impl<'a> State<'a, '_> {
    fn list(&mut self, nodes: &'a [Node], dot: &Val<'a>) -> Result<Flow, String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Action(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.variables.is_empty() {
                        let text = print::value(&value, self.shape);
                        self.out.push_str(&text);
                    }
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::If(branch) | Node::With(branch) => {
                    let scope = self.variables.len();
                    let value = self.pipe(&branch.pipe, dot)?;
                    let with = matches!(node, Node::With(_));
                    let flow = match value.truth() {
                        true => self.list(&branch.then, if with { &value } else { dot })?,
                        false => self.list(&branch.otherwise, dot)?,
                    };
                    self.variables.truncate(scope);
                    if !matches!(flow, Flow::Next) {
                        return Ok(flow);
                    }
                }
                Node::Range(branch) => {
                    let scope = self.variables.len();
                    let flow = self.range(branch, dot)?;
                    self.variables.truncate(scope);
                    if !matches!(flow, Flow::Next) {
                        return Ok(flow);
                    }
                }
            }
        }
        Ok(Flow::Next)
    }

    fn range(&mut self, branch: &'a Branch, dot: &Val<'a>) -> Result<Flow, String> {
        let over = self.commands(&branch.pipe, dot)?;
        let items = match items(&over, self.shape) {
            Some(items) => items,
            None => {
                let text = print::value(&over, self.shape);
                return Err(
                    self.error(&branch.pipe.commands[0].operands[0], &format!("range can't iterate over {text}"))
                );
            }
        };
        if items.is_empty() {
            return self.list(&branch.otherwise, dot);
        }
        let scope = self.variables.len();
        for (key, item) in items {
            match branch.pipe.variables.as_slice() {
                [] => {}
                [one] => self.set(one, item.clone(), branch.pipe.declares),
                [first, second, ..] => {
                    self.set(first, key, branch.pipe.declares);
                    self.set(second, item.clone(), branch.pipe.declares);
                }
            }
            let flow = self.list(&branch.then, &item)?;
            self.variables.truncate(scope);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn set(&mut self, name: &'a str, value: Val<'a>, declares: bool) {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) if !declares => *slot = value,
            _ => self.variables.push((name, value)),
        }
    }

    fn pipe(&mut self, pipe: &'a Pipe, dot: &Val<'a>) -> Result<Val<'a>, String> {
        let value = self.commands(pipe, dot)?;
        if let Some(name) = pipe.variables.first() {
            self.set(name, value.clone(), pipe.declares);
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &'a Pipe, dot: &Val<'a>) -> Result<Val<'a>, String> {
        let mut last: Option<Val<'a>> = None;
        for call in &pipe.commands {
            last = Some(self.call(call, dot, last)?);
        }
        Ok(last.unwrap_or_else(Val::missing))
    }

    fn call(&mut self, call: &'a Call, dot: &Val<'a>, last: Option<Val<'a>>) -> Result<Val<'a>, String> {
        let (first, rest) = (&call.operands[0], &call.operands[1..]);
        if rest.is_empty() && last.is_none() && !matches!(first.what, Term::Function(_)) {
            return self.operand(first, dot);
        }
        match &first.what {
            Term::Function(name) if name == "and" || name == "or" => self.short_circuit(name == "or", rest, dot, last),
            Term::Function(name) => {
                let arguments = self.arguments(rest, dot, last)?;
                function::call(name, &arguments, self.shape).map_err(|problem| self.error(first, &problem))
            }
            Term::Field(names) if names.len() == 1 => {
                let arguments = self.arguments(rest, dot, last)?;
                self.method(first, &names[0], &arguments)
            }
            Term::Variable(variable, names) if variable == "$" && names.len() == 1 => {
                let arguments = self.arguments(rest, dot, last)?;
                self.method(first, &names[0], &arguments)
            }
            _ => Err(self.error(first, &format!("can't give argument to non-function {}", first.text))),
        }
    }

    /// A method of the root object. Other objects have none.
    fn method(&self, operand: &Operand, name: &str, arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
        let plain: Vec<&Value> = arguments.iter().map(|argument| &*argument.json).collect();
        match self.shape.method(name, &plain) {
            Some(Ok(value)) => Ok(Val::new(value)),
            Some(Err(problem)) => Err(self.error(operand, &problem)),
            None if self.variables.first().is_some_and(|(_, root)| root.json.get(name).is_some()) => {
                Err(self.error(operand, &format!("{name} has arguments but cannot be invoked as function")))
            }
            None => Err(self.error(operand, &self.shape.missing(name))),
        }
    }

    fn arguments(&mut self, rest: &'a [Operand], dot: &Val<'a>, last: Option<Val<'a>>) -> Result<Vec<Val<'a>>, String> {
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        Ok(arguments)
    }

    fn short_circuit(
        &mut self,
        or: bool,
        rest: &'a [Operand],
        dot: &Val<'a>,
        last: Option<Val<'a>>,
    ) -> Result<Val<'a>, String> {
        let mut value = None;
        for operand in rest {
            let current = self.operand(operand, dot)?;
            if current.truth() == or {
                return Ok(current);
            }
            value = Some(current);
        }
        Ok(last.or(value).unwrap_or_else(Val::missing))
    }

    fn operand(&mut self, operand: &'a Operand, dot: &Val<'a>) -> Result<Val<'a>, String> {
        match &operand.what {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Err(self.error(operand, "nil is not a command")),
            Term::Bool(on) => Ok(Val::new(Value::Bool(*on))),
            Term::Number(number) => Ok(Val::new(Value::Number(number.clone()))),
            Term::Text(text) => Ok(Val::new(Value::String(text.clone()))),
            Term::Field(names) => self.fields(operand, dot.clone(), names),
            Term::Variable(name, names) => {
                let value =
                    self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                self.fields(operand, value.unwrap_or_else(Val::missing), names)
            }
            Term::Parenthesis(pipe, names) => {
                let value = self.pipe(pipe, dot)?;
                self.fields(operand, value, names)
            }
            Term::Function(name) => {
                function::call(name, &[], self.shape).map_err(|problem| self.error(operand, &problem))
            }
        }
    }

    fn fields(&self, operand: &Operand, start: Val<'a>, names: &'a [String]) -> Result<Val<'a>, String> {
        let mut value = start;
        for name in names {
            value = self.field(value, name).map_err(|problem| self.error(operand, &problem))?;
        }
        Ok(value)
    }

    fn field(&self, from: Val<'a>, name: &'a str) -> Result<Val<'a>, String> {
        let (kind, parent, missing) = (from.kind, from.name, from.missing);
        let found = match from.json {
            Cow::Borrowed(Value::Object(map)) => map.get(name).map(Cow::Borrowed),
            Cow::Owned(Value::Object(mut map)) => map.remove(name).map(Cow::Owned),
            _ if missing => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
            Cow::Borrowed(Value::Null) | Cow::Owned(Value::Null) => return Err(self.shape.missing(parent)),
            other => return Err(format!("can't evaluate field {name} in type {}", print::type_name(&other))),
        };
        let field = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        match found {
            Some(json) => Ok(Val { json, kind: self.shape.kind(&field), name, missing: false }),
            None if kind == Kind::Map => Ok(Val::missing()),
            None => match self.shape.omitted(&field) {
                Some(kind) => Ok(Val { json: Cow::Owned(Value::Null), kind, name, missing: false }),
                None => match self.shape.method(name, &[]) {
                    Some(Ok(value)) if parent.is_empty() => Ok(Val::new(value)),
                    Some(Err(problem)) if parent.is_empty() => Err(problem),
                    _ => Err(self.shape.missing(name)),
                },
            },
        }
    }

    /// Go's sentence around a problem: line, column and the text of the operand.
    fn error(&self, operand: &Operand, problem: &str) -> String {
        let start = self.source[..operand.at].rfind('\n').map_or(0, |at| at + 1);
        let (line, column) = (line(self.source, operand.at), operand.at - start);
        format!("template: :{line}:{column}: executing \"\" at <{}>: {problem}", operand.text)
    }
}

/// Keys and values to range over; `None` where that cannot be done.
fn items<'a>(over: &Val<'a>, shape: &dyn Shape) -> Option<Vec<(Val<'a>, Val<'a>)>> {
    let child = |json: Cow<'a, Value>, key: &str| {
        let kind = shape.kind(key);
        Val { json, kind, name: "", missing: false }
    };
    let number = |index: usize| Val::new(Value::from(index));
    let key = |key: &str| Val::new(Value::String(key.to_owned()));
    Some(match &over.json {
        Cow::Borrowed(Value::Array(list)) => {
            list.iter().enumerate().map(|(index, item)| (number(index), child(Cow::Borrowed(item), "[]"))).collect()
        }
        Cow::Owned(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, item)| (number(index), child(Cow::Owned(item.clone()), "[]")))
            .collect(),
        Cow::Borrowed(Value::Object(map)) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            keys.into_iter().map(|(name, item)| (key(name), child(Cow::Borrowed(item), name))).collect()
        }
        Cow::Owned(Value::Object(map)) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            keys.into_iter().map(|(name, item)| (key(name), child(Cow::Owned(item.clone()), name))).collect()
        }
        other => match &**other {
            Value::Null => Vec::new(),
            // A bound: `range 10` is Go's since 1.22, but nobody needs a template that runs for hours.
            Value::Number(count) => (0..count.as_u64()?.min(1 << 16))
                .map(|index| (number(index as usize), number(index as usize)))
                .collect(),
            _ => return None,
        },
    })
}
