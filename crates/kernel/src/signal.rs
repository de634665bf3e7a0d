//! Signals: numbers and names (signal(7)), the mask, and signals read from a descriptor
//! (signalfd(2)) by our loops.

use crate::error::last_errno;
use crate::{Error, Result};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A signal number between 1 and 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// The first and last real-time signals that programs may use; the C library keeps 32 and 33.
const REALTIME_MIN: i32 = 34;
const REALTIME_MAX: i32 = 64;

/// Names of the standard signals without `SIG`, by number as on x86-64 and arm64.
const NAMES: [(i32, &str); 33] = [
    (libc::SIGHUP, "HUP"),
    (libc::SIGINT, "INT"),
    (libc::SIGQUIT, "QUIT"),
    (libc::SIGILL, "ILL"),
    (libc::SIGTRAP, "TRAP"),
    (libc::SIGABRT, "ABRT"),
    (libc::SIGBUS, "BUS"),
    (libc::SIGFPE, "FPE"),
    (libc::SIGKILL, "KILL"),
    (libc::SIGUSR1, "USR1"),
    (libc::SIGSEGV, "SEGV"),
    (libc::SIGUSR2, "USR2"),
    (libc::SIGPIPE, "PIPE"),
    (libc::SIGALRM, "ALRM"),
    (libc::SIGTERM, "TERM"),
    (libc::SIGSTKFLT, "STKFLT"),
    (libc::SIGCHLD, "CHLD"),
    (libc::SIGCONT, "CONT"),
    (libc::SIGSTOP, "STOP"),
    (libc::SIGTSTP, "TSTP"),
    (libc::SIGTTIN, "TTIN"),
    (libc::SIGTTOU, "TTOU"),
    (libc::SIGURG, "URG"),
    (libc::SIGXCPU, "XCPU"),
    (libc::SIGXFSZ, "XFSZ"),
    (libc::SIGVTALRM, "VTALRM"),
    (libc::SIGPROF, "PROF"),
    (libc::SIGWINCH, "WINCH"),
    (libc::SIGIO, "IO"),
    (libc::SIGPWR, "PWR"),
    (libc::SIGSYS, "SYS"),
    // Second names, found by `parse` only.
    (libc::SIGABRT, "IOT"),
    (libc::SIGIO, "POLL"),
];

impl Signal {
    pub const HUP: Signal = Signal(libc::SIGHUP);
    pub const INT: Signal = Signal(libc::SIGINT);
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    pub const KILL: Signal = Signal(libc::SIGKILL);
    pub const TERM: Signal = Signal(libc::SIGTERM);
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    pub const CONT: Signal = Signal(libc::SIGCONT);
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    pub const PIPE: Signal = Signal(libc::SIGPIPE);
    pub const WINCH: Signal = Signal(libc::SIGWINCH);
    pub const URG: Signal = Signal(libc::SIGURG);

    /// `None` outside 1 to 64.
    pub fn from_number(number: i32) -> Option<Signal> {
        (1..=REALTIME_MAX).contains(&number).then_some(Signal(number))
    }

    /// Understands `TERM`, `SIGTERM` (any case), `15`, `RTMIN`, `SIGRTMIN+3`, `RTMAX-1`.
    pub fn parse(text: &str) -> Option<Signal> {
        if let Ok(number) = text.parse::<i32>() {
            return Signal::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((number, _)) = NAMES.iter().find(|(_, n)| *n == name) {
            return Some(Signal(*number));
        }
        let number = if let Some(rest) = name.strip_prefix("RTMIN") {
            REALTIME_MIN + if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse::<u8>().ok()? as i32 }
        } else {
            let rest = name.strip_prefix("RTMAX")?;
            REALTIME_MAX - if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse::<u8>().ok()? as i32 }
        };
        (REALTIME_MIN..=REALTIME_MAX).contains(&number).then_some(Signal(number))
    }

    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => write!(f, "SIG{name}"),
            None if self.0 >= REALTIME_MIN => write!(f, "SIGRTMIN+{}", self.0 - REALTIME_MIN),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A set of signals for masks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    pub const EMPTY: SignalSet = SignalSet(0);
    pub const ALL: SignalSet = SignalSet(u64::MAX);

    pub fn of(signals: &[Signal]) -> SignalSet {
        SignalSet(signals.iter().fold(0, |set, signal| set | bit(*signal)))
    }

    pub fn with(self, signal: Signal) -> SignalSet {
        SignalSet(self.0 | bit(signal))
    }

    pub fn without(self, signals: &[Signal]) -> SignalSet {
        SignalSet(self.0 & !SignalSet::of(signals).0)
    }

    pub fn contains(self, signal: Signal) -> bool {
        self.0 & bit(signal) != 0
    }
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.0 - 1)
}

/// Replaces the calling thread's mask and returns the one before.
/// Speaks to the kernel directly: the C library would hide its two private signals.
pub fn set_mask(set: SignalSet) -> Result<SignalSet> {
    let mut before = 0u64;
    // SAFETY: both pointers are to eight bytes, the kernel's size of a signal set.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &set.0 as *const u64, &mut before as *mut u64, 8)
    };
    if result < 0 {
        return Err(Error::new("set signal mask", last_errno()));
    }
    Ok(SignalSet(before))
}

/// Ignores `signal` in this process and its children until they execve.
pub fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN is a valid disposition and the number is one the kernel knows.
    unsafe { libc::signal(signal.0, libc::SIG_IGN) };
}

/// Signals of `set` read as data; they must be blocked by `set_mask` first.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    pub fn new(set: SignalSet) -> Result<SignalFd> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the mask is eight bytes; -1 asks for a new descriptor.
        let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &set.0 as *const u64, 8usize, flags) };
        if fd < 0 {
            return Err(Error::new("make signal descriptor", last_errno()));
        }
        // SAFETY: the call has just returned this descriptor.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// The next pending signal, or `None`.
    pub fn read(&self) -> Option<Signal> {
        let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = std::mem::size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is exactly one signalfd_siginfo.
        let count = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if count != size as isize {
            return None;
        }
        // SAFETY: the kernel has filled the whole structure.
        Signal::from_number(unsafe { info.assume_init() }.ssi_signo as i32)
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_users_type() {
        for (text, number) in
            [("TERM", 15), ("sigterm", 15), ("9", 9), ("SIGRTMIN", 34), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("IOT", 6)]
        {
            assert_eq!(Signal::parse(text).map(Signal::number), Some(number), "{text}");
        }
        for text in ["", "0", "65", "-1", "SIG", "FOO", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMINX"] {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_come_back() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
        }
    }

    #[test]
    fn a_blocked_signal_is_read() {
        std::thread::spawn(|| {
            let set = SignalSet::of(&[Signal::URG]);
            set_mask(set).unwrap();
            let fd = SignalFd::new(set).unwrap();
            assert_eq!(fd.read(), None);
            // SAFETY: sends SIGURG to this thread, where it is blocked.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGURG) };
            assert_eq!(fd.read(), Some(Signal::URG));
        })
        .join()
        .unwrap();
    }
}
