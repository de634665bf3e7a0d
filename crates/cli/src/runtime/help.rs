//! The help of `brig runtime`, laid out as runc's: what it is, how it is called, its commands or flags.

use crate::runtime::commands;
use crate::runtime::parse::{Command, Flag, Kind, Order};
use std::fmt::Write;

/// Of one command, for `program` (`runc`, `brig-runtime`).
pub fn command(program: &str, command: &Command) -> String {
    let name = format!("{program} {}", command.name);
    let mut text = format!("NAME:\n   {name} - {}\n\nUSAGE:\n   {name}", command.summary);
    if !command.flags.is_empty() {
        text.push_str(" [command options]");
    }
    if !command.arguments.is_empty() {
        let _ = write!(text, " {}", command.arguments);
    }
    text.push('\n');
    if !command.description.is_empty() {
        let _ = write!(text, "\nDESCRIPTION:\n   {}\n", command.description);
    }
    if command.order == Order::FlagsFirst {
        text.push_str("   Flags come before the container's name.\n");
    }
    if !command.flags.is_empty() {
        let _ = write!(text, "\nOPTIONS:\n{}   \n", flags(command.flags));
    }
    text
}

/// Of the whole program.
pub fn program(program: &str, version: &str) -> String {
    let mut text = format!(
        "NAME:\n   {program} - Open Container Initiative runtime\n\n\
         Runs containers from bundles: directories with a config.json and a root file system. It keeps no daemon; its\n\
         state is files below the directory of --root.\n\n\
         USAGE:\n   {program} [global options] command [command options] [arguments...]\n\n\
         VERSION:\n   {version}\n\nCOMMANDS:\n"
    );
    let width = commands::ALL.iter().map(|command| command.name.len()).max().unwrap_or(0);
    for command in commands::ALL {
        let _ = writeln!(text, "   {:width$}  {}", command.name, command.summary);
    }
    let _ = writeln!(text, "   {:width$}  show the commands, or the help of one", "help, h");
    let _ = write!(text, "\nGLOBAL OPTIONS:\n{}", flags(commands::GLOBALS));
    text
}

fn flags(flags: &[Flag]) -> String {
    let shown: Vec<(String, String)> =
        flags.iter().filter(|flag| flag.kind != Kind::Hidden).map(|flag| (names(flag), help(flag))).collect();
    let width = shown.iter().map(|(names, _)| names.len()).max().unwrap_or(0);
    shown.iter().fold(String::new(), |mut text, (names, help)| {
        let _ = writeln!(text, "   {names:width$}  {help}");
        text
    })
}

fn names(flag: &Flag) -> String {
    let value = if flag.kind == Kind::Switch { "" } else { " value" };
    match flag.short {
        "" => format!("--{}{value}", flag.name),
        short => format!("--{}{value}, -{short}{value}", flag.name),
    }
}

fn help(flag: &Flag) -> String {
    match flag.kind {
        Kind::Text(default) if !default.is_empty() => format!("{} (default: {default})", flag.help),
        Kind::Number => format!("{} (default: 0)", flag.help),
        _ => flag.help.to_owned(),
    }
}
