//! `brig`, `brig help`, `brig --help` and the groups without a command: lists of commands. Also what is said about a command
//! that does not exist.

use super::{ENTRIES, GROUPS, find};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, help, suggest};
use crate::output;
use std::fmt::Write as _;

const COMMON: [&str; 8] = ["run", "exec", "ps", "pull", "images", "logs", "stop", "rm"];
const HIDDEN: &str = "hello-inside";
/// Docker's commands that brig does not have: they get an error of their own instead of a guess at a typing mistake.
const ABSENT: &[&str] = &[
    "build",
    "builder",
    "buildx",
    "checkpoint",
    "compose",
    "config",
    "context",
    "events",
    "info",
    "mount",
    "node",
    "plugin",
    "sbom",
    "secret",
    "service",
    "stack",
    "swarm",
    "trust",
    "unmount",
];

const GLOBALS: [Flag; 3] = [
    Flag::value("root", "string", "Directory for images, containers and volumes, before the command (also: BRIG_ROOT)")
        .default("\"/var/lib/brig\""),
    Flag::value("state", "string", "Directory for what is gone after a reboot, before the command (also: BRIG_STATE)")
        .default("\"/run/brig\""),
    Flag::switch("version", "Print version information and quit").short('v'),
];

/// Help for `words`, which are empty or begin with a word for help.
pub fn show(words: &[String]) -> Outcome {
    let about = words.get(1..).unwrap_or_default();
    match (about.first(), find(about)) {
        (None, _) => output::print(&overview()),
        (Some(_), Some((entry, _))) => output::print(&help::command(entry.command)),
        (Some(_), None) => unknown(about),
    }
}

/// A group without a command gets its list; anything else is an error with a guess.
pub fn unknown(words: &[String]) -> Outcome {
    let first = words.first().map_or("", String::as_str);
    let group = GROUPS.iter().find(|(name, _)| *name == first);
    match (group, words.get(1).map(String::as_str)) {
        (Some((name, about)), None | Some("--help" | "-h" | "help")) => output::print(&group_help(name, about)),
        (Some((name, _)), Some(second)) if ABSENT.contains(&second) => Err(Failure::message(format!(
            "brig {name} {second} is not supported yet\n\nRun 'brig {name} --help' for what there is"
        ))),
        (Some((name, _)), Some(second)) => {
            let verbs = verbs(name);
            let hint = near(second, verbs.iter().map(|(verb, _)| *verb), &format!("brig {name} "));
            Err(Failure::message(format!(
                "unknown command: brig {name} {second}{hint}\n\nRun 'brig {name} --help' for more information"
            )))
        }
        (None, _) if first.starts_with('-') => {
            Err(Failure::Message(format!("unknown flag: {first}\n\nRun 'brig --help' for more information"), 125))
        }
        (None, _) if ABSENT.contains(&first) => {
            Err(Failure::message(format!("brig {first} is not supported yet\n\nRun 'brig --help' for what there is")))
        }
        (None, _) => {
            let names = ENTRIES.iter().map(|entry| entry.command.name).chain(GROUPS.iter().map(|(name, _)| *name));
            let hint = near(first, names.filter(|name| !name.contains(' ') && *name != HIDDEN), "brig ");
            Err(Failure::message(format!(
                "unknown command: brig {first}{hint}\n\nRun 'brig --help' for more information"
            )))
        }
    }
}

fn near<'a>(typed: &str, names: impl Iterator<Item = &'a str>, prefix: &str) -> String {
    suggest::nearest(typed, names).map(|name| format!(" (did you mean '{prefix}{name}'?)")).unwrap_or_default()
}

fn overview() -> String {
    let mut text = String::from(
        "Usage:  brig [OPTIONS] COMMAND\n\nA container engine without a daemon: fast, locked, one file\n\nCommon Commands:\n",
    );
    let entries = |name: &str| {
        ENTRIES.iter().find(|entry| entry.command.name == name).map(|entry| (entry.command.name, entry.command.about))
    };
    list(&mut text, COMMON.iter().filter_map(|name| entries(name)).collect());
    text.push_str("\nManagement Commands:\n");
    list(&mut text, GROUPS.to_vec());
    text.push_str("\nCommands:\n");
    let rest = ENTRIES.iter().map(|entry| (entry.command.name, entry.command.about));
    let mut rest: Vec<_> =
        rest.filter(|(name, _)| !COMMON.contains(name) && !name.contains(' ') && *name != HIDDEN).collect();
    rest.sort_unstable();
    list(&mut text, rest);
    let _ = write!(text, "\nOptions:\n{}", help::options(GLOBALS.iter()));
    text.push_str(
        "\nExamples:\n  # See what a container looks like from inside; works without a network\n  brig run --rm --memory 100m --cpus 0.2 hello\n\n  # A shell in Debian\n  brig run --rm -it debian bash\n\nRun 'brig COMMAND --help' for more information on a command.\n",
    );
    text
}

fn group_help(group: &str, about: &str) -> String {
    let mut text = format!("Usage:  brig {group} COMMAND\n\n{about}\n\nCommands:\n");
    list(&mut text, verbs(group));
    let _ = write!(text, "\nRun 'brig {group} COMMAND --help' for more information on a command.\n");
    text
}

/// The commands of a group by their second word, each under its shortest name.
fn verbs(group: &str) -> Vec<(&'static str, &'static str)> {
    let mut verbs: Vec<(&str, &str)> = Vec::new();
    for entry in ENTRIES {
        let names = std::iter::once(entry.command.name).chain(entry.command.aliases.iter().copied());
        let own = names.filter_map(|name| name.strip_prefix(group)?.strip_prefix(' '));
        if let Some(verb) = own.min_by_key(|verb| verb.len()) {
            verbs.push((verb, entry.command.about));
        }
    }
    verbs.sort_unstable();
    verbs
}

fn list(text: &mut String, entries: Vec<(&str, &str)>) {
    for (name, about) in entries {
        let _ = writeln!(text, "  {name:<11} {about}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_guesses() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(
            unknown(&words("statr"))
                .unwrap_err()
                .text()
                .starts_with("unknown command: brig statr (did you mean 'brig start'?)")
        );
        assert!(unknown(&words("volume lss")).unwrap_err().text().contains("'brig volume ls'"));
        assert!(unknown(&words("swarm x")).unwrap_err().text().starts_with("brig swarm is not supported yet"));
        assert!(unknown(&words("image mount")).unwrap_err().text().starts_with("brig image mount is not"));
        assert_eq!(unknown(&words("--foo")).unwrap_err().exit_code(), 125);
        assert!(verbs("image").contains(&("rm", "Delete images")));
        assert!(overview().contains("\n  volume      Manage volumes\n"));
        assert!(!overview().contains(HIDDEN));
    }
}
