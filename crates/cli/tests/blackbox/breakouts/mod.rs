//! Ways out of a container that once worked, in whatever engine: each attacks as the original did, and the host stays as
//! it was. Races are run against a thread of ours that swaps a directory for a link without pause, much faster than any
//! container could; the rounds are counted, and `./dev test-all` makes many more.

mod copying;
mod descriptors;
mod executable;
mod identity;
mod pseudo;
mod races;
mod swap;

/// Rounds of a race: quick every day, many when time is no matter.
fn rounds(quick: u32) -> u32 {
    if std::env::var_os("BRIG_TEST_SLOW").is_some() { quick * 30 } else { quick }
}
