//! Trying again: which failures pass by themselves, how long to wait, when to give up. One
//! exchange takes at most five attempts over about three seconds of waiting, or what the registry
//! asks for with `Retry-After` up to half a minute.

use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, header};

use crate::Error;

/// Attempts before giving up, the first included.
pub const ATTEMPTS: u32 = 5;
/// Wait before the second attempt; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// A registry that asks for more than this has a quota, not a hiccup: report it instead of hanging.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Whether and when a failure is worth another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Never,
    Backoff,
    After(Duration),
}

/// A failed attempt.
#[derive(Debug)]
pub struct Setback {
    pub error: Error,
    pub again: Again,
}

impl From<Error> for Setback {
    /// An error as such is final; those that may pass are made with their `Again` where they arise.
    fn from(error: Error) -> Setback {
        Setback { error, again: Again::Never }
    }
}

/// Runs `attempt` until it succeeds, fails for good, or the attempts are used up.
pub fn run<T>(mut attempt: impl FnMut() -> Result<T, Setback>) -> Result<T, Error> {
    let mut made = 1;
    loop {
        let setback = match attempt() {
            Ok(value) => return Ok(value),
            Err(setback) => setback,
        };
        match wait_before(setback.again, made) {
            Some(wait) => std::thread::sleep(wait),
            None => return Err(setback.error),
        }
        made += 1;
    }
}

/// The time to wait after `made` failed attempts, or `None` to give up.
pub fn wait_before(again: Again, made: u32) -> Option<Duration> {
    if made >= ATTEMPTS {
        return None;
    }
    match again {
        Again::Never => None,
        Again::Backoff => Some(FIRST_WAIT * 2u32.pow(made - 1)),
        Again::After(wait) => (wait <= LONGEST_WAIT).then_some(wait),
    }
}

/// How an answer with `status` may be retried: 429 and the 5xx that mean "not now". The date form
/// of `Retry-After` is treated as absent: no registry sends it.
pub fn after_status(status: StatusCode, headers: &HeaderMap) -> Again {
    if !matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504) {
        return Again::Never;
    }
    headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.trim().parse().ok())
        .map_or(Again::Backoff, |seconds| Again::After(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let waits: Vec<_> =
            (1..=ATTEMPTS).map(|made| wait_before(Again::Backoff, made).map(|wait| wait.as_millis())).collect();
        assert_eq!(waits, [Some(200), Some(400), Some(800), Some(1600), None]);
        assert_eq!(wait_before(Again::Never, 1), None);
    }

    #[test]
    fn quotas_are_not_waited_for() {
        let after = |seconds| wait_before(Again::After(Duration::from_secs(seconds)), 1);
        assert_eq!(after(2), Some(Duration::from_secs(2)));
        assert_eq!(after(3600), None);
    }

    #[test]
    fn retry_after_is_read() {
        let mut headers = HeaderMap::new();
        let at = |status, headers: &HeaderMap| after_status(StatusCode::from_u16(status).unwrap(), headers);
        assert_eq!(at(503, &headers), Again::Backoff);
        assert_eq!(at(404, &headers), Again::Never);
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(at(429, &headers), Again::After(Duration::from_secs(7)));
        headers.insert(header::RETRY_AFTER, "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap());
        assert_eq!(at(429, &headers), Again::Backoff);
    }
}
