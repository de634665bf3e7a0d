//! How registries may be reached: `--authfile`, `--creds` and `--tls-verify` of everything that talks to one.
//! BRIG_INSECURE_REGISTRIES is read here as well, since it says for all commands what `--tls-verify=false` says for one.

use super::{Flag, Misuse, Parsed};
use engine::images::{Access, Reach, User};
use std::path::PathBuf;

/// Registries to speak to without HTTPS, besides this machine: names separated by commas.
const INSECURE: &str = "BRIG_INSECURE_REGISTRIES";

/// `--authfile`.
pub const AUTHFILE: Flag =
    Flag::value("authfile", "string", "File with the users of registries (also: REGISTRY_AUTH_FILE)");

/// `--tls-verify`.
pub const TLS_VERIFY: Flag =
    Flag::switch("tls-verify", "Require HTTPS and a valid certificate from the registry; BRIG_INSECURE_REGISTRIES (HOST[:PORT], separated by commas) names registries that need neither").default("true");

/// `--creds`.
pub const CREDS: Flag =
    Flag::value("creds", "string", "User for the registry that is named (NAME:PASSWORD), in place of stored ones");

/// All three.
pub const ACCESS: [Flag; 3] = [AUTHFILE, CREDS, TLS_VERIFY];

/// Reads the three flags.
pub fn read(parsed: &Parsed) -> Result<Reach, Misuse> {
    let user = parsed.meaning("creds", |text| user("creds", text))?;
    let reach = read_without_user(parsed);
    Ok(Reach { access: Access { user, ..reach.access }, ..reach })
}

/// Reads `--authfile` and `--tls-verify` of commands that are told users in another way.
pub fn read_without_user(parsed: &Parsed) -> Reach {
    let credentials_file = parsed.text("authfile").map(PathBuf::from);
    let reach = of_environment(parsed.switch("tls-verify") == Some(false));
    Reach { access: Access { credentials_file, ..reach.access }, ..reach }
}

/// Only what the environment says. `unverified` is `--tls-verify=false`.
pub fn of_environment(unverified: bool) -> Reach {
    let named = std::env::var(INSECURE).unwrap_or_default();
    let insecure = named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Reach { access: Access { insecure, ..Access::default() }, unverified }
}

/// A user for `--flag`. The text is not shown in what is said about it: it may be a password.
pub fn user(flag: &str, text: &str) -> Result<User, String> {
    let user = User::parse(text).filter(|user| !user.name.is_empty());
    user.ok_or_else(|| format!("invalid --{flag}: use NAME:PASSWORD"))
}
