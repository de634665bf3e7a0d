//! The project's own checks: `cargo run -p xtask -- tidy`. Called by `./dev test`. Stands outside
//! the crate graph, depends on nothing, and reads the tree as text, so that it runs in a second
//! and its rules can be read next to the words that explain them.

mod layers;
mod manifest;
mod rules;
mod source;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    // The manifest's folder is known at compile time: the command works from any directory.
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace's folder");
    match command.as_str() {
        "tidy" => tidy::run(top),
        _ => {
            eprintln!("usage: cargo run -p xtask -- tidy");
            ExitCode::from(2)
        }
    }
}
