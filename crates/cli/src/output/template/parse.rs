//! The tree of a template. Errors are Go's sentences with line numbers, `template: :1: unexpected {{end}}`.
//! Names of functions and variables are checked here, fields when the template runs.

use super::function;
use super::lex::{self, Problem, Token, What};

/// One node of the tree.
#[derive(Debug)]
pub enum Node {
    Text(String),
    /// `{{pipeline}}`.
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
}

/// `if`, `with` and `range` with their bodies.
#[derive(Debug)]
pub struct Branch {
    pub pipe: Pipe,
    pub then: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// Commands joined by `|`, and the variables that take the result.
#[derive(Debug)]
pub struct Pipe {
    pub variables: Vec<String>,
    /// `:=` rather than `=`.
    pub declares: bool,
    pub commands: Vec<Call>,
}

/// One command: a value, or a function or method with its arguments.
#[derive(Debug)]
pub struct Call {
    pub operands: Vec<Operand>,
}

/// A word of a command.
#[derive(Debug)]
pub struct Operand {
    pub at: usize,
    /// The source text, for error messages.
    pub text: String,
    pub what: Term,
}

/// What a word is.
#[derive(Debug)]
pub enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`
    Variable(String, Vec<String>),
    /// `(pipeline).A.B`
    Parenthesis(Box<Pipe>, Vec<String>),
    Function(String),
}

/// More nesting than any real template has; the walk is recursive.
const DEPTH_MAX: usize = 100;

/// The nodes of `source`.
pub fn parse(source: &str) -> Result<Vec<Node>, String> {
    let located = |(at, problem): Problem| format!("template: :{}: {problem}", line(source, at));
    let tokens = lex::tokens(source).map_err(located)?;
    let mut parser = Parser { source, tokens, next: 0, variables: vec!["$".to_owned()], loops: 0, depth: 0 };
    let (nodes, end) = parser.list().map_err(located)?;
    match end {
        Stop::Source => Ok(nodes),
        Stop::End(at) => Err(located((at, "unexpected {{end}}".to_owned()))),
        Stop::Else(at) => Err(located((at, "unexpected {{else}}".to_owned()))),
    }
}

/// Line number, from 1.
pub fn line(source: &str, at: usize) -> usize {
    source.as_bytes()[..at.min(source.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// What ends a list of nodes.
enum Stop {
    Source,
    End(usize),
    /// Position after the word: `{{else` with what follows not yet read.
    Else(usize),
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    next: usize,
    variables: Vec<String>,
    loops: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &What {
        self.tokens.get(self.next).map_or(&What::End, |token| &token.what)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.len(), |token| token.at)
    }

    fn take(&mut self) -> What {
        let what = self.peek().clone();
        self.next += 1;
        what
    }

    fn skip_space(&mut self) {
        while *self.peek() == What::Space {
            self.next += 1;
        }
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, Problem> {
        Err((self.at(), problem.into()))
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.fail("nested too deeply") } else { Ok(()) }
    }

    /// Nodes up to an `end`, an `else` or the end of the source.
    fn list(&mut self) -> Result<(Vec<Node>, Stop), Problem> {
        let mut nodes = Vec::new();
        loop {
            let at = self.at();
            match self.take() {
                What::End => return Ok((nodes, Stop::Source)),
                What::Text(text) => nodes.push(Node::Text(text)),
                _ => {
                    self.skip_space();
                    match self.peek() {
                        What::Word(word) if word == "end" => {
                            self.next += 1;
                            self.close("end")?;
                            return Ok((nodes, Stop::End(at)));
                        }
                        What::Word(word) if word == "else" => {
                            self.next += 1;
                            return Ok((nodes, Stop::Else(at)));
                        }
                        _ => nodes.push(self.action()?),
                    }
                }
            }
        }
    }

    fn close(&mut self, context: &str) -> Result<(), Problem> {
        self.skip_space();
        match self.peek() {
            What::Close => {
                self.next += 1;
                Ok(())
            }
            _ => self.fail(format!("unexpected {} in {context}", self.describe())),
        }
    }

    fn describe(&self) -> String {
        match self.peek() {
            What::End => "EOF".to_owned(),
            What::Close => "<}}>".to_owned(),
            _ => {
                let end = self.tokens.get(self.next + 1).map_or(self.source.len(), |token| token.at);
                format!("<{}>", self.source[self.at()..end].trim())
            }
        }
    }

    fn action(&mut self) -> Result<Node, Problem> {
        let word = match self.peek() {
            What::Word(word) => word.clone(),
            _ => String::new(),
        };
        match word.as_str() {
            "if" | "with" | "range" => {
                self.next += 1;
                self.branch(&word)
            }
            "break" | "continue" => {
                self.next += 1;
                if self.loops == 0 {
                    return self.fail(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                self.close(&word)?;
                Ok(if word == "break" { Node::Break } else { Node::Continue })
            }
            "define" | "template" | "block" => self.fail(format!("{{{{{word}}}}} is not supported in --format")),
            _ => {
                let pipe = self.pipe("command", &[What::Close], false)?;
                self.next += 1;
                Ok(Node::Action(pipe))
            }
        }
    }

    fn branch(&mut self, word: &str) -> Result<Node, Problem> {
        self.deeper()?;
        let scope = self.variables.len();
        let pipe = self.pipe(word, &[What::Close], word == "range")?;
        self.next += 1;
        self.loops += usize::from(word == "range");
        let (then, end) = self.list()?;
        self.loops -= usize::from(word == "range");
        let otherwise = match end {
            Stop::Source => return self.fail("unexpected EOF"),
            Stop::End(_) => Vec::new(),
            Stop::Else(_) => self.otherwise(word)?,
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        let branch = Branch { pipe, then, otherwise };
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    /// After `{{else`: the rest of the branch, which for `{{else if …}}` is one more branch that shares the `end`.
    fn otherwise(&mut self, word: &str) -> Result<Vec<Node>, Problem> {
        self.skip_space();
        match self.peek() {
            What::Word(next) if next == word && word != "range" => {
                self.next += 1;
                Ok(vec![self.branch(word)?])
            }
            _ => {
                self.close("else")?;
                match self.list()? {
                    (nodes, Stop::End(_)) => Ok(nodes),
                    (_, Stop::Else(at)) => Err((at, "expected end; found {{else}}".to_owned())),
                    (_, Stop::Source) => self.fail("unexpected EOF"),
                }
            }
        }
    }

    /// A pipeline up to one of `ends`, which is not taken.
    fn pipe(&mut self, context: &str, ends: &[What], range: bool) -> Result<Pipe, Problem> {
        self.deeper()?;
        self.skip_space();
        let (variables, declares) = self.declarations(range)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            if commands.is_empty() && ends.contains(self.peek()) {
                return self.fail(format!("missing value for {context}"));
            }
            commands.push(self.call()?);
            self.skip_space();
            if *self.peek() == What::Pipe {
                self.next += 1;
            } else if ends.contains(self.peek()) {
                break;
            } else {
                return self.fail(format!("unexpected {} in {context}", self.describe()));
            }
        }
        for later in commands.iter().skip(1) {
            if !matches!(
                later.operands[0].what,
                Term::Function(_) | Term::Field(_) | Term::Variable(..) | Term::Parenthesis(..)
            ) {
                return self.fail("non executable command in pipeline stage 2".to_owned());
            }
        }
        self.depth -= 1;
        Ok(Pipe { variables, declares, commands })
    }

    fn declarations(&mut self, range: bool) -> Result<(Vec<String>, bool), Problem> {
        let start = self.next;
        let mut names = Vec::new();
        while let What::Variable(name) = self.peek().clone() {
            self.next += 1;
            self.skip_space();
            names.push(name);
            match self.peek() {
                What::Declare | What::Assign => {
                    let declares = *self.peek() == What::Declare;
                    self.next += 1;
                    if declares {
                        self.variables.extend(names.iter().cloned());
                    } else {
                        for name in &names {
                            self.known(name)?;
                        }
                    }
                    return Ok((names, declares));
                }
                What::Comma if range && names.len() == 1 => {
                    self.next += 1;
                    self.skip_space();
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    fn known(&self, name: &str) -> Result<(), Problem> {
        if self.variables.iter().any(|known| known == name) {
            Ok(())
        } else {
            self.fail(format!("undefined variable {name:?}"))
        }
    }

    fn call(&mut self) -> Result<Call, Problem> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            let start = self.at();
            let Some((what, at)) = self.term(start)? else { break };
            let text = self.source[start..self.at()].to_owned();
            operands.push(Operand { at, text, what });
            if !matches!(self.peek(), What::Space) {
                break;
            }
        }
        match operands.first() {
            None => self.fail(format!("unexpected {} in operand", self.describe())),
            Some(first)
                if operands.len() > 1
                    && matches!(first.what, Term::Nil | Term::Bool(_) | Term::Number(_) | Term::Text(_)) =>
            {
                self.fail(format!("can't give argument to non-function {}", first.text))
            }
            Some(_) => Ok(Call { operands }),
        }
    }

    /// One operand with its fields, and the position that Go reports for it: that of the second name of a chain.
    fn term(&mut self, at: usize) -> Result<Option<(Term, usize)>, Problem> {
        let what = match self.peek().clone() {
            What::Dot => Term::Dot,
            What::Word(word) => match word.as_str() {
                "nil" => Term::Nil,
                "true" => Term::Bool(true),
                "false" => Term::Bool(false),
                _ if function::exists(&word) => Term::Function(word),
                _ => return self.fail(format!("function {word:?} not defined")),
            },
            What::Quoted(text) => Term::Text(text),
            What::Char(letter) => Term::Number(u32::from(letter).into()),
            What::Number(text) => match number(&text) {
                Some(number) => Term::Number(number),
                None => return self.fail(format!("bad number syntax: {text:?}")),
            },
            What::Variable(name) => {
                self.known(&name)?;
                Term::Variable(name, Vec::new())
            }
            What::Field(name) => Term::Field(vec![name]),
            What::LeftParenthesis => {
                self.next += 1;
                let pipe = self.pipe("parenthesized pipeline", &[What::RightParenthesis], false)?;
                Term::Parenthesis(Box::new(pipe), Vec::new())
            }
            _ => return Ok(None),
        };
        self.next += 1;
        let (fields, second) = self.fields();
        let reported = second.unwrap_or(at);
        let term = match what {
            Term::Field(mut names) => {
                names.extend(fields);
                Term::Field(names)
            }
            Term::Variable(name, _) => Term::Variable(name, fields),
            Term::Parenthesis(pipe, _) => Term::Parenthesis(pipe, fields),
            Term::Dot if !fields.is_empty() => Term::Field(fields),
            other if fields.is_empty() => other,
            _ => return self.fail(format!("unexpected . after term {:?}", self.source[at..self.at()].to_owned())),
        };
        Ok(Some((term, reported)))
    }

    fn fields(&mut self) -> (Vec<String>, Option<usize>) {
        let mut names = Vec::new();
        let mut first = None;
        while let What::Field(name) = self.peek().clone() {
            first.get_or_insert(self.at());
            names.push(name);
            self.next += 1;
        }
        (names, first)
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let whole = match lower.get(..2) {
        Some("0x") => i64::from_str_radix(&lower[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&lower[2..], 8).ok(),
        Some("0b") => i64::from_str_radix(&lower[2..], 2).ok(),
        _ => lower.parse().ok(),
    };
    if let Some(whole) = whole {
        return Some(if negative { -whole } else { whole }.into());
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    plain.parse().ok().and_then(serde_json::Number::from_f64)
}
