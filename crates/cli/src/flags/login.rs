//! `brig login`.
//! The table that parser and help read, and the flags as typed values for `command/login.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, access};
use engine::images::Reach;

/// The command.
pub static COMMAND: Command = Command {
    name: "login",
    usage: &["[OPTIONS] [SERVER]"],
    about: "Tell a registry who you are, and remember it",
    details: "Without SERVER it is Docker Hub. Without -u and -p the user that is kept is tried again. The user is kept as docker keeps it: with a credential helper if the file\n\
              names one, else readable by its owner alone.",
    aliases: &[],
    flags: &[
        &[access::AUTHFILE, access::TLS_VERIFY],
        &[
            Flag::switch("get-login", "Print the name of the user that is remembered, and do nothing else"),
            Flag::value("password", "string", "Password or access token; other users of this machine can see it")
                .short('p'),
            Flag::switch("password-stdin", "Read the password or access token from STDIN"),
            Flag::value("username", "string", "Name of the user").short('u'),
        ],
    ],
    absent: &["cert-dir", "compat-auth-file", "secret", "v", "verbose"],
    positional: Positional::between(0, 1),
    flags_first: false,
    examples: &[
        Example { about: "With a prompt for the password", line: "brig login -u ann registry.lan:5000" },
        Example { about: "In a script", line: "brig login -u ann --password-stdin registry.lan:5000 < token" },
    ],
};

/// What `login` was asked for.
pub struct Login {
    /// Empty for Docker Hub.
    pub registry: String,
    pub reach: Reach,
    pub get_login: bool,
    pub name: Option<String>,
    pub password: Option<String>,
    pub password_stdin: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Login, Misuse> {
    let (name, password) = (parsed.text("username"), parsed.text("password"));
    let password_stdin = parsed.on("password-stdin");
    if password_stdin && password.is_some() {
        return Err(parsed.refusal("conflicting options: cannot specify both --password and --password-stdin"));
    }
    if password_stdin && name.is_none() {
        return Err(parsed.refusal("the --password-stdin option requires --username to be set"));
    }
    Ok(Login {
        registry: parsed.first(),
        reach: access::read_without_user(parsed),
        get_login: parsed.on("get-login"),
        name,
        password,
        password_stdin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn passwords_come_from_one_place() {
        let login = read(&words(&COMMAND, "-u a -p b --tls-verify=false localhost:5000").unwrap()).unwrap();
        assert_eq!((login.name.as_deref(), login.password.as_deref()), (Some("a"), Some("b")));
        assert!(login.registry == "localhost:5000" && login.reach.unverified && !login.get_login);
        assert!(read(&words(&COMMAND, "-u a -p b --password-stdin").unwrap()).is_err());
        assert!(read(&words(&COMMAND, "--password-stdin").unwrap()).is_err());
    }
}
