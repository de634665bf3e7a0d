//! The command line's grammar: what a command and a flag are, and one file per command that lists them.
//! `main.rs` looks the command up in the table of `command/mod.rs` and has `parse.rs` split the arguments; the command's file in
//! `command/` calls `read` of its flags file, which gives back a typed value. The tables are `static` data: starting a command
//! reads its own and no other, and help (`help.rs`) is drawn from the same rows that the parser reads.
//! What a flag's value means is in `value/`; nothing here talks to the engine's state.

pub mod access;
pub mod attach;
pub mod commit;
pub mod container;
pub mod container_prune;
pub mod cp;
pub mod create;
pub mod diff;
pub mod exec;
pub mod export;
pub mod hello_inside;
pub mod help;
pub mod history;
pub mod image;
pub mod image_check;
pub mod image_copy;
pub mod images;
pub mod import;
pub mod inspect;
pub mod kill;
pub mod limits;
pub mod load;
pub mod login;
pub mod logout;
pub mod logs;
pub mod manifest;
pub mod network;
pub mod parse;
pub mod pause;
pub mod ps;
pub mod pull;
pub mod push;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod save;
pub mod search;
pub mod shared;
pub mod start;
pub mod stats;
pub mod stop;
pub mod suggest;
pub mod system;
pub mod tag;
pub mod top;
pub mod unpause;
pub mod update;
pub mod value;
pub mod version;
pub mod volume;
pub mod wait;

pub use parse::Parsed;

/// One flag of one command.
pub struct Flag {
    /// Name after the two dashes.
    pub long: &'static str,
    /// Letter after the one dash.
    pub short: Option<char>,
    /// What follows the flag.
    pub takes: Takes,
    /// Description, one sentence without full stop as docker has them. A line break in it is kept.
    pub help: &'static str,
    /// Shown as `(default …)`; empty when the zero value says enough.
    pub default: &'static str,
}

/// Whether a flag takes a value, and the word that help shows for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No value, or `=true`/`=false` attached.
    Nothing,
    /// A value, attached or as the next argument; the word names its type.
    Value(&'static str),
}

impl Flag {
    /// A flag without value and without short form.
    pub const fn switch(long: &'static str, help: &'static str) -> Flag {
        Flag { long, short: None, takes: Takes::Nothing, help, default: "" }
    }

    /// A flag with a value of the type that `word` names in help.
    pub const fn value(long: &'static str, word: &'static str, help: &'static str) -> Flag {
        Flag { long, short: None, takes: Takes::Value(word), help, default: "" }
    }

    /// The same flag with a one-letter form.
    pub const fn short(self, letter: char) -> Flag {
        Flag { short: Some(letter), ..self }
    }

    /// The same flag with a default that help shows.
    pub const fn default(self, default: &'static str) -> Flag {
        Flag { default, ..self }
    }

    /// `-m, --memory` or `--cpus`: how errors name the flag.
    pub fn display(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }
}

/// How many positional arguments a command takes.
#[derive(Clone, Copy)]
pub struct Positional {
    /// At least this many.
    pub min: usize,
    /// At most this many.
    pub max: usize,
}

impl Positional {
    /// Takes none.
    pub const NONE: Positional = Positional { min: 0, max: 0 };
    /// Takes any number.
    pub const ANY: Positional = Positional { min: 0, max: usize::MAX };

    /// Takes exactly `count`.
    pub const fn exactly(count: usize) -> Positional {
        Positional { min: count, max: count }
    }

    /// Takes `count` or more.
    pub const fn at_least(count: usize) -> Positional {
        Positional { min: count, max: usize::MAX }
    }

    /// Takes between `min` and `max`.
    pub const fn between(min: usize, max: usize) -> Positional {
        Positional { min, max }
    }
}

/// One command: everything that help and the parser know about it.
pub struct Command {
    /// Words after `brig`: `run`, or `volume create`.
    pub name: &'static str,
    /// What follows the name on the usage line; several forms for `cp`.
    pub usage: &'static [&'static str],
    /// One line, as in the list of commands.
    pub about: &'static str,
    /// More lines, below the first one; may be empty.
    pub details: &'static str,
    /// Other names, whole: `container run`.
    pub aliases: &'static [&'static str],
    /// Lists of flags; several where commands share some.
    pub flags: &'static [&'static [Flag]],
    /// Docker's flags that brig does not have: they get an error of their own instead of a guess at a typing mistake.
    pub absent: &'static [&'static str],
    /// Number of positional arguments.
    pub positional: Positional,
    /// Whether flags end at the first positional argument, because what follows belongs to the container's command.
    pub flags_first: bool,
    /// Lines for the end of help.
    pub examples: &'static [Example],
}

/// One example in a command's help.
pub struct Example {
    /// What it does.
    pub about: &'static str,
    /// The command line.
    pub line: &'static str,
}

impl Command {
    /// All flags in the order of the tables.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().flat_map(|list| list.iter())
    }

    fn long(&self, name: &str) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.long == name)
    }

    fn letter(&self, letter: char) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.short == Some(letter))
    }

    /// A complaint about how the command was called.
    pub fn misuse(&'static self, message: impl Into<String>) -> Misuse {
        Misuse { command: self, message: message.into(), fault: Fault::Flag }
    }
}

/// A command line that is not well formed.
pub struct Misuse {
    /// The command that was called.
    pub command: &'static Command,
    /// What is wrong.
    pub message: String,
    /// What kind of mistake it is.
    pub fault: Fault,
}

/// The kinds of mistakes that docker tells apart by exit code and by whether it shows the usage line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A flag that does not exist or a value that is not of its type: usage and 125.
    Flag,
    /// Too many arguments or too few: usage and 1.
    Count,
    /// A flag and a value that are well formed, but the value means nothing to the command: 1.
    Meaning,
}

impl Misuse {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Flag => 125,
            Fault::Count | Fault::Meaning => 1,
        }
    }
}

impl std::fmt::Debug for Misuse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {} ({})", self.command.name, self.message, self.exit_code())
    }
}
