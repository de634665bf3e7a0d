//! Making a container: what was asked and the image become a record in a directory of its own.
//! Nothing runs yet. Everything is checked first; then the directory is built under a hidden
//! name, the container's name is reserved, and one rename makes it a container.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{MountSource, Network, Options};
use crate::record::{Record, VolumeUse};
use crate::state::State;
use crate::undo::Undo;
use crate::volumes::{self, Lifetime};
use crate::{file, names, network, oci_runtime, resolve, validate};
use kernel::Context;
use rustix::io::Errno;
use spec::{ContainerId, Timestamp};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// Makes a container of an image that is in the store. `Ok` means that it can be started; on an
/// error nothing is left.
pub fn create(engine: &Engine, mut options: Options) -> Result<Container> {
    let lease = engine.store().use_images()?; // no image is removed under our hands
    let image = engine.store().resolve(&options.image)?;
    engine.store().note_use(&image);
    validate::options(&options)?;
    let runtime = runtime(&options)?;
    let process = resolve::process(&options, &image.config)?;
    check_networks(engine, &mut options)?;
    let id = new_id()?;

    let record = Record {
        name: String::new(),
        created: Timestamp::now(),
        image_name: image_name(&options.image, &image),
        image_id: image.id.clone(),
        layers: image.config.rootfs.diff_ids.clone(),
        volumes: Vec::new(),
        process: resolve::with_hostname(process, &options, &id),
        options,
        runtime,
        id,
    };
    crate::logs::attributes::of(&record)?;
    let record = with_shared_hostname(engine, record)?;
    let mut container = Container { record, state: State::default() };

    // Held until the rename, and past an undo: a sweep takes only what nobody has locked, names too.
    let making;
    let mut undo = Undo::new();
    let hidden = engine.paths().containers().join(format!(".new-{}", container.id()));
    make_directory(&hidden, &mut undo)?;
    making = lock_directory(&hidden)?;
    container.record.name = reserve_name(engine, container.id(), container.record.options.name.as_deref())?;
    let name_link = engine.paths().name(&container.record.name);
    let id = container.id().clone();
    undo.push(move || {
        if std::fs::read_link(&name_link).is_ok_and(|target| target.as_os_str() == id.as_str()) {
            let _ = std::fs::remove_file(name_link);
        }
    });
    container.record.volumes = make_volumes(engine, &container.record, &mut undo)?;
    // No state yet: what has no state.json is created and nothing more.
    file::write_json(&hidden.join("container.json"), &container.record)?;
    let directory = engine.paths().container(container.id());
    std::fs::rename(&hidden, &directory).during_at("rename to", &directory)?;
    undo.keep();
    drop((making, lease));
    Ok(container)
}

/// Networks and containers that are named must be there; networks are put on record by their names.
fn check_networks(engine: &Engine, options: &mut Options) -> Result<()> {
    let mut ids = Vec::new();
    for attachment in &mut options.networking.attachments {
        let network = network::find(engine, &attachment.network)?;
        if matches!(network.driver, network::Driver::Host | network::Driver::Null) {
            return Err(Error::Invalid(format!(
                "conflicting options: network {} cannot be combined with other networks",
                network.name
            )));
        }
        if ids.contains(&network.id) {
            return Err(Error::Invalid(format!("network {} is given twice", network.name)));
        }
        ids.push(network.id);
        // Typed by a part of its id perhaps; on record it has its name.
        attachment.network = network.name;
    }
    for link in &options.networking.links {
        Container::find(engine, link.split(':').next().unwrap_or_default())?;
    }
    Ok(())
}

/// Whoever shares another container's network has its host name too, as docker has it.
fn with_shared_hostname(engine: &Engine, mut record: Record) -> Result<Record> {
    if let Network::Container(name) = &record.options.namespaces.network {
        let other = Container::find(engine, name)?;
        record.process.hostname = other.record.process.hostname;
        // By id: the name may belong to another container one day.
        record.options.namespaces.network = Network::Container(other.record.id.to_string());
    }
    Ok(record)
}

/// Between its making and this lock a sweep may have taken the directory for a dead maker's: then it is made again.
fn lock_directory(hidden: &Path) -> Result<kernel::lock::Lock> {
    loop {
        match kernel::lock::Lock::exclusive(&hidden.join("lock")) {
            Ok(lock) if hidden.join("lock").exists() => return Ok(lock),
            Err(error) if error.errno != Errno::NOENT => return Err(error.into()),
            // Swept; what the sweep has not removed yet is in its way for a moment only.
            _ => match fill_directory(hidden) {
                Err(Error::Kernel(error)) if error.errno == Errno::EXIST => std::thread::yield_now(),
                result => result?,
            },
        }
    }
}

fn runtime(options: &Options) -> Result<Option<PathBuf>> {
    let Some(name) = &options.runtime else { return Ok(None) };
    let program = oci_runtime::find(name)?;
    if program.is_some() {
        oci_runtime::check(options)?;
    }
    Ok(program)
}

fn new_id() -> Result<ContainerId> {
    Ok(ContainerId::random(kernel::random::bytes()?))
}

/// As `ps` shows it: what was typed, unless that was an id of an image that has a name.
fn image_name(typed: &str, image: &image::Image) -> String {
    let hex = typed.strip_prefix("sha256:").unwrap_or(typed);
    let is_id = hex.len() >= 4 && image.id.hex().starts_with(hex);
    match image.names.first() {
        Some(name) if is_id => name.familiar(),
        _ => typed.to_owned(),
    }
}

fn make_directory(path: &Path, undo: &mut Undo<'_>) -> Result<()> {
    let made = path.to_owned();
    undo.push(move || {
        let _ = std::fs::remove_dir_all(made);
    });
    fill_directory(path)
}

fn fill_directory(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700).create(path).during_at("make directory", path)?;
    // `upper` becomes the container's `/`, whose mode everybody in the container sees.
    file::make_visible_directory(&path.join("upper"))?;
    Ok(builder.create(path.join("work")).during_at("make directory", path.join("work"))?)
}

/// Takes `wanted`, or the first free random name.
fn reserve_name(engine: &Engine, id: &ContainerId, wanted: Option<&str>) -> Result<String> {
    if let Some(name) = wanted {
        let name = name.strip_prefix('/').unwrap_or(name);
        validate::container_name(name)?;
        reserve(engine, id, name)?;
        return Ok(name.to_owned());
    }
    loop {
        let name = names::random_name();
        match reserve(engine, id, &name) {
            Err(Error::NameInUse(_)) => {}
            result => return result.map(|()| name),
        }
    }
}

/// Makes the symbolic link that is the reservation; a link whose container is gone is taken over.
pub(crate) fn reserve(engine: &Engine, id: &ContainerId, name: &str) -> Result<()> {
    let link = engine.paths().name(name);
    loop {
        match symlink(id.as_str(), &link) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Ok(Err(e).during_at("reserve name", &link)?),
        }
        let holder = match std::fs::read_link(&link) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(_) => continue, // released this moment
        };
        if !crate::recover::release_stale_name(engine, name, &holder)? {
            return Err(Error::NameInUse(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
            )));
        }
    }
}

/// Named volumes are made when absent and kept; anonymous ones are ours.
fn make_volumes(engine: &Engine, record: &Record, undo: &mut Undo<'_>) -> Result<Vec<VolumeUse>> {
    let mut uses = Vec::new();
    let mounts = &record.options.storage.mounts;
    let own = if record.options.lifecycle.auto_remove { Lifetime::Volatile } else { Lifetime::Anonymous };
    for mount in mounts {
        if let MountSource::Volume { name, labels, driver, driver_options, .. } = &mount.source {
            let anonymous = name.is_none();
            let (name, lifetime) = match name {
                Some(name) => (name.clone(), Lifetime::Named),
                None => (volumes::anonymous_name()?, own),
            };
            make_volume(engine, &name, driver, labels, driver_options, lifetime, undo)?;
            uses.push(VolumeUse { name, target: mount.target.clone(), read_only: mount.read_only, anonymous });
        }
    }
    for target in &record.process.image_volumes {
        if mounts.iter().any(|mount| mount.target.trim_end_matches('/') == target.trim_end_matches('/')) {
            continue;
        }
        let name = volumes::anonymous_name()?;
        make_volume(engine, &name, "local", &Default::default(), &Default::default(), own, undo)?;
        uses.push(VolumeUse { name, target: target.clone(), read_only: false, anonymous: true });
    }
    Ok(uses)
}

fn make_volume(
    engine: &Engine,
    name: &str,
    driver: &str,
    labels: &std::collections::BTreeMap<String, String>,
    driver_options: &std::collections::BTreeMap<String, String>,
    lifetime: Lifetime,
    undo: &mut Undo<'_>,
) -> Result<()> {
    if lifetime != Lifetime::Named {
        let path = engine.paths().volumes().join(name);
        undo.push(move || {
            let _ = std::fs::remove_dir_all(path);
        });
    }
    volumes::create(engine, Some(name), driver, labels, driver_options, lifetime).map(|_| ())
}

/// Removes the directory of a container that `rm` or `--rm` has hidden; missing is fine.
pub(crate) fn remove_directory(path: &Path) -> Result<()> {
    match kernel::remove::tree(path) {
        Err(error) if error.errno != Errno::NOENT => Err(error.into()),
        _ => Ok(()),
    }
}
