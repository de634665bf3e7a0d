//! A directory's data: blocks of `struct erofs_dirent` (twelve bytes each) and behind them, in each block, the names.
//! Names are in the order of their bytes over the whole directory, for the kernel searches by halving: first the block,
//! then in the block. `.` and `..` stand among them where that order puts them.

use super::BLOCK;
use rustix::fs::FileType;

const DIRENT_SIZE: usize = 12;

/// How a directory's names fill blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub full_blocks: u32,
    /// Bytes in the block after those.
    pub tail: usize,
}

impl Shape {
    pub(super) fn size(self) -> u64 {
        u64::from(self.full_blocks) * BLOCK + self.tail as u64
    }
}

/// The shape for names in order, `.` and `..` with them.
pub(super) fn shape<'a>(names: impl Iterator<Item = &'a [u8]>) -> Shape {
    let mut shape = Shape::default();
    for name in names {
        let size = DIRENT_SIZE + name.len();
        if shape.tail + size > BLOCK as usize {
            shape.full_blocks += 1;
            shape.tail = 0;
        }
        shape.tail += size;
    }
    shape
}

/// One name in a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub name: &'a [u8],
    pub inode: u64,
    pub file_type: FileType,
}

/// Calls `each` with every block: the full ones padded with zeros, the last one as long as its content.
pub(super) fn encode<'a, E>(
    names: impl Iterator<Item = Name<'a>>,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut pending: Vec<Name> = Vec::new();
    let mut size = 0;
    for name in names {
        let more = DIRENT_SIZE + name.name.len();
        if size + more > BLOCK as usize {
            let mut block = encode_block(&pending);
            block.resize(BLOCK as usize, 0);
            each(&block)?;
            pending.clear();
            size = 0;
        }
        size += more;
        pending.push(name);
    }
    each(&encode_block(&pending))
}

fn encode_block(names: &[Name]) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK as usize);
    let mut offset = names.len() * DIRENT_SIZE;
    for name in names {
        block.extend_from_slice(&name.inode.to_le_bytes());
        block.extend_from_slice(&(offset as u16).to_le_bytes()); // within a block
        block.extend_from_slice(&[type_number(name.file_type), 0]);
        offset += name.name.len();
    }
    for name in names {
        block.extend_from_slice(name.name);
    }
    block
}

/// EROFS_FT_*, which are the FT_* of linux/fs_types.h.
fn type_number(file_type: FileType) -> u8 {
    match file_type {
        FileType::RegularFile => 1,
        FileType::Directory => 2,
        FileType::CharacterDevice => 3,
        FileType::BlockDevice => 4,
        FileType::Fifo => 5,
        FileType::Socket => 6,
        FileType::Symlink => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(names: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let names = names.iter().map(|name| Name { name, inode: 0x0102, file_type: FileType::RegularFile });
        let mut blocks = Vec::new();
        encode(names, |block| {
            blocks.push(block.to_vec());
            Ok::<(), ()>(())
        })
        .unwrap();
        blocks
    }

    #[test]
    fn one_block() {
        let found = blocks(&[b"a".to_vec(), b"bc".to_vec()]);
        let expected = [&[2, 1, 0, 0, 0, 0, 0, 0, 24, 0, 1, 0], &[2, 1, 0, 0, 0, 0, 0, 0, 25, 0, 1, 0], &b"abc"[..]];
        assert_eq!(found, [expected.concat()]);
    }

    #[test]
    fn shape_says_what_is_written() {
        for (count, length) in [(2, 1), (16, 244), (17, 244), (40, 255), (1000, 3), (315, 1), (316, 1)] {
            let names = vec![vec![b'x'; length]; count];
            let found = blocks(&names);
            let shape = shape(names.iter().map(Vec::as_slice));
            assert_eq!(found.len(), shape.full_blocks as usize + 1, "{count} {length}");
            assert_eq!(found.last().unwrap().len(), shape.tail, "{count} {length}");
            assert!(found[..found.len() - 1].iter().all(|block| block.len() == BLOCK as usize));
        }
    }
}
