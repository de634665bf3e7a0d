//! An archive as a set of named parts that can be read in any order: one pass over the headers
//! notes where each part is.

use super::Input;
use crate::compress::{self, Compression, Decoder};
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::tar::{Kind, Reader, clean};
use crate::unpack::archive_error;
use spec::image::DOCUMENT_SIZE_MAX;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Most parts that are noted: an image archive has a few hundred.
const PARTS_MAX: usize = 100_000;
const LINKS_MAX: usize = 10;

pub(super) struct Bundle {
    file: File,
    parts: HashMap<PathBuf, Part>,
}

enum Part {
    Data {
        offset: u64,
        size: u64,
    },
    /// The target, from the archive's root.
    Link(PathBuf),
}

impl Bundle {
    pub(super) fn open(input: Input<'_>, ingest: &Ingest) -> Result<Bundle> {
        let file = match input {
            Input::File(mut file) => match start_of(&file) {
                Some(start) if compress::detect(&start) == Ok(Compression::None) => file,
                _ => spool(&mut file, ingest)?,
            },
            Input::Stream(stream) => spool(stream, ingest)?,
        };
        let parts = parts(&file)?;
        Ok(Bundle { file, parts })
    }

    /// The part of that name, links followed.
    pub(super) fn part(&self, name: &str) -> Option<Section<'_>> {
        let mut path = clean(name.as_bytes())?;
        for _ in 0..LINKS_MAX {
            match self.parts.get(&path)? {
                Part::Data { offset, size } => {
                    return Some(Section { file: &self.file, offset: *offset, left: *size });
                }
                Part::Link(target) => path = target.clone(),
            }
        }
        None
    }

    pub(super) fn require(&self, name: &str) -> Result<Section<'_>> {
        self.part(name).ok_or_else(|| Error::invalid("archive", format_args!("lacks {name:?}")))
    }

    /// A small part as a whole, if there is one.
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(mut section) = self.part(name) else { return Ok(None) };
        if section.left > DOCUMENT_SIZE_MAX {
            return Err(Error::invalid("archive", format_args!("has a {name:?} that is too large")));
        }
        let mut bytes = Vec::with_capacity(section.left as usize);
        section.read_to_end(&mut bytes).map_err(Error::Stream)?;
        Ok(Some(bytes))
    }
}

/// The first bytes, if the file can be read at any place.
fn start_of(file: &File) -> Option<[u8; 6]> {
    let mut start = [0; 6];
    // A pipe has no positions; an empty file is found out later.
    file.metadata().ok().filter(|metadata| metadata.is_file())?;
    file.read_exact_at(&mut start, 0).ok()?;
    Some(start)
}

/// Writes an archive, decompressed, to a file that goes away with the ingest.
fn spool(input: &mut dyn Read, ingest: &Ingest) -> Result<File> {
    let path = ingest.temporary();
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&path).map_err(Error::io("create", &path))?;
    let mut decoder = Decoder::new(input).map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => Error::invalid("archive", error),
        _ => Error::Stream(error),
    })?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = match decoder.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::invalid("archive", format_args!("cannot be decompressed: {error}"))),
            Ok(0) => break,
            Ok(count) => count,
        };
        io::Write::write_all(&mut file, &buffer[..count]).map_err(Error::io("write", &path))?;
    }
    Ok(file)
}

fn parts(file: &File) -> Result<HashMap<PathBuf, Part>> {
    let mut input = file;
    input.seek(SeekFrom::Start(0)).map_err(Error::Stream)?;
    let size = file.metadata().map_err(Error::Stream)?.len();
    let mut reader = Reader::new(input);
    let mut parts = HashMap::new();
    while let Some(entry) = reader.next_entry().map_err(archive_error)? {
        let Some(path) = clean(&entry.path) else { continue };
        let part = match entry.kind {
            Kind::File if entry.extents.is_none() => {
                let (offset, length) = (reader.position(), entry.size);
                if offset.saturating_add(length) > size {
                    return Err(Error::invalid("archive", "ends in the middle of a file"));
                }
                // Not read through: a layer may have gigabytes.
                reader.seek_past_data().map_err(archive_error)?;
                Part::Data { offset, size: length }
            }
            Kind::Hardlink => match clean(&entry.link) {
                Some(target) => Part::Link(target),
                None => continue,
            },
            Kind::Symlink => {
                let parent = path.parent().unwrap_or(Path::new(""));
                let target = parent.join(OsStr::from_bytes(&entry.link));
                match clean(target.as_os_str().as_bytes()) {
                    Some(target) => Part::Link(target),
                    None => continue,
                }
            }
            _ => continue,
        };
        parts.insert(path, part);
        if parts.len() > PARTS_MAX {
            return Err(Error::invalid("archive", format_args!("has more than {PARTS_MAX} parts")));
        }
    }
    Ok(parts)
}

/// A part being read; several can be at once.
pub(super) struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Section<'_> {
    pub(super) fn size(&self) -> u64 {
        self.left
    }

    /// The compression by the part's first bytes.
    pub(super) fn compression(&self) -> Result<Compression> {
        let mut start = [0; 6];
        let count = self.left.min(6) as usize;
        self.file.read_exact_at(&mut start[..count], self.offset).map_err(Error::Stream)?;
        let unsupported = |name| Error::invalid("archive", format_args!("has a layer compressed with {name}"));
        compress::detect(&start[..count]).map_err(unsupported)
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..limit], self.offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
