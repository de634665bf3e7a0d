//! `list`: all containers below the root, as a table or as JSON.

use crate::output::table;
use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::parse::Parsed;
use crate::runtime::{Context, print, state};
use serde_json::Value;
use std::os::unix::fs::MetadataExt;

const PASSWD: &str = "/etc/passwd";

pub fn list(context: &Context, parsed: &Parsed) -> Outcome {
    let names = context.root.names()?;
    if parsed.switch("quiet") {
        return Ok(print(&names.iter().map(|name| format!("{name}\n")).collect::<String>()));
    }
    let documents: Vec<Value> = names.iter().filter_map(|name| document(context, name)).collect();
    match parsed.text("format").unwrap_or("table") {
        "table" => Ok(print(&table::align_with(&rows(&documents), 12, 3))),
        "json" if documents.is_empty() => Ok(print("null")),
        "json" => Ok(print(&Value::Array(documents).to_string())),
        _ => Err(Failure::new("invalid format option")),
    }
}

/// One that goes while we look, or that cannot be understood, is told of and left out.
fn document(context: &Context, name: &str) -> Option<Value> {
    let container = match context.root.open(name) {
        Ok(container) => container,
        Err(oci::Error::NotFound) => return None,
        Err(error) => {
            context.log.warning(&format!("load container {name}: {error}"));
            return None;
        }
    };
    let owner = owner(&context.root_path.join(name));
    state::document(&container, &owner).inspect_err(|failure| context.log.warning(&failure.text)).ok()
}

fn rows(documents: &[Value]) -> Vec<String> {
    let cell = |document: &Value, name: &str| match &document[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row =
        |document| ["id", "pid", "status", "bundle", "created", "owner"].map(|name| cell(document, name)).join("\t");
    std::iter::once("ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER".to_owned()).chain(documents.iter().map(row)).collect()
}

/// The name of whoever owns the container's directory, `#` and a number if there is none.
fn owner(directory: &std::path::Path) -> String {
    let Ok(metadata) = std::fs::metadata(directory) else { return String::new() };
    let uid = metadata.uid();
    let passwd = std::fs::read_to_string(PASSWD).unwrap_or_default();
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    match entries.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid))) {
        Some(fields) => fields[0].to_owned(),
        None => format!("#{uid}"),
    }
}
