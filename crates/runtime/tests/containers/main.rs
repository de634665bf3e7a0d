//! Real containers on a busybox root, one after the other in a process with one thread. Needs root and
//! busybox-static; says so and passes otherwise. `cargo test -p runtime --test containers -- WORD` runs those whose
//! name holds WORD.

mod attacks;
mod bench;
mod exec;
mod filesystem;
mod identity;
mod lifecycle;
mod sealed;
mod stage;

use std::panic::AssertUnwindSafe;

type Case = (&'static str, fn());

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    match filter.as_str() {
        "bench" => return bench::run(),
        "sealed" => return sealed::run(),
        _ => {}
    }
    if !stage::is_possible() {
        println!("skipped: needs root and a static /bin/busybox (apt install busybox-static)");
        return;
    }
    let groups: [&[Case]; 6] =
        [lifecycle::CASES, filesystem::CASES, identity::CASES, exec::CASES, attacks::CASES, sealed::CASES];
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, case) in groups.into_iter().flatten().filter(|(name, _)| name.contains(&filter)) {
        count += 1;
        let result = std::panic::catch_unwind(AssertUnwindSafe(case));
        println!("{name} ... {}", if result.is_ok() { "ok" } else { "FAILED" });
        if result.is_err() {
            failed.push(name);
        }
    }
    stage::check_nothing_is_left();
    println!("{count} cases, {} failed {failed:?}", failed.len());
    std::process::exit(i32::from(!failed.is_empty()));
}
