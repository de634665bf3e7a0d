//! `brig login`.
//! Name and password come from flags, standard input, what is kept already or, on a terminal, from who sits there; a
//! password that is typed is not shown.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use engine::images::{LoggedIn, User};
use kernel::terminal::{Raw, is_terminal};
use std::io::{BufRead, Read, StdinLock, stdin};
use std::os::fd::AsFd;

/// What a shell sees of a program that ctrl-c has ended.
const INTERRUPTED: u8 = 128 + 2;
/// Longest password, in bytes.
const SECRET_MAX: u64 = 64 << 10;

/// Prints that it has succeeded.
pub fn run(_: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::login::read(&parsed)?;
    if asked.get_login {
        return get_login(&asked);
    }
    if asked.password.is_some() {
        warn("Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if again(&asked)? {
        return output::print("Login Succeeded\n");
    }
    let user = user(&asked)?;
    let done = engine::images::login(&asked.reach, &asked.registry, &user)?;
    if let LoggedIn { helper: None, file, .. } = &done {
        let path = file.display();
        warn(&format!(
            "Your credentials are stored unencrypted in '{path}'.\nConfigure a credential helper to remove this warning."
        ));
    }
    output::print("Login Succeeded\n")
}

/// Whether the registry still accepts the user that is kept for it. Asked only when none is given, as docker does it; a
/// registry that refuses is told of, and the way to another user goes on.
fn again(asked: &flags::login::Login) -> Result<bool, Failure> {
    if asked.name.is_some() || asked.password.is_some() {
        return Ok(false);
    }
    let Some(name) = engine::images::stored_user(&asked.reach, &asked.registry)? else { return Ok(false) };
    eprintln!("Authenticating with existing credentials... [Username: {name}]");
    eprintln!("To log in as somebody else, run 'brig logout' first.");
    match engine::images::login_again(&asked.reach, &asked.registry) {
        Ok(()) => Ok(true),
        Err(error) => {
            eprintln!("Login did not succeed: {error}");
            Ok(false)
        }
    }
}

fn get_login(asked: &flags::login::Login) -> Outcome {
    match engine::images::stored_user(&asked.reach, &asked.registry)? {
        Some(name) => output::print(&format!("{name}\n")),
        None => Err(Failure::message(format!("not logged into {}", called(&asked.registry)))),
    }
}

/// Docker Hub by name.
pub fn called(registry: &str) -> &str {
    if registry.is_empty() { "docker.io" } else { registry }
}

fn warn(text: &str) {
    eprintln!("WARNING! {text}");
}

fn user(asked: &flags::login::Login) -> Result<User, Failure> {
    let mut input = stdin().lock();
    let empty = || Failure::message("Error: Password Required");
    if asked.password_stdin {
        let mut secret = String::new();
        input.take(SECRET_MAX).read_to_string(&mut secret).map_err(unreadable)?;
        let secret = secret.trim_end_matches(['\n', '\r']).to_owned();
        let name = asked.name.clone().unwrap_or_default();
        return if secret.is_empty() { Err(empty()) } else { Ok(User { name, secret }) };
    }
    if let (Some(name), Some(secret)) = (&asked.name, &asked.password) {
        return Ok(User { name: name.clone(), secret: secret.clone() });
    }
    if !is_terminal(&input) {
        return Err(Failure::message(
            "Cannot perform an interactive login from a non TTY device: give --username and --password-stdin",
        ));
    }
    let name = match &asked.name {
        Some(name) => name.clone(),
        None => {
            output::print("Username: ")?;
            let mut line = String::new();
            input.read_line(&mut line).map_err(unreadable)?;
            line.trim().to_owned()
        }
    };
    if name.is_empty() {
        return Err(Failure::message("Error: Non-null Username Required"));
    }
    let secret = match &asked.password {
        Some(secret) => secret.clone(),
        None => {
            let typed = hidden(&mut input);
            output::print("\n")?;
            typed?
        }
    };
    if secret.is_empty() { Err(empty()) } else { Ok(User { name, secret }) }
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::file("read from", "standard input", &error)
}

/// A line that the terminal does not show. The terminal is raw meanwhile and set back by the end of this function, so
/// that ctrl-c does not leave it without echo: the few keys that mean something are understood here.
fn hidden(input: &mut StdinLock<'_>) -> Result<String, Failure> {
    let terminal = stdin();
    // Before the prompt: what is typed once that is seen must not be shown.
    let _raw = Raw::enter(terminal.as_fd())?;
    output::print("Password: ")?;
    line(input)
}

fn line(input: &mut impl BufRead) -> Result<String, Failure> {
    let mut typed = Vec::new();
    for byte in input.bytes().take(SECRET_MAX as usize) {
        match byte.map_err(unreadable)? {
            b'\r' | b'\n' => break,
            // ctrl-c, ctrl-backslash
            0x03 | 0x1c => return Err(Failure::Told(INTERRUPTED)),
            // ctrl-d
            0x04 if typed.is_empty() => break,
            // backspace
            0x08 | 0x7f => {
                // All bytes of one character.
                while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            // ctrl-u
            0x15 => typed.clear(),
            byte => typed.push(byte),
        }
    }
    String::from_utf8(typed).map_err(|_| Failure::message("the password is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_hidden_line() {
        let typed = |keys: &str| line(&mut keys.as_bytes()).map_err(|failure| failure.exit_code());
        assert_eq!(typed("secret\rrest").as_deref(), Ok("secret"));
        assert_eq!(typed("x\u{15}sä\u{7f}\u{8}b\n").as_deref(), Ok("b"));
        assert_eq!(typed("\u{4}").as_deref(), Ok(""));
        assert_eq!(typed("abc\u{3}"), Err(130));
    }
}
