//! `brig volume create`, `ls`, `rm` and `prune`; `volume inspect` is in `inspect.rs`.
//! What they do is in `command/volume.rs`.

use super::value::pair;
use super::{Command, Example, Flag, Misuse, Parsed, Positional, shared};
use std::collections::BTreeMap;

/// `volume create`.
pub static CREATE: Command = Command {
    name: "volume create",
    usage: &["[OPTIONS] [VOLUME]"],
    about: "Make a volume",
    details: "",
    aliases: &[],
    flags: &[&[
        Flag::value("driver", "string", "Kind of volume").short('d').default("\"local\""),
        Flag::value("label", "list", "Label for the volume (KEY=VALUE)"),
        Flag::value("name", "string", "The volume's name, if not given as the argument"),
        Flag::value("opt", "map", "Setting for the driver (KEY=VALUE)").short('o'),
    ]],
    absent: &[
        "availability",
        "group",
        "limit-bytes",
        "required-bytes",
        "scope",
        "secret",
        "sharing",
        "topology-preferred",
        "topology-required",
        "type",
    ],
    positional: Positional::between(0, 1),
    flags_first: false,
    examples: &[Example { about: "A volume for a database", line: "brig volume create --label app=db data" }],
};

/// `volume ls`.
pub static LS: Command = Command {
    name: "volume ls",
    usage: &["[OPTIONS]"],
    about: "Show the volumes there are",
    aliases: &["volume list"],
    flags: &[&[
        shared::LIST_FILTER,
        shared::LIST_FORMAT,
        Flag::switch("quiet", "Print the names and nothing else").short('q'),
    ]],
    absent: &["cluster"],
    positional: Positional::NONE,
    examples: &[Example { about: "Volumes that no container uses", line: "brig volume ls --filter dangling=true" }],
    ..CREATE
};

/// `volume rm`.
pub static RM: Command = Command {
    name: "volume rm",
    usage: &["[OPTIONS] VOLUME [VOLUME...]"],
    about: "Delete volumes that no container uses",
    aliases: &["volume remove"],
    flags: &[&[Flag::switch("force", "Do not complain about a volume that does not exist").short('f')]],
    absent: &[],
    positional: Positional::at_least(1),
    examples: &[Example { about: "Remove a volume and its files", line: "brig volume rm data" }],
    ..CREATE
};

/// `volume prune`.
pub static PRUNE: Command = Command {
    name: "volume prune",
    usage: &["[OPTIONS]"],
    about: "Clear away volumes that no container uses",
    aliases: &[],
    flags: &[&shared::PRUNE, &[Flag::switch("all", "Include volumes that have a name").short('a')]],
    absent: &[],
    positional: Positional::NONE,
    examples: &[Example { about: "Anonymous volumes that containers left behind", line: "brig volume prune -f" }],
    ..CREATE
};

/// What `volume create` was asked for.
pub struct Create {
    /// `None`: a random name.
    pub name: Option<String>,
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

/// Reads the flags of `volume create`.
pub fn read_create(parsed: &Parsed) -> Result<Create, Misuse> {
    let name = parsed.last("name").filter(|name| !name.is_empty());
    if name.is_some() && !parsed.arguments.is_empty() {
        return Err(parsed
            .refusal("conflicting options: cannot specify a volume-name through both --name and as a positional arg"));
    }
    Ok(Create {
        name: name.or(parsed.arguments.first().map(String::as_str)).filter(|name| !name.is_empty()).map(str::to_owned),
        driver: parsed.last("driver").unwrap_or("local").to_owned(),
        labels: parsed.each("label", pair::label)?.into_iter().collect(),
        options: parsed.each("opt", pair::option)?.into_iter().collect(),
    })
}

/// What `volume ls` was asked for.
pub struct Ls {
    pub filters: Vec<String>,
    pub format: Option<String>,
    pub quiet: bool,
}

/// Reads the flags of `volume ls`.
pub fn read_ls(parsed: &Parsed) -> Result<Ls, Misuse> {
    Ok(Ls { filters: parsed.each("filter", pair::filter)?, format: parsed.text("format"), quiet: parsed.on("quiet") })
}

/// What `volume rm` was asked for.
pub struct Rm {
    pub volumes: Vec<String>,
    pub force: bool,
}

/// Reads the flags of `volume rm`.
pub fn read_rm(parsed: Parsed) -> Rm {
    Rm { force: parsed.on("force"), volumes: parsed.arguments }
}

/// What `volume prune` was asked for.
pub struct Prune {
    pub all: bool,
    pub filters: Vec<String>,
    pub force: bool,
}

/// Reads the flags of `volume prune`.
pub fn read_prune(parsed: &Parsed) -> Result<Prune, Misuse> {
    Ok(Prune { all: parsed.on("all"), filters: parsed.each("filter", pair::filter)?, force: parsed.on("force") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn the_four() {
        let create = read_create(&words(&CREATE, "--label a=b --label c -o type=tmpfs v1").unwrap()).unwrap();
        assert_eq!((create.name.as_deref(), create.labels.len(), create.options.len()), (Some("v1"), 2, 1));
        assert!(read_create(&words(&CREATE, "--name x y").unwrap()).is_err());
        assert!(read_ls(&words(&LS, "-qf dangling=true").unwrap()).unwrap().quiet);
        assert!(read_rm(words(&RM, "-f a").unwrap()).force);
        assert!(read_prune(&words(&PRUNE, "-af").unwrap()).unwrap().all);
    }
}
