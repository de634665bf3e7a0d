//! `cp` between a container and the host, with docker's rules for what goes where. The container
//! may run: its files are reached through its own root, volumes and tmpfs included, and a link
//! that it swaps meanwhile never leads outside (CVE-2018-15664).
//!
//! Owners are docker's, too: into the container files keep their numbers, with `archive` they
//! belong to the container's user; on the host they belong to the caller.

pub(crate) mod tree;
mod view;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use kernel::Context;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tree::{Copier, Owner, Place};
use view::{Resolved, View};

/// As many links as docker's client follows at the end of a destination.
const LINKS_MAX: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// `-a`: see the module's text on owners.
    pub archive: bool,
    /// `-L`: copy what a link at the end of the source leads to.
    pub follow_link: bool,
}

/// Copies `source` in the container to `destination` on the host. `NotFound` and `Invalid` carry
/// docker's texts.
pub fn from_container(
    engine: &Engine,
    container: &Container,
    source: &str,
    destination: &Path,
    options: &CopyOptions,
) -> Result<()> {
    copy_out(&View::open(engine, container)?, Path::new(source), destination, options)
}

fn copy_out(view: &View, source: &Path, destination: &Path, options: &CopyOptions) -> Result<()> {
    let source = Source::in_container(view, source, options.follow_link)?;
    let (target, target_path) = host_destination(destination)?;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let owner = Owner::Fixed { uid: user.as_raw(), gid: group.as_raw() };
    let mounts = |path: &Path| view.shown_at(path);
    let copier = Copier::new(owner).with_source_mounts(&mounts);
    execute(copier, &source, view.place(&source.path)?, &target, &target_path, host_place)
}

/// Copies `source` on the host to `destination` in the container.
pub fn to_container(
    engine: &Engine,
    container: &Container,
    source: &Path,
    destination: &str,
    options: &CopyOptions,
) -> Result<()> {
    let view = View::open(engine, container)?;
    let owner = container_owner(&view, container, options.archive)?;
    copy_in(&view, owner, source, Path::new(destination), options)
}

fn copy_in(view: &View, owner: Owner, source: &Path, destination: &Path, options: &CopyOptions) -> Result<()> {
    let source = Source::on_host(source, options.follow_link)?;
    let (target, target_path) = container_destination(view, destination)?;
    let mounts = |path: &Path| view.mounted_at(path);
    let copier = Copier::new(owner).with_target_mounts(&mounts);
    let open_target = |path: &Path| {
        view.check_writable(path)?;
        view.place(path)
    };
    execute(copier, &source, host_place(&source.path)?, &target, &target_path, open_target)
}

/// `cp CONTAINER:PATH -`: writes `source` as an archive, named as in the container; `dir/.` and `/`
/// as `./`. Volumes within a directory are in it only while the container runs, and never with
/// `/`, of which the layers alone are written.
pub fn stream_from_container(
    engine: &Engine,
    container: &Container,
    source: &str,
    output: &mut dyn Write,
    options: &CopyOptions,
) -> Result<()> {
    let view = View::open(engine, container)?;
    let source = Source::in_container(&view, Path::new(source), options.follow_link)?;
    let name = source.path.file_name().filter(|_| !source.content_only).unwrap_or(OsStr::new("."));
    let (root, path) = match source.path == Path::new("/") {
        true => (crate::export::layers_only(engine, container)?, source.path.clone()),
        false => view.root_of(&source.path)?,
    };
    Ok(image::export::tar_of(&root, &path, &name.to_string_lossy(), output)?)
}

/// `cp - CONTAINER:PATH`: unpacks an archive (plain, gzip or zstd) into the directory
/// `destination`. Owners are those of the archive, with `archive` the container's user.
pub fn stream_to_container(
    engine: &Engine,
    container: &Container,
    input: &mut dyn Read,
    destination: &str,
    options: &CopyOptions,
) -> Result<()> {
    let view = View::open(engine, container)?;
    let found = view.resolve(&view::clean(Path::new(destination)), true)?;
    if !found.is_directory() {
        let text = format!("destination \"{}:{destination}\" must be a directory", view.name());
        return Err(Error::Invalid(text));
    }
    view.check_writable(&found.path)?;
    let (root, path) = view.root_of(&found.path)?;
    let owner = match container_owner(&view, container, options.archive)? {
        Owner::Same => None,
        Owner::Fixed { uid, gid } => Some((uid, gid)),
    };
    let base = path.strip_prefix("/").unwrap_or(&path).to_owned();
    let unpack = image::unpack::Options { base, owner, keep_kinds: true, ..Default::default() };
    let mut decoder = image::compress::Decoder::new(input).during("read the archive")?;
    image::unpack::unpack(&mut decoder, &root, &unpack)?;
    Ok(())
}

/// What is copied.
#[derive(Debug)]
struct Source {
    /// Where it is, links resolved as asked.
    path: PathBuf,
    /// The name it gets in a destination directory: the one that was asked for.
    name: OsString,
    is_directory: bool,
    /// `dir/.`: not the directory, but what is in it.
    content_only: bool,
}

impl Source {
    fn in_container(view: &View, asked: &Path, follow_link: bool) -> Result<Source> {
        let (follow, content_only) = asked_for(asked, follow_link);
        let found = view.resolve(&view::clean(asked), follow).map_err(|error| match error {
            Error::NotFound(_) => view.missing(asked),
            other => other,
        })?;
        if found.kind.is_none() || (names_directory(asked) && !found.is_directory()) {
            return Err(view.missing(asked));
        }
        Ok(Source::new(asked, found, content_only))
    }

    fn on_host(asked: &Path, follow_link: bool) -> Result<Source> {
        let path = absolute(asked)?;
        let (follow, content_only) = asked_for(asked, follow_link);
        let lstat = |errno| kernel::Error::at("lstat", &path, errno);
        let resolved = if follow { std::fs::canonicalize(&path) } else { Ok(path.clone()) };
        let resolved = resolved.during_at("lstat", &path)?;
        let kind = std::fs::symlink_metadata(&resolved).during_at("lstat", &path)?.file_type();
        if names_directory(asked) && !kind.is_dir() {
            return Err(lstat(Errno::NOTDIR).into());
        }
        let kind = if kind.is_dir() { FileType::Directory } else { FileType::RegularFile };
        Ok(Source::new(&path, Resolved { path: resolved, kind: Some(kind) }, content_only))
    }

    /// `found` is there; `asked` gives the name.
    fn new(asked: &Path, found: Resolved, content_only: bool) -> Source {
        let name = view::clean(asked).file_name().map(OsStr::to_owned);
        Source {
            is_directory: found.is_directory(),
            // Of the root there is only content.
            content_only: content_only || name.is_none(),
            name: name.unwrap_or_default(),
            path: found.path,
        }
    }
}

/// What is at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Missing,
    /// As `Missing`, but the path ends as a directory's.
    MissingDirectory,
    Directory,
    Other,
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Into the destination, under the source's name.
    Into,
    /// What is in the source into the destination.
    Content,
    /// The source becomes the destination.
    As,
}

/// Docker's table of what a copy means.
fn plan(source_is_directory: bool, content_only: bool, target: Target) -> Result<Plan> {
    match target {
        Target::Directory if source_is_directory && content_only => Ok(Plan::Content),
        Target::Directory => Ok(Plan::Into),
        Target::Other if source_is_directory => Err(Error::Invalid("cannot copy directory".into())),
        Target::MissingDirectory if !source_is_directory => Err(Error::Invalid("no such directory".into())),
        Target::Other | Target::Missing | Target::MissingDirectory => Ok(Plan::As),
    }
}

/// `open_target` opens the directory that is to hold a path on the destination's side.
fn execute(
    mut copier: Copier<'_>,
    source: &Source,
    place: Place,
    target: &Target,
    target_path: &Path,
    open_target: impl Fn(&Path) -> Result<Place>,
) -> Result<()> {
    match plan(source.is_directory, source.content_only, *target)? {
        Plan::Content => copier.copy_content(&place, &source.path, &open_target(target_path)?, target_path),
        Plan::As => copier.copy(&place, &source.path, &open_target(target_path)?, target_path),
        Plan::Into => {
            let target_path = target_path.join(&source.name);
            copier.copy(&place, &source.path, &open_target(&target_path)?, &target_path)
        }
    }
}

fn container_destination(view: &View, asked: &Path) -> Result<(Target, PathBuf)> {
    let found = match view.resolve(&view::clean(asked), true) {
        Ok(found) => found,
        // Docker names the directory that is missing, not the file that would be made in it.
        Err(Error::NotFound(_)) => {
            let clean = view::clean(asked);
            let parent = clean.parent().unwrap_or(&clean);
            return Err(match view.resolve(parent, true) {
                Ok(Resolved { kind: Some(_), .. }) => Error::Invalid("extraction point is not a directory".into()),
                _ => view.missing(parent),
            });
        }
        Err(error) => return Err(error),
    };
    let target = match found.kind {
        None | Some(FileType::RegularFile) if names_directory(asked) => Target::MissingDirectory,
        None => Target::Missing,
        Some(FileType::Directory) => Target::Directory,
        Some(FileType::RegularFile) => Target::Other,
        Some(_) => {
            let path = asked.display();
            let text = format!("destination \"{}:{path}\" must be a directory or a regular file", view.name());
            return Err(Error::Invalid(text));
        }
    };
    Ok((target, found.path))
}

fn host_destination(asked: &Path) -> Result<(Target, PathBuf)> {
    let mut path = absolute(asked)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
        let parent = parent.display();
        return Err(Error::Invalid(format!("invalid output path: directory \"{parent}\" does not exist")));
    }
    for _ in 0..=LINKS_MAX {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            let target = if names_directory(asked) { Target::MissingDirectory } else { Target::Missing };
            return Ok((target, path));
        };
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let link = std::fs::read_link(&path).during_at("read link", &path)?;
            path = view::clean(&path.parent().unwrap_or(Path::new("/")).join(link));
        } else if kind.is_dir() {
            return Ok((Target::Directory, path));
        } else if kind.is_file() && names_directory(asked) {
            return Err(kernel::Error::at("open", asked, Errno::NOTDIR).into());
        } else if kind.is_file() {
            return Ok((Target::Other, path));
        } else {
            let text = format!("invalid output path: \"{}\" must be a directory or a regular file", asked.display());
            return Err(Error::Invalid(text));
        }
    }
    Err(Error::Invalid(format!("too many symlinks in {}", asked.display())))
}

/// Whether a link at the end is followed, and whether only the content is meant.
fn asked_for(path: &Path, follow_link: bool) -> (bool, bool) {
    let bytes = path.as_os_str().as_bytes();
    let content_only = bytes == b"." || bytes.ends_with(b"/.");
    (follow_link || names_directory(path), content_only)
}

/// `x/` and `x/.` can only be a directory.
fn names_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes == b"." || bytes.ends_with(b"/.") || bytes.ends_with(b"/")
}

fn absolute(path: &Path) -> Result<PathBuf> {
    let base = std::env::current_dir().during("find the working directory")?;
    Ok(view::clean(&base.join(path)))
}

/// The caller's own path: its directory is trusted.
fn host_place(path: &Path) -> Result<Place> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let (parent, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => (parent, name.to_owned()),
        _ => (path, ".".into()),
    };
    let directory: OwnedFd = rustix::fs::openat(CWD, parent, flags, Mode::empty()).during_at("open", parent)?;
    Ok(Place { directory, name })
}

/// `-a`: the user that the container runs as, if it was given one.
fn container_owner(view: &View, container: &Container, archive: bool) -> Result<Owner> {
    let user = &container.record.process.user;
    if !archive || user.is_empty() {
        return Ok(Owner::Same);
    }
    let resolved = crate::user::resolve(view.root(), user, &[])?;
    Ok(Owner::Fixed { uid: resolved.uid, gid: resolved.gid })
}

#[cfg(test)]
mod tests;
