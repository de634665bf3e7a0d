//! Compression of layers and archives: recognised by its first bytes (media types in the wild
//! are often wrong), gzip with any number of members and zstd with any number of frames read,
//! gzip written.

use flate2::bufread::MultiGzDecoder;
use spec::image::media_type;
use std::io::{self, BufRead, BufReader, Read, Write};

/// What an archive is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub fn layer_media_type(self) -> &'static str {
        match self {
            Compression::None => media_type::OCI_LAYER,
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        }
    }
}

/// Recognises the compression by the first bytes; `Err` names one that is known but not read.
pub fn detect(start: &[u8]) -> Result<Compression, &'static str> {
    match start {
        [0x1f, 0x8b, 0x08, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
        // A skippable zstd frame, as seekable zstd has in front.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', ..] => Err("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err("xz"),
        _ => Ok(Compression::None),
    }
}

/// Reads the uncompressed bytes of a reader that may be compressed.
pub struct Decoder<'a> {
    inner: Inner<'a>,
}

type Source<'a> = BufReader<Box<dyn Read + 'a>>;

enum Inner<'a> {
    None(Source<'a>),
    Gzip(Box<MultiGzDecoder<Source<'a>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Source<'a>>>),
}

/// An archive may grow to this many bytes, and beyond that to so many times its compressed size. Gzip reaches 1032 on
/// zeros; real layers stay below 20.
const EXPANSION_FREE_BYTES: u64 = 4 << 30;
const EXPANSION_MAX: u64 = 200;

/// Whether `total` bytes may come of the `arrived` ones; the error continues the sentence that the archive's name begins.
pub(crate) fn check_growth(arrived: u64, total: u64) -> Result<(), String> {
    if total <= EXPANSION_FREE_BYTES || total / EXPANSION_MAX <= arrived {
        return Ok(());
    }
    let limit = EXPANSION_FREE_BYTES >> 30;
    Err(format!("grows beyond {limit} GiB and to more than {EXPANSION_MAX} times its size"))
}

/// Most bytes that the compressed side reads at once.
const BUFFER_BYTES: usize = 128 << 10;

impl<'a> Decoder<'a> {
    /// Looks at the first bytes of `input`.
    pub fn new(input: impl Read + 'a) -> io::Result<Decoder<'a>> {
        let input: Box<dyn Read + 'a> = Box::new(input);
        let mut source = BufReader::with_capacity(BUFFER_BYTES, input);
        let inner = match detect(source.fill_buf()?) {
            Ok(Compression::None) => Inner::None(source),
            Ok(Compression::Gzip) => Inner::Gzip(Box::new(MultiGzDecoder::new(source))),
            Ok(Compression::Zstd) => Inner::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(source)?)),
            Err(name) => {
                let why = format!("is compressed with {name}, which is not supported: decompress it first");
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
        };
        Ok(Decoder { inner })
    }

    pub fn compression(&self) -> Compression {
        match self.inner {
            Inner::None(_) => Compression::None,
            Inner::Gzip(_) => Compression::Gzip,
            Inner::Zstd(_) => Compression::Zstd,
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::None(source) => source.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer),
            Inner::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// Compresses what is written with gzip: no name and no date inside, so that equal input gives
/// equal output.
pub struct GzipWriter<W: Write>(flate2::write::GzEncoder<W>);

impl<W: Write> GzipWriter<W> {
    pub fn new(output: W) -> GzipWriter<W> {
        // 4: about three times as fast as the usual 6 for a few per cent more bytes.
        GzipWriter(flate2::write::GzEncoder::new(output, flate2::Compression::new(4)))
    }

    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn decode(mut bytes: &[u8]) -> io::Result<(Compression, Vec<u8>)> {
        let mut decoder = Decoder::new(&mut bytes)?;
        let mut out = Vec::new();
        decoder.read_to_end(&mut out)?;
        Ok((decoder.compression(), out))
    }

    #[test]
    fn members_and_frames() {
        let two = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(decode(&two).unwrap(), (Compression::Gzip, b"onetwo".to_vec()));
        let frame = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        let two = [frame("one"), frame("two")].concat();
        assert_eq!(decode(&two).unwrap(), (Compression::Zstd, b"onetwo".to_vec()));
        assert_eq!(decode(b"plain").unwrap(), (Compression::None, b"plain".to_vec()));
        assert_eq!(decode(b"").unwrap(), (Compression::None, Vec::new()));
        assert_eq!(gzip(b"same"), gzip(b"same"));
    }

    #[test]
    fn bombs() {
        let gib = 1 << 30;
        assert!(check_growth(1, 4 * gib).is_ok() && check_growth(gib, 200 * gib).is_ok());
        assert!(check_growth(1, 4 * gib + 1).is_err() && check_growth(gib, 202 * gib).is_err());
    }

    #[test]
    fn broken() {
        let whole = gzip(&[7; 10_000]);
        assert!(decode(&whole[..whole.len() - 3]).is_err());
        let frame = zstd::encode_all(&[7; 10_000][..], 1).unwrap();
        assert!(decode(&frame[..frame.len() - 3]).is_err());
        let error = decode(b"\xfd7zXZ\0more").unwrap_err().to_string();
        assert!(error.contains("xz") && error.contains("decompress it first"), "{error}");
    }

    proptest! {
        #[test]
        fn never_panics(start in 0..4_usize, mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let magic: [&[u8]; 4] = [b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"];
            bytes.splice(0..0, magic[start].iter().copied());
            let _ = decode(&bytes);
        }
    }
}
