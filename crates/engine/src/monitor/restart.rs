//! The restart policy: whether an exit is followed by another start, and after how long.

use crate::options::Restart;

const SECOND: i64 = 1_000_000_000;
const DELAY_FIRST: i64 = SECOND / 10;
const DELAY_MAX: i64 = 60 * SECOND;
/// A run of this length counts as a success: the next delay is the first one again.
const SETTLED: i64 = 10 * SECOND;

/// The delay doubles from 100 ms to a minute while runs stay short.
#[derive(Debug)]
pub struct BackOff(i64);

impl BackOff {
    pub fn new() -> BackOff {
        BackOff(0)
    }

    /// Nanoseconds to wait after a run of `duration` nanoseconds.
    pub fn next(&mut self, duration: i64) -> i64 {
        self.0 = if self.0 == 0 || duration >= SETTLED { DELAY_FIRST } else { (self.0 * 2).min(DELAY_MAX) };
        self.0
    }
}

/// Whether an exit with `code` is followed by a start, `restarts` having been made before.
pub fn is_due(policy: Restart, code: i32, restarts: u32) -> bool {
    match policy {
        Restart::No => false,
        Restart::Always | Restart::UnlessStopped => true,
        Restart::OnFailure { maximum_retries } => code != 0 && (maximum_retries == 0 || restarts < maximum_retries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_settle() {
        let mut back_off = BackOff::new();
        let delays: Vec<i64> = (0..12).map(|_| back_off.next(SECOND) / (SECOND / 10)).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(back_off.next(SETTLED), DELAY_FIRST);
    }

    #[test]
    fn policies() {
        let failing = Restart::OnFailure { maximum_retries: 2 };
        assert!(!is_due(Restart::No, 1, 0));
        assert!(is_due(Restart::Always, 0, 9));
        assert!(is_due(failing, 1, 1) && !is_due(failing, 1, 2) && !is_due(failing, 0, 0));
        assert!(is_due(Restart::OnFailure { maximum_retries: 0 }, 1, 1000));
    }
}
