//! Why a command of the runtime did not succeed: one text for the log and an exit code, 1 but where runc has another.

/// The process's exit code, or why it failed.
pub type Outcome = Result<u8, Failure>;

#[derive(Debug)]
pub struct Failure {
    /// Empty when everything has been said.
    pub text: String,
    pub code: u8,
}

impl Failure {
    pub fn new(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: 1 }
    }

    /// `prefix` in front of the text.
    pub fn within(self, prefix: &str) -> Failure {
        let text = if self.text.is_empty() { self.text } else { format!("{prefix}: {}", self.text) };
        Failure { text, ..self }
    }
}

impl From<oci::Error> for Failure {
    fn from(error: oci::Error) -> Failure {
        Failure::new(error.to_string())
    }
}

impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Failure {
        oci::Error::from(error).into()
    }
}

impl From<runtime::Error> for Failure {
    fn from(error: runtime::Error) -> Failure {
        oci::Error::from(error).into()
    }
}
