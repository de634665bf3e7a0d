//! The embedded image `hello`: brig itself, to be run in a container, where it shows what it sees.
//! Needs no network; it is made when first asked for, and anew when the program has changed.

use crate::error::{Error, Result};
use crate::export::output_error;
use crate::store::{Image, Store};
use crate::tar::{Entry, Kind, Writer};
use spec::image::{Config, History, ImageConfig};
use spec::{Digest, Platform, Reference, Timestamp};
use std::fs::File;
use std::io::Seek;
use std::os::unix::fs::MetadataExt;

/// Says which program the image holds.
const STAMP: &str = "dev.brig.hello";

/// The name under which it is found.
pub const NAME: &str = "hello:latest";

/// Whether it is the embedded image (and not somebody else's of that name).
pub fn is_embedded(image: &Image) -> bool {
    image.config.config.labels.contains_key(STAMP)
}

impl Store {
    /// The image `hello:latest` that holds the executable `exe`, made if there is none or if it
    /// holds another. Takes the name even from an image that a user has called so: ask
    /// [`is_embedded`] before.
    pub fn embed_hello(&self, exe: &mut File) -> Result<Image> {
        let metadata = exe.metadata().map_err(Error::Stream)?;
        let stamp = format!("{}-{}.{:09}", metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if let Ok(image) = self.resolve(NAME)
            && image.config.config.labels.get(STAMP) == Some(&stamp)
        {
            return Ok(image);
        }
        let name = Reference::parse(NAME)?;
        exe.rewind().map_err(Error::Stream)?;
        // In memory, some ten megabytes once: simpler than a pipe.
        let mut archive = Writer::new(Vec::new());
        let entry =
            Entry { path: b"brig".into(), kind: Kind::File, mode: 0o755, size: metadata.len(), ..Entry::default() };
        archive.append(&entry, exe).map_err(output_error)?;
        let archive = archive.finish().map_err(output_error)?;
        let ingest = self.ingest()?;
        let layer = ingest.new_layer(&mut archive.as_slice(), None)?;
        let created = Timestamp::from_seconds(metadata.mtime());
        ingest.finish_new(&config(stamp, created, layer.diff_id), vec![layer.descriptor], &[name])
    }
}

fn config(stamp: String, created: Timestamp, diff_id: Digest) -> ImageConfig {
    let host = Platform::host();
    let mut config = ImageConfig {
        architecture: host.architecture,
        os: host.os,
        variant: host.variant,
        created: Some(created),
        config: Config {
            env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
            entrypoint: vec!["/brig".to_owned(), "hello-inside".to_owned()],
            labels: [(STAMP.to_owned(), stamp)].into(),
            ..Config::default()
        },
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids.push(diff_id);
    let created_by = "brig itself".to_owned();
    config.history.push(History { created: Some(created), created_by, ..History::default() });
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, layer_file};

    #[test]
    fn made_once_and_again_when_the_program_changes() {
        let scratch = Scratch::new("hello");
        let store = Store::open(scratch.path()).unwrap();
        let path = scratch.path().join("exe");
        std::fs::write(&path, "program").unwrap();
        let first = store.embed_hello(&mut File::open(&path).unwrap()).unwrap();
        assert!(is_embedded(&first));
        assert_eq!(layer_file(&store, &first, 0, "brig").unwrap(), b"program");
        assert_eq!(store.embed_hello(&mut File::open(&path).unwrap()).unwrap().id, first.id);
        std::fs::write(&path, "another program").unwrap();
        let second = store.embed_hello(&mut File::open(&path).unwrap()).unwrap();
        assert_ne!(second.id, first.id);
        assert_eq!(store.resolve("hello").unwrap().id, second.id);
    }
}
