//! Go templates, as `--format` takes them: Go's text/template over JSON values, with docker's functions.
//! `lex.rs` cuts the text, `parse.rs` makes the tree, `run.rs` walks it, `function.rs` holds the functions and `print.rs`
//! writes values and verbs as Go's fmt does. Commands use `Template::parse` once and `Template::run` per object; the
//! prefix `table ` and the word `json` are handled by `output/listing.rs` before. Not supported: `define`,
//! `template` and `block`, which one template on a command line has no use for; they give a clear error.

mod function;
mod lex;
mod parse;
mod print;
mod run;

use serde_json::Value;

/// What values look like to the template: JSON has objects, Go has structs and maps, and the difference shows when a key is
/// missing or a value is null.
pub trait Shape {
    /// How a null or an object under this name behaves.
    fn kind(&self, field: &str) -> Kind;
    /// A field that the JSON leaves out when it is empty, but that exists; `None` when there is no such field.
    fn omitted(&self, field: &str) -> Option<Kind>;
    /// A method of the root object, `None` when there is none of that name.
    fn method(&self, _name: &str, _arguments: &[&Value]) -> Option<Result<Value, String>> {
        None
    }
    /// The end of the sentence about a field that does not exist.
    fn missing(&self, field: &str) -> String;
    /// Whether `json` escapes `<`, `>` and `&` in whole objects.
    fn escapes_html(&self) -> bool {
        false
    }
    /// Whether this is the header line of a table: docker's functions then leave their first argument alone.
    fn is_header(&self) -> bool {
        false
    }
}

/// The Go type that a JSON null or object stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Fixed fields: a missing one is an error.
    Struct,
    /// Free keys: a missing one is `<no value>`.
    Map,
    /// A list; null prints as `[]`.
    Slice,
    /// A text; null prints as nothing.
    Text,
    /// A pointer; null prints as `<nil>`.
    Pointer,
}

/// A parsed template.
pub struct Template {
    nodes: Vec<parse::Node>,
    source: String,
}

impl Template {
    /// Parses; the error is Go's sentence, `template: :1: unclosed action`.
    pub fn parse(source: &str) -> Result<Template, String> {
        Ok(Template { nodes: parse::parse(source)?, source: source.to_owned() })
    }

    /// Writes the template for `root` to `out`. What was written before an error stays there, as in Go.
    pub fn run(&self, root: &Value, shape: &dyn Shape, out: &mut String) -> Result<(), String> {
        run::run(&self.nodes, &self.source, root, shape, out)
    }

    /// Whether the field is mentioned, so that costly ones are computed only then. The root as a whole counts as well.
    pub fn mentions(&self, field: &str) -> bool {
        self.source.contains(field) || self.source.contains("json .}") || self.source.contains("json . ")
    }
}

#[cfg(test)]
mod tests;
