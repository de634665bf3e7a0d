//! Help: a command's table as text, laid out as docker's (options aligned, wrapped at the terminal's width, at most 80 columns).
//! Called by `main.rs` for `--help` and for the usage line below a complaint.

use super::{Command, Fault, Flag, Misuse, Takes};
use std::fmt::Write as _;

const WIDTH: usize = 80;

/// `Usage:  brig run [OPTIONS] IMAGE …`, one line per form.
pub fn usage(command: &Command) -> String {
    let mut text = String::new();
    for (index, form) in command.usage.iter().enumerate() {
        let lead = if index == 0 { "Usage:  " } else { "        " };
        let line = format!("{lead}brig {} {form}", command.name);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The whole help of a command.
pub fn command(command: &Command) -> String {
    let mut text = usage(command);
    let _ = write!(text, "\n{}\n", command.about);
    if !command.details.is_empty() {
        let _ = write!(text, "\n{}\n", command.details);
    }
    if !command.aliases.is_empty() {
        let mut names: Vec<String> = vec![format!("brig {}", command.name)];
        names.extend(command.aliases.iter().map(|alias| format!("brig {alias}")));
        let _ = write!(text, "\nAliases:\n  {}\n", names.join(", "));
    }
    let options = options(command.flags());
    if !options.is_empty() {
        let _ = write!(text, "\nOptions:\n{options}");
    }
    if !command.examples.is_empty() {
        text.push_str("\nExamples:\n");
        for (index, example) in command.examples.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            let _ = write!(text, "{gap}  # {}\n  {}\n", example.about, example.line);
        }
    }
    text
}

/// The lines of an options block, sorted by name.
pub fn options<'a>(flags: impl Iterator<Item = &'a Flag>) -> String {
    let mut flags: Vec<&Flag> = flags.collect();
    flags.sort_by_key(|flag| flag.long);
    let left: Vec<String> = flags.iter().map(|flag| left(flag)).collect();
    let column = left.iter().map(String::len).max().unwrap_or(0) + 3;
    let mut text = String::new();
    for (flag, left) in flags.iter().zip(left) {
        let mut help = flag.help.to_owned();
        if !flag.default.is_empty() {
            let _ = write!(help, " (default {})", flag.default);
        }
        let _ = write!(text, "{left:column$}");
        let mut first = true;
        for line in wrap(&help, WIDTH.saturating_sub(column)) {
            if !first {
                let _ = write!(text, "{:column$}", "");
            }
            first = false;
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn left(flag: &Flag) -> String {
    let mut text = match flag.short {
        Some(letter) => format!("  -{letter}, --{}", flag.long),
        None => format!("      --{}", flag.long),
    };
    if let Takes::Value(word) = flag.takes {
        let _ = write!(text, " {word}");
    }
    text
}

/// Breaks `text` at spaces so that lines fit `width`; line breaks in it stay.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// What goes to stderr for a command line that is not well formed.
pub fn misuse(misuse: &Misuse) -> String {
    let command = misuse.command;
    if misuse.fault == Fault::Meaning {
        return format!("brig: {}\n", misuse.message);
    }
    format!("brig: {}\n\n{}\nRun 'brig {} --help' for more information\n", misuse.message, usage(command), command.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_align_and_wrap() {
        let flags = [
            Flag::value("name", "string", "Assign a name"),
            Flag::switch(
                "all",
                "Show all containers (default shows just running) and quite a bit more text to wrap here",
            )
            .short('a'),
            Flag::value("last", "int", "Show n").short('n').default("-1"),
        ];
        assert_eq!(
            options(flags.iter()),
            "  -a, --all           Show all containers (default shows just running) and quite\n\
             \x20                     a bit more text to wrap here\n\
             \x20 -n, --last int      Show n (default -1)\n\
             \x20     --name string   Assign a name\n"
        );
    }
}
