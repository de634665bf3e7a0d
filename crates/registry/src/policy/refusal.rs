//! Why an image may not be pulled, as one line for the user: which image, by which rule of which file, what was found
//! instead, and what to do.

use std::fmt;
use std::path::PathBuf;

/// A refusal. Text that came from the registry has no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// As users write it.
    pub image: String,
    /// The place that the rule is for, or `default`.
    pub rule: String,
    /// The file of the rule.
    pub file: PathBuf,
    /// What is wrong.
    pub found: String,
    pub remedy: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.rule.as_str() {
            "default" => "the default rule".to_owned(),
            place => format!("the rule for {place}"),
        };
        let (image, found, remedy) = (&self.image, &self.found, self.remedy);
        write!(f, "{image} is refused by {rule} in {}: {found}; {remedy}", self.file.display())
    }
}
