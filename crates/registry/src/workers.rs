//! Several transfers at once: threads that take the next item until there are none or one has failed, and tell
//! the caller's thread how far they are, so that its callback need not be `Send`. `layers`, `push` and `copy` use it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};

use crate::Error;

/// Transfers at once unless told otherwise: as docker. More only share the same line.
const AT_ONCE: usize = 3;

/// What a thread has to say while it works.
pub struct Reporter<'a, E> {
    events: Sender<E>,
    stop: &'a AtomicBool,
}

impl<E> Reporter<'_, E> {
    /// The receiver lives as long as the scope: sending cannot fail in a way that matters.
    pub fn report(&self, event: E) {
        let _ = self.events.send(event);
    }

    /// Another item has failed: nobody wants this one any more.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Works on all `items`, at most `at_once` at a time; the results are in the order of the items. The first failure
/// stops the others and is what the caller gets.
pub fn run<T: Sync, E: Send, R: Send>(
    items: &[T],
    at_once: Option<NonZeroUsize>,
    work: impl Fn(&T, &Reporter<'_, E>) -> Result<R, Error> + Sync,
    mut event: impl FnMut(E),
) -> Result<Vec<R>, Error> {
    let at_once = at_once.map_or(AT_ONCE, NonZeroUsize::get).min(items.len());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let (sender, events) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            let reporter = Reporter { events: sender.clone(), stop: &stop };
            let (next, failure, results, work) = (&next, &failure, &results, &work);
            scope.spawn(move || {
                while !reporter.is_stopped() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    match work(item, &reporter) {
                        Ok(result) => results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result),
                        // Those stopped because of this one fail too, and are not heard.
                        Err(error) if !reporter.stop.swap(true, Ordering::Relaxed) => {
                            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                        Err(_) => {}
                    }
                }
            });
        }
        // The channel ends when the last thread does.
        drop(sender);
        for one in events {
            event(one);
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        let items: Vec<usize> = (0..50).collect();
        let mut heard = 0;
        let work = |item: &usize, reporter: &Reporter<'_, usize>| {
            reporter.report(*item);
            Ok(item * 2)
        };
        let results = run(&items, None, work, |_| heard += 1).unwrap();
        assert_eq!(results, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(heard, 50);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let work = |item: &u32, reporter: &Reporter<'_, ()>| {
            if *item == 3 {
                return Err(Error::Unsupported { what: "three".to_owned(), cause: String::new() });
            }
            while *item > 3 && !reporter.is_stopped() {
                std::thread::yield_now();
            }
            Ok(())
        };
        let error = run(&[1, 2, 3, 4, 5, 6, 7, 8], None, work, |()| ()).unwrap_err();
        assert!(error.to_string().contains("three"), "{error}");
    }
}
