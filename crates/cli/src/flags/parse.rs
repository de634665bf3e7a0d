//! The parser: arguments and a command's table in, `Parsed` out. The rules are those of docker's command line: `-it` is two
//! switches, `-p80:80`, `-p=80:80`, `--env=A=B`, `--env A=B`, `--rm=false`, `--` ends the flags, and for commands that
//! take a command of the container (`flags_first`) the first positional argument ends them too. Values stay strings
//! here; `Parsed::one`, `each` and `meaning` turn them into types with a parser from `value/` and word the error.

use super::value::{bytes, cpus, duration, number};
use super::{Command, Fault, Flag, Misuse, Takes, suggest};

/// What was typed, by flag.
pub struct Parsed {
    command: &'static Command,
    /// In the order typed; a switch carries "true" or "false".
    given: Vec<(&'static str, String)>,
    /// Positional arguments.
    pub arguments: Vec<String>,
}

/// What a command line asks for.
pub enum Asked {
    /// The command is to run.
    Run(Parsed),
    /// `--help` was among the flags.
    Help,
}

/// Splits `arguments` (those after the command's name) by `command`'s table. Errors carry docker's words.
pub fn parse(command: &'static Command, arguments: Vec<String>) -> Result<Asked, Misuse> {
    let mut parsed = Parsed { command, given: Vec::new(), arguments: Vec::new() };
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.arguments.extend(rest.by_ref());
        } else if let Some(long) = argument.strip_prefix("--") {
            if long == "help" {
                return Ok(Asked::Help);
            }
            parsed.take_long(long, &mut rest)?;
        } else if argument.len() > 1 && argument.starts_with('-') {
            if parsed.take_short(&argument[1..], &mut rest)? {
                return Ok(Asked::Help);
            }
        } else {
            parsed.arguments.push(argument);
            if command.flags_first {
                parsed.arguments.extend(rest.by_ref());
            }
        }
    }
    if let Err(miscounted) = count(command, parsed.arguments.len()) {
        parsed.check_values()?;
        return Err(miscounted);
    }
    Ok(Asked::Run(parsed))
}

fn count(command: &'static Command, have: usize) -> Result<(), Misuse> {
    let want = command.positional;
    if have >= want.min && have <= want.max {
        return Ok(());
    }
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    let problem = if want.max == 0 {
        "accepts no arguments".to_owned()
    } else if want.min == want.max {
        format!("requires {} {}", want.min, plural(want.min))
    } else if have < want.min {
        format!("requires at least {} {}", want.min, plural(want.min))
    } else {
        format!("requires at most {} {}", want.max, plural(want.max))
    };
    let mut misuse = command.misuse(format!("'brig {}' {problem}", command.name));
    misuse.fault = Fault::Count;
    Err(misuse)
}

impl Parsed {
    fn take_long(&mut self, text: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Misuse> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(flag) = self.command.long(name) else {
            return Err(self.unknown(name));
        };
        let value = match (flag.takes, attached) {
            (Takes::Nothing, None) => "true".to_owned(),
            (Takes::Nothing, Some(value)) => self.boolean(flag, value)?,
            (Takes::Value(_), Some(value)) => value.to_owned(),
            (Takes::Value(_), None) => {
                rest.next().ok_or_else(|| self.command.misuse(format!("flag needs an argument: --{name}")))?
            }
        };
        self.given.push((flag.long, value));
        Ok(())
    }

    /// Takes a cluster of one-letter flags. `Ok(true)` when it asks for help, which has `-h` wherever no flag claims it.
    fn take_short(&mut self, cluster: &str, rest: &mut impl Iterator<Item = String>) -> Result<bool, Misuse> {
        let mut left = cluster;
        while let Some(letter) = left.chars().next() {
            left = &left[letter.len_utf8()..];
            let Some(flag) = self.command.letter(letter) else {
                if letter == 'h' {
                    return Ok(true);
                }
                return Err(self.unknown_letter(letter, cluster));
            };
            if flag.takes == Takes::Nothing {
                let value = match left.strip_prefix('=') {
                    Some(value) => {
                        left = "";
                        self.boolean(flag, value)?
                    }
                    None => "true".to_owned(),
                };
                self.given.push((flag.long, value));
                continue;
            }
            let value = if left.is_empty() {
                let problem = || format!("flag needs an argument: '{letter}' in -{cluster}");
                rest.next().ok_or_else(|| self.command.misuse(problem()))?
            } else {
                left.strip_prefix('=').unwrap_or(left).to_owned()
            };
            self.given.push((flag.long, value));
            return Ok(false);
        }
        Ok(false)
    }

    /// Values that are not of their flag's type. Docker looks at each value as it comes, so it complains about them before
    /// it counts arguments; here it matters only when the count is wrong, as reading the flags finds the rest.
    fn check_values(&self) -> Result<(), Misuse> {
        for (long, text) in &self.given {
            let Some(flag) = self.command.long(long) else { continue };
            let Takes::Value(word) = flag.takes else { continue };
            let checked = match word {
                "bytes" => bytes::memory_or_unlimited(text).map(|_| ()),
                "decimal" => cpus::parse(text).map(|_| ()),
                "duration" => duration::health(text).map(|_| ()),
                "int" => number::signed::<i64>(text).map(|_| ()),
                "uint16" => number::unsigned::<u16>(text).map(|_| ()),
                _ => Ok(()),
            };
            checked.map_err(|problem| self.invalid(flag, text, &problem))?;
        }
        Ok(())
    }

    fn boolean(&self, flag: &Flag, text: &str) -> Result<String, Misuse> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
            _ => Err(self.invalid(flag, text, "use true or false")),
        }
    }

    fn unknown(&self, name: &str) -> Misuse {
        if self.command.absent.contains(&name) {
            return self.command.misuse(format!("--{name} is not supported yet by brig"));
        }
        let near = suggest::nearest(name, self.command.flags().map(|flag| flag.long));
        let hint = near.map(|near| format!(" (did you mean --{near}?)")).unwrap_or_default();
        self.command.misuse(format!("unknown flag: --{name}{hint}"))
    }

    fn unknown_letter(&self, letter: char, cluster: &str) -> Misuse {
        let letter_text = letter.to_string();
        if self.command.absent.contains(&letter_text.as_str()) {
            return self.command.misuse(format!("-{letter} is not supported yet by brig"));
        }
        self.command.misuse(format!("unknown shorthand flag: '{letter}' in -{cluster}"))
    }

    fn invalid(&self, flag: &Flag, text: &str, problem: &str) -> Misuse {
        self.command.misuse(format!("invalid argument {text:?} for \"{}\" flag: {problem}", flag.display()))
    }

    /// Whether the switch is on. The last one typed counts.
    pub fn on(&self, long: &str) -> bool {
        self.last(long) == Some("true")
    }

    /// The switch, `None` where it was not typed.
    pub fn switch(&self, long: &str) -> Option<bool> {
        self.last(long).map(|value| value == "true")
    }

    /// The value typed last.
    pub fn last(&self, long: &str) -> Option<&str> {
        debug_assert!(self.command.long(long).is_some(), "--{long} is not in the table");
        self.given.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// The value typed last, owned. An empty one counts as not typed, as everywhere in docker.
    pub fn text(&self, long: &str) -> Option<String> {
        self.last(long).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The first positional argument of a command that takes at least one: the parser has counted them.
    pub fn first(&self) -> String {
        self.arguments.first().cloned().unwrap_or_default()
    }

    /// All values in the order typed.
    pub fn all<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        debug_assert!(self.command.long(long).is_some(), "--{long} is not in the table");
        self.given.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// All values, owned.
    pub fn list(&self, long: &str) -> Vec<String> {
        self.all(long).map(str::to_owned).collect()
    }

    /// The value typed last, through `parse`.
    pub fn one<T>(&self, long: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Misuse> {
        self.last(long).map(|text| self.convert(long, text, &parse)).transpose()
    }

    /// All values through `parse`.
    pub fn each<T>(&self, long: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Misuse> {
        self.all(long).map(|text| self.convert(long, text, &parse)).collect()
    }

    /// The value typed last, through `parse`, where what is wrong with it is the command's business and not the flag's.
    pub fn meaning<T>(&self, long: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Misuse> {
        self.last(long).map(|text| parse(text).map_err(|problem| self.refusal(problem))).transpose()
    }

    fn convert<T>(&self, long: &str, text: &str, parse: &impl Fn(&str) -> Result<T, String>) -> Result<T, Misuse> {
        parse(text).map_err(|problem| match self.command.long(long) {
            Some(flag) => self.invalid(flag, text, &problem),
            None => self.command.misuse(problem),
        })
    }

    /// Whether any flag at all was typed.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// A complaint about what is asked for, not about how.
    pub fn refusal(&self, message: impl Into<String>) -> Misuse {
        Misuse { fault: Fault::Meaning, ..self.command.misuse(message) }
    }

    /// A complaint about the combination of flags.
    pub fn misuse(&self, message: impl Into<String>) -> Misuse {
        self.command.misuse(message)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::flags::Positional;

    static RUN: Command = Command {
        name: "run",
        usage: &["[OPTIONS] IMAGE"],
        about: "",
        details: "",
        aliases: &[],
        flags: &[&[
            Flag::switch("interactive", "").short('i'),
            Flag::switch("tty", "").short('t'),
            Flag::switch("rm", ""),
            Flag::value("env", "list", "").short('e'),
            Flag::value("memory", "bytes", "").short('m'),
        ]],
        absent: &["publish", "p"],
        positional: Positional::at_least(1),
        flags_first: true,
        examples: &[],
    };
    static PS: Command = Command { name: "ps", flags_first: false, positional: Positional::NONE, ..RUN };
    static KILL: Command = Command { name: "kill", flags_first: false, ..RUN };

    /// Parses words split at spaces; for the tests of the flags files.
    pub fn words(command: &'static Command, line: &str) -> Result<Parsed, Misuse> {
        match parse(command, line.split_whitespace().map(str::to_owned).collect())? {
            Asked::Run(parsed) => Ok(parsed),
            Asked::Help => Err(command.misuse("help")),
        }
    }

    fn problem(command: &'static Command, line: &str) -> String {
        words(command, line).err().map(|misuse| misuse.message).unwrap_or_default()
    }

    #[test]
    fn clusters_and_attached_values() {
        let parsed = words(&RUN, "-ite A=1 -eB=2 -e=C=3 --env D=4 --env=E=5 -m=1g img -x --rm").unwrap();
        assert!(parsed.on("interactive") && parsed.on("tty") && !parsed.on("rm"));
        assert_eq!(parsed.list("env"), ["A=1", "B=2", "C=3", "D=4", "E=5"]);
        assert_eq!(parsed.last("memory"), Some("1g"));
        assert_eq!(parsed.arguments, ["img", "-x", "--rm"]);
    }

    #[test]
    fn double_dash_and_interspersed() {
        let parsed = words(&KILL, "a -t b -- -i --rm").unwrap();
        assert!(parsed.on("tty"));
        assert_eq!(parsed.arguments, ["a", "b", "-i", "--rm"]);
        assert_eq!(words(&KILL, "a -").unwrap().arguments, ["a", "-"]);
    }

    #[test]
    fn switches_take_a_value_only_attached() {
        let parsed = words(&RUN, "--rm=false -t=0 img").unwrap();
        assert_eq!(
            (parsed.switch("rm"), parsed.switch("tty"), parsed.switch("interactive")),
            (Some(false), Some(false), None)
        );
        assert_eq!(problem(&RUN, "--rm=maybe img"), "invalid argument \"maybe\" for \"--rm\" flag: use true or false");
    }

    #[test]
    fn errors_use_dockers_words() {
        assert_eq!(problem(&RUN, "--foo img"), "unknown flag: --foo");
        assert_eq!(problem(&RUN, "--memroy 1 img"), "unknown flag: --memroy (did you mean --memory?)");
        assert_eq!(problem(&RUN, "--publish 1 img"), "--publish is not supported yet by brig");
        assert_eq!(problem(&RUN, "-iz img"), "unknown shorthand flag: 'z' in -iz");
        assert_eq!(problem(&RUN, "--env"), "flag needs an argument: --env");
        assert_eq!(problem(&RUN, "-te"), "flag needs an argument: 'e' in -te");
        assert_eq!(problem(&RUN, ""), "'brig run' requires at least 1 argument");
        assert_eq!(problem(&PS, "x"), "'brig ps' accepts no arguments");
        assert_eq!(problem(&RUN, "--help"), "help");
        assert_eq!(problem(&RUN, "-h"), "help");
    }
}
