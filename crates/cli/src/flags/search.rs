//! `brig search`.
//! The table that parser and help read, and the flags as typed values for `command/search.rs`.

use super::value::{number, pair};
use super::{Command, Example, Flag, Misuse, Parsed, Positional, access, shared};
use engine::images::{Reach, SearchOptions};

/// The command.
pub static COMMAND: Command = Command {
    name: "search",
    usage: &["[OPTIONS] TERM"],
    about: "Look for images on a registry",
    details: "TERM may begin with a registry (registry.lan:5000/web); without one it is Docker Hub.",
    aliases: &["image search"],
    flags: &[
        &access::ACCESS,
        &[
            Flag::value(
                "filter",
                "filter",
                "Show only those that match (stars=N, is-official=true|false, is-automated=true|false)",
            )
            .short('f'),
            shared::LIST_FORMAT,
            Flag::value("limit", "int", "Most results to show, up to 100").default("25"),
            Flag::switch("list-tags", "TERM is a repository: show its tags"),
            shared::NO_TRUNC,
        ],
    ],
    absent: &["cert-dir", "compatible"],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[
        Example {
            about: "Official images with many stars",
            line: "brig search --filter is-official=true --filter stars=100 web",
        },
        Example { about: "The tags of a repository", line: "brig search --list-tags registry.lan:5000/web" },
    ],
};

/// What `search` was asked for.
pub struct Search {
    pub term: String,
    pub options: SearchOptions,
    pub reach: Reach,
    pub list_tags: bool,
    pub format: Option<String>,
    pub no_trunc: bool,
    /// 0 where none was typed.
    pub limit: usize,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Search, Misuse> {
    let limit = parsed.one("limit", number::signed::<i64>)?.unwrap_or(0);
    let list_tags = parsed.on("list-tags");
    if limit < 0 || (limit > 100 && !list_tags) {
        return Err(parsed.refusal(format!("limit {limit} is outside the range of [1, 100]")));
    }
    let limit = usize::try_from(limit).unwrap_or(0);
    let mut options = SearchOptions { limit, ..SearchOptions::default() };
    for filter in parsed.each("filter", pair::filter)? {
        add(&mut options, &filter).map_err(|problem| parsed.refusal(problem))?;
    }
    Ok(Search {
        term: parsed.first(),
        options,
        reach: access::read(parsed)?,
        list_tags,
        format: parsed.text("format"),
        no_trunc: parsed.on("no-trunc"),
        limit,
    })
}

fn add(options: &mut SearchOptions, filter: &str) -> Result<(), String> {
    let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
    let bad = || format!("invalid filter '{key}={value}'");
    let boolean = || engine::filter::boolean(value).ok_or_else(bad);
    match key {
        "stars" => options.stars_min = value.parse().map_err(|_| bad())?,
        "is-official" => options.official = Some(boolean()?),
        "is-automated" => options.automated = Some(boolean()?),
        _ => return Err(format!("invalid filter '{key}'")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn filters_and_limits() {
        let search = read(&words(&COMMAND, "-f stars=3 --filter is-official=1 --limit 7 a").unwrap()).unwrap();
        assert_eq!((search.options.stars_min, search.options.official, search.limit), (3, Some(true), 7));
        for line in ["--limit 101 a", "--limit -1 a", "-f x=1 a", "-f stars=many a", "-f is-official=maybe a"] {
            assert!(read(&words(&COMMAND, line).unwrap()).is_err(), "{line}");
        }
        assert!(read(&words(&COMMAND, "--list-tags --limit 1000 a").unwrap()).is_ok());
    }
}
