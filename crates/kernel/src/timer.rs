//! The clock and the timers for what is waited for, in nanoseconds since boot. Times that are shown
//! are `spec::Timestamp`'s.

use crate::{Context, Result};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Nanoseconds that only grow; for intervals.
pub fn monotonic_nanoseconds() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// A descriptor that becomes readable when the time set has come (timerfd_create(2)).
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    pub fn new() -> Result<Timer> {
        timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .during("make timer")
            .map(Timer)
    }

    /// Fires once, `delay` nanoseconds from now; 0 or less means at once.
    pub fn set(&self, delay: i64) -> Result<()> {
        let delay = delay.max(1);
        self.arm(Timespec { tv_sec: delay / 1_000_000_000, tv_nsec: (delay % 1_000_000_000) as _ })
    }

    pub fn stop(&self) -> Result<()> {
        self.arm(Timespec { tv_sec: 0, tv_nsec: 0 })
    }

    fn arm(&self, value: Timespec) -> Result<()> {
        let interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let new = Itimerspec { it_interval: interval, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &new).during("set timer").map(|_| ())
    }

    /// Forgets that it fired, so that it is no longer readable.
    pub fn acknowledge(&self) {
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
