//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a container, written afresh for each
//! start into its run folder and mounted from there.

use crate::error::Result;
use crate::options::Network;
use crate::record::Record;
use kernel::Context;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

/// Larger host files than this are cut: they are copied for every start.
const FILE_SIZE_MAX: u64 = 1 << 20;

const LOCAL_HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

pub fn write(record: &Record, run: &Path) -> Result<()> {
    let hostname = &record.process.hostname;
    put(run, "hostname", format!("{hostname}\n").as_bytes())?;
    if record.options.namespaces.network == Network::Host {
        put(run, "hosts", &host_file("/etc/hosts"))?;
    } else {
        let mut hosts = LOCAL_HOSTS.to_owned();
        // Without any address the name still has to resolve: many programs look themselves up.
        let _ = writeln!(hosts, "127.0.1.1\t{hostname}");
        put(run, "hosts", hosts.as_bytes())?;
    }
    put(run, "resolv.conf", &host_file("/etc/resolv.conf"))
}

fn put(run: &Path, name: &str, text: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = run.join(name);
    std::fs::write(&path, text).during_at("write", &path)?;
    // Readable for every user in the container, whatever the caller's umask.
    Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).during_at("change mode of", &path)?)
}

/// Empty when the host has none.
fn host_file(path: &str) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(FILE_SIZE_MAX).read_to_end(&mut text);
    }
    text
}
