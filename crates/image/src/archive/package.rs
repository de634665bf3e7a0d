//! Image layouts, skopeo's directories and archives that are written without the store: `image copy` puts images there,
//! blobs first and what names them last. Every blob is checked on its way. A layout keeps the images that it has; a
//! directory has one, which is replaced; an archive is new.

use super::Format;
use super::oci::{FULL_NAME, REF_NAME, blob_name};
use super::save::Item;
use crate::blob::{self, Check};
use crate::error::{Error, Result};
use crate::export::output_error;
use crate::tar::{Entry, Kind, Writer};
use kernel::lock::Lock;
use spec::image::{Descriptor, Index, Manifest, media_type};
use spec::{Digest, Reference};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What skopeo asks of a directory before it reads or replaces it (containers/image, `dir:`).
const DIRECTORY_VERSION: &[u8] = b"Directory Transport Version: 1.1\n";
/// What a directory of that kind begins its file `version` with, whoever wrote it.
const DIRECTORY_VERSIONS: &[u8] = b"Directory Transport Version: 1.";
/// Held while a layout or directory is written.
const LOCK: &str = ".lock";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// See the module.
pub struct Package<'a> {
    kind: Target<'a>,
    /// What this call has written.
    written: HashSet<Digest>,
}

enum Target<'a> {
    Layout { directory: PathBuf, _lock: Lock },
    Directory { directory: PathBuf, _lock: Lock },
    Archive { writer: Writer<&'a mut dyn Write>, format: Format },
}

impl<'a> Package<'a> {
    /// A directory, made if it is not there.
    pub fn layout(directory: &Path) -> Result<Package<'a>> {
        let blobs = directory.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).map_err(Error::io("create directory", &blobs))?;
        // Two that write at once would lose each other's line of the index.
        let lock = Lock::exclusive(&directory.join(LOCK))?;
        let marker = directory.join("oci-layout");
        if !marker.exists() {
            blob::write_document(&marker, LAYOUT)?;
        }
        let kind = Target::Layout { directory: directory.to_owned(), _lock: lock };
        Ok(Package { kind, written: HashSet::new() })
    }

    /// A directory for one image, in the form of skopeo's `dir:`; made if it is not there.
    ///
    /// # Errors
    /// `Invalid` if it holds something else: what an older image left there is removed in the end.
    pub fn directory(directory: &Path) -> Result<Package<'a>> {
        std::fs::create_dir_all(directory).map_err(Error::io("create directory", directory))?;
        // Before the lock, which is a file there, and under it.
        check_directory(directory)?;
        let lock = Lock::exclusive(&directory.join(LOCK))?;
        check_directory(directory)?;
        blob::write_document(&directory.join("version"), DIRECTORY_VERSION)?;
        let kind = Target::Directory { directory: directory.to_owned(), _lock: lock };
        Ok(Package { kind, written: HashSet::new() })
    }

    /// An archive that is written to `output`.
    pub fn archive(output: &'a mut dyn Write, format: Format) -> Result<Package<'a>> {
        let mut writer = Writer::new(output);
        document(&mut writer, "oci-layout", LAYOUT)?;
        for name in ["blobs/", "blobs/sha256/"] {
            let entry = Entry { path: name.into(), kind: Kind::Directory, mode: 0o755, ..Entry::default() };
            writer.append(&entry, &mut io::empty()).map_err(output_error)?;
        }
        Ok(Package { kind: Target::Archive { writer, format }, written: HashSet::new() })
    }

    /// Whether the blob need not be put.
    pub fn has(&self, blob: &Descriptor) -> bool {
        let there = |directory: &Path| {
            let metadata = directory.join(blob_name(&blob.digest)).metadata();
            metadata.is_ok_and(|metadata| metadata.len() == blob.size)
        };
        self.written.contains(&blob.digest)
            || matches!(&self.kind, Target::Layout { directory, .. } if there(directory))
    }

    /// Writes a blob. Of a layout nothing is left if it is not the right one; an archive is spoilt then.
    pub fn put(&mut self, blob: &Descriptor, data: &mut dyn Read) -> Result<()> {
        let mut checked = Checked { input: data, check: Some(Check::new(Some(blob))), error: None };
        let name = blob_name(&blob.digest);
        let written = match &mut self.kind {
            Target::Layout { directory, .. } => put_file(&directory.join(&name), &mut checked),
            Target::Directory { directory, .. } => put_file(&directory.join(directory_name(blob)), &mut checked),
            Target::Archive { writer, .. } => {
                let entry = Entry { path: name.into(), mode: 0o644, size: blob.size, ..Entry::default() };
                writer.append(&entry, &mut checked).map_err(output_error)
            }
        };
        // What is wrong with the bytes is said first.
        checked.finish()?;
        written?;
        self.written.insert(blob.digest.clone());
        Ok(())
    }

    /// Names the image, of which everything has been put. `bytes` is its manifest, or an index.
    pub fn finish(self, root: &Descriptor, bytes: &[u8], name: Option<&str>) -> Result<()> {
        let mut root = Descriptor::new(&root.media_type, root.digest.clone(), root.size);
        let full = name.filter(|name| name.contains([':', '/'])).and_then(|name| Reference::parse(name).ok());
        if let Some(name) = name {
            root.annotations.insert(REF_NAME.to_owned(), name.to_owned());
        }
        if let Some(full) = &full {
            root.annotations.insert(FULL_NAME.to_owned(), full.to_string());
        }
        match self.kind {
            Target::Layout { directory, .. } => add_to_index(&directory, root),
            Target::Directory { directory, .. } => {
                let (from, to) = (directory.join(directory_name(&root)), directory.join("manifest.json"));
                std::fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
                remove_strays(&directory, &self.written)
            }
            Target::Archive { mut writer, format } => {
                if format == Format::Docker {
                    let item = item(bytes, name)?;
                    let text = serde_json::to_vec(&[item]).map_err(|why| Error::invalid("manifest.json", why))?;
                    document(&mut writer, "manifest.json", &text)?;
                }
                document(&mut writer, "index.json", &Index::new(vec![root]).to_bytes())?;
                writer.finish().map(|_| ()).map_err(output_error)
            }
        }
    }
}

/// That a directory is empty, or was written in skopeo's form before.
fn check_directory(directory: &Path) -> Result<()> {
    let invalid = |why| Err(Error::invalid(directory.display().to_string(), why));
    let marker = directory.join("version");
    match blob::read_document(&marker) {
        Ok(text) if text.starts_with(DIRECTORY_VERSIONS) => return Ok(()),
        Ok(_) => return invalid("has a file `version` of something else: give a new directory"),
        Err(_) if !marker.exists() => {}
        Err(error) => return Err(error),
    }
    for entry in std::fs::read_dir(directory).map_err(Error::io("read directory", directory))? {
        if entry.map_err(Error::io("read directory", directory))?.file_name() != LOCK {
            return invalid("is not empty and has no image of this kind: give a new directory");
        }
    }
    Ok(())
}

/// The file of a blob in skopeo's directory. That of the image itself is `manifest.json` in the end.
pub(super) fn directory_name(blob: &Descriptor) -> String {
    let kind = blob.media_type.as_str();
    let is_manifest = media_type::is_manifest(kind) || media_type::is_index(kind);
    format!("{}{}", blob.digest.hex(), if is_manifest { ".manifest.json" } else { "" })
}

/// What an older image left: its blobs and signatures.
fn remove_strays(directory: &Path, written: &HashSet<Digest>) -> Result<()> {
    let is_hex = |text: &str| text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for entry in std::fs::read_dir(directory).map_err(Error::io("read directory", directory))? {
        let entry = entry.map_err(Error::io("read directory", directory))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let hex = name.strip_suffix(".manifest.json").unwrap_or(name);
        let is_old = is_hex(hex) && !written.iter().any(|digest| digest.hex() == hex);
        if is_old || name.starts_with("signature-") {
            std::fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// What docker's list says of an image.
fn item(manifest: &[u8], name: Option<&str>) -> Result<Item> {
    let why = "holds one image for one platform: leave out --all";
    let manifest = Manifest::parse(manifest).map_err(|_| Error::invalid("docker-archive", why))?;
    let tag = name.map(|name| Reference::parse(name).map(|name| name.familiar())).transpose()?;
    Ok(Item {
        config: blob_name(&manifest.config.digest),
        repo_tags: tag.map(|tag| vec![tag]),
        layers: manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
    })
}

fn document(writer: &mut Writer<&mut dyn Write>, name: &str, mut bytes: &[u8]) -> Result<()> {
    let entry = Entry { path: name.into(), mode: 0o644, size: bytes.len() as u64, ..Entry::default() };
    writer.append(&entry, &mut bytes).map_err(output_error)
}

fn put_file(path: &Path, data: &mut Checked<'_>) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(Error::io("create directory", directory))?;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
    let written = io::copy(data, &mut file).and_then(|_| match data.is_right() {
        true => std::fs::rename(&temporary, path),
        false => Err(io::ErrorKind::InvalidData.into()),
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(Error::io("write", path))
}

/// The line of the same name is replaced.
fn add_to_index(directory: &Path, root: Descriptor) -> Result<()> {
    let path = directory.join("index.json");
    let mut index = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Index::new(Vec::new()),
        bytes => {
            let bytes = bytes.map_err(Error::io("read", &path))?;
            Index::parse(&bytes).map_err(|why| Error::invalid(path.display().to_string(), why))?
        }
    };
    let name = root.annotations.get(REF_NAME);
    index.manifests.retain(|known| match name {
        Some(_) => known.annotations.get(REF_NAME) != name,
        None => known.digest != root.digest || known.annotations.contains_key(REF_NAME),
    });
    index.manifests.push(root);
    blob::write_document(&path, &index.to_bytes())
}

/// Checks what is read.
struct Checked<'a> {
    input: &'a mut dyn Read,
    /// `None` once the end was seen.
    check: Option<Check>,
    error: Option<Error>,
}

impl Checked<'_> {
    fn is_right(&mut self) -> bool {
        if let Some(check) = self.check.take()
            && let Err(error) = check.finish()
        {
            self.error.get_or_insert(error);
        }
        self.error.is_none()
    }

    fn finish(mut self) -> Result<()> {
        self.is_right();
        self.error.map_or(Ok(()), Err)
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.input.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.error.get_or_insert(Error::Stream(error));
                return Err(copy);
            }
        };
        if let Some(check) = &mut self.check
            && let Err(error) = check.update(&buffer[..count])
        {
            let copy = io::Error::other(error.to_string());
            self.error.get_or_insert(error);
            return Err(copy);
        }
        Ok(count)
    }
}
