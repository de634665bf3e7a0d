//! `brig manifest inspect`, `create`, `add`, `annotate`, `push` and `rm`.
//! Lists are made and pushed by the engine; here they become docker's JSON.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use engine::images::lists::Entry;
use engine::images::manifests::{self, Inspected};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

/// Prints a document, or with `--verbose` what is known of each image.
pub fn inspect(place: &Place, parsed: Parsed) -> Outcome {
    let reach = flags::manifest::reach(&parsed)?;
    let verbose = parsed.on("verbose");
    let engine = place.engine()?;
    let (list, name) = match parsed.arguments.as_slice() {
        [list, name] => (Some(list.as_str()), name.clone()),
        _ => (None, parsed.first()),
    };
    let found = manifests::inspect(&engine, &reach, list, &name)?;
    let text = match (found, verbose) {
        (Inspected::Image(entry), false) => indented(&value(entry.manifest.as_bytes())?, "\t")?,
        (Inspected::Image(entry), true) => indented(&described(&entry)?, "\t")?,
        (Inspected::List(list), false) => indented(&value(&manifests::to_bytes(&list.index()))?, "   ")?,
        (Inspected::List(list), true) => all_described(&list.entries)?,
        (Inspected::Index { bytes, .. }, false) => indented(&value(&bytes)?, "   ")?,
        (Inspected::Index { reference, bytes }, true) => {
            all_described(&manifests::members(&reach, &reference, &bytes)?)?
        }
    };
    output::print(&text)
}

fn all_described(entries: &[Entry]) -> Result<String, Failure> {
    let values: Result<Vec<Value>, Failure> = entries.iter().map(described).collect();
    indented(&Value::Array(values?), "\t")
}

fn described(entry: &Entry) -> Result<Value, Failure> {
    let manifest = value(entry.manifest.as_bytes())?;
    let is_docker = entry.descriptor.media_type == spec::image::media_type::DOCKER_MANIFEST;
    Ok(json!({
        "Ref": entry.image.to_string(),
        "Descriptor": entry.descriptor,
        "Raw": base64(entry.manifest.as_bytes()),
        (if is_docker { "SchemaV2Manifest" } else { "OCIManifest" }): manifest,
    }))
}

fn value(bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|error| Failure::message(format!("the manifest is not JSON: {error}")))
}

fn indented(value: &Value, indent: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent.as_bytes()));
    let written = value.serialize(&mut serializer);
    written.map_err(|error| Failure::message(format!("the manifest cannot be shown: {error}")))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * position) & 63) as usize];
            text.push(if position > chunk.len() { '=' } else { digit.into() });
        }
    }
    text
}

/// Prints the list's name.
pub fn create(place: &Place, parsed: Parsed) -> Outcome {
    let reach = flags::manifest::reach(&parsed)?;
    let engine = place.engine()?;
    let images = parsed.arguments.get(1..).unwrap_or_default();
    let name = manifests::create(&engine, &reach, &parsed.first(), images, parsed.on("amend"))?;
    output::print(&format!("Created manifest list {}\n", name.familiar()))
}

/// Prints the list's name.
pub fn add(place: &Place, parsed: Parsed) -> Outcome {
    let reach = flags::manifest::reach(&parsed)?;
    let engine = place.engine()?;
    let images = parsed.arguments.get(1..).unwrap_or_default();
    let annotation = flags::manifest::annotation(&parsed);
    let name = manifests::add(&engine, &reach, &parsed.first(), images, &annotation)?;
    output::print(&format!("{}\n", name.familiar()))
}

/// Prints nothing.
pub fn annotate(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let annotation = flags::manifest::annotation(&parsed);
    if let [list, image] = parsed.arguments.as_slice() {
        manifests::annotate(&engine, list, image, &annotation)?;
    }
    Ok(0)
}

/// Prints each image that is in place and the digest of the list.
pub fn push(place: &Place, parsed: Parsed) -> Outcome {
    let reach = flags::manifest::reach(&parsed)?;
    let engine = place.engine()?;
    let target = parsed.arguments.get(1).map(|target| target.strip_prefix("docker://").unwrap_or(target));
    let mut told = Ok(0);
    let digest = manifests::push(&engine, &reach, &parsed.first(), target, parsed.on("purge"), &mut |image| {
        if let (Ok(_), Some(digest)) = (&told, image.digest()) {
            told = output::print(&format!("Pushed ref {image} with digest: {digest}\n"));
        }
    })?;
    told?;
    output::print(&format!("{digest}\n"))
}

/// Prints nothing, as docker.
pub fn rm(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let mut code = 0;
    for name in &parsed.arguments {
        if let Err(error) = manifests::remove(&engine, name) {
            output::complain(&error.to_string());
            code = 1;
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_all_lengths() {
        for (bytes, text) in
            [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("user:secret", "dXNlcjpzZWNyZXQ=")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
