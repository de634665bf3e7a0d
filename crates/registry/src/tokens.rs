//! Bearer tokens of this process, so that many requests and several repositories of one registry need
//! few exchanges with its token server. `auth` fills and asks it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a token server that says nothing means (distribution's token specification).
const DEFAULT_SECONDS: u64 = 60;
/// A token that ends so soon is not used any more: the request must arrive before.
const MARGIN: Duration = Duration::from_secs(5);

/// Tokens by what they were asked for with.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<String, (String, Instant)>>);

impl Tokens {
    /// A token that still holds.
    pub fn get(&self, key: &str) -> Option<String> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(key).filter(|(_, end)| *end > Instant::now() + MARGIN).map(|(token, _)| token.clone())
    }

    /// Keeps a token for the seconds that its server gave it, from when it was asked for.
    pub fn put(&self, key: String, token: String, asked: Instant, seconds: Option<u64>) {
        let seconds = seconds.filter(|&seconds| seconds > 0).unwrap_or(DEFAULT_SECONDS);
        // Beyond a day nothing changes for a command; and no overflow.
        let end = asked + Duration::from_secs(seconds.min(86_400));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (token, end));
    }

    /// Forgets a token that was refused.
    pub fn drop(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end() {
        let tokens = Tokens::default();
        let now = Instant::now();
        tokens.put("a".to_owned(), "x".to_owned(), now, Some(3600));
        tokens.put("b".to_owned(), "y".to_owned(), now, Some(1));
        tokens.put("c".to_owned(), "z".to_owned(), now, None);
        assert_eq!(tokens.get("a").as_deref(), Some("x"));
        assert_eq!(tokens.get("b"), None);
        assert_eq!(tokens.get("c").as_deref(), Some("z"));
        tokens.drop("a");
        assert_eq!(tokens.get("a"), None);
    }
}
