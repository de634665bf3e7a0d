//! Reading an archive from a stream, entry by entry, with bounded memory.

use super::header::{self, Block};
use super::pax::{self, Overrides};
use super::{BLOCK, EXTENSION_SIZE_MAX, Entry, Error, Kind, Result, padding, sparse};
use std::io::{self, BufReader, Read};

/// Most bytes taken from the stream at once when headers are read.
const BUFFER_BYTES: usize = 64 << 10;

/// Largest sum of global extended headers, in bytes. They are few and short, and applied to every entry again.
const GLOBAL_SIZE_MAX: u64 = 16 << 10;

/// An archive being read. [`Reader::next_entry`] moves on; between its calls the reader itself
/// reads the data of the current entry (for a sparse file only what is stored).
pub struct Reader<R> {
    input: BufReader<R>,
    /// Bytes of the current entry's data not read yet, and of the padding after it.
    data_left: u64,
    padding_left: u64,
    /// Position in the archive, in bytes.
    position: u64,
    /// Records of global extended headers, which count for all entries after them.
    global: Vec<u8>,
    ended: bool,
    /// Bytes read that are no data, since they were last forgotten.
    recorded: Option<Vec<u8>>,
}

/// What precedes the header that it belongs to.
#[derive(Default)]
struct Extensions {
    pax: Option<Vec<u8>>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    pub fn new(input: R) -> Reader<R> {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Reader { input, data_left: 0, padding_left: 0, position: 0, global: Vec::new(), ended: false, recorded: None }
    }

    /// A reader that keeps all bytes that it does not pass on as data: with the data they make up the archive. The
    /// caller must read the data of every entry and forget from time to time what was recorded.
    pub(crate) fn recording(input: R) -> Reader<R> {
        Reader { recorded: Some(Vec::new()), ..Reader::new(input) }
    }

    /// What was recorded and not forgotten.
    pub(crate) fn recorded(&self) -> &[u8] {
        self.recorded.as_deref().unwrap_or_default()
    }

    pub(crate) fn forget_recorded(&mut self) {
        if let Some(recorded) = &mut self.recorded {
            recorded.clear();
        }
    }

    /// Reads what follows the end of the archive, once [`Reader::next_entry`] has found it. 0 at the end of the input.
    pub(crate) fn read_past_end(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        crate::ingest::fill(&mut self.input, buffer)
    }

    fn record(&mut self, bytes: &[u8]) {
        if let Some(recorded) = &mut self.recorded {
            recorded.extend_from_slice(bytes);
        }
    }

    /// The next entry, or `None` at the end of the archive. Data of the last entry that was not
    /// read is skipped.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        let mut extensions = Extensions::default();
        loop {
            self.skip_data()?;
            let Some(block) = self.next_header()? else {
                self.ended = true;
                return Ok(None);
            };
            let size = stored_size(&block)?;
            match block[header::TYPE] {
                b'x' => extensions.pax = Some(self.read_extension(size)?),
                b'g' => self.add_global(size)?,
                b'L' => extensions.long_name = Some(zero_ended(self.read_extension(size)?)),
                b'K' => extensions.long_link = Some(zero_ended(self.read_extension(size)?)),
                // A volume's label is no file.
                b'V' => drop(self.read_extension(size)?),
                _ => return self.entry(&block, size, extensions).map(Some),
            }
        }
    }

    /// Where the data of the current entry begins, in bytes from the archive's start (before
    /// any of it was read).
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes of data are left of the current entry.
    pub fn data_left(&self) -> u64 {
        self.data_left
    }

    fn begin_data(&mut self, size: u64) {
        (self.data_left, self.padding_left) = (size, padding(size));
    }

    fn skip_data(&mut self) -> Result<()> {
        let count = self.data_left + self.padding_left;
        let mut passed = (&mut self.input).take(count);
        let skipped = match &mut self.recorded {
            Some(recorded) => io::copy(&mut passed, recorded)?,
            None => io::copy(&mut passed, &mut io::sink())?,
        };
        self.position += skipped;
        // Padding may be missing at the very end, as Go's writer leaves it without close.
        if skipped < self.data_left {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        (self.data_left, self.padding_left) = (0, 0);
        Ok(())
    }

    /// `None` at the end: two blocks of zeros, one, or none at all, as in the wild.
    fn next_header(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK];
        let count = crate::ingest::fill(&mut self.input, &mut block)?;
        self.position += count as u64;
        self.record(&block[..count]);
        match count {
            0 => Ok(None),
            BLOCK => Ok(header::check(&block)?.map(|()| block)),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > EXTENSION_SIZE_MAX {
            return Err(Error::invalid(format_args!("has an extended header of more than {EXTENSION_SIZE_MAX} bytes")));
        }
        self.begin_data(size);
        // Grows with what really comes, not with what was announced.
        let mut data = Vec::new();
        self.by_ref().take(size).read_to_end(&mut data)?;
        if (data.len() as u64) < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.record(&data);
        Ok(data)
    }

    fn add_global(&mut self, size: u64) -> Result<()> {
        let data = self.read_extension(size)?;
        if self.global.len() as u64 + size > GLOBAL_SIZE_MAX {
            return Err(Error::invalid("has too many global extended headers"));
        }
        pax::check_global(&data)?;
        self.global.extend_from_slice(&data);
        Ok(())
    }

    fn entry(&mut self, block: &Block, mut size: u64, extensions: Extensions) -> Result<Entry> {
        let mut entry = plain(block)?;
        let mut overrides = Overrides::default();
        overrides.apply(&mut entry, &self.global)?;
        if let Some(name) = extensions.long_name {
            entry.path = name;
        }
        if let Some(link) = extensions.long_link {
            entry.link = link;
        }
        if let Some(pax) = extensions.pax {
            overrides.apply(&mut entry, &pax)?;
        }
        pax::keep_last(&mut entry.xattrs)?;
        size = overrides.data_size.unwrap_or(size);
        entry.kind = kind(block[header::TYPE], &entry.path)?;
        if !entry.kind.has_data() {
            // Some writers put the file's size into the header of a hard link, without data.
            return Ok(entry);
        }
        self.begin_data(size);
        entry.size = size;
        let sparse = overrides.sparse;
        if block[header::TYPE] == b'S' {
            let (extents, real_size) = sparse::old_gnu(block, &mut Counted(self))?;
            (entry.extents, entry.size) = (Some(extents), real_size);
        } else if sparse.present {
            entry.path = sparse.name.unwrap_or(entry.path);
            entry.size = sparse.real_size.unwrap_or(size);
            entry.extents = Some(sparse.extents);
            if sparse.major == 1 {
                let (extents, map_size) = sparse::pax_1_0(&mut Counted(self), size)?;
                self.data_left -= map_size; // checked: the map is not larger than the data
                entry.extents = Some(extents);
            }
        }
        if let Some(extents) = &entry.extents {
            sparse::check(extents, entry.size, self.data_left)?;
        }
        Ok(entry)
    }
}

impl<R: Read + io::Seek> Reader<R> {
    /// Skips the rest of the current entry's data without reading it.
    pub fn seek_past_data(&mut self) -> Result<()> {
        let count = self.data_left + self.padding_left;
        let distance = i64::try_from(count).map_err(|_| Error::invalid("has an entry of impossible size"))?;
        self.input.seek_relative(distance)?;
        self.position += count;
        (self.data_left, self.padding_left) = (0, 0);
        Ok(())
    }
}

/// Reads blocks that belong to the archive's structure rather than to an entry's data.
struct Counted<'a, R>(&'a mut Reader<R>);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.input.read(buffer)?;
        self.0.position += count as u64;
        self.0.record(&buffer[..count]);
        Ok(count)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.data_left).unwrap_or(usize::MAX).min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..limit])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data_left -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

fn stored_size(block: &Block) -> Result<u64> {
    u64::try_from(header::number(&block[header::SIZE])?).map_err(|_| Error::invalid("has a negative size"))
}

/// The fields of the header itself.
fn plain(block: &Block) -> Result<Entry> {
    let mut path = header::text(&block[header::NAME]).to_vec();
    let prefix = header::text(&block[header::PREFIX]);
    if block[header::MAGIC] == *header::USTAR && !prefix.is_empty() {
        path = [prefix, &path].join(&b'/');
    }
    let id = |field| header::id(header::number(&block[field])?);
    let is_device = matches!(block[header::TYPE], b'3' | b'4');
    // Linux has twelve bits for the major number and twenty for the minor (include/linux/kdev_t.h): more would be cut
    // off, and the device be another.
    let device = |field, bits: u32| match if is_device { header::number(&block[field])? } else { 0 } {
        number if number >> bits == 0 => Ok(number as u32),
        _ => Err(Error::invalid("has a device number out of range")),
    };
    Ok(Entry {
        path,
        link: header::text(&block[header::LINK]).to_vec(),
        kind: Kind::File,
        mode: (header::number(&block[header::MODE])? & 0o7777) as u32,
        uid: id(header::UID)?,
        gid: id(header::GID)?,
        size: 0,
        mtime: (header::number(&block[header::MTIME])?, 0),
        device_major: device(header::MAJOR, 12)?,
        device_minor: device(header::MINOR, 20)?,
        xattrs: Vec::new(),
        extents: None,
    })
}

fn kind(flag: u8, path: &[u8]) -> Result<Kind> {
    Ok(match flag {
        // Before POSIX a directory was a file whose name ends in a slash.
        b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            let name = String::from_utf8_lossy(path);
            return Err(Error::invalid(format_args!("has an entry of unknown type {other:#04x}: {name}")));
        }
    })
}

fn zero_ended(mut data: Vec<u8>) -> Vec<u8> {
    data.truncate(header::text(&data).len());
    data
}
