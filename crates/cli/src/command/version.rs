//! `brig version` and `brig --version`.
//! There is no server, so there is one version.

use crate::failure::Outcome;
use crate::flags;
use crate::globals::Place;
use crate::output;
use serde_json::{Value, json};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `brig --version`.
pub fn short() -> Outcome {
    output::print(&format!("brig version {VERSION}\n"))
}

/// `brig version`. There is no server; docker's two halves are the same program here.
pub fn run(_place: &Place, parsed: flags::Parsed) -> Outcome {
    let half = json!({ "Version": VERSION, "Os": "linux", "Arch": architecture() });
    let version = json!({ "Version": VERSION, "Os": "linux", "Arch": architecture(), "Client": half, "Server": half });
    match flags::version::read(&parsed).filter(|format| !format.is_empty()) {
        None => output::print(&format!("Version:  {VERSION}\nOS/Arch:  linux/{}\n", architecture())),
        Some(format) if format == "json" => output::print(&format!("{version}\n")),
        Some(format) => {
            output::print(&output::inspect::render(std::slice::from_ref::<Value>(&version), Some(&format))?)
        }
    }
}

/// As Go and images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
