//! When to probe a container's health and what the answers mean: docker's rules, as a state
//! machine without clock, process or file. The monitor asks when it must act next, runs the probe
//! through exec, and tells what came out; it stores `health()` in the container's state.
//!
//! ```text
//!   starting ──success──▶ healthy ◀──success── unhealthy
//!      │                     │                     ▲
//!      └─ `retries` failures ┴─ in a row ──────────┘   (not counted in the start period)
//! ```
//! Times are nanoseconds of the monotonic clock; `Timestamp`s are only recorded.

use crate::record::ResolvedHealth;
use crate::state::{Health, HealthStatus, Probe};
use spec::Timestamp;

/// Docker keeps the last five probes and 4096 bytes of what each wrote.
const PROBES_KEPT: usize = 5;
pub const OUTPUT_MAX: usize = 4096;

/// What the monitor has to do next, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Start a probe.
    Probe(i64),
    /// Kill the probe that runs, and report `Outcome::TimedOut`.
    Timeout(i64),
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Exited(i32),
    TimedOut,
    /// It could not be started; the reason.
    NotStarted(String),
}

#[derive(Debug)]
pub struct Checker {
    config: ResolvedHealth,
    health: Health,
    container_started: i64,
    next_probe: i64,
    running: Option<Running>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    since: i64,
    since_wall: Timestamp,
}

impl Checker {
    /// For a container that starts at `now`; the first probe comes one interval later.
    pub fn new(config: ResolvedHealth, now: i64) -> Checker {
        let mut checker =
            Checker { config, health: Health::default(), container_started: now, next_probe: now, running: None };
        checker.schedule(now);
        checker
    }

    /// As `inspect` shows it.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What to do next; a time in the past means now.
    pub fn next_due(&self) -> Due {
        match self.running {
            Some(running) => Due::Timeout(running.since.saturating_add(self.config.timeout_nanoseconds)),
            None => Due::Probe(self.next_probe),
        }
    }

    /// The probe's process runs since `now`.
    pub fn started(&mut self, now: i64, wall: Timestamp) {
        self.running = Some(Running { since: now, since_wall: wall });
    }

    /// No probe now, the container is paused: try again an interval later.
    pub fn postponed(&mut self, now: i64) {
        self.schedule(now);
    }

    /// Takes the result of a probe. `Some`: the status has changed to this.
    pub fn finished(&mut self, outcome: Outcome, output: &[u8], now: i64, wall: Timestamp) -> Option<HealthStatus> {
        let running = self.running.take().unwrap_or(Running { since: now, since_wall: wall });
        let before = self.health.status;
        let healthy = outcome == Outcome::Exited(0);
        self.record(outcome, output, running.since_wall, wall);
        if healthy {
            self.health.failing_streak = 0;
            self.health.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || !self.in_start_period(running.since) {
            self.health.failing_streak = self.health.failing_streak.saturating_add(1);
            if self.health.failing_streak >= self.config.retries {
                self.health.status = HealthStatus::Unhealthy;
            }
        }
        self.schedule(now);
        (self.health.status != before).then_some(self.health.status)
    }

    fn record(&mut self, outcome: Outcome, output: &[u8], start: Timestamp, end: Timestamp) {
        let mut text = String::from_utf8_lossy(&output[..output.len().min(OUTPUT_MAX)]).into_owned();
        if output.len() > OUTPUT_MAX {
            text.push_str("...");
        }
        let (exit_code, output) = match outcome {
            Outcome::Exited(code) => (code, text),
            Outcome::NotStarted(reason) => (-1, reason),
            Outcome::TimedOut => {
                let limit = duration(self.config.timeout_nanoseconds);
                let separator = if text.is_empty() { "" } else { ": " };
                (-1, format!("Health check exceeded timeout ({limit}){separator}{text}"))
            }
        };
        let log = &mut self.health.log;
        log.push(Probe { start, end, exit_code, output });
        log.drain(..log.len().saturating_sub(PROBES_KEPT));
    }

    fn schedule(&mut self, now: i64) {
        let starting = self.health.status == HealthStatus::Starting && self.in_start_period(now);
        let interval = if starting { self.config.start_interval_nanoseconds } else { self.config.interval_nanoseconds };
        self.next_probe = now.saturating_add(interval);
    }

    fn in_start_period(&self, time: i64) -> bool {
        time.saturating_sub(self.container_started) < self.config.start_period_nanoseconds
    }
}

/// As Go prints a duration: `1m30s`, `1.5s`, `250ms`.
fn duration(nanoseconds: i64) -> String {
    let nanoseconds = nanoseconds.unsigned_abs();
    for (unit, name) in [(1, "ns"), (1_000, "µs"), (1_000_000, "ms")] {
        if nanoseconds < unit * 1000 {
            return format!("{}{name}", nanoseconds as f64 / unit as f64);
        }
    }
    let (minutes, rest) = (nanoseconds / 60_000_000_000, nanoseconds % 60_000_000_000);
    let seconds = rest as f64 / 1e9;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealthStatus::{Healthy, Starting, Unhealthy};

    const SECOND: i64 = 1_000_000_000;

    fn checker(start_period: i64) -> Checker {
        let config = ResolvedHealth {
            test: vec!["CMD".into(), "true".into()],
            interval_nanoseconds: 30 * SECOND,
            timeout_nanoseconds: 10 * SECOND,
            start_period_nanoseconds: start_period * SECOND,
            start_interval_nanoseconds: 5 * SECOND,
            retries: 3,
        };
        Checker::new(config, 1000 * SECOND)
    }

    /// Runs a probe that takes no time at `second` after the start.
    fn probe(checker: &mut Checker, second: i64, code: i32) -> Option<HealthStatus> {
        let now = (1000 + second) * SECOND;
        checker.started(now, Timestamp::EPOCH);
        checker.finished(Outcome::Exited(code), b"", now, Timestamp::EPOCH)
    }

    fn next(checker: &Checker) -> i64 {
        match checker.next_due() {
            Due::Probe(at) => at / SECOND - 1000,
            Due::Timeout(at) => -(at / SECOND - 1000),
        }
    }

    #[test]
    fn failures_in_a_row_make_unhealthy_and_one_success_heals() {
        let mut checker = checker(0);
        assert_eq!((checker.health().status, next(&checker)), (Starting, 30));
        assert_eq!(probe(&mut checker, 30, 1), None);
        assert_eq!(probe(&mut checker, 60, 1), None);
        assert_eq!(probe(&mut checker, 90, 0), Some(Healthy));
        assert_eq!(checker.health().failing_streak, 0);
        for (second, changed) in [(120, None), (150, None), (180, Some(Unhealthy)), (210, None)] {
            assert_eq!(probe(&mut checker, second, 7), changed);
        }
        assert_eq!(checker.health().failing_streak, 4);
        assert_eq!(checker.health().log.len(), 5);
        assert_eq!(checker.health().log[0].exit_code, 0);
        assert_eq!(probe(&mut checker, 240, 0), Some(Healthy));
        assert_eq!(next(&checker), 270);
    }

    #[test]
    fn the_start_period_forgives_until_the_first_success() {
        let mut checker = checker(60);
        assert_eq!(next(&checker), 5);
        for second in [5, 10, 15, 20] {
            assert_eq!(probe(&mut checker, second, 1), None);
        }
        assert_eq!((checker.health().failing_streak, next(&checker)), (0, 25));
        assert_eq!(probe(&mut checker, 25, 0), Some(Healthy));
        assert_eq!(next(&checker), 55);
        assert_eq!(probe(&mut checker, 55, 1), None);
        assert_eq!(checker.health().failing_streak, 1);
    }

    #[test]
    fn a_probe_counts_by_its_start_and_not_its_end() {
        let mut checker = checker(60);
        checker.started(1059 * SECOND, Timestamp::EPOCH);
        assert_eq!(next(&checker), -69);
        let end = Timestamp::from_seconds(9);
        checker.finished(Outcome::TimedOut, b"so far", 1069 * SECOND, end);
        assert_eq!(checker.health().failing_streak, 0);
        let probe = &checker.health().log[0];
        assert_eq!((probe.start, probe.end, probe.exit_code), (Timestamp::EPOCH, end, -1));
        assert_eq!(probe.output, "Health check exceeded timeout (10s): so far");
        assert_eq!(next(&checker), 99);
    }

    #[test]
    fn output_is_bounded_and_failures_to_start_are_told() {
        let mut checker = checker(0);
        checker.finished(Outcome::Exited(1), &[b'x'; 5000], 2000 * SECOND, Timestamp::EPOCH);
        checker.finished(Outcome::Exited(1), b"\xff", 2000 * SECOND, Timestamp::EPOCH);
        checker.finished(Outcome::NotStarted("no /bin/sh".into()), b"", 2000 * SECOND, Timestamp::EPOCH);
        let outputs: Vec<&str> = checker.health().log.iter().map(|probe| &probe.output[..]).collect();
        assert_eq!(outputs, [&format!("{}...", "x".repeat(OUTPUT_MAX))[..], "\u{fffd}", "no /bin/sh"]);
        assert_eq!(checker.health().status, Unhealthy);
    }

    #[test]
    fn postponing_changes_nothing_but_the_time() {
        let mut checker = checker(0);
        checker.postponed(1030 * SECOND);
        assert_eq!((next(&checker), checker.health()), (60, &Health::default()));
    }

    #[test]
    fn durations_as_go_prints_them() {
        for (nanoseconds, text) in [
            (5, "5ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }
}
