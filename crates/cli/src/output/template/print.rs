//! Values as Go's fmt prints them: `%v` for what an action gives, and the verbs of `printf`.
//! Errors in a format are part of the output, as in Go; nothing here fails.

use super::function::WIDTH_MAX;
use super::run::Val;
use super::{Kind, Shape};
use serde_json::Value;
use std::fmt::Write as _;

/// `%v`.
pub fn value(value: &Val<'_>, shape: &dyn Shape) -> String {
    if value.missing {
        return "<no value>".to_owned();
    }
    let mut out = String::new();
    plain(&value.json, value.kind, value.name, shape, &mut out);
    out
}

fn plain(json: &Value, kind: Kind, name: &str, shape: &dyn Shape, out: &mut String) {
    match json {
        Value::Null => out.push_str(match kind {
            Kind::Slice => "[]",
            Kind::Map => "map[]",
            Kind::Text => "",
            Kind::Pointer | Kind::Struct => "<nil>",
        }),
        Value::Bool(on) => _ = write!(out, "{on}"),
        Value::Number(number) => match (number.is_f64(), number.as_f64()) {
            (true, Some(float)) => out.push_str(&shortest(float)),
            _ => _ = write!(out, "{number}"),
        },
        Value::String(text) => out.push_str(text),
        Value::Array(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                plain(item, Kind::Struct, "", shape, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let field = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
            let mut entries: Vec<_> = map.iter().collect();
            let is_map = kind == Kind::Map;
            if is_map {
                entries.sort_by_key(|(key, _)| *key);
            }
            out.push_str(if is_map { "map[" } else { "{" });
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                if is_map {
                    _ = write!(out, "{key}:");
                }
                plain(item, shape.kind(&field(key)), key, shape, out);
            }
            out.push(if is_map { ']' } else { '}' });
        }
    }
}

/// Go's `%v` of a float: shortest digits, an exponent below 1e-4 and from 1e21.
fn shortest(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) { format!("{float}") } else { exponent(format!("{float:e}")) }
}

/// `1e-7` with Go's sign and two digits: `1e-07`.
fn exponent(text: String) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

/// The name that Go has for the type, for error messages.
pub fn type_name(json: &Value) -> &'static str {
    match json {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Go's Sprint: a space between two operands when neither is a text.
pub fn print(arguments: &[Val<'_>], shape: &dyn Shape) -> String {
    let mut out = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 && !argument.json.is_string() && !arguments[index - 1].json.is_string() {
            out.push(' ');
        }
        out.push_str(&value(argument, shape));
    }
    out
}

/// Go's Sprintln: spaces between all, a line break at the end.
pub fn println(arguments: &[Val<'_>], shape: &dyn Shape) -> String {
    let words: Vec<String> = arguments.iter().map(|argument| value(argument, shape)).collect();
    words.join(" ") + "\n"
}

/// One `%…` of a format.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Go's Sprintf for the verbs that make sense in a template: `v s q d f e g t x X o b c U T %`.
pub fn printf(format: &str, arguments: &[Val<'_>], shape: &dyn Shape) -> String {
    let mut out = String::new();
    let mut letters = format.chars().peekable();
    let mut next = arguments.iter();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = letters.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '0' => verb.zero = true,
                ' ' => verb.space = true,
                _ => verb.sharp = true,
            }
        }
        let mut number = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if letters.next_if_eq(&'*').is_some() {
                return next
                    .next()
                    .and_then(|width| width.json.as_u64())
                    .map_or(0, |width| usize::try_from(width).unwrap_or(0).min(WIDTH_MAX));
            }
            let mut value = 0_usize;
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                value = (value * 10 + digit as usize - '0' as usize).min(WIDTH_MAX);
            }
            value
        };
        verb.width = number(&mut letters);
        if letters.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut letters));
        }
        match letters.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match next.next() {
                None => _ = write!(out, "%!{letter}(MISSING)"),
                Some(argument) => out.push_str(&verb.apply(letter, argument, shape)),
            },
        }
    }
    let rest: Vec<String> = next.map(|extra| format!("{}={}", type_name(&extra.json), value(extra, shape))).collect();
    if !rest.is_empty() {
        _ = write!(out, "%!(EXTRA {})", rest.join(", "));
    }
    out
}

impl Verb {
    fn apply(&self, letter: char, argument: &Val<'_>, shape: &dyn Shape) -> String {
        let text = value(argument, shape);
        let cut = |text: String| match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        };
        match (letter, &*argument.json) {
            ('T', json) => self.pad(type_name(json).to_owned(), false),
            ('v' | 'd', Value::Number(number)) if !number.is_f64() => self.pad(self.signed(text), true),
            ('v', _) => self.pad(text, false),
            ('s', Value::Number(_) | Value::Bool(_)) => format!("%!s({}={text})", type_name(&argument.json)),
            ('s', _) => self.pad(cut(text), false),
            ('q', Value::String(text)) => self.pad(format!("{text:?}"), false),
            ('q', Value::Array(list)) => {
                let items: Vec<String> =
                    list.iter().map(|item| format!("{:?}", value(&Val::new(item.clone()), shape))).collect();
                self.pad(format!("[{}]", items.join(" ")), false)
            }
            ('t', Value::Bool(_)) => self.pad(text, false),
            ('x' | 'X', Value::String(text)) => {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                self.pad(if letter == 'X' { hex.to_uppercase() } else { hex }, false)
            }
            ('x' | 'X' | 'o' | 'b' | 'c' | 'U', Value::Number(number)) => match number.as_i64() {
                Some(number) => self.pad(self.based(letter, number), true),
                None => format!("%!{letter}({}={text})", type_name(&argument.json)),
            },
            ('f' | 'F' | 'e' | 'g', Value::Number(number)) if number.is_f64() => {
                let float = number.as_f64().unwrap_or_default();
                let text = match letter {
                    'g' => shortest(float),
                    'e' => exponent(format!("{float:.*e}", self.precision.unwrap_or(6))),
                    _ => format!("{float:.*}", self.precision.unwrap_or(6)),
                };
                self.pad(self.signed(text), true)
            }
            (_, json) => format!("%!{letter}({}={text})", type_name(json)),
        }
    }

    fn signed(&self, text: String) -> String {
        match text.starts_with('-') {
            false if self.plus => format!("+{text}"),
            false if self.space => format!(" {text}"),
            _ => text,
        }
    }

    fn based(&self, letter: char, number: i64) -> String {
        let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
        match letter {
            'x' => format!("{sign}{}{size:x}", if self.sharp { "0x" } else { "" }),
            'X' => format!("{sign}{}{size:X}", if self.sharp { "0X" } else { "" }),
            'o' => format!("{sign}{}{size:o}", if self.sharp { "0" } else { "" }),
            'b' => format!("{sign}{size:b}"),
            'U' => format!("U+{size:04X}"),
            _ => u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string(),
        }
    }

    fn pad(&self, text: String, number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if self.zero && number {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}
