//! The key sequence that leaves a terminal session without ending it: `ctrl-p,ctrl-q`.

use crate::error::{Error, Result};

/// Parses docker's notation: single characters or `ctrl-` with a letter or one of `@[\]^_`, separated by commas.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    let invalid = |key: &str| {
        Error::Invalid(format!("invalid detach keys ({text}): '{key}' is neither one character nor ctrl-<key>"))
    };
    text.split(',')
        .map(|key| {
            if let [byte] = key.as_bytes() {
                return Ok(*byte);
            }
            match key.to_ascii_lowercase().strip_prefix("ctrl-").map(str::as_bytes) {
                Some([letter @ b'a'..=b'z']) => Ok(letter - b'a' + 1),
                Some(b"@") => Ok(0),
                Some([other @ b'['..=b'_']) => Ok(other - b'[' + 27),
                _ => Err(invalid(key)),
            }
        })
        .collect()
}

/// Looks for the sequence in what is typed; a beginning of it is held back until it is clear.
#[derive(Debug)]
pub struct Watch {
    keys: Vec<u8>,
    matched: usize,
}

impl Watch {
    /// No keys: never found.
    pub fn new(keys: Vec<u8>) -> Watch {
        Watch { keys, matched: 0 }
    }

    /// What to pass on of `typed`, and whether the sequence is complete.
    pub fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.is_empty() {
                out.push(*byte);
                continue;
            }
            if *byte != self.keys[self.matched] && self.matched > 0 {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (out, true);
                }
            } else {
                out.push(*byte);
            }
        }
        (out, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        assert_eq!(parse("ctrl-p,ctrl-q").unwrap(), [16, 17]);
        assert_eq!(parse("a,ctrl-@,ctrl-_").unwrap(), [b'a', 0, 31]);
        for bad in ["", "ctrl-", "ctrl-1", "abc", "a,,b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sequence_is_found_across_reads_and_given_back_when_broken() {
        let mut watch = Watch::new(vec![16, 17]);
        assert_eq!(watch.filter(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(watch.filter(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(watch.filter(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(watch.filter(b"\x11zz"), (vec![], true));
    }
}
