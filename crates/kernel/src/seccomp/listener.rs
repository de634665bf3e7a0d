//! Filters that ask somebody (seccomp_unotify(2), Linux 5.0): loading one gives a listener, which has to reach whoever
//! decides although the filter is in force already. For containers of `brig runtime` with SCMP_ACT_NOTIFY alone.

use super::load::{Flags, apply};
use super::program::Program;
use crate::error::{Context, Error, Result};
use rustix::io::Errno;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

/// As [`super::load`], and hands `deliver` the listener of the filter, on which the calls that are to be asked about arrive
/// (seccomp_unotify(2)). From then on any call of this thread may be one of them, the delivery's own too: so a thread
/// of its own, which the filter does not cover, delivers, while this one waits without a call. `EBUSY` where a filter
/// with a listener is there already. Where `deliver` fails, so does this, with the filter loaded.
pub fn load_with_listener(
    program: &Program,
    flags: Flags,
    deliver: impl FnOnce(OwnedFd) -> Result<()> + Send + 'static,
) -> Result<()> {
    const NOT_YET: i32 = -1;
    const FAILED: i32 = -2;
    let loaded = Arc::new((AtomicI32::new(NOT_YET), Mutex::new(None)));
    let theirs = Arc::clone(&loaded);
    let courier = std::thread::Builder::new().spawn(move || {
        let number = loop {
            match theirs.0.load(Ordering::Acquire) {
                NOT_YET => std::thread::yield_now(),
                FAILED => return,
                number => break number,
            }
        };
        // SAFETY: the number is the listener's, which nobody else owns; made by the thread that waits for us.
        let delivered = deliver(unsafe { OwnedFd::from_raw_fd(number) });
        // Never contended: the other side only looks when told to.
        if let Ok(mut slot) = theirs.1.lock() {
            *slot = Some(delivered);
        }
        theirs.0.store(DELIVERED, Ordering::Release);
    });
    // A limit of processes may leave no room for it. Its end would be waited for with a call.
    std::mem::forget(courier.during("make a thread that delivers the seccomp listener")?);
    match apply(program, flags.0 | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32) {
        Err(error) => {
            loaded.0.store(FAILED, Ordering::Release);
            Err(error)
        }
        Ok(number) => {
            loaded.0.store(number as i32, Ordering::Release);
            while loaded.0.load(Ordering::Acquire) != DELIVERED {
                std::hint::spin_loop();
            }
            let delivered = loaded.1.lock().ok().and_then(|mut slot| slot.take());
            delivered.unwrap_or_else(|| Err(Error::new("deliver the seccomp listener", Errno::PIPE)))
        }
    }
}

const DELIVERED: i32 = -3;
