//! `brig exec`.
//! The table that parser and help read, and the flags as typed values for `command/exec.rs`.

use super::shared;
use super::value::env;
use super::{Command, Example, Fault, Flag, Misuse, Parsed, Positional};
use engine::exec::ExecOptions;

/// The command.
pub static COMMAND: Command = Command {
    name: "exec",
    usage: &["[OPTIONS] CONTAINER COMMAND [ARG...]"],
    about: "Run one more command inside a running container",
    details: "",
    aliases: &["container exec"],
    flags: &[
        &shared::PROCESS,
        &[
            Flag::switch("detach", "Return at once and leave the command running").short('d'),
            shared::DETACH_KEYS,
            Flag::switch("privileged", "Lift most of the command's restrictions"),
        ],
    ],
    absent: &[],
    positional: Positional::at_least(2),
    flags_first: true,
    examples: &[
        Example { about: "A shell in a running container", line: "brig exec -it web sh" },
        Example { about: "One command as another user", line: "brig exec -u postgres db psql -c 'select 1'" },
    ],
};

/// What `exec` was asked for.
pub struct Exec {
    pub container: String,
    pub options: ExecOptions,
    pub detach_keys: Vec<u8>,
}

/// Reads the flags. The terminal's size is left to the command.
pub fn read(parsed: &Parsed) -> Result<Exec, Misuse> {
    // What a file holds is no matter of the flag's form.
    let from_files = parsed.each("env-file", env::env_file);
    let from_files = from_files.map_err(|misuse| Misuse { fault: Fault::Meaning, ..misuse })?;
    let mut variables = from_files.concat();
    variables.extend(parsed.each("env", env::variable)?);
    let options = ExecOptions {
        command: parsed.arguments.iter().skip(1).cloned().collect(),
        env: variables,
        user: parsed.text("user"),
        workdir: parsed.text("workdir"),
        tty: parsed.on("tty"),
        stdin_open: parsed.on("interactive"),
        privileged: parsed.on("privileged"),
        detach: parsed.on("detach"),
        console_size: None,
    };
    Ok(Exec { container: parsed.first(), options, detach_keys: shared::detach_keys(parsed)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn the_commands_own_flags_stay() {
        let exec = read(&words(&COMMAND, "-it -e A=1 web ls -la --env x").unwrap()).unwrap();
        assert!(exec.options.tty && exec.options.stdin_open);
        assert_eq!(exec.options.command, ["ls", "-la", "--env", "x"]);
        assert_eq!(exec.options.env, ["A=1"]);
        assert!(words(&COMMAND, "web").is_err());
    }
}
