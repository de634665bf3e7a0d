//! `commit`: a container's changes on top of its image become a new image. The changes are packed in one thread and taken in
//! by another, so nothing of their size is held in memory.

use crate::compress::GzipWriter;
use crate::error::{Error, Result};
use crate::export;
use crate::ingest::Ingest;
use crate::layer::Layer;
use crate::pipe::pipe;
use crate::store::{Image, Store};
use spec::image::{Config, Descriptor, History, media_type};
use spec::{Reference, Timestamp};
use std::io::Write;
use std::path::Path;

/// What to make of a container.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The image below.
    pub base: &'a Image,
    /// Upper directory of the container's overlay; nothing may change it meanwhile.
    pub upper: &'a Path,
    /// The new image's configuration, complete.
    pub config: Config,
    pub author: &'a str,
    pub comment: &'a str,
    /// The command that made the changes, for the history.
    pub created_by: &'a str,
    pub created: Timestamp,
    pub name: Option<&'a Reference>,
}

/// Makes an image of a container. `Ok` means that it is in the store, durably.
pub fn commit(store: &Store, commit: &Commit<'_>) -> Result<Image> {
    let ingest = store.ingest()?;
    let layer = layer_of(&ingest, commit.upper)?;
    let mut config = commit.base.config.clone();
    config.config = commit.config.clone();
    config.created = Some(commit.created);
    config.author = commit.author.to_owned();
    config.comment = commit.comment.to_owned();
    config.rootfs.diff_ids.push(layer.diff_id);
    config.history.push(History {
        created: Some(commit.created),
        created_by: commit.created_by.to_owned(),
        author: commit.author.to_owned(),
        comment: commit.comment.to_owned(),
        empty_layer: false,
    });
    let mut layers: Vec<Descriptor> = commit.base.manifest.layers.iter().map(as_oci).collect();
    layers.push(layer.descriptor);
    ingest.finish_new(&config, layers, commit.name.map_or(&[], std::slice::from_ref))
}

/// Packs an overlay's upper directory into a layer and takes it in; compressed, if the store keeps that.
pub fn layer_of(ingest: &Ingest, upper: &Path) -> Result<Layer> {
    let (mut sender, mut receiver) = pipe();
    let compressed = ingest.keeps_blobs();
    std::thread::scope(|scope| {
        let packer = scope.spawn(move || {
            if !compressed {
                export::layer_of(upper, &mut sender)?;
                return sender.flush().map_err(Error::stream);
            }
            let mut gzip = GzipWriter::new(&mut sender);
            export::layer_of(upper, &mut gzip)?;
            gzip.finish().and_then(|sender| sender.flush()).map_err(Error::stream)
        });
        let layer = ingest.new_layer(&mut receiver, None);
        drop(receiver);
        let packed = packer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (layer, packed) {
            // The reader gave up first: its error is the cause.
            (Err(cause), Err(Error::Stream(_))) => Err(cause),
            (_, Err(cause)) => Err(cause),
            (layer, Ok(())) => layer,
        }
    })
}

/// An OCI manifest names layers in OCI's way, also those that came from a docker manifest.
fn as_oci(descriptor: &Descriptor) -> Descriptor {
    let media_type = match descriptor.media_type.as_str() {
        media_type::DOCKER_LAYER => media_type::OCI_LAYER,
        media_type::DOCKER_LAYER_GZIP => media_type::OCI_LAYER_GZIP,
        other => other,
    };
    Descriptor { media_type: media_type.to_owned(), ..descriptor.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff;
    use crate::import::{Import, import};
    use crate::testing::{Scratch, is_root, tar_of};
    use kernel::overlay;
    use rustix::fs::{AtFlags, Mode, OFlags};
    use spec::Platform;

    fn imported(store: &Store, changes: &[String]) -> Result<Image> {
        let archive = tar_of(&[("etc/", b""), ("etc/one", b"1"), ("etc/two", b"2"), ("d/", b""), ("d/x", b"x")]);
        let name = Reference::parse("base").unwrap();
        let import = Import {
            name: Some(&name),
            changes,
            message: "Imported from -",
            platform: Platform::host(),
            created: Timestamp::from_seconds(1),
        };
        crate::import::import(store, &mut archive.as_slice(), &import)
    }

    #[test]
    fn an_import_has_one_layer_and_the_changes() {
        let scratch = Scratch::new("import");
        let store = Store::open(scratch.path()).unwrap();
        let image = imported(&store, &["CMD [\"/x\"]".to_owned()]).unwrap();
        assert_eq!(image.config.config.cmd, ["/x"]);
        assert_eq!(image.config.history[0].comment, "Imported from -");
        assert_eq!(image.config.platform(), Platform::host());
        assert!(imported(&store, &["NOPE x".to_owned()]).is_err());
        let broken =
            Import { name: None, changes: &[], message: "", platform: Platform::host(), created: Timestamp::EPOCH };
        assert!(import(&store, &mut &b"no archive at all"[..], &broken).is_err());
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn a_containers_changes_become_a_layer() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new("commit");
        let store = Store::open(scratch.path()).unwrap();
        let base = imported(&store, &[]).unwrap();
        let (upper, work) = (scratch.path().join("upper"), scratch.path().join("work"));
        std::fs::create_dir(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        let above = overlay::Upper { directory: &upper, work: &work, volatile: true };
        let below = store.stack(&base.config.rootfs.diff_ids, None).unwrap();
        let mount = overlay::mount(&below.directories, Some(above), false).unwrap();
        rustix::fs::unlinkat(&mount, "etc/one", AtFlags::empty()).unwrap();
        rustix::fs::unlinkat(&mount, "d/x", AtFlags::empty()).unwrap();
        rustix::fs::unlinkat(&mount, "d", AtFlags::REMOVEDIR).unwrap();
        rustix::fs::mkdirat(&mount, "d", Mode::from_raw_mode(0o755)).unwrap();
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let new = rustix::fs::openat(&mount, "d/new", flags, Mode::from_raw_mode(0o644)).unwrap();
        rustix::io::write(&new, b"new").unwrap();
        drop((new, mount));
        let changes = diff::changes(&upper, &below.directories).unwrap();
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["C /d", "A /d/new", "D /d/x", "C /etc", "D /etc/one"]);

        let name = Reference::parse("made").unwrap();
        let request = Commit {
            base: &base,
            upper: &upper,
            config: base.config.config.clone(),
            author: "me",
            comment: "why",
            created_by: "sh",
            created: Timestamp::from_seconds(2),
            name: Some(&name),
        };
        let image = commit(&store, &request).unwrap();
        assert_eq!((image.manifest.layers.len(), image.config.history.len()), (2, 2));
        assert_eq!(image.config.history[1].created_by, "sh");
        let layers = store.stack(&image.config.rootfs.diff_ids, None).unwrap();
        let mount = overlay::mount(&layers.directories, None, true).unwrap();
        let exists = |name: &str| rustix::fs::statat(&mount, name, AtFlags::empty()).is_ok();
        assert!(exists("etc/two") && exists("d/new") && !exists("etc/one") && !exists("d/x"));
        // Equal changes give an equal layer.
        let again = commit(&store, &Commit { created: Timestamp::from_seconds(3), ..request }).unwrap();
        assert_eq!(again.config.rootfs, image.config.rootfs);
        assert_ne!(again.id, image.id);
    }
}
