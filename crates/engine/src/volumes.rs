//! Named and anonymous volumes: `volumes/<name>/` with `volume.json` and the files in `_data`.
//! Called by the `volume` commands and by `create`, `run` and `lifecycle`.
//!
//! A volume is made under a name with a dot and renamed, and removed the other way round, so no
//! kill leaves half a volume. Filling one from the image is in `copy_up.rs`. Only docker's
//! `local` driver without options exists.

mod copy_up;
mod filter;

pub use copy_up::copy_up;
pub use filter::Filters;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file;
use kernel::Context;
use kernel::lock::Lock;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use spec::{ContainerId, Timestamp};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Docker marks volumes without a name of their own so, and its tools look for it.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";
/// A directory's name, with room for what is put before it.
const NAME_LENGTH_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    pub created: Timestamp,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    /// The files; known from where the volume is, not stored.
    #[serde(skip)]
    pub mountpoint: PathBuf,
}

impl Volume {
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}

/// How long a new volume is to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody removes it by name.
    Named,
    /// Until `rm -v` of its container, or a prune.
    Anonymous,
    /// With its container, which has `--rm`: nothing of it need survive a power cut.
    Volatile,
}

/// What a prune removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    pub names: Vec<String>,
    pub reclaimed_bytes: u64,
}

/// 64 hexadecimal digits.
pub fn anonymous_name() -> Result<String> {
    Ok(ContainerId::random(kernel::random::bytes()?).as_str().to_owned())
}

/// Makes a volume, under a random name without `name`. One that exists is returned as it is, as
/// docker does. `Unsupported` for other drivers and for options.
pub fn create(
    engine: &Engine,
    name: Option<&str>,
    driver: &str,
    labels: &BTreeMap<String, String>,
    options: &BTreeMap<String, String>,
    lifetime: Lifetime,
) -> Result<Volume> {
    let mut labels = labels.clone();
    if lifetime != Lifetime::Named || name.is_none() {
        labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
    }
    let name = match name {
        Some(name) => name.to_owned(),
        None => anonymous_name()?,
    };
    check_name(&name)?;
    if !matches!(driver, "" | "local") {
        let text = format!(
            "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found; only the driver local is there"
        );
        return Err(Error::NotFound(text));
    }
    if let Some(option) = options.keys().next() {
        let text = format!(
            "create {name}: option {option} of the local driver is not supported; mount it on the host and use a bind"
        );
        return Err(Error::Unsupported(text));
    }
    if let Some(volume) = read(engine, &name)? {
        return Ok(volume);
    }
    let volume = Volume {
        mountpoint: data_path(engine, &name),
        name,
        driver: "local".to_owned(),
        created: Timestamp::now(),
        labels,
        options: BTreeMap::new(),
    };
    make(engine, &volume, lifetime)
}

/// All that match, by name.
pub fn list(engine: &Engine, filters: &Filters) -> Result<Vec<Volume>> {
    let mut volumes = Vec::new();
    for name in names(engine)? {
        if let Some(volume) = read(engine, &name)?
            && filters.matches(&volume)
            && filters.matches_use(|| Ok(!users(engine, &name)?.is_empty()))?
        {
            volumes.push(volume);
        }
    }
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(volumes)
}

pub fn inspect(engine: &Engine, name: &str) -> Result<Volume> {
    read(engine, name)?.ok_or_else(|| no_such(name))
}

/// `Conflict` while a container uses it. `force`: one that is not there is no error.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<()> {
    let Some(_lock) = lock(engine, name)? else {
        return if force { Ok(()) } else { Err(no_such(name)) };
    };
    let users = users(engine, name)?;
    if !users.is_empty() {
        let ids: Vec<&str> = users.iter().map(ContainerId::as_str).collect();
        return Err(Error::Conflict(format!("remove {name}: volume is in use - [{}]", ids.join(", "))));
    }
    take_away(engine, name)
}

/// Removes volumes that no container uses: the anonymous ones, with `all` the named ones too.
pub fn prune(engine: &Engine, all: bool, filters: &Filters) -> Result<Pruned> {
    sweep(engine);
    let mut pruned = Pruned::default();
    for volume in list(engine, filters)? {
        if !all && !filters.all() && !volume.is_anonymous() {
            continue;
        }
        let Some(_lock) = lock(engine, &volume.name)? else { continue };
        if !users(engine, &volume.name)?.is_empty() {
            continue;
        }
        pruned.reclaimed_bytes = pruned.reclaimed_bytes.saturating_add(size_bytes(&volume.mountpoint));
        take_away(engine, &volume.name)?;
        pruned.names.push(volume.name);
    }
    Ok(pruned)
}

/// For a start: the directory to mount. A volume that was removed meanwhile is made again, empty.
pub fn ensure(engine: &Engine, name: &str) -> Result<PathBuf> {
    let path = data_path(engine, name);
    if !path.is_dir() {
        create(engine, Some(name), "local", &BTreeMap::new(), &BTreeMap::new(), Lifetime::Named)?;
    }
    Ok(path)
}

/// Where a volume's files are. `name` is one that `create` took.
pub fn data_path(engine: &Engine, name: &str) -> PathBuf {
    engine.paths().volumes().join(name).join("_data")
}

/// The containers, running or not, that have it.
pub fn users(engine: &Engine, name: &str) -> Result<Vec<ContainerId>> {
    let mut users = Vec::new();
    for id in crate::list::ids(engine)? {
        // One that cannot be read may use any volume: then nothing is removed, until that container is.
        let path = engine.paths().container(&id).join("container.json");
        if let Some(record) = file::read_json::<crate::record::Record>(&path)?
            && record.volumes.iter().any(|volume| volume.name == name)
        {
            users.push(id);
        }
    }
    Ok(users)
}

/// Docker's rule and texts.
fn check_name(name: &str) -> Result<()> {
    if name.len() < 2 {
        let text = "volume name is too short, names should be at least two alphanumeric characters";
        return Err(Error::Invalid(format!("create {name}: {text}")));
    }
    let first = name.as_bytes()[0].is_ascii_alphanumeric();
    if !first || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
        return Err(Error::Invalid(format!(
            "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )));
    }
    if name.len() > NAME_LENGTH_MAX {
        return Err(Error::Invalid(format!("create {name}: volume name is longer than {NAME_LENGTH_MAX} characters")));
    }
    Ok(())
}

fn no_such(name: &str) -> Error {
    Error::NotFound(format!("get {name}: no such volume"))
}

fn names(engine: &Engine) -> Result<Vec<String>> {
    let directory = engine.paths().volumes();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Ok(Err(error).during_at("list", &directory)?),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| !name.starts_with('.')).collect())
}

fn read(engine: &Engine, name: &str) -> Result<Option<Volume>> {
    // Also keeps `..` and the like from being looked up.
    if check_name(name).is_err() {
        return Ok(None);
    }
    let path = engine.paths().volumes().join(name).join("volume.json");
    let mountpoint = data_path(engine, name);
    match file::read_json::<Volume>(&path) {
        Ok(Some(volume)) => Ok(Some(Volume { mountpoint, ..volume })),
        // Every volume is made whole, but a volatile one is not on disk at once: a power cut may take its description
        // and leave its files. It must neither hide the others nor lie about for ever.
        Ok(None) | Err(Error::Failed(_)) if is_empty(&path) && mountpoint.is_dir() => {
            Ok(Some(remnant(name, mountpoint)))
        }
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Missing counts as empty.
fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).map_or_else(|error| error.kind() == ErrorKind::NotFound, |found| found.len() == 0)
}

/// What a prune takes.
fn remnant(name: &str, mountpoint: PathBuf) -> Volume {
    Volume {
        name: name.to_owned(),
        driver: "local".to_owned(),
        created: Timestamp::EPOCH,
        labels: BTreeMap::from([(ANONYMOUS_LABEL.to_owned(), String::new())]),
        options: BTreeMap::new(),
        mountpoint,
    }
}

/// Two that make the same volume at once get the same one: the rename decides.
fn make(engine: &Engine, volume: &Volume, lifetime: Lifetime) -> Result<Volume> {
    let volumes = engine.paths().volumes();
    file::make_directory(&volumes)?;
    let hidden = hidden(&volumes, "new", &volume.name)?;
    let result = fill_and_rename(&hidden, &volumes, volume, lifetime);
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&hidden);
    }
    match result {
        Ok(()) => Ok(volume.clone()),
        Err(error) if matches!(error.errno, Errno::EXIST | Errno::NOTEMPTY) => inspect(engine, &volume.name),
        Err(error) => Err(error.into()),
    }
}

fn fill_and_rename(hidden: &Path, volumes: &Path, volume: &Volume, lifetime: Lifetime) -> kernel::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = volumes.join(&volume.name);
    std::fs::create_dir(hidden).during_at("make directory", hidden)?;
    // Whoever runs as another user in the container must be able to enter, whatever the caller's umask.
    let data = hidden.join("_data");
    std::fs::create_dir(&data).during_at("make directory", &data)?;
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o755)).during_at("change mode of", &data)?;
    let meta = hidden.join("volume.json");
    let text = serde_json::to_vec(volume).unwrap_or_default();
    std::fs::write(&meta, text).during_at("write", &meta)?;
    let rename =
        || rustix::fs::renameat_with(CWD, hidden, CWD, &path, RenameFlags::NOREPLACE).during_at("make volume", &path);
    if lifetime == Lifetime::Volatile {
        return rename();
    }
    // What a user keeps must survive a power cut, its name included.
    sync(&meta)?;
    sync(hidden)?;
    rename()?;
    sync(volumes)
}

fn sync(path: &Path) -> kernel::Result<()> {
    std::fs::File::open(path).and_then(|file| file.sync_all()).during_at("sync", path)
}

/// The lock of a volume; `None` when it is not there (any more).
fn lock(engine: &Engine, name: &str) -> Result<Option<Lock>> {
    if check_name(name).is_err() {
        return Ok(None);
    }
    let path = engine.paths().volumes().join(name).join("lock");
    loop {
        let lock = match Lock::exclusive(&path) {
            Ok(lock) => lock,
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Removed, and perhaps made again, while we waited: then ours is the lock of a ghost.
        let held = rustix::fs::fstat(&lock).during_at("stat", &path)?;
        match std::fs::metadata(&path) {
            Ok(there) if (there.dev(), there.ino()) == (held.st_dev, held.st_ino) => return Ok(Some(lock)),
            _ => continue,
        }
    }
}

/// Hides it with one rename, then removes the files. The caller holds the lock.
fn take_away(engine: &Engine, name: &str) -> Result<()> {
    Ok(kernel::remove::tree(&rename_away(engine, name)?)?)
}

fn rename_away(engine: &Engine, name: &str) -> Result<PathBuf> {
    let volumes = engine.paths().volumes();
    let hidden = hidden(&volumes, "old", name)?;
    let path = volumes.join(name);
    std::fs::rename(&path, &hidden).during_at("remove volume", &path)?;
    Ok(hidden)
}

/// Makes it no volume any more, unless a container uses it; its files are left to `remove_hidden`.
pub(crate) fn hide(engine: &Engine, name: &str) -> Result<()> {
    let Some(_lock) = lock(engine, name)? else { return Ok(()) };
    if users(engine, name)?.is_empty() {
        rename_away(engine, name)?;
    }
    Ok(())
}

/// Removes what `hide` has hidden, whoever called it.
pub(crate) fn remove_hidden(engine: &Engine, name: &str) -> Result<()> {
    let volumes = engine.paths().volumes();
    for entry in std::fs::read_dir(&volumes).during_at("list", &volumes)?.flatten() {
        let hidden = entry.file_name();
        // `.old-<pid>-<call>-<name>`
        let mut words = hidden.to_str().unwrap_or_default().splitn(4, '-');
        if words.next() == Some(".old") && words.nth(2) == Some(name) {
            kernel::remove::tree(&entry.path())?;
        }
    }
    Ok(())
}

/// A name of this call's own, which says who is at work; free for use.
fn hidden(volumes: &Path, kind: &str, name: &str) -> Result<PathBuf> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let path = volumes.join(format!(".{kind}-{}-{call}-{name}", std::process::id()));
    // A former process of this number may have been killed half-way.
    match kernel::remove::tree(&path) {
        Err(error) if error.errno != Errno::NOENT => Err(error.into()),
        _ => Ok(path),
    }
}

/// Finishes what killed processes began: hidden directories whose maker is gone.
fn sweep(engine: &Engine) {
    let volumes = engine.paths().volumes();
    for entry in std::fs::read_dir(&volumes).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(".new-").or_else(|| name.strip_prefix(".old-"))?;
            rest.split('-').next()?.parse::<i32>().ok()
        });
        if maker.is_some_and(|pid| kernel::process::start_time(pid).is_err()) {
            let _ = kernel::remove::tree(&entry.path());
        }
    }
}

/// The lengths of all files; what cannot be read counts nothing. Files with holes may be as long as they like.
pub(crate) fn size_bytes(directory: &Path) -> u64 {
    let mut total = 0u64;
    let mut todo = vec![directory.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                todo.push(entry.path());
            } else {
                total = total.saturating_add(metadata.len());
            }
        }
    }
    total
}

#[cfg(test)]
mod tests;
