//! The rows that lists hand to their template: a name and a text for each column. `docker ps --format` and its kin know
//! methods of such a row; JSON of a whole row is in the order of the names and escapes `<`, `>` and `&`, as docker's is.

use super::template::{Kind, Shape};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One line of a list.
pub struct Row {
    /// The columns, sorted by name.
    pub fields: Value,
    /// For `{{.Label "key"}}`.
    pub labels: BTreeMap<String, String>,
}

impl Row {
    /// A row of columns with texts.
    pub fn new(columns: impl IntoIterator<Item = (&'static str, String)>, labels: BTreeMap<String, String>) -> Row {
        let sorted: BTreeMap<&str, String> = columns.into_iter().collect();
        let fields: Map<String, Value> =
            sorted.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))).collect();
        Row { fields: Value::Object(fields), labels }
    }
}

/// The labels as one column: `a=1,b=2`.
pub fn joined(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// How a template sees a row; `type_name` is docker's, for its error message.
pub struct RowShape<'a> {
    pub labels: &'a BTreeMap<String, String>,
    pub type_name: &'static str,
}

impl Shape for RowShape<'_> {
    fn kind(&self, _field: &str) -> Kind {
        Kind::Pointer
    }

    fn omitted(&self, _field: &str) -> Option<Kind> {
        None
    }

    fn method(&self, name: &str, arguments: &[&Value]) -> Option<Result<Value, String>> {
        match (name, arguments) {
            ("Label", [Value::String(key)]) => Some(Ok(self.labels.get(key).cloned().unwrap_or_default().into())),
            ("Label", _) => Some(Err(format!("wrong number of args for Label: want 1 got {}", arguments.len()))),
            _ => None,
        }
    }

    fn missing(&self, field: &str) -> String {
        format!("can't evaluate field {field} in type {}", self.type_name)
    }

    fn escapes_html(&self) -> bool {
        true
    }
}

/// How a template sees the header line: functions leave the names of columns alone.
pub struct HeaderShape;

impl Shape for HeaderShape {
    fn kind(&self, _field: &str) -> Kind {
        Kind::Pointer
    }

    fn omitted(&self, _field: &str) -> Option<Kind> {
        Some(Kind::Text)
    }

    fn method(&self, name: &str, arguments: &[&Value]) -> Option<Result<Value, String>> {
        match (name, arguments) {
            // `com.example.my-label` is headed `my label`.
            ("Label", [Value::String(key)]) => {
                let last = key.rsplit('.').next().unwrap_or_default();
                Some(Ok(last.replace(['-', '_'], " ").into()))
            }
            _ => None,
        }
    }

    fn missing(&self, field: &str) -> String {
        format!("no column {field}")
    }

    fn is_header(&self) -> bool {
        true
    }
}
