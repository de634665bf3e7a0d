//! Writes tar archives entry by entry, well formed or not: the tests need layers that no tar
//! program would write.

/// An archive in the making.
#[derive(Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// What the header of an entry says, apart from its name.
pub struct Entry<'a> {
    /// The type flag: `0` file, `1` hard link, `2` symbolic link, `3` and `4` devices, `5` directory, `6` FIFO.
    pub kind: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub link: &'a str,
    pub device: (u32, u32),
    pub data: &'a [u8],
    /// The size to state, where it is not the length of `data`.
    pub size: Option<u64>,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Entry { kind: b'0', mode: 0o644, uid: 0, gid: 0, link: "", device: (0, 0), data: &[], size: None }
    }
}

impl Tar {
    pub fn new() -> Tar {
        Tar::default()
    }

    pub fn dir(self, path: &str, mode: u32) -> Tar {
        self.entry(path, &Entry { kind: b'5', mode, ..Entry::default() })
    }

    pub fn file(self, path: &str, mode: u32, data: &[u8]) -> Tar {
        self.entry(path, &Entry { mode, data, ..Entry::default() })
    }

    pub fn symlink(self, path: &str, link: &str) -> Tar {
        self.entry(path, &Entry { kind: b'2', mode: 0o777, link, ..Entry::default() })
    }

    pub fn hardlink(self, path: &str, link: &str) -> Tar {
        self.entry(path, &Entry { kind: b'1', link, ..Entry::default() })
    }

    /// Appends any entry; a name of more than 100 bytes goes into a GNU long-name entry before it.
    pub fn entry(mut self, path: &str, entry: &Entry) -> Tar {
        if path.len() > 100 {
            let long = Entry { kind: b'L', data: path.as_bytes(), ..Entry::default() };
            self = self.entry("././@LongLink", &long);
        }
        let mut header = [0u8; 512];
        put(&mut header[..100], &path.as_bytes()[..path.len().min(100)]);
        number(&mut header[100..108], entry.mode.into());
        number(&mut header[108..116], entry.uid.into());
        number(&mut header[116..124], entry.gid.into());
        number(&mut header[124..136], entry.size.unwrap_or(entry.data.len() as u64));
        number(&mut header[136..148], 1_700_000_000);
        header[156] = entry.kind;
        put(&mut header[157..257], entry.link.as_bytes());
        put(&mut header[257..265], b"ustar\x0000");
        number(&mut header[329..337], entry.device.0.into());
        number(&mut header[337..345], entry.device.1.into());
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        put(&mut header[148..156], format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(entry.data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// The archive with its two closing blocks.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

fn put(field: &mut [u8], bytes: &[u8]) {
    field[..bytes.len()].copy_from_slice(bytes);
}

fn number(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    put(field, format!("{value:0width$o}").as_bytes());
}
