//! What is written when all entries are known: the blocks of directories, then every inode that is not written yet with
//! its attributes and the short rest of its data, and the root's inode at its place near the start. First each gets its
//! place (a directory needs the numbers of what is in it), then all are written in the same order: directory by
//! directory, so that what `ls -l` reads is close together.

use super::data::DataWriter;
use super::directory::{self, Name, Shape};
use super::frame::FrameWriter;
use super::inode::{Data, INODE_SIZE, Inode, LINKS_OFFSET, SLOT_SIZE};
use super::output::Output;
use super::superblock::Superblock;
use super::tree::{Content, Id, Node, ROOT, Tree};
use super::{BLOCK, DATA_OFFSET, INLINE_SIZE_MAX, ROOT_OFFSET, Record, Unsealed, block_at};
use crate::error::{Error, Result};
use std::collections::VecDeque;

/// Where one inode goes.
struct Place {
    id: Id,
    parent: Id,
    /// From the start of all inodes.
    offset: u64,
    /// Its blocks of data: the first, counted from the start of all of them, and how many.
    first_block: u32,
    blocks: u32,
    /// Whether a rest of the data is behind the inode.
    inline: bool,
}

/// Where everything goes.
struct Plan {
    places: Vec<Place>,
    /// Numbers of inodes by node; while planning, their offset in units of the number.
    numbers: Vec<u64>,
    /// Inodes written before that have a number of links other than 1.
    relinked: Vec<Id>,
    inodes: u64,
    blocks: u32,
    /// End of the last inode.
    size: u64,
}

const UNPLACED: u64 = u64::MAX;

/// Writes all metadata and the frame.
pub(super) fn write(tree: &Tree, data: DataWriter, size: u64) -> Result<Unsealed> {
    let DataWriter { mut output, frame, has_chunks, .. } = data;
    let mut plan = Plan::new(tree)?;
    let blocks_start = output.position();
    let inodes_start = blocks_start + u64::from(plan.blocks) * BLOCK;
    let first_block = block_at(blocks_start)?;
    let end = block_at((inodes_start + plan.size).next_multiple_of(BLOCK))?;
    plan.number(inodes_start);

    for place in plan.places.iter().filter(|place| place.blocks > 0) {
        write_blocks(tree, &plan, place, &mut output)?;
    }
    for place in &plan.places {
        let bytes = encode(tree, &plan, place, first_block)?;
        if place.id == ROOT {
            output.put_at(ROOT_OFFSET, &bytes)?;
            continue;
        }
        let offset = inodes_start + place.offset;
        output.zeros(offset - output.position())?;
        output.write(&bytes)?;
    }
    for id in &plan.relinked {
        let links = tree.node(*id).links.to_le_bytes();
        output.put_at(plan.numbers[*id as usize] * SLOT_SIZE + LINKS_OFFSET, &links)?;
    }
    output.fill_block()?;
    let root = root_bytes(tree, &plan, first_block)?;
    let superblock = Superblock {
        root: (ROOT_OFFSET / SLOT_SIZE) as u16, // 64
        inodes: plan.inodes,
        blocks: end,
        uuid: [0; 16],
        chunks: has_chunks,
    };
    finish(output, frame, size, superblock, root)
}

fn finish(
    mut output: Output,
    frame: FrameWriter,
    size: u64,
    superblock: Superblock,
    root: Vec<u8>,
) -> Result<Unsealed> {
    let frame_offset = output.position();
    let (frame_length, archive_length) = frame.finish(&mut output)?;
    let record = Record { size, archive_length, frame_offset, frame_length };
    Ok(Unsealed { file: output.finish()?, record, superblock, root })
}

/// What of the root is in the first block.
fn root_bytes(tree: &Tree, plan: &Plan, first_block: u32) -> Result<Vec<u8>> {
    let mut bytes = encode(tree, plan, &plan.places[0], first_block)?;
    bytes.resize((BLOCK - ROOT_OFFSET) as usize, 0);
    Ok(bytes)
}

impl Plan {
    /// The root first, then directory by directory, each with what is in it.
    fn new(tree: &Tree) -> Result<Plan> {
        let numbers = vec![UNPLACED; tree.len()];
        let mut plan = Plan { places: Vec::new(), numbers, relinked: Vec::new(), inodes: 0, blocks: 0, size: 0 };
        plan.place(tree, ROOT, ROOT)?;
        let mut directories = VecDeque::from([ROOT]);
        while let Some(directory) = directories.pop_front() {
            for (_, id) in tree.names(directory) {
                if plan.numbers[id as usize] != UNPLACED {
                    continue;
                }
                plan.place(tree, id, directory)?;
                if matches!(tree.node(id).content, Content::Directory(_)) {
                    directories.push_back(id);
                }
            }
        }
        Ok(plan)
    }

    fn place(&mut self, tree: &Tree, id: Id, parent: Id) -> Result<()> {
        self.inodes += 1;
        let node = tree.node(id);
        if let Content::Written { number } = node.content {
            self.numbers[id as usize] = number;
            if node.links != 1 {
                self.relinked.push(id);
            }
            return Ok(());
        }
        let head = INODE_SIZE + node.xattrs.encoded_size();
        let (blocks, behind) = match &node.content {
            Content::Directory(_) => split(head, shape_of(tree, id)),
            Content::Symlink(target) => split(head, Shape { full_blocks: 0, tail: target.len() }),
            Content::Sparse(chunks) => (0, size_of_val(chunks.blocks.as_slice())),
            _ => (0, 0),
        };
        let is_inline = behind > 0 && !matches!(node.content, Content::Sparse(_));
        let offset = if id == ROOT {
            if head as u64 > DATA_OFFSET - ROOT_OFFSET {
                return Err(Error::invalid("archive", "has a root directory with too many extended attributes"));
            }
            0
        } else {
            self.room((head + behind) as u64)
        };
        self.numbers[id as usize] = offset / SLOT_SIZE;
        self.places.push(Place { id, parent, offset, first_block: self.blocks, blocks, inline: is_inline });
        self.blocks = self.blocks.checked_add(blocks).ok_or_else(|| Error::invalid("archive", "has too many files"))?;
        Ok(())
    }

    /// What fits into a block does not cross into another; of the rest the inode itself does not.
    fn room(&mut self, size: u64) -> u64 {
        let offset = self.size.next_multiple_of(SLOT_SIZE);
        let together = if size <= BLOCK { size } else { INODE_SIZE as u64 };
        let left = BLOCK - offset % BLOCK;
        let offset = if together <= left { offset } else { offset + left };
        self.size = offset + size;
        offset
    }

    /// Makes numbers of offsets.
    fn number(&mut self, inodes_start: u64) {
        for place in &self.places {
            self.numbers[place.id as usize] += inodes_start / SLOT_SIZE;
        }
        self.numbers[ROOT as usize] = ROOT_OFFSET / SLOT_SIZE;
    }
}

/// How many blocks, and how many bytes behind the inode.
fn split(head: usize, shape: Shape) -> (u32, usize) {
    if head + shape.tail <= INLINE_SIZE_MAX { (shape.full_blocks, shape.tail) } else { (shape.full_blocks + 1, 0) }
}

/// All names of a directory in their order.
fn names_of(tree: &Tree, id: Id, parent: Id) -> Vec<(&[u8], Id)> {
    let mut names: Vec<(&[u8], Id)> = tree.names(id).collect();
    for dots in [(&b"."[..], id), (b"..", parent)] {
        let at = names.partition_point(|(name, _)| *name < dots.0);
        names.insert(at, dots);
    }
    names
}

fn shape_of(tree: &Tree, id: Id) -> Shape {
    directory::shape(names_of(tree, id, id).into_iter().map(|(name, _)| name))
}

fn directory_blocks(tree: &Tree, plan: &Plan, place: &Place, each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let names = names_of(tree, place.id, place.parent).into_iter().map(|(name, id)| Name {
        name,
        inode: plan.numbers[id as usize],
        file_type: tree.node(id).attributes.file_type(),
    });
    directory::encode(names, each)
}

fn write_blocks(tree: &Tree, plan: &Plan, place: &Place, output: &mut Output) -> Result<()> {
    let mut left = place.blocks;
    let mut write = |bytes: &[u8]| {
        if left > 0 {
            left -= 1;
            output.write(bytes)?;
            output.fill_block()?;
        }
        Ok(())
    };
    match &tree.node(place.id).content {
        Content::Symlink(target) => write(target),
        _ => directory_blocks(tree, plan, place, write),
    }
}

/// The inode and what is behind it.
fn encode(tree: &Tree, plan: &Plan, place: &Place, first_block: u32) -> Result<Vec<u8>> {
    let node = tree.node(place.id);
    let own_block = first_block + place.first_block;
    let data = match (&node.content, place.inline) {
        (Content::Directory(_) | Content::Symlink(_), true) => Data::Inline(own_block),
        (Content::Directory(_) | Content::Symlink(_), false) => Data::Blocks(own_block),
        (Content::Blocks { block, .. }, _) => Data::Blocks(*block),
        (Content::Sparse(chunks), _) => Data::Chunks { bits: chunks.bits },
        (Content::Device(number), _) => Data::Device(*number),
        (Content::Written { .. }, _) => Data::Inline(0),
    };
    let inode = Inode {
        attributes: node.attributes,
        links: links_of(tree, place.id, node),
        size: size_of(tree, place.id, node),
        data,
        xattr_count: node.xattrs.count(),
        number: plan.numbers[place.id as usize],
    };
    let mut bytes = inode.encode().to_vec();
    node.xattrs.encode(&mut bytes);
    match &node.content {
        Content::Sparse(chunks) => bytes.extend(chunks.blocks.iter().flat_map(|block| block.to_le_bytes())),
        Content::Symlink(target) if place.inline => bytes.extend_from_slice(target),
        Content::Directory(_) if place.inline => {
            let mut last = Vec::new();
            directory_blocks(tree, plan, place, |block| {
                last = block.to_vec();
                Ok(())
            })?;
            bytes.extend_from_slice(&last);
        }
        _ => {}
    }
    Ok(bytes)
}

/// A directory has its name, its `.` and the `..` of each directory in it.
fn links_of(tree: &Tree, id: Id, node: &Node) -> u32 {
    match &node.content {
        Content::Directory(_) => {
            let is_directory = |id| matches!(tree.node(id).content, Content::Directory(_));
            2 + tree.names(id).filter(|(_, id)| is_directory(*id)).count() as u32 // fewer than nodes
        }
        _ => node.links,
    }
}

fn size_of(tree: &Tree, id: Id, node: &Node) -> u64 {
    match &node.content {
        Content::Directory(_) => shape_of(tree, id).size(),
        Content::Blocks { size, .. } => *size,
        Content::Sparse(chunks) => chunks.size,
        Content::Symlink(target) => target.len() as u64,
        Content::Written { .. } | Content::Device(_) => 0,
    }
}
