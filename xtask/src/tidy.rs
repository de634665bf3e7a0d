//! Applies the rules to the tree and prints what breaks them, each with the line, what to write
//! instead and why. Line rules are data in `rules.rs`; here stand the rules for whole files,
//! manifests and the tree. Reads only what is under version control's top, without `target`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::layers::{ARCHITECTURE_LINES_MAX, FILE_LINES_MAX, LAYERS, LOCKED_PACKAGES_MAX, OWNERS};
use crate::manifest;
use crate::rules::{RULES, broken};
use crate::source::Source;

/// Something that breaks a rule.
#[derive(Debug)]
struct Finding {
    /// `path` or `path:line`.
    place: String,
    rule: &'static str,
    bad: String,
    good: String,
    why: &'static str,
}

/// A text file of the tree, relative to its top.
struct Text {
    path: String,
    text: String,
}

/// Checks the tree at `top`, prints the findings and reports success when there are none.
pub fn run(top: &Path) -> ExitCode {
    let mut files = Vec::new();
    collect(top, "", &mut files);
    let findings = check(&files);
    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.rule);
        eprintln!("    BAD   {}\n    GOOD  {}\n    why   {}", finding.bad, finding.good, finding.why);
    }
    if findings.is_empty() {
        println!("tidy: {} files, no findings", files.len());
        return ExitCode::SUCCESS;
    }
    eprintln!("tidy: {} findings in {} files", findings.len(), files.len());
    ExitCode::FAILURE
}

/// Reads every text file below `top`/`under`; what is not UTF-8 is no text and no concern.
fn collect(top: &Path, under: &str, files: &mut Vec<Text>) {
    let Ok(entries) = fs::read_dir(top.join(under)) else {
        return;
    };
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        let path = if under.is_empty() { name.clone() } else { format!("{under}/{name}") };
        let full = top.join(&path);
        if full.is_symlink() || matches!(name.as_str(), ".git" | "target") {
            continue;
        } else if full.is_dir() {
            collect(top, &path, files);
        } else if let Ok(text) = fs::read_to_string(&full) {
            files.push(Text { path, text });
        }
    }
}

fn check(files: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if file.path.ends_with(".rs") && !file.path.starts_with("fuzz/") {
            let source = Source::new(&file.path, &file.text);
            lines(&source, &mut findings);
            whole_file(&source, &mut findings);
        }
        if file.path.ends_with("Cargo.toml") {
            edges(file, &mut findings);
        }
        hosts(file, &mut findings);
        commands(file, &mut findings);
    }
    ratchets(files, &mut findings);
    findings
}

fn lines(source: &Source, findings: &mut Vec<Finding>) {
    for rule in RULES.iter().filter(|rule| (rule.holds)(source) && !rule.except.contains(&source.path.as_str())) {
        for line in &source.lines {
            if broken(rule, line).is_some() {
                findings.push(Finding {
                    place: format!("{}:{}", source.path, line.number),
                    rule: rule.name,
                    bad: source.text.lines().nth(line.number - 1).unwrap_or_default().trim().to_owned(),
                    good: rule.good.to_owned(),
                    why: rule.why,
                });
            }
        }
    }
}

/// Names that say nothing: whatever is in such a file has a better home.
const EMPTY_NAMES: &[&str] = &["common", "core", "helper", "helpers", "manager", "misc", "types", "util", "utils"];

fn whole_file(source: &Source, findings: &mut Vec<Finding>) {
    let stem = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let folder = source.path.rsplit('/').nth(1).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) || EMPTY_NAMES.contains(&folder) {
        findings.push(Finding {
            place: source.path.clone(),
            rule: "empty-module-name",
            bad: format!("a module called `{}`", if EMPTY_NAMES.contains(&stem) { stem } else { folder }),
            good: "the name that a man page or a user has for the thing".to_owned(),
            why: "a name that excludes nothing collects everything",
        });
    }
    let count = source.text.lines().count();
    if count > FILE_LINES_MAX {
        findings.push(Finding {
            place: source.path.clone(),
            rule: "long-file",
            bad: format!("{count} lines"),
            good: format!("two files with a subject each, both below {FILE_LINES_MAX} lines"),
            why: "a file is read in one sitting",
        });
    }
    if source.path.starts_with("crates/") && !source.text.starts_with("//!") {
        findings.push(Finding {
            place: format!("{}:1", source.path),
            rule: "no-opening-words",
            bad: source.text.lines().next().unwrap_or_default().to_owned(),
            good: "//! What the file is for, who calls it, what it leaves out (two to five sentences)".to_owned(),
            why: "a stranger decides by these lines whether to read on",
        });
    }
}

/// Crate edges and owners of heavy packages, read from one manifest.
fn edges(file: &Text, findings: &mut Vec<Finding>) {
    let folder = file.path.trim_end_matches("Cargo.toml").trim_end_matches('/');
    let name = folder.strip_prefix("crates/").unwrap_or(folder);
    if !folder.starts_with("crates/") && folder != "xtask" {
        return;
    }
    let mut find = |rule, bad: String, good: String, why| {
        findings.push(Finding { place: file.path.clone(), rule, bad, good, why });
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
        return find(
            "unknown-crate",
            format!("crate `{name}`"),
            "a line for it in xtask/src/layers.rs, at its level, and in ARCHITECTURE.md".to_owned(),
            "a crate is a decision about who may use whom",
        );
    };
    for used in manifest::dependencies(&file.text, "dependencies") {
        if LAYERS.iter().any(|other| other.name == used) && !layer.may_use.contains(&used.as_str()) {
            find(
                "crate-edge",
                format!("{name} → {used}"),
                format!("{name} uses only: {}", layer.may_use.join(", ")),
                "a crate uses lower levels only and siblings do not know each other",
            );
        }
        let owners = OWNERS.iter().find(|(package, _)| *package == used).map(|(_, owners)| *owners);
        if owners.is_some_and(|owners| !owners.contains(&name)) {
            find(
                "package-owner",
                format!("{name} → {used}"),
                format!("what it does, offered by: {}", owners.unwrap_or_default().join(", ")),
                "a heavy package is confined to a crate, so that it can be replaced and is not linked into `run`'s path twice",
            );
        }
    }
}

/// Hosts of package indexes and mirrors: which one a machine uses is that machine's setting.
const HOSTS: &[&str] = &[
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("deb.debian", ".org"),
    concat!("archive.ubuntu", ".com"),
    concat!("proxy.golang", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("files.pythonhosted", ".org"),
];

fn hosts(file: &Text, findings: &mut Vec<Finding>) {
    for (index, line) in file.text.lines().enumerate() {
        if HOSTS.iter().any(|host| line.contains(host)) {
            findings.push(Finding {
                place: format!("{}:{}", file.path, index + 1),
                rule: "package-host",
                bad: line.trim().to_owned(),
                good: "the package's name; apt and cargo know where they get it".to_owned(),
                why: "the tree builds behind any mirror",
            });
        }
    }
}

/// Each command's flags, help and example stand together in `flags/<command>.rs`.
fn commands(file: &Text, findings: &mut Vec<Finding>) {
    let is_flags =
        file.path.starts_with("crates/cli/src/flags/") && file.text.contains("pub static COMMAND: Command = Command {");
    if is_flags && !file.text.contains("Example {") {
        findings.push(Finding {
            place: file.path.clone(),
            rule: "command-without-example",
            bad: "a command whose help has no example".to_owned(),
            good: "examples: &[Example { about: \"…\", line: \"brig … that can be pasted\" }]".to_owned(),
            why: "help is the first documentation that anybody reads",
        });
    }
}

/// Figures that may only fall.
fn ratchets(files: &[Text], findings: &mut Vec<Finding>) {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let figures = [
        ("Cargo.lock", "locked-packages", text("Cargo.lock").map(manifest::locked_packages), LOCKED_PACKAGES_MAX),
        ("ARCHITECTURE.md", "long-map", text("ARCHITECTURE.md").map(|it| it.lines().count()), ARCHITECTURE_LINES_MAX),
    ];
    for (path, rule, figure, limit) in figures {
        let bad = match figure {
            None => "the file is missing".to_owned(),
            Some(figure) if figure > limit => format!("{figure}, and the limit is {limit}"),
            Some(_) => continue,
        };
        findings.push(Finding {
            place: path.to_owned(),
            rule,
            bad,
            good: format!("at most {limit}; the limit stands in xtask/src/layers.rs"),
            why: "what grows a little each week is never found in a review",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules broken by a tree of these files, apart from the ratchets on files that it lacks.
    fn check_tree(tree: &[(&str, &str)], expected: &[&str]) {
        let mut files: Vec<Text> =
            tree.iter().map(|(path, text)| Text { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
        for path in ["Cargo.lock", "ARCHITECTURE.md"] {
            if !tree.iter().any(|(given, _)| *given == path) {
                files.push(Text { path: path.to_owned(), text: String::new() });
            }
        }
        let found: Vec<&str> = check(&files).iter().map(|finding| finding.rule).collect();
        assert_eq!(found, expected, "{tree:?}");
    }

    #[test]
    fn a_good_tree_has_no_findings() {
        check_tree(
            &[
                ("crates/kernel/src/mount.rs", "//! Mounts.\nfn f() {}\n"),
                ("crates/kernel/Cargo.toml", "[dependencies]\nlibc.workspace = true\n"),
            ],
            &[],
        );
    }

    #[test]
    fn files_are_checked() {
        check_tree(&[("crates/spec/src/utils.rs", "//! Odds.\n")], &["empty-module-name"]);
        check_tree(&[("crates/spec/src/utils/mod.rs", "//! Odds.\n")], &["empty-module-name"]);
        check_tree(&[("crates/spec/src/a.rs", "fn a() {}\n")], &["no-opening-words"]);
        let long = format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX));
        check_tree(&[("crates/spec/src/a.rs", &long)], &["long-file"]);
    }

    #[test]
    fn manifests_are_checked() {
        check_tree(&[("crates/spec/Cargo.toml", "[dependencies]\nkernel.workspace = true\n")], &["crate-edge"]);
        check_tree(&[("crates/runtime/Cargo.toml", "[dependencies]\nimage.workspace = true\n")], &["crate-edge"]);
        check_tree(&[("crates/spec/Cargo.toml", "[dependencies]\nlibc = \"0.2\"\n")], &["package-owner"]);
        check_tree(&[("crates/spec/Cargo.toml", "[dev-dependencies]\nlibc = \"0.2\"\n")], &[]);
        check_tree(&[("crates/odds/Cargo.toml", "[dependencies]\n")], &["unknown-crate"]);
    }

    #[test]
    fn commands_need_an_example() {
        let table = "//! run\npub static COMMAND: Command = Command {\n";
        check_tree(&[("crates/cli/src/flags/run.rs", table)], &["command-without-example"]);
        let with_example = format!("{table}examples: &[Example {{ about: \"\" }}]\n");
        check_tree(&[("crates/cli/src/flags/run.rs", &with_example)], &[]);
    }

    #[test]
    fn hosts_and_ratchets_are_checked() {
        check_tree(&[("docs/a.md", concat!("see deb.debian", ".org"))], &["package-host"]);
        let lock = "[[package]]\n".repeat(LOCKED_PACKAGES_MAX + 1);
        check_tree(&[("Cargo.lock", &lock)], &["locked-packages"]);
        check_tree(&[("ARCHITECTURE.md", &"\n".repeat(ARCHITECTURE_LINES_MAX + 1))], &["long-map"]);
    }
}
