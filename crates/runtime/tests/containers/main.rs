//! Real containers on a busybox root, one after the other in a process with one thread. Needs root and
//! busybox-static; says so and passes otherwise. `cargo test -p runtime --test containers -- WORD` runs those whose
//! name holds WORD, `--skip WORD` all but those; other options of the usual harness are let pass.

mod attacks;
mod attributes;
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
    let (filter, skipped) = words(std::env::args().skip(1));
    match filter.as_str() {
        "bench" => return bench::run(),
        "sealed" => return sealed::run(),
        _ => {}
    }
    if !stage::is_possible() {
        println!("skipped: needs root and a static /bin/busybox (apt install busybox-static)");
        return;
    }
    let groups: [&[Case]; 7] = [
        lifecycle::CASES,
        filesystem::CASES,
        identity::CASES,
        attributes::CASES,
        exec::CASES,
        attacks::CASES,
        sealed::CASES,
    ];
    let mut failed = Vec::new();
    let mut count = 0;
    let is_chosen = |name: &str| name.contains(&filter) && !skipped.iter().any(|word| name.contains(word));
    for (name, case) in groups.into_iter().flatten().filter(|(name, _)| is_chosen(name)) {
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

/// The word to look for, empty for all, and those to leave out.
fn words(mut arguments: impl Iterator<Item = String>) -> (String, Vec<String>) {
    let (mut filter, mut skipped) = (String::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        if let Some(word) = argument.strip_prefix("--skip=") {
            skipped.push(word.to_owned());
        } else if argument == "--skip" {
            skipped.extend(arguments.next());
        } else if !argument.starts_with('-') && filter.is_empty() {
            filter = argument;
        }
    }
    (filter, skipped)
}
