//! Credential helpers: programs `docker-credential-NAME` that keep passwords elsewhere (the protocol of
//! docker-credential-helpers: a verb as argument, one document on stdin, one on stdout). They are run
//! only where a file of credentials names them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{Secret, User};
use crate::Error;
use crate::answer::printable;

/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// The program of a helper.
pub fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks for what is kept under `key`; `None` if nothing is.
pub fn get(name: &str, key: &str) -> Result<Option<Secret>, Error> {
    let answer = match run(name, "get", key.as_bytes())? {
        Ok(answer) => answer,
        // The words of the helpers' own library.
        Err(why) if why.contains("credentials not found") => return Ok(None),
        Err(why) => return Err(failed(name, why)),
    };
    let document: Document =
        serde_json::from_slice(&answer).map_err(|error| failed(name, format!("its answer cannot be read: {error}")))?;
    if document.username.is_empty() && document.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(match document.username.as_str() {
        TOKEN_USER => Secret::Identity(document.secret),
        user => Secret::Basic(BASE64_STANDARD.encode(format!("{user}:{}", document.secret))),
    }))
}

/// Has the helper keep a user.
pub fn store(name: &str, key: &str, user: &User) -> Result<(), Error> {
    let document = Document { server_url: key.to_owned(), username: user.name.clone(), secret: user.secret.clone() };
    let input = serde_json::to_vec(&document).map_err(|error| failed(name, error.to_string()))?;
    run(name, "store", &input)?.map(|_| ()).map_err(|why| failed(name, why))
}

/// Has the helper forget a user; `false` if it knows none.
pub fn erase(name: &str, key: &str) -> Result<bool, Error> {
    if get(name, key)?.is_none() {
        return Ok(false);
    }
    run(name, "erase", key.as_bytes())?.map(|_| true).map_err(|why| failed(name, why))
}

/// The inner `Err` is what the helper says went wrong.
fn run(name: &str, verb: &str, input: &[u8]) -> Result<Result<Vec<u8>, String>, Error> {
    // A path in a file of credentials must not choose any program.
    if name.contains('/') {
        return Err(failed(name, "this is no name of a helper".to_owned()));
    }
    let cannot =
        |error: std::io::Error| failed(name, format!("{error}: install it, or remove it from the file of credentials"));
    let mut child = Command::new(program(name))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read its input says why with its status.
        let _ = stdin.write_all(input).and_then(|()| stdin.write_all(b"\n"));
    }
    let output = child.wait_with_output().map_err(cannot)?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let said = [&output.stdout, &output.stderr].into_iter().find(|text| !text.trim_ascii().is_empty());
    let why =
        said.map_or_else(|| output.status.to_string(), |text| printable(&String::from_utf8_lossy(text.trim_ascii())));
    Ok(Err(why))
}

fn failed(name: &str, cause: String) -> Error {
    Error::Credentials { path: PathBuf::from(program(name)), cause }
}
