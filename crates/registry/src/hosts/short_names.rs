//! What a name without a registry may mean: an alias, or the name at each registry of the search
//! list, or Docker Hub.

use spec::{Reference, reference};

use super::Hosts;

impl Hosts {
    /// The references to try, in order; at least one.
    pub fn candidates(&self, text: &str) -> Result<Vec<Reference>, reference::Error> {
        let plain = Reference::parse(text)?;
        if names_registry(text) {
            return Ok(vec![plain]);
        }
        let end = text.find([':', '@']).unwrap_or(text.len());
        let (name, suffix) = text.split_at(end);
        if let Some(target) = self.aliases.get(name) {
            return Ok(vec![Reference::parse(&format!("{target}{suffix}"))?]);
        }
        if self.search.is_empty() {
            return Ok(vec![plain]);
        }
        self.search.iter().map(|registry| Reference::parse(&format!("{registry}/{text}"))).collect()
    }
}

/// Whether the part before the first slash is a registry, by the rule of `spec::Reference`.
fn names_registry(text: &str) -> bool {
    text.split_once('/').is_some_and(|(first, _)| {
        first == "localhost" || first.bytes().any(|b| b == b'.' || b == b':' || b.is_ascii_uppercase())
    })
}
