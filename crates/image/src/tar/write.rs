//! Writing an archive: ustar headers, with PAX records before them where a field does not fit.
//! Equal entries give equal bytes.

use super::header::{self, Block};
use super::{BLOCK, Entry, Error, Kind, Result, padding, pax};
use std::io::{self, Read, Write};

/// An archive being written.
pub struct Writer<W> {
    output: W,
}

impl<W: Write> Writer<W> {
    pub fn new(output: W) -> Writer<W> {
        Writer { output }
    }

    /// Writes a header and, for a file, exactly `entry.size` bytes of `data`; it is an error
    /// when `data` ends before. Extents are not written: a sparse file becomes a plain one.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<()> {
        self.append_header(entry)?;
        if entry.kind.has_data() {
            self.copy_data(entry, data)?;
        }
        Ok(())
    }

    fn copy_data(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<()> {
        let copied = io::copy(&mut data.take(entry.size), &mut self.output)?;
        if copied < entry.size {
            let name = String::from_utf8_lossy(&entry.path);
            return Err(Error::invalid(format_args!("cannot hold {name}: the file shrank while it was read")));
        }
        self.pad(entry.size)
    }

    fn append_header(&mut self, entry: &Entry) -> Result<()> {
        let mut records = Vec::new();
        let block = header_of(entry, &mut records);
        if !records.is_empty() {
            let mut extended = extended_header(&entry.path, records.len() as u64);
            header::put_checksum(&mut extended);
            self.output.write_all(&extended)?;
            self.output.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.output.write_all(&block)?;
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        // Less than a block, always.
        Ok(self.output.write_all(&[0; BLOCK][..padding(size) as usize])?)
    }

    /// Ends the archive; returns the output.
    pub fn finish(mut self) -> Result<W> {
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.output)
    }
}

/// Fills in what fits and appends records (in the order of their keys) for what does not.
fn header_of(entry: &Entry, records: &mut Vec<u8>) -> Block {
    let mut block = [0; BLOCK];
    let is_ascii = |text: &[u8]| text.is_ascii();
    let mut xattrs: Vec<_> = entry.xattrs.iter().collect();
    xattrs.sort();
    for (name, value) in xattrs {
        pax::push(records, &[pax::XATTR, name].concat(), value);
    }
    if !header::put_octal(&mut block[header::GID], entry.gid.into()) {
        pax::push(records, b"gid", entry.gid.to_string().as_bytes());
    }
    if entry.link.len() > header::LINK.len() || !is_ascii(&entry.link) {
        pax::push(records, b"linkpath", &entry.link);
    }
    let mtime = u64::try_from(entry.mtime.0).ok();
    let fits = mtime.is_some_and(|seconds| header::put_octal(&mut block[header::MTIME], seconds));
    if !fits || entry.mtime.1 != 0 {
        header::put_octal(&mut block[header::MTIME], mtime.filter(|_| fits).unwrap_or(0));
        pax::push(records, b"mtime", pax::time_text(entry.mtime).as_bytes());
    }
    let split = header::split_path(&entry.path).filter(|_| is_ascii(&entry.path));
    if split.is_none() {
        pax::push(records, b"path", &entry.path);
    }
    let size = if entry.kind.has_data() { entry.size } else { 0 };
    if !header::put_octal(&mut block[header::SIZE], size) {
        pax::push(records, b"size", size.to_string().as_bytes());
    }
    if !header::put_octal(&mut block[header::UID], entry.uid.into()) {
        pax::push(records, b"uid", entry.uid.to_string().as_bytes());
    }

    let (prefix, name) = split.unwrap_or((b"", &entry.path));
    put_text(&mut block[header::NAME], name);
    put_text(&mut block[header::PREFIX], prefix);
    put_text(&mut block[header::LINK], &entry.link);
    header::put_octal(&mut block[header::MODE], (entry.mode & 0o7777).into());
    header::put_octal(&mut block[header::MAJOR], entry.device_major.into());
    header::put_octal(&mut block[header::MINOR], entry.device_minor.into());
    block[header::MAGIC].copy_from_slice(header::USTAR);
    block[header::TYPE] = flag(entry.kind);
    header::put_checksum(&mut block);
    block
}

/// The header of an extended header; its name matters only to programs that know no PAX.
fn extended_header(path: &[u8], size: u64) -> Block {
    let mut block = [0; BLOCK];
    let base = path.rsplit(|&b| b == b'/').find(|part| !part.is_empty()).unwrap_or(b"x");
    let mut name = b"PaxHeaders.0/".to_vec();
    name.extend(base.iter().map(|&b| if b.is_ascii() { b } else { b'_' }));
    put_text(&mut block[header::NAME], &name);
    for field in [header::MODE, header::UID, header::GID, header::MTIME, header::MAJOR, header::MINOR] {
        header::put_octal(&mut block[field], 0);
    }
    header::put_octal(&mut block[header::MODE], 0o644);
    header::put_octal(&mut block[header::SIZE], size);
    block[header::MAGIC].copy_from_slice(header::USTAR);
    block[header::TYPE] = b'x';
    block
}

fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

fn flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}
