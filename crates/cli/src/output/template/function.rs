//! The functions of templates: Go's built-in ones and docker's additions. `and` and `or` are in `run.rs`, because they stop
//! early.

use super::Shape;
use super::print;
use super::run::Val;
use serde_json::Value;
use std::cmp::Ordering;

/// Longest padding that `pad` and `printf` widths may ask for.
pub const WIDTH_MAX: usize = 1 << 12;

const NAMES: [&str; 27] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "eq", "ne",
    "lt", "le", "gt", "ge", "json", "join", "split", "lower", "upper", "title", "pad", "truncate", "call",
];

/// Whether a function of that name exists.
pub fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function; the error is the end of Go's sentence.
pub fn call<'a>(name: &str, arguments: &[Val<'a>], shape: &dyn Shape) -> Result<Val<'a>, String> {
    let counts = match name {
        "not" | "len" | "json" | "lower" | "upper" | "title" => 1..=1,
        "join" | "split" | "truncate" => 2..=2,
        "pad" => 3..=3,
        "ne" | "lt" | "le" | "gt" | "ge" => 2..=2,
        "eq" => 2..=usize::MAX,
        "index" | "slice" | "printf" => 1..=usize::MAX,
        _ => 0..=usize::MAX,
    };
    if !counts.contains(&arguments.len()) {
        return Err(format!("wrong number of args for {name}: want {} got {}", counts.start(), arguments.len()));
    }
    if shape.is_header() && matches!(name, "json" | "join" | "split" | "lower" | "upper" | "title" | "pad" | "truncate")
    {
        return Ok(arguments[0].clone());
    }
    let failed = |problem: String| format!("error calling {name}: {problem}");
    let text = |text: String| Ok(Val::new(Value::String(text)));
    match name {
        "not" => Ok(Val::new(Value::Bool(!arguments[0].truth()))),
        "len" => length(&arguments[0]).map(|length| Val::new(length.into())).map_err(failed),
        "index" => index(arguments).map_err(failed),
        "slice" => slice(arguments).map_err(failed),
        "print" => text(print::print(arguments, shape)),
        "println" => text(print::println(arguments, shape)),
        "printf" => text(print::printf(string(arguments, 0)?, &arguments[1..], shape)),
        "html" => text(print::print(arguments, shape).chars().map(html).collect()),
        "js" => text(js(&print::print(arguments, shape))),
        "urlquery" => text(urlquery(&print::print(arguments, shape))),
        "eq" => equal_any(arguments).map(|on| Val::new(Value::Bool(on))).map_err(failed),
        "ne" => equal(&arguments[0], &arguments[1]).map(|on| Val::new(Value::Bool(!on))).map_err(failed),
        "lt" | "le" | "gt" | "ge" => {
            let order = order(&arguments[0], &arguments[1]).map_err(failed)?;
            let on = match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            };
            Ok(Val::new(Value::Bool(on)))
        }
        "json" => text(json(&arguments[0], shape)),
        "join" => join(arguments, shape),
        "split" => {
            let (whole, separator) = (string(arguments, 0)?, string(arguments, 1)?);
            let parts: Vec<Value> = match separator.is_empty() {
                true => whole.chars().map(|letter| letter.to_string().into()).collect(),
                false => whole.split(separator).map(Value::from).collect(),
            };
            Ok(Val::new(Value::Array(parts)))
        }
        "lower" => text(string(arguments, 0)?.to_lowercase()),
        "upper" => text(string(arguments, 0)?.to_uppercase()),
        "title" => text(title(string(arguments, 0)?)),
        "pad" => {
            let blanks = |count: i64| " ".repeat(usize::try_from(count).unwrap_or(0).min(WIDTH_MAX));
            let body = string(arguments, 0)?;
            text(match body.is_empty() {
                true => String::new(),
                false => blanks(integer(arguments, 1)?) + body + &blanks(integer(arguments, 2)?),
            })
        }
        "truncate" => {
            let count = usize::try_from(integer(arguments, 1)?).unwrap_or(0);
            text(string(arguments, 0)?.chars().take(count).collect())
        }
        _ => Err(format!("{name} is not supported in --format")),
    }
}

fn string<'v>(arguments: &'v [Val<'_>], at: usize) -> Result<&'v str, String> {
    match &*arguments[at].json {
        Value::String(text) => Ok(text),
        Value::Null => Ok(""),
        other => Err(format!("wrong type for value; expected string; got {}", print::type_name(other))),
    }
}

fn integer(arguments: &[Val<'_>], at: usize) -> Result<i64, String> {
    let other = &arguments[at].json;
    other.as_i64().ok_or_else(|| format!("wrong type for value; expected int; got {}", print::type_name(other)))
}

fn length(of: &Val<'_>) -> Result<usize, String> {
    match &*of.json {
        Value::String(text) => Ok(text.len()),
        Value::Array(list) => Ok(list.len()),
        Value::Object(map) => Ok(map.len()),
        Value::Null if of.missing => Err("len of nil pointer".to_owned()),
        Value::Null => Ok(0),
        other => Err(format!("len of type {}", print::type_name(other))),
    }
}

fn index<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    let mut value = (*arguments[0].json).clone();
    for key in &arguments[1..] {
        value = match (value, &*key.json) {
            (Value::Array(mut list), Value::Number(number)) => {
                let at = number.as_u64().and_then(|at| usize::try_from(at).ok()).filter(|at| *at < list.len());
                list.swap_remove(at.ok_or_else(|| format!("index out of range: {number}"))?)
            }
            (Value::String(text), Value::Number(number)) => {
                let at = number.as_u64().and_then(|at| usize::try_from(at).ok());
                let byte = at.and_then(|at| text.as_bytes().get(at).copied());
                Value::from(byte.ok_or_else(|| format!("index out of range: {number}"))?)
            }
            (Value::Object(mut map), Value::String(name)) => match map.remove(name) {
                Some(found) => found,
                // Go gives the zero value of the map's type; labels and options are texts.
                None if map.is_empty() || map.values().all(Value::is_string) => Value::String(String::new()),
                None => Value::Null,
            },
            (Value::Null, _) if arguments[0].missing => return Err("index of untyped nil".to_owned()),
            (Value::Null, Value::String(_)) => Value::String(String::new()),
            (Value::Null, number) => return Err(format!("index out of range: {number}")),
            (Value::Array(_) | Value::String(_), other) => {
                return Err(format!("cannot index slice/array with type {}", print::type_name(other)));
            }
            (Value::Object(_), other) => {
                return Err(format!("value has type {}; should be string", print::type_name(other)));
            }
            (other, _) => return Err(format!("can't index item of type {}", print::type_name(&other))),
        };
    }
    Ok(Val::new(value))
}

fn slice<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    let length = length(&arguments[0])?;
    if arguments.len() > 3 {
        return Err(format!("too many slice indexes: {}", arguments.len() - 1));
    }
    let bound = |at: usize, default: usize| match arguments.get(at) {
        None => Ok(default),
        Some(given) => {
            let number = given.json.as_u64().and_then(|number| usize::try_from(number).ok());
            number.filter(|number| *number <= length).ok_or_else(|| format!("index out of range: {}", given.json))
        }
    };
    let (start, end) = (bound(1, 0)?, bound(2, length)?);
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &*arguments[0].json {
        Value::String(text) => {
            let part = text.as_bytes().get(start..end).unwrap_or_default();
            Ok(Val::new(String::from_utf8_lossy(part).into_owned().into()))
        }
        Value::Array(list) => Ok(Val::new(Value::Array(list[start..end].to_vec()))),
        other => Err(format!("can't slice item of type {}", print::type_name(other))),
    }
}

fn equal_any(arguments: &[Val<'_>]) -> Result<bool, String> {
    for other in &arguments[1..] {
        if equal(&arguments[0], other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(one: &Val<'_>, other: &Val<'_>) -> Result<bool, String> {
    match (&*one.json, &*other.json) {
        (Value::Number(_), Value::Number(_)) => Ok(order(one, other)? == Ordering::Equal),
        (Value::Null, Value::String(text)) | (Value::String(text), Value::Null) => {
            Ok(text.is_empty() && !one.missing && !other.missing)
        }
        (a, b) if a.is_null() || b.is_null() => Ok(a == b),
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => Ok(one.json == other.json),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err("non-comparable type".to_owned() + ": " + print::type_name(&one.json))
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn order(one: &Val<'_>, other: &Val<'_>) -> Result<Ordering, String> {
    let failed = || "incompatible types for comparison".to_owned();
    match (&*one.json, &*other.json) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => a.as_f64().and_then(|a| a.partial_cmp(&b.as_f64()?)).ok_or_else(failed),
        },
        (Value::Bool(_), _) | (Value::Array(_), _) | (Value::Object(_), _) => {
            Err("invalid type for comparison".to_owned())
        }
        _ => Err(failed()),
    }
}

fn json(value: &Val<'_>, shape: &dyn Shape) -> String {
    // A null list or map of a struct is `null` in Go as well; only its printing differs.
    let text = value.json.to_string();
    if shape.escapes_html() && value.json.is_object() { escape_html(&text) } else { text }
}

/// As Go's encoder does inside of strings of JSON; these letters occur nowhere else in it.
fn escape_html(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn join<'a>(arguments: &[Val<'a>], shape: &dyn Shape) -> Result<Val<'a>, String> {
    let separator = string(arguments, 1)?;
    let parts: Vec<String> = match &*arguments[0].json {
        Value::Array(list) => list.iter().map(|item| print::value(&Val::new(item.clone()), shape)).collect(),
        Value::Null => Vec::new(),
        other => return Err(format!("wrong type for value; expected []string; got {}", print::type_name(other))),
    };
    Ok(Val::new(parts.join(separator).into()))
}

fn title(text: &str) -> String {
    let mut last = ' ';
    let mut out = String::new();
    for letter in text.chars() {
        match last.is_alphanumeric() || last == '_' || last == '\'' {
            true => out.push(letter),
            false => out.extend(letter.to_uppercase()),
        }
        last = letter;
    }
    out
}

fn html(letter: char) -> String {
    match letter {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&#34;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '\0' => "\u{fffd}".to_owned(),
        letter => letter.to_string(),
    }
}

fn js(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out
}

fn urlquery(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
