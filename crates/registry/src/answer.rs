//! Reading what a registry answers beside blobs: bounded bodies, and the error documents of the
//! distribution specification, made fit for one line on a terminal.

use std::io::Read;

use serde::Deserialize;
use ureq::Body;
use ureq::http::{Response, StatusCode};

/// Bytes of an error document that are looked at.
const ERROR_BYTES_MAX: u64 = 64 * 1024;
/// Characters of a registry's message that are shown.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why a registry refused: its code (`MANIFEST_UNKNOWN`, empty if it gave none) and the text for
/// the user, "manifest unknown: manifest unknown" in docker's form.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub cause: String,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Consumes an answer whose status means refusal.
pub fn refusal(response: Response<Body>) -> Refusal {
    let status = response.status();
    let mut body = Vec::new();
    // A body cut short still leaves the status to report.
    let _ = response.into_body().into_reader().take(ERROR_BYTES_MAX).read_to_end(&mut body);
    explain(status, &body)
}

fn explain(status: StatusCode, body: &[u8]) -> Refusal {
    let first = serde_json::from_slice::<Errors>(body).ok().and_then(|document| document.errors.into_iter().next());
    let Some(Entry { code, message }) = first else {
        return Refusal { code: String::new(), cause: format!("HTTP {status}") };
    };
    let words = code.to_lowercase().replace('_', " ");
    let cause = match (words.is_empty(), message.is_empty()) {
        (true, true) => format!("HTTP {status}"),
        (true, false) => message,
        (false, true) => words,
        (false, false) => format!("{words}: {message}"),
    };
    Refusal { code, cause: printable(&cause) }
}

/// Text from outside as one line: without control characters, which could drive a terminal, and
/// of limited length.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str) -> (String, String) {
        let refusal = explain(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        (refusal.code, refusal.cause)
    }

    #[test]
    fn documents_become_dockers_words() {
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"y"}}]}"#;
        let (code, cause) = check(404, body);
        assert_eq!(code, "MANIFEST_UNKNOWN");
        assert_eq!(cause, "manifest unknown: manifest unknown");
    }

    #[test]
    fn other_bodies_leave_the_status() {
        for body in ["", "<html>", r#"{"errors":[]}"#, r#"{"errors":[{}]}"#, "{}"] {
            assert_eq!(check(403, body).1, "HTTP 403 Forbidden", "{body}");
        }
    }

    #[test]
    fn messages_cannot_drive_the_terminal() {
        let body = r#"{"errors":[{"message":"a\u001b[2Jb\nc"}]}"#;
        assert_eq!(check(400, body).1, "a [2Jb c");
    }
}
