//! A layer on disk. `layers/<diff id>/` holds it in one of two forms:
//!
//! ```text
//! image.erofs   the usual one: an EROFS image (see `erofs`), from which the archive can be made again
//! diff/ size    where EROFS cannot be mounted: the unpacked archive, in the form overlay wants; then the
//!               compressed blob is kept in the image layout, because the archive must be had again
//! blob          in both forms: digest of the compressed archive that the layer was made of, where that is kept
//! damaged       beside `image.erofs`: a check has found damage that nobody could mend; the next one who brings the
//!               layer replaces it
//! ```
//!
//! No other file knows these names; `mounts` makes lower directories of both.

use crate::blob::Hasher;
use crate::compress::Decoder;
use crate::erofs;
use crate::error::{Error, Result};
use crate::unpack::{self, Options};
use kernel::beneath::Root;
use kernel::erofs::Support;
use kernel::lock::Lock;
use spec::Digest;
use spec::image::Descriptor;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A layer that has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of the archive as it came if it is kept so (or was described so by who has it), else of the plain archive.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Sum of the sizes of its files in bytes.
    pub size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Erofs,
    Directory,
}

/// What a layer's place says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) form: Form,
    /// Sum of the sizes of its files in bytes.
    pub(crate) size: u64,
    /// Length of the uncompressed archive in bytes; directories of an older version do not know it.
    pub(crate) archive_length: Option<u64>,
}

/// The `layers` directory.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    path: PathBuf,
}

/// Names of this form are being made, or were when their maker was killed.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// Of those, the ones that hold a layer which is to be deleted. No ingest is ever given such a name.
const RETIRED_PREFIX: &str = ".tmp-remove-";

const IMAGE: &str = "image.erofs";
const DIRECTORY: &str = "diff";
const SIZE: &str = "size";
const BLOB: &str = "blob";
const DAMAGED: &str = "damaged";

impl Layers {
    pub(crate) fn new(path: PathBuf) -> Layers {
        Layers { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn home(&self, diff_id: &Digest) -> PathBuf {
        self.path.join(diff_id.hex())
    }

    /// The form that new layers get: what the environment variable BRIG_LAYERS says (for tests), else EROFS where it
    /// can be mounted.
    pub(crate) fn form_of_new(&self) -> Result<Form> {
        match forced()? {
            Some(Support::None) => Ok(Form::Directory),
            Some(_) => Ok(Form::Erofs),
            None if kernel::erofs::probe(&self.path) == Support::None => Ok(Form::Directory),
            None => Ok(Form::Erofs),
        }
    }

    /// The form of a layer that is here.
    pub(crate) fn form(&self, diff_id: &Digest) -> Option<Form> {
        let home = self.home(diff_id);
        // `size` is written last.
        [(IMAGE, Form::Erofs), (SIZE, Form::Directory)].into_iter().find_map(|(name, form)| {
            let exists = rustix::fs::access(home.join(name), rustix::fs::Access::EXISTS).is_ok();
            exists.then_some(form)
        })
    }

    pub(crate) fn contains(&self, diff_id: &Digest) -> bool {
        self.form(diff_id).is_some()
    }

    /// Whether nothing is known to be wrong with a layer that is here. Its content is not read.
    pub(crate) fn is_sound(&self, diff_id: &Digest) -> bool {
        match self.open_image(diff_id) {
            Ok(Some(image)) => !self.is_marked(diff_id) && erofs::record(&image).is_ok(),
            Ok(None) => self.contains(diff_id),
            Err(_) => false,
        }
    }

    fn is_marked(&self, diff_id: &Digest) -> bool {
        rustix::fs::access(self.home(diff_id).join(DAMAGED), rustix::fs::Access::EXISTS).is_ok()
    }

    /// Has the next one who brings the layer replace it. Until then half of it is better than none. A layer in the form
    /// of a directory is not marked: containers that run on it would lose its files.
    pub(crate) fn mark_damaged(&self, diff_id: &Digest) -> Result<()> {
        if self.form(diff_id) != Some(Form::Erofs) {
            return Ok(());
        }
        let path = self.home(diff_id).join(DAMAGED);
        std::fs::write(&path, "").map_err(Error::io("write", &path))
    }

    /// The file or directory that is the layer, for people to look at. Nothing is checked.
    pub(crate) fn place(&self, diff_id: &Digest) -> PathBuf {
        self.home(diff_id).join(if self.form(diff_id) == Some(Form::Erofs) { IMAGE } else { DIRECTORY })
    }

    /// The image of a layer in the EROFS form; `None` when it has the other form or is missing.
    pub(crate) fn open_image(&self, diff_id: &Digest) -> Result<Option<File>> {
        let path = self.home(diff_id).join(IMAGE);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open layer", &path)(error)),
        }
    }

    /// The directory of a layer in the other form. Nothing is checked: a missing one makes the mount fail.
    pub(crate) fn directory(&self, diff_id: &Digest) -> PathBuf {
        self.home(diff_id).join(DIRECTORY)
    }

    /// `None` when the layer is missing.
    pub(crate) fn facts(&self, diff_id: &Digest) -> Result<Option<Facts>> {
        if let Some(image) = self.open_image(diff_id)? {
            let record = erofs::record(&image)?;
            let archive_length = Some(record.archive_length);
            return Ok(Some(Facts { form: Form::Erofs, size: record.size, archive_length }));
        }
        let Ok(text) = std::fs::read_to_string(self.home(diff_id).join(SIZE)) else { return Ok(None) };
        let mut words = text.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let (size, archive_length) = (number().unwrap_or(0), number());
        Ok(Some(Facts { form: Form::Directory, size, archive_length }))
    }

    /// The compressed form that a layer was made of, where that is known. It may have gone since.
    pub(crate) fn blob(&self, diff_id: &Digest) -> Option<Digest> {
        Digest::parse(std::fs::read_to_string(self.home(diff_id).join(BLOB)).ok()?.trim_end()).ok()
    }

    /// Unpacked size in bytes; 0 when the layer is missing.
    pub(crate) fn size(&self, diff_id: &Digest) -> u64 {
        self.facts(diff_id).ok().flatten().map_or(0, |facts| facts.size)
    }

    /// Digests (in hexadecimal) of all layers, and temporary directories by their names.
    pub(crate) fn list(&self) -> Result<(Vec<String>, Vec<PathBuf>)> {
        let (mut layers, mut temporary) = (Vec::new(), Vec::new());
        let entries = std::fs::read_dir(&self.path).map_err(Error::io("list", &self.path))?;
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(TEMPORARY_PREFIX) { temporary.push(entry.path()) } else { layers.push(name) }
        }
        Ok((layers, temporary))
    }

    /// Moves a finished layer to its place; if that is taken, the older one stays, unless it is known to be damaged.
    pub(crate) fn adopt(&self, temporary: &Path, diff_id: &Digest) -> Result<()> {
        let home = self.home(diff_id);
        // One at a time: what one has just put in its place must not look like leftovers to another.
        let _lock = Lock::exclusive(&self.path.with_extension("lock"))?;
        if self.is_sound(diff_id) {
            return remove_tree(temporary);
        }
        // What is there is none of ours that is whole. Those who have it mounted keep it.
        let old = if home.exists() { Some(self.retire(diff_id.hex())?.0) } else { None };
        std::fs::rename(temporary, &home).map_err(Error::io("rename layer to", &home))?;
        old.map_or(Ok(()), |old| remove_tree(&old))
    }

    /// Takes a layer out of everybody's sight, in one step, so that a kill leaves no half of it under its name. Mounts of
    /// it stay whole: the file goes with the last of them. Returns where its remains are, and the bytes on the disk that
    /// they take.
    pub(crate) fn retire(&self, hex: &str) -> Result<(PathBuf, u64)> {
        let home = self.path.join(hex);
        let names = (0_u32..).map(|number| format!("{RETIRED_PREFIX}{}-{number}-{hex}", std::process::id()));
        // A killed process with our number may have left the first.
        let doomed = names.map(|name| self.path.join(name)).find(|path| !path.exists()).unwrap_or_default();
        std::fs::rename(&home, &doomed).map_err(Error::io("rename", &home))?;
        let size = kernel::disk::allocated_bytes(&doomed)?;
        Ok((doomed, size))
    }

    /// What a layer takes on the disk, in bytes; 0 when it is missing.
    pub(crate) fn allocated_bytes(&self, hex: &str) -> Result<u64> {
        Ok(kernel::disk::allocated_bytes(&self.path.join(hex))?)
    }
}

/// What BRIG_LAYERS says: `erofs`, `loop` or `directory`.
pub(crate) fn forced() -> Result<Option<Support>> {
    let Some(value) = std::env::var_os("BRIG_LAYERS") else { return Ok(None) };
    match value.to_str() {
        Some("" | "auto") => Ok(None),
        Some("erofs") => Ok(Some(Support::File)),
        Some("loop") => Ok(Some(Support::Loop)),
        Some("directory") => Ok(Some(Support::None)),
        _ => Err(Error::Argument(format!("BRIG_LAYERS is {value:?}: use auto, erofs, loop or directory, or unset it"))),
    }
}

/// Makes the image of an uncompressed archive in the new directory `home`, but for what says that it is complete:
/// [`seal_image`] does that.
pub(crate) fn write_image(home: &Path, archive: &mut dyn Read) -> Result<erofs::Unsealed> {
    std::fs::create_dir(home).map_err(Error::io("create directory", home))?;
    let path = home.join(IMAGE);
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    erofs::write(archive, file.map_err(Error::io("create", &path))?)
}

/// `Ok` means that the image is whole, on the disk too.
pub(crate) fn seal_image(home: &Path, image: erofs::Unsealed, diff_id: &Digest) -> Result<()> {
    let file = image.seal(diff_id)?;
    file.sync_data().map_err(Error::io("write", &home.join(IMAGE)))?;
    Ok(kernel::disk::sync_directory(home)?)
}

/// Unpacks an uncompressed archive into the new directory `home`, but for the file that says that it is complete:
/// [`seal_directory`] writes that. Returns the size.
pub(crate) fn write_directory(home: &Path, archive: &mut dyn Read) -> Result<u64> {
    let diff = home.join(DIRECTORY);
    std::fs::create_dir_all(&diff).map_err(Error::io("create directory", &diff))?;
    // The mode of a rootfs whose archive has no entry for "/" itself.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&diff, open).map_err(Error::io("change mode of", &diff))?;
    let root = Root::open(&diff)?;
    let size = unpack::unpack(archive, &root, &Options::layer())?;
    // What follows the end of the archive counts for the layer's digest.
    io::copy(archive, &mut io::sink()).map_err(Error::Stream)?;
    Ok(size)
}

/// Nothing is synced: there are thousands of files, and one call does for all layers of an image.
pub(crate) fn seal_directory(home: &Path, size: u64, archive_length: u64) -> Result<()> {
    let path = home.join(SIZE);
    std::fs::write(&path, format!("{size}\n{archive_length}\n")).map_err(Error::io("write", &path))
}

/// Notes what a layer is being made of; before it is sealed.
pub(crate) fn note_blob(home: &Path, blob: &Digest) -> Result<()> {
    let path = home.join(BLOB);
    std::fs::write(&path, format!("{blob}\n")).map_err(Error::io("write", &path))
}

/// The uncompressed archive of a layer, byte for byte as it came.
pub struct Archive {
    source: Source,
    length: u64,
    proof: Option<Proof>,
}

/// What an archive has to be. The last bytes are handed out only when it is that: who sends a layer away must not call it
/// whole when it is not.
struct Proof {
    diff_id: Digest,
    /// `None` when it has been compared.
    hasher: Option<Hasher>,
    read: u64,
}

enum Source {
    Image(Box<erofs::Archive>),
    Blob(Box<Decoder<'static>>),
}

impl Archive {
    pub(crate) fn of_image(image: File) -> Result<Archive> {
        let archive = erofs::Archive::open(image)?;
        Ok(Archive { length: archive.length(), source: Source::Image(Box::new(archive)), proof: None })
    }

    /// Of a layer in the form of a directory: what is in its blob.
    pub(crate) fn of_blob(path: &Path, length: Option<u64>) -> Result<Archive> {
        let open = || {
            let file = File::open(path).map_err(Error::io("open", path))?;
            Decoder::new(file).map_err(|why| Error::invalid(path.display().to_string(), why))
        };
        let length = match length {
            Some(length) => length,
            // Made before the length was noted.
            None => io::copy(&mut open()?, &mut io::sink()).map_err(Error::Stream)?,
        };
        Ok(Archive { source: Source::Blob(Box::new(open()?)), length, proof: None })
    }

    /// The same, which fails instead of ending as another archive than the one of that digest.
    pub(crate) fn proving(self, diff_id: &Digest) -> Archive {
        let hasher = Some(Hasher::new(diff_id.algorithm()));
        Archive { proof: Some(Proof { diff_id: diff_id.clone(), hasher, read: 0 }), ..self }
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = match &mut self.source {
            Source::Image(archive) => archive.read(buffer),
            Source::Blob(decoder) => decoder.read(buffer),
        };
        match &mut self.proof {
            Some(proof) if !buffer.is_empty() => proof.check(outcome, buffer, self.length),
            _ => outcome,
        }
    }
}

impl Proof {
    fn check(&mut self, outcome: io::Result<usize>, buffer: &[u8], length: u64) -> io::Result<usize> {
        let count = match outcome {
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                return Err(self.damaged());
            }
            outcome => outcome?,
        };
        self.read += count as u64;
        let Some(mut hasher) = self.hasher.take() else {
            return if count == 0 { Ok(0) } else { Err(self.damaged()) };
        };
        hasher.update(&buffer[..count]);
        if count > 0 && self.read < length {
            self.hasher = Some(hasher);
        } else if self.read != length || hasher.finish() != self.diff_id {
            return Err(self.damaged());
        }
        Ok(count)
    }

    fn damaged(&self) -> io::Error {
        let why = "is damaged: `brig image check --repair` fetches it again";
        io::Error::other(Error::invalid(format!("layer {}", self.diff_id), why))
    }
}

/// The diff id of a layer's name on the disk; `None` for what is none of ours.
pub(crate) fn diff_id(hex: &str) -> Option<Digest> {
    let algorithms = ["sha256", "sha512"].into_iter();
    algorithms.filter_map(|algorithm| Digest::parse(&format!("{algorithm}:{hex}")).ok()).next()
}

/// Whether a temporary directory holds a layer that has left the store.
pub(crate) fn is_retired(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(RETIRED_PREFIX))
}

/// Removes a directory of ours with everything in it.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match kernel::remove::tree(path) {
        Err(error) if error.errno != rustix::io::Errno::NOENT => Err(error.into()),
        _ => Ok(()),
    }
}
