//! What is written can be mounted and shows what `unpack` makes of the same archive; the archive comes back byte for
//! byte. Tests that mount need root and a kernel with EROFS, and say so when they are skipped; `fsck.erofs` is asked where it
//! is installed.

mod archives;
mod limits;
mod mounted;
mod random;
mod tree_of;

use super::*;
use crate::blob::digest_of;
use crate::tar::{Entry, Kind, Writer};
use crate::testing::{Scratch, entry};
use kernel::erofs::Support;
use kernel::mount::Mount;
use spec::digest::Algorithm;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// A layer's file made of an archive.
struct Made {
    scratch: Scratch,
    size: u64,
}

impl Made {
    fn of(archive: &[u8]) -> Result<Made> {
        Made::of_stream(&mut &*archive, &digest_of(Algorithm::Sha256, archive))
    }

    fn of_stream(archive: &mut dyn Read, diff_id: &Digest) -> Result<Made> {
        let scratch = Scratch::new("erofs");
        let file = File::options().read(true).write(true).create_new(true).open(scratch.path().join("image.erofs"));
        let unsealed = write(archive, file.unwrap())?;
        let size = unsealed.size();
        unsealed.seal(diff_id)?;
        Ok(Made { scratch, size })
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join("image.erofs")
    }

    fn file(&self) -> File {
        File::open(self.path()).unwrap()
    }

    fn archive(&self) -> Vec<u8> {
        let mut archive = Archive::open(self.file()).unwrap();
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, archive.length());
        bytes
    }

    /// `None` where that is not possible.
    fn mount(&self) -> Option<Mounted> {
        match kernel::erofs::probe(self.scratch.path()) {
            Support::None => {
                eprintln!("skipped: cannot mount EROFS here");
                None
            }
            _ => Some(Mounted(kernel::erofs::mount(&self.file()).unwrap())),
        }
    }

    fn check(&self) {
        let output = match std::process::Command::new("fsck.erofs").arg(self.path()).output() {
            Ok(output) => output,
            Err(error) => return eprintln!("skipped: fsck.erofs: {error}"),
        };
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "fsck.erofs: {}", String::from_utf8_lossy(&text));
    }
}

/// A mount that is visible nowhere.
struct Mounted(Mount);

impl Mounted {
    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_fd().as_raw_fd()).into()
    }
}

fn tar_of(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, data) in entries {
        writer.append(entry, &mut data.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

/// A header of type `flag` with data behind it.
fn raw(flag: u8, entry: &Entry, data: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let entry = Entry { kind: Kind::File, size: data.len() as u64, ..entry.clone() };
    writer.append(&entry, &mut &*data).unwrap();
    let mut bytes = writer.finish().unwrap();
    bytes.truncate(bytes.len() - 1024);
    let at = bytes.len() - 512 - data.len().next_multiple_of(512);
    let header = &mut bytes[at..at + 512];
    header[156] = flag;
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

/// A sparse file in GNU's PAX format 0.1.
fn sparse(entry: &Entry, size: u64, extents: &[(u64, &[u8])]) -> Vec<u8> {
    let map: Vec<String> = extents.iter().map(|(offset, data)| format!("{offset},{}", data.len())).collect();
    let mut records = Vec::new();
    for (key, value) in [("GNU.sparse.size", size.to_string()), ("GNU.sparse.map", map.join(","))] {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
        records.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    let data: Vec<&[u8]> = extents.iter().map(|(_, data)| *data).collect();
    [raw(b'x', &Entry { path: b"x".into(), ..Entry::default() }, &records), raw(b'0', entry, &data.concat())].concat()
}

#[test]
fn where_things_are() {
    let archive = crate::testing::tar_of(&[("large", &[0xff; 5000]), ("small", b"abc"), ("d/e", &[7; 4096])]);
    let made = Made::of(&archive).unwrap();
    assert_eq!(made.size, 9099);
    let bytes = std::fs::read(made.path()).unwrap();
    let data = DATA_OFFSET as usize;
    // A mapped file shows what is in the file behind its end: zeros.
    assert!(bytes[data..][..5000].iter().all(|&b| b == 0xff) && bytes[data + 5000..][..3192].iter().all(|&b| b == 0));
    assert_eq!(bytes[data + 8192..][..2], [5, 0]);
    assert_eq!(bytes[data + 8192 + 64..][..4], *b"abc\0");
    assert!(bytes[data + 12288..][..4096].iter().all(|&b| b == 7));
    let record = record(&made.file()).unwrap();
    assert_eq!((record.size, record.archive_length), (9099, archive.len() as u64));
    assert_eq!(record.frame_offset % BLOCK, 0);
    assert_eq!(bytes[1024 + 48..][..16], uuid(&digest_of(Algorithm::Sha256, &archive)));
    made.check();
}

#[test]
fn equal_archives_give_equal_files() {
    let archive = crate::testing::tar_of(&[("b/c", &[1; 5000]), ("a", b"abc"), ("b/l -> ../a", b"")]);
    let read = || std::fs::read(Made::of(&archive).unwrap().path()).unwrap();
    assert!(read() == read());
}

#[test]
fn nobody_takes_half_a_file_for_a_layer() {
    let archive = crate::testing::tar_of(&[("a", &[1; 100_000])]);
    let made = Made::of(&archive).unwrap();
    let file = File::options().write(true).open(made.path()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    assert!(record(&made.file()).unwrap_err().to_string().contains("length"));
    assert!(Archive::open(made.file()).is_err());
    file.set_len(100).unwrap();
    assert!(record(&made.file()).unwrap_err().to_string().contains("short"));
    let scratch = Scratch::new("unsealed");
    let path = scratch.path().join("image.erofs");
    write(&mut &*archive, File::create(&path).unwrap()).unwrap();
    assert!(record(&File::open(&path).unwrap()).unwrap_err().to_string().contains("no record"));
}
