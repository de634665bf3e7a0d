//! An archive as a set of named parts that can be read in any order. Of a file one pass over the headers notes where
//! each part is. Of a stream the small parts are kept in memory and the others written to a file, but for layers that
//! are described by what came before them (as `save` orders them): those are taken in at once.

use super::Input;
use super::oci;
use crate::compress::{self, Compression, Decoder};
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::tar::{Entry, Kind, Reader, clean};
use crate::unpack::archive_error;
use spec::image::{DOCUMENT_SIZE_MAX, Descriptor};
use spec::{Digest, Platform};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Most parts that are noted: an image archive has a few hundred.
const PARTS_MAX: usize = 100_000;
const LINKS_MAX: usize = 10;
/// How often the documents of a stream are looked at for what they say of layers: of honest archives, once or for each image.
const DESCRIPTIONS_MAX: u32 = 50;
/// Most bytes of parts that are kept in memory.
const MEMORY_MAX: u64 = 64 << 20;

pub(super) struct Bundle {
    file: File,
    parts: HashMap<PathBuf, Part>,
}

enum Part {
    Data {
        offset: u64,
        size: u64,
    },
    Memory(Vec<u8>),
    /// The target, from the archive's root.
    Link(PathBuf),
}

impl Bundle {
    /// `platform` is for which of several images layers are taken in.
    pub(super) fn open(input: Input<'_>, ingest: &Ingest, platform: &Platform) -> Result<Bundle> {
        match input {
            Input::File(mut file) => match start_of(&file) {
                Some(start) if compress::detect(&start) == Ok(Compression::None) => {
                    Ok(Bundle { parts: parts(&file)?, file })
                }
                _ => Bundle::receive(&mut file, ingest, platform),
            },
            Input::Stream(stream) => Bundle::receive(stream, ingest, platform),
        }
    }

    /// An archive that is read in place: a file that is not compressed.
    pub(super) fn in_place(file: File) -> Result<Bundle> {
        let why = match start_of(&file).map(|start| compress::detect(&start)) {
            Some(Ok(Compression::None)) => return Ok(Bundle { parts: parts(&file)?, file }),
            Some(_) => "is compressed: decompress it first",
            None => "cannot be read at any place: give a file",
        };
        Err(Error::invalid("archive", why))
    }

    fn receive(input: &mut dyn Read, ingest: &Ingest, platform: &Platform) -> Result<Bundle> {
        let arrived = Cell::new(0);
        let decoder = Decoder::new(Counted { input, count: &arrived }).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => Error::invalid("archive", error),
            _ => Error::Stream(error),
        })?;
        let mut decoder = Bounded { decoder, arrived: &arrived, total: 0 };
        let path = ingest.temporary();
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let mut bundle = Bundle { file: file.map_err(Error::io("create", &path))?, parts: HashMap::new() };
        let (mut reader, mut memory, mut end) = (Reader::new(&mut decoder), 0, 0);
        let mut described = Described::default();
        while let Some(entry) = reader.next_entry().map_err(archive_error)? {
            let Some(path) = clean(&entry.path) else { continue };
            let part = match file_or_link(&entry, &path) {
                Some(Content::Link(target)) => Part::Link(target),
                Some(Content::Data) if entry.size <= DOCUMENT_SIZE_MAX && memory + entry.size <= MEMORY_MAX => {
                    memory += entry.size;
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes).map_err(read_error)?;
                    described.is_stale = true;
                    Part::Memory(bytes)
                }
                Some(Content::Data) => {
                    if let Some((layer, diff_id)) = described.layer(&bundle, &path, platform) {
                        if !ingest.has_layer(layer, diff_id)? {
                            ingest.layer(&mut reader, layer, Some(diff_id))?;
                        }
                        continue;
                    }
                    let mut target = &bundle.file;
                    let size = io::copy(&mut reader, &mut target).map_err(read_error)?;
                    end += size;
                    Part::Data { offset: end - size, size }
                }
                None => continue,
            };
            put(&mut bundle.parts, path, part)?;
        }
        Ok(bundle)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The part of that name, links followed.
    pub(super) fn part(&self, name: &str) -> Option<Section<'_>> {
        let mut path = clean(name.as_bytes())?;
        for _ in 0..LINKS_MAX {
            match self.parts.get(&path)? {
                Part::Data { offset, size } => {
                    return Some(Section::File { file: &self.file, offset: *offset, left: *size });
                }
                Part::Memory(bytes) => return Some(Section::Memory(bytes)),
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
        if section.size() > DOCUMENT_SIZE_MAX {
            return Err(Error::invalid("archive", format_args!("has a {name:?} that is too large")));
        }
        let mut bytes = Vec::with_capacity(section.size() as usize);
        section.read_to_end(&mut bytes).map_err(Error::Stream)?;
        Ok(Some(bytes))
    }
}

/// What the documents that have come say of parts that are to come.
#[derive(Default)]
struct Described {
    layers: HashMap<PathBuf, (Descriptor, Digest)>,
    /// A document has come since.
    is_stale: bool,
    times: u32,
}

impl Described {
    /// The layer that a part is.
    fn layer(&mut self, bundle: &Bundle, part: &Path, platform: &Platform) -> Option<&(Descriptor, Digest)> {
        // Who mixes documents and layers does not make us read all documents for each; the rest goes to the file.
        if self.is_stale && self.times < DESCRIPTIONS_MAX {
            *self = Described { layers: oci::layers(bundle, platform), is_stale: false, times: self.times + 1 };
        }
        self.layers.get(part)
    }
}

/// Counts what arrives.
struct Counted<'a> {
    input: &'a mut dyn Read,
    count: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Ends an archive that grows without measure.
struct Bounded<'a> {
    decoder: Decoder<'a>,
    arrived: &'a Cell<u64>,
    total: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.total += count as u64;
        compress::check_growth(self.arrived.get(), self.total)
            .map_err(|why| io::Error::other(Error::invalid("archive", why)))?;
        Ok(count)
    }
}

fn read_error(error: io::Error) -> Error {
    archive_error(error.into())
}

/// The first bytes, if the file can be read at any place.
fn start_of(file: &File) -> Option<[u8; 6]> {
    let mut start = [0; 6];
    // A pipe has no positions; an empty file is found out later.
    file.metadata().ok().filter(|metadata| metadata.is_file())?;
    file.read_exact_at(&mut start, 0).ok()?;
    Some(start)
}

fn parts(file: &File) -> Result<HashMap<PathBuf, Part>> {
    let mut input = file;
    input.seek(SeekFrom::Start(0)).map_err(Error::Stream)?;
    let size = file.metadata().map_err(Error::Stream)?.len();
    let mut reader = Reader::new(input);
    let mut parts = HashMap::new();
    while let Some(entry) = reader.next_entry().map_err(archive_error)? {
        let Some(path) = clean(&entry.path) else { continue };
        let part = match file_or_link(&entry, &path) {
            Some(Content::Link(target)) => Part::Link(target),
            Some(Content::Data) => {
                let (offset, length) = (reader.position(), entry.size);
                if offset.saturating_add(length) > size {
                    return Err(Error::invalid("archive", "ends in the middle of a file"));
                }
                // Not read through: a layer may have gigabytes.
                reader.seek_past_data().map_err(archive_error)?;
                Part::Data { offset, size: length }
            }
            None => continue,
        };
        put(&mut parts, path, part)?;
    }
    Ok(parts)
}

fn put(parts: &mut HashMap<PathBuf, Part>, path: PathBuf, part: Part) -> Result<()> {
    parts.insert(path, part);
    if parts.len() > PARTS_MAX {
        return Err(Error::invalid("archive", format_args!("has more than {PARTS_MAX} parts")));
    }
    Ok(())
}

enum Content {
    Data,
    /// Where it leads, from the archive's root.
    Link(PathBuf),
}

/// `None` for what is no part.
fn file_or_link(entry: &Entry, path: &Path) -> Option<Content> {
    match entry.kind {
        Kind::File if entry.extents.is_none() => Some(Content::Data),
        Kind::Hardlink => clean(&entry.link).map(Content::Link),
        Kind::Symlink => {
            let target = path.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(&entry.link));
            clean(target.as_os_str().as_bytes()).map(Content::Link)
        }
        _ => None,
    }
}

/// A part being read; several can be at once.
pub(super) enum Section<'a> {
    File { file: &'a File, offset: u64, left: u64 },
    Memory(&'a [u8]),
}

impl Section<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Section::File { left, .. } => *left,
            Section::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The compression by the part's first bytes.
    pub(super) fn compression(&self) -> Result<Compression> {
        let mut start = [0; 6];
        let count = self.size().min(6) as usize;
        match self {
            Section::File { file, offset, .. } => {
                file.read_exact_at(&mut start[..count], *offset).map_err(Error::Stream)?;
            }
            Section::Memory(bytes) => start[..count].copy_from_slice(&bytes[..count]),
        }
        let unsupported = |name| Error::invalid("archive", format_args!("has a layer compressed with {name}"));
        compress::detect(&start[..count]).map_err(unsupported)
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (file, offset, left) = match self {
            Section::Memory(bytes) => return bytes.read(buffer),
            Section::File { file, offset, left } => (file, offset, left),
        };
        let limit = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let count = file.read_at(&mut buffer[..limit], *offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *offset += count as u64;
        *left -= count as u64;
        Ok(count)
    }
}
