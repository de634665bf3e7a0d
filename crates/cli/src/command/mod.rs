//! The commands: a file each, thin, from flags to the engine and from its answer to text. The table below joins a command's
//! words and flags with the function that runs it.

mod attach;
mod budget;
mod commit;
mod containers;
mod cp;
mod create;
mod diff;
mod each;
mod exec;
mod export;
mod hello_inside;
pub mod help;
mod history;
mod image;
mod image_check;
mod image_copy;
mod images;
mod images_tree;
mod import;
mod inspect;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod manifest;
mod network;
mod pause;
mod prune;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod stats;
mod stop;
mod system;
mod tag;
mod top;
mod update;
pub mod version;
mod volume;
mod wait;

use crate::failure::Outcome;
use crate::flags::{self, Command, Parsed};
use crate::globals::Place;

/// A command and what runs it.
pub struct Entry {
    pub command: &'static Command,
    pub run: fn(&Place, Parsed) -> Outcome,
}

macro_rules! entries {
    ($($command:path => $run:path,)*) => {
        &[$(Entry { command: &$command, run: $run },)*]
    };
}

/// All commands; help lists them in the order of their names.
pub static ENTRIES: &[Entry] = entries! {
    flags::run::COMMAND => run::run,
    flags::exec::COMMAND => exec::run,
    flags::ps::COMMAND => ps::run,
    flags::start::COMMAND => start::run,
    flags::stop::COMMAND => stop::run,
    flags::rm::COMMAND => rm::run,
    flags::create::COMMAND => create::run,
    flags::attach::COMMAND => attach::run,
    flags::commit::COMMAND => commit::run,
    flags::cp::COMMAND => cp::run,
    flags::diff::COMMAND => diff::run,
    flags::export::COMMAND => export::run,
    flags::hello_inside::COMMAND => hello_inside::run,
    flags::history::COMMAND => history::run,
    flags::image::PRUNE => image::prune,
    flags::image_check::COMMAND => image_check::run,
    flags::image_copy::COMMAND => image_copy::run,
    flags::image::TREE => image::tree,
    flags::image::UNTAG => image::untag,
    flags::images::COMMAND => images::run,
    flags::import::COMMAND => import::run,
    flags::inspect::COMMAND => inspect::run,
    flags::inspect::CONTAINER => inspect::container,
    flags::inspect::IMAGE => inspect::image,
    flags::inspect::VOLUME => inspect::volume,
    flags::kill::COMMAND => kill::run,
    flags::load::COMMAND => load::run,
    flags::login::COMMAND => login::run,
    flags::logout::COMMAND => logout::run,
    flags::logs::COMMAND => logs::run,
    flags::manifest::ADD => manifest::add,
    flags::manifest::ANNOTATE => manifest::annotate,
    flags::manifest::CREATE => manifest::create,
    flags::manifest::INSPECT => manifest::inspect,
    flags::manifest::PUSH => manifest::push,
    flags::manifest::RM => manifest::rm,
    flags::network::CONNECT => network::connect,
    flags::network::CREATE => network::create,
    flags::network::DISCONNECT => network::disconnect,
    flags::inspect::NETWORK => inspect::network,
    flags::network::LS => network::ls,
    flags::network::PRUNE => network::prune,
    flags::network::RELOAD => network::reload,
    flags::network::RM => network::rm,
    flags::pause::COMMAND => pause::run,
    flags::network::PORT => network::port,
    flags::unpause::COMMAND => pause::undo,
    flags::container_prune::COMMAND => prune::run,
    flags::pull::COMMAND => pull::run,
    flags::push::COMMAND => push::run,
    flags::rename::COMMAND => rename::run,
    flags::restart::COMMAND => restart::run,
    flags::rmi::COMMAND => rmi::run,
    flags::save::COMMAND => save::run,
    flags::search::COMMAND => search::run,
    flags::stats::COMMAND => stats::run,
    flags::system::DF => system::df,
    flags::system::PRUNE => system::prune,
    flags::tag::COMMAND => tag::run,
    flags::top::COMMAND => top::run,
    flags::update::COMMAND => update::run,
    flags::version::COMMAND => version::run,
    flags::volume::CREATE => volume::create,
    flags::volume::LS => volume::ls,
    flags::volume::RM => volume::rm,
    flags::volume::PRUNE => volume::prune,
    flags::wait::COMMAND => wait::run,
};

/// The words that only say which kind of object is meant.
pub const GROUPS: [(&str, &str); 6] = [
    ("container", "Manage containers"),
    ("image", "Manage images"),
    ("manifest", "Manage lists of images for several platforms"),
    ("network", "Manage networks"),
    ("system", "Manage what brig takes on the disk"),
    ("volume", "Manage volumes"),
];

/// The command that `words` begin with, and how many of them name it.
pub fn find(words: &[String]) -> Option<(&'static Entry, usize)> {
    let first = words.first()?;
    let is_group = GROUPS.iter().any(|(group, _)| group == first);
    let (name, used) = match words.get(1) {
        Some(second) if is_group => (format!("{first} {second}"), 2),
        _ => (first.clone(), 1),
    };
    let named = |entry: &&Entry| entry.command.name == name || entry.command.aliases.contains(&name.as_str());
    ENTRIES.iter().find(named).map(|entry| (entry, used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_lead_to_commands() {
        let found = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            find(&words).map(|(entry, used)| (entry.command.name, used))
        };
        assert_eq!(found("ps -a"), Some(("ps", 1)));
        assert_eq!(found("container ls -a"), Some(("ps", 2)));
        assert_eq!(found("image rm x"), Some(("rmi", 2)));
        assert_eq!(found("volume ls"), Some(("volume ls", 2)));
        assert_eq!(found("container foo"), None);
        assert_eq!(found("container"), None);
    }

    #[test]
    fn tables_are_sound() {
        let mut names = BTreeSet::new();
        for entry in ENTRIES {
            let command = entry.command;
            assert!(names.insert(command.name), "{} twice", command.name);
            for alias in command.aliases {
                assert!(names.insert(alias), "{alias} twice");
            }
            assert!(!command.examples.is_empty(), "{} has no example", command.name);
            let mut flags = BTreeSet::new();
            for flag in command.flags() {
                assert!(flags.insert(flag.long.to_owned()), "{}: --{} twice", command.name, flag.long);
                assert!(
                    flag.short.is_none_or(|letter| flags.insert(letter.to_string())),
                    "{}: -{:?} twice",
                    command.name,
                    flag.short
                );
                assert!(!flag.help.ends_with('.') && !flag.help.is_empty(), "{}: --{}", command.name, flag.long);
            }
            assert!(command.absent.iter().all(|name| !flags.contains(*name)), "{}: present and absent", command.name);
        }
    }
}
