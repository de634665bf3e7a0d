//! How layers are compressed for a push: gzip or zstd with a level, by several threads and yet the same bytes for
//! the same input and level, whatever the machine. Blocks are compressed side by side and given in order.
//!
//! ```text
//! archive ─► blocks ─┬─► worker ─┬─► in order ─► Read
//!                    └─► worker ─┘
//! ```

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use spec::image::media_type;

use crate::gzip;

/// The level of gzip where none is asked for: as small as what skopeo and docker make, and no slower.
pub const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 3;
/// Blocks of zstd are frames of their own; nothing before them helps to compress them.
const ZSTD_BLOCK_BYTES: usize = 4 << 20;
/// Workers of one layer at most; several layers go at once.
const WORKERS_MAX: usize = 8;
/// Of what is to be compressed, the bytes that may be ahead of who reads: the workers go on while a chunk is sent, and
/// while the registry writes it.
const AHEAD_BYTES: usize = 24 << 20;

/// The form in which layers are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Level 1 to 9.
    Gzip(u32),
    /// Level 1 to 22.
    Zstd(i32),
    None,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression::Gzip(GZIP_LEVEL)
    }
}

impl Compression {
    /// `gzip`, `zstd` or `none` with a level, as commands take them. `Err` says what is allowed.
    pub fn parse(format: &str, level: Option<i32>) -> Result<Compression, String> {
        let bounded = |range: std::ops::RangeInclusive<i32>, default: i32| {
            let level = level.unwrap_or(default);
            let error = || format!("{format} has levels {} to {}, not {level}", range.start(), range.end());
            range.contains(&level).then_some(level).ok_or_else(error)
        };
        match format {
            "gzip" => Ok(Compression::Gzip(bounded(1..=9, GZIP_LEVEL as i32)?.unsigned_abs())),
            "zstd" => Ok(Compression::Zstd(bounded(1..=22, ZSTD_LEVEL)?)),
            "none" if level.is_none() => Ok(Compression::None),
            "none" => Err("without compression there are no levels".to_owned()),
            other => Err(format!("unknown compression {other}: choose gzip, zstd or none")),
        }
    }

    /// The type of a layer in this form. Docker's manifests know no zstd.
    pub fn media_type(self, docker: bool) -> &'static str {
        match (self, docker) {
            (Compression::Gzip(_), true) => media_type::DOCKER_LAYER_GZIP,
            (Compression::None, true) => media_type::DOCKER_LAYER,
            (Compression::Gzip(_), false) => media_type::OCI_LAYER_GZIP,
            (Compression::None, false) => media_type::OCI_LAYER,
            (Compression::Zstd(_), _) => media_type::OCI_LAYER_ZSTD,
        }
    }

    /// Whether a layer of type `kind` has this form, of whatever level.
    pub fn is_that_of(self, kind: &str) -> bool {
        match self {
            Compression::Gzip(_) => kind.ends_with("gzip"),
            Compression::Zstd(_) => kind.ends_with("zstd"),
            Compression::None => kind.ends_with("tar"),
        }
    }

    /// The compressed form of the archive that `open` gives, which is read by a thread of its own.
    pub fn compress(self, open: Opener) -> Box<dyn Read + Send> {
        let plain = |block: Block| Ok(Compressed { bytes: block.bytes, checksum: None });
        match self {
            Compression::None => Box::new(Blocks::start(open, ZSTD_BLOCK_BYTES, (), plain)),
            Compression::Gzip(level) => {
                let deflate = move |block: Block| gzip::compress(&block, level);
                Box::new(Blocks::start(open, gzip::BLOCK_BYTES, gzip::Frame::default(), deflate))
            }
            Compression::Zstd(level) => Box::new(Blocks::start(open, ZSTD_BLOCK_BYTES, (), move |block: Block| {
                zstd::bulk::compress(&block.bytes, level).map(|bytes| Compressed { bytes, checksum: None })
            })),
        }
    }
}

/// Opens what is to be compressed, in the thread that reads it.
pub type Opener = Box<dyn FnOnce() -> io::Result<Box<dyn Read>> + Send>;

/// A part of the archive.
pub struct Block {
    pub bytes: Vec<u8>,
    /// The end of the block before.
    pub before: Vec<u8>,
    pub is_last: bool,
}

/// What became of it.
pub struct Compressed {
    pub bytes: Vec<u8>,
    /// Of the uncompressed bytes, where the format wants one at the end.
    pub checksum: Option<flate2::Crc>,
}

/// What stands around the blocks.
pub trait Wrapping: Send {
    fn head(&self) -> Vec<u8>;
    fn note(&mut self, block: &Compressed);
    fn tail(&self) -> Vec<u8>;
}

/// zstd's frames need nothing.
impl Wrapping for () {
    fn head(&self) -> Vec<u8> {
        Vec::new()
    }

    fn note(&mut self, _: &Compressed) {}

    fn tail(&self) -> Vec<u8> {
        Vec::new()
    }
}

type Outcome = io::Result<Compressed>;

/// Compressed blocks in their order. Dropped early, all threads end.
struct Blocks<W> {
    /// One receiver for each block, in order.
    queue: Option<Receiver<io::Result<Receiver<Outcome>>>>,
    wrapping: W,
    current: io::Cursor<Vec<u8>>,
}

impl<W: Wrapping> Blocks<W> {
    fn start(
        open: Opener,
        block_bytes: usize,
        wrapping: W,
        compress: impl Fn(Block) -> Outcome + Send + Sync + 'static,
    ) -> Blocks<W> {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        let (jobs, taken) = sync_channel::<(Block, Sender<Outcome>)>(workers);
        let (queue, in_order) = sync_channel((AHEAD_BYTES / block_bytes).max(2 * workers));
        let (taken, compress) = (Arc::new(Mutex::new(taken)), Arc::new(compress));
        for _ in 0..workers {
            let (taken, compress) = (Arc::clone(&taken), Arc::clone(&compress));
            thread::spawn(move || {
                loop {
                    let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((block, result)) = job else { return };
                    // Who asked may have gone.
                    let _ = result.send(compress(block));
                }
            });
        }
        thread::spawn(move || match open() {
            Ok(archive) => cut(archive, block_bytes, &jobs, &queue),
            // Who asked may have gone.
            Err(error) => drop(queue.send(Err(error))),
        });
        let current = io::Cursor::new(wrapping.head());
        Blocks { queue: Some(in_order), wrapping, current }
    }

    /// The next piece of output; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(queue) = &self.queue else { return Ok(None) };
        let Ok(block) = queue.recv() else {
            self.queue = None;
            return Ok(Some(self.wrapping.tail()));
        };
        let compressed = block?.recv().map_err(|_| io::Error::other("a thread that compresses has ended"))??;
        self.wrapping.note(&compressed);
        Ok(Some(compressed.bytes))
    }
}

/// Cuts the archive into blocks until it ends, fails, or nobody wants more.
fn cut(
    mut archive: Box<dyn Read>,
    block_bytes: usize,
    jobs: &SyncSender<(Block, Sender<Outcome>)>,
    queue: &SyncSender<io::Result<Receiver<Outcome>>>,
) {
    let mut read = || {
        let mut bytes = Vec::with_capacity(block_bytes);
        archive.as_mut().take(block_bytes as u64).read_to_end(&mut bytes).map(|_| bytes)
    };
    let mut before = Vec::new();
    let mut next = read();
    loop {
        let bytes = match next {
            Ok(bytes) => bytes,
            Err(error) => {
                let _ = queue.send(Err(error));
                return;
            }
        };
        // A full block is the last one only if nothing follows.
        next = if bytes.len() < block_bytes { Ok(Vec::new()) } else { read() };
        let is_last = next.as_ref().is_ok_and(Vec::is_empty);
        let tail = bytes[bytes.len().saturating_sub(gzip::WINDOW_BYTES)..].to_vec();
        let (sender, receiver) = channel();
        let sent = queue.send(Ok(receiver)).is_ok() && jobs.send((Block { bytes, before, is_last }, sender)).is_ok();
        if !sent || is_last {
            return;
        }
        before = tail;
    }
}

impl<W: Wrapping> Read for Blocks<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.next()? {
                Some(bytes) => self.current = io::Cursor::new(bytes),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::bufread::GzDecoder;

    use super::*;

    /// Text that compresses, the same every time.
    fn text(length: usize) -> Vec<u8> {
        (0_u64..).flat_map(|n| format!("{} line {n}\n", n * n % 977).into_bytes()).take(length).collect()
    }

    fn opener(archive: impl Read + Send + 'static) -> Opener {
        Box::new(|| Ok(Box::new(archive)))
    }

    fn compressed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        compression.compress(opener(io::Cursor::new(bytes.to_vec()))).read_to_end(&mut output).unwrap();
        output
    }

    #[test]
    fn one_member_of_gzip_that_everybody_reads() {
        for length in [0, 1, 5000, gzip::BLOCK_BYTES - 1, gzip::BLOCK_BYTES, gzip::BLOCK_BYTES + 1, 3_000_000] {
            let bytes = text(length);
            for level in [1, 3, 9] {
                let output = compressed(Compression::Gzip(level), &bytes);
                let again = compressed(Compression::Gzip(level), &bytes);
                assert!(output == again, "{length} at level {level} is the same each time");
                // Not MultiGzDecoder: a second member would be left over.
                let mut decoder = GzDecoder::new(output.as_slice());
                let mut found = Vec::new();
                decoder.read_to_end(&mut found).unwrap();
                assert!(found == bytes, "{length} at level {level}");
                assert!(decoder.into_inner().is_empty());
            }
        }
        let small = compressed(Compression::Gzip(6), &text(3_000_000)).len();
        assert!(small < 900_000, "blocks know what was before them: {small}");
    }

    #[test]
    fn zstd_and_none() {
        for length in [0, 1, ZSTD_BLOCK_BYTES, ZSTD_BLOCK_BYTES + 1] {
            let bytes = text(length);
            let output = compressed(Compression::Zstd(3), &bytes);
            assert!(zstd::decode_all(output.as_slice()).unwrap() == bytes, "{length}");
            assert!(compressed(Compression::None, &bytes) == bytes);
        }
    }

    #[test]
    fn a_reader_that_fails_and_one_that_is_dropped() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("no more"))
            }
        }
        let archive = io::Cursor::new(text(2_000_000)).chain(Failing);
        let error = Compression::default().compress(opener(archive)).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "no more");
        let mut endless = Compression::default().compress(opener(io::repeat(7)));
        endless.read_exact(&mut [0; 100]).unwrap();
    }

    #[test]
    fn words_on_the_command_line() {
        assert_eq!(Compression::parse("gzip", None), Ok(Compression::default()));
        assert_eq!(Compression::parse("zstd", Some(19)), Ok(Compression::Zstd(19)));
        assert_eq!(Compression::parse("none", None), Ok(Compression::None));
        for (format, level) in
            [("gzip", Some(0)), ("gzip", Some(10)), ("zstd", Some(23)), ("none", Some(1)), ("xz", None)]
        {
            assert!(Compression::parse(format, level).is_err(), "{format} {level:?}");
        }
    }
}
