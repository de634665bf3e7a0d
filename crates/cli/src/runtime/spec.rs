//! `spec`: a specification to start from, for users to edit.

use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::parse::Parsed;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub fn spec(parsed: &Parsed) -> Outcome {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let text = if parsed.switch("rootless") { oci::template::for_user(uid, gid) } else { oci::template::for_root() };
    let path = Path::new(parsed.text("bundle").unwrap_or(".")).join("config.json");
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new("File config.json exists. Remove it first"));
        }
        Err(error) => return Err(failed(&path, &error)),
    };
    file.write_all(text.as_bytes()).map_err(|error| failed(&path, &error))?;
    Ok(0)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("open {}: {}", path.display(), crate::failure::plain(error)))
}
