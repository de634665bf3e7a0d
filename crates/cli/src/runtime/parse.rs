//! The command line of `brig runtime` as runc's library reads it: one or two dashes are the same, a value follows or is
//! joined by `=`, known flags count wherever they stand unless the command says otherwise. Tables are in `commands.rs`.

/// One flag of a command.
pub struct Flag {
    pub name: &'static str,
    /// One letter, or nothing.
    pub short: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Switch,
    /// A text, with what help shows as its default.
    Text(&'static str),
    /// Decimal; shown with its default of 0.
    Number,
    /// May be given several times.
    List,
    /// As `Text`, and not shown in help.
    Hidden,
}

pub struct Command {
    pub name: &'static str,
    pub summary: &'static str,
    /// After the flags, as usage shows it.
    pub arguments: &'static str,
    pub description: &'static str,
    pub flags: &'static [Flag],
    pub order: Order,
    /// At least and at most so many arguments.
    pub count: (usize, usize),
}

/// Which words of a command are its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Anywhere,
    /// Up to the first argument; what follows belongs to somebody else.
    FlagsFirst,
}

/// What was typed.
#[derive(Debug, Default)]
pub struct Parsed {
    flags: Vec<(&'static str, String)>,
    pub arguments: Vec<String>,
}

impl Parsed {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<String> {
        self.flags.iter().filter(|(flag, _)| *flag == name).map(|(_, value)| value.clone()).collect()
    }

    pub fn switch(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// 0 when it was not given; parsing has made sure that it is a number.
    pub fn number(&self, name: &str) -> i64 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// The first argument; empty when there is none.
    pub fn first(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// How the words could not be read, in Go's words.
#[derive(Debug)]
pub enum Misread {
    /// `-h` or `--help`.
    Help,
    Wrong(String),
}

/// Reads flags from the front of `words` until the first that is none; it and the rest are left.
pub fn leading<'a>(flags: &'static [Flag], mut words: &'a [String]) -> Result<(Parsed, &'a [String]), Misread> {
    let mut parsed = Parsed::default();
    while let Some((word, rest)) = words.split_first() {
        if word == "--" {
            return Ok((parsed, rest));
        }
        if !word.starts_with('-') || word == "-" {
            break;
        }
        let used = take(flags, word, rest, &mut parsed)?;
        words = &rest[used..];
    }
    Ok((parsed, words))
}

pub fn command(command: &'static Command, words: &[String]) -> Result<Parsed, Misread> {
    if command.order == Order::FlagsFirst {
        let (mut parsed, rest) = leading(command.flags, words)?;
        parsed.arguments = rest.to_vec();
        return Ok(parsed);
    }
    // What is behind it are arguments, whatever they look like.
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (mut parsed, mut rest) = leading(command.flags, &words[..end])?;
    while let Some((word, after)) = rest.split_first() {
        if is_flag(command.flags, word) {
            let used = take(command.flags, word, after, &mut parsed)?;
            rest = &after[used..];
        } else {
            parsed.arguments.push(word.clone());
            rest = after;
        }
    }
    parsed.arguments.extend(words.iter().skip(end + 1).cloned());
    Ok(parsed)
}

fn split(word: &str) -> (&str, Option<&str>) {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or(word);
    match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    }
}

fn find(flags: &'static [Flag], name: &str) -> Option<&'static Flag> {
    flags.iter().find(|flag| flag.name == name || (!flag.short.is_empty() && flag.short == name))
}

fn is_flag(flags: &'static [Flag], word: &str) -> bool {
    let name = split(word).0;
    word.len() > 1 && word.starts_with('-') && (find(flags, name).is_some() || matches!(name, "h" | "help"))
}

/// How many of the `following` words belong to the flag.
fn take(flags: &'static [Flag], word: &str, following: &[String], parsed: &mut Parsed) -> Result<usize, Misread> {
    let (name, joined) = split(word);
    let Some(flag) = find(flags, name) else {
        let help = matches!(name, "h" | "help");
        return Err(if help { Misread::Help } else { wrong(format!("flag provided but not defined: -{name}")) });
    };
    if flag.kind == Kind::Switch {
        let value = switch(joined.unwrap_or("true")).ok_or_else(|| {
            wrong(format!("invalid boolean value {:?} for -{name}: parse error", joined.unwrap_or_default()))
        })?;
        parsed.flags.push((flag.name, value.to_string()));
        return Ok(0);
    }
    let (value, used) = match (joined, following.first()) {
        (Some(value), _) => (value.to_owned(), 0),
        (None, Some(value)) => (value.clone(), 1),
        (None, None) => return Err(wrong(format!("flag needs an argument: -{name}"))),
    };
    if flag.kind == Kind::Number && value.parse::<i64>().is_err() {
        return Err(wrong(format!("invalid value {value:?} for flag -{name}: parse error")));
    }
    parsed.flags.push((flag.name, value));
    Ok(used)
}

fn wrong(text: String) -> Misread {
    Misread::Wrong(text)
}

/// As Go's strconv.ParseBool.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::commands;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn parse(name: &str, line: &str) -> Result<Parsed, String> {
        let known = commands::find(name).unwrap();
        command(known, &words(line)).map_err(|misread| match misread {
            Misread::Help => "help".to_owned(),
            Misread::Wrong(text) => text,
        })
    }

    #[test]
    fn flags_stand_anywhere_with_one_dash_or_two() {
        for line in ["-f x", "--force x", "x -f", "x --force=true", "-force x", "--f=1 x"] {
            let parsed = parse("delete", line).unwrap();
            assert!(parsed.switch("force"), "{line}");
            assert_eq!(parsed.arguments, ["x"], "{line}");
        }
        assert!(!parse("delete", "-f --force=false x").unwrap().switch("force"));
        assert_eq!(parse("kill", "x -9").unwrap().arguments, ["x", "-9"]);
        assert_eq!(parse("delete", "-- -f").unwrap().arguments, ["-f"]);
    }

    #[test]
    fn what_follows_the_container_of_exec_is_the_commands() {
        let parsed = parse("exec", "-e A=1 --env=B=2 x ls -t -e").unwrap();
        assert_eq!(parsed.all("env"), ["A=1", "B=2"]);
        assert_eq!(parsed.arguments, ["x", "ls", "-t", "-e"]);
        assert!(!parsed.switch("tty"));
    }

    #[test]
    fn errors_are_gos() {
        for (line, expected) in [
            ("-x a", "flag provided but not defined: -x"),
            ("a --pid-file", "flag needs an argument: -pid-file"),
            ("--preserve-fds=x a", "invalid value \"x\" for flag -preserve-fds: parse error"),
            ("--no-pivot=x a", "invalid boolean value \"x\" for -no-pivot: parse error"),
            ("-h", "help"),
        ] {
            assert_eq!(parse("create", line).unwrap_err(), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_read(words: Vec<String>) {
            for known in commands::ALL {
                let _ = command(known, &words);
            }
        }
    }
}
