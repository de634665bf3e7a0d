//! The files of a layer as they become known, entry by entry: names, links between them and inodes, in memory. Paths
//! resolve as `kernel::beneath` resolves them on disk: within the root, through links of the same layer. Called by
//! `layer_writer`; where things lie in the file is known to `content` and `metadata`.

use super::xattr::Xattrs;
use crate::error::{Error, Result};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Number of a node; nodes are never removed, only their names.
pub(super) type Id = u32;

pub(super) const ROOT: Id = 0;

/// As many links as the kernel follows in one path (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// Longest path that openat2(2) takes, in bytes.
const PATH_LENGTH_MAX: usize = 4095;
/// Longest name (EROFS_NAME_LEN, and NAME_MAX).
const NAME_LENGTH_MAX: usize = 255;
/// About 150 bytes of memory each.
const NODES_MAX: usize = 8 << 20;
/// Memory for names, targets of links and attributes, in bytes.
const TEXT_SIZE_MAX: u64 = 1 << 30;

/// What all entries say of their file. The mode has the type.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, u32),
}

impl Attributes {
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode.into())
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub attributes: Attributes,
    pub xattrs: Xattrs,
    pub content: Content,
    /// How many names it has.
    pub links: u32,
}

#[derive(Debug)]
pub(super) enum Content {
    Directory(BTreeMap<Box<[u8]>, Id>),
    /// Data in whole blocks, from this one on.
    Blocks {
        block: u32,
        size: u64,
    },
    /// The inode is written already, its data behind it.
    Written {
        number: u64,
    },
    Sparse(Box<Chunks>),
    Symlink(Box<[u8]>),
    /// A device's number on disk; 0 for a fifo.
    Device(u32),
}

/// Data of a sparse file: the first block of each chunk, [`Chunks::HOLE`] where it is all zeros.
#[derive(Debug)]
pub(super) struct Chunks {
    pub size: u64,
    /// A chunk has `4096 << bits` bytes.
    pub bits: u16,
    pub blocks: Vec<u32>,
}

impl Chunks {
    /// EROFS_NULL_ADDR.
    pub(super) const HOLE: u32 = u32::MAX;
}

pub(super) struct Tree {
    nodes: Vec<Node>,
    text_size: u64,
    /// The time of directories that the archive does not mention: that of the entry which needs them first.
    pub implied_mtime: (i64, u32),
}

impl Tree {
    pub(super) fn new() -> Tree {
        let mut tree = Tree { nodes: Vec::new(), text_size: 0, implied_mtime: (0, 0) };
        tree.nodes.push(directory(Attributes { mode: DIRECTORY_MODE, ..Attributes::default() }));
        tree
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The names in a directory; of anything else, none.
    pub(super) fn names(&self, id: Id) -> impl Iterator<Item = (&[u8], Id)> {
        let names = match &self.node(id).content {
            Content::Directory(names) => Some(names),
            _ => None,
        };
        names.into_iter().flatten().map(|(name, id)| (&**name, *id))
    }

    pub(super) fn lookup(&self, directory: Id, name: &[u8]) -> Option<Id> {
        match &self.node(directory).content {
            Content::Directory(names) => names.get(name).copied(),
            _ => None,
        }
    }

    /// Adds a node without a name.
    pub(super) fn add(&mut self, node: Node) -> Result<Id> {
        if self.nodes.len() == NODES_MAX {
            return Err(Error::invalid("archive", format_args!("has more than {NODES_MAX} files")));
        }
        let text = match &node.content {
            Content::Symlink(target) => target.len(),
            Content::Sparse(chunks) => 4 * chunks.blocks.len(),
            _ => 0,
        };
        self.count_text(text + node.xattrs.encoded_size())?;
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id) // NODES_MAX fits
    }

    /// Gives a node a name that must be free.
    pub(super) fn link(&mut self, directory: Id, name: &[u8], id: Id) -> Result<()> {
        if name.len() > NAME_LENGTH_MAX {
            return Err(kernel_error("create", name, Errno::NAMETOOLONG));
        }
        self.count_text(name.len() + size_of::<Id>())?;
        if let Content::Directory(names) = &mut self.node_mut(directory).content {
            let before = names.insert(name.into(), id);
            assert!(before.is_none(), "a name was taken twice");
            self.node_mut(id).links += 1;
        }
        Ok(())
    }

    /// Takes a name away, and if it is a directory everything in it.
    pub(super) fn unlink(&mut self, directory: Id, name: &[u8]) {
        let Content::Directory(names) = &mut self.node_mut(directory).content else { return };
        let mut doomed: Vec<Id> = names.remove(name).into_iter().collect();
        while let Some(id) = doomed.pop() {
            let node = self.node_mut(id);
            node.links -= 1;
            if let Content::Directory(names) = &mut node.content {
                doomed.extend(std::mem::take(names).into_values());
            }
        }
    }

    /// Bounds the memory that an archive can make us use.
    pub(super) fn count_text(&mut self, bytes: usize) -> Result<()> {
        self.text_size += bytes as u64;
        if self.text_size > TEXT_SIZE_MAX {
            let why = format_args!("has more than {TEXT_SIZE_MAX} bytes of names, links and attributes");
            return Err(Error::invalid("archive", why));
        }
        Ok(())
    }

    /// The directory at `path` (cleaned); what is missing of it is created.
    pub(super) fn create_directory(&mut self, path: &Path) -> Result<Id> {
        let error = |errno| kernel_error("open", path.as_os_str().as_bytes(), errno);
        let mut walk = Walk::new(path).map_err(error)?;
        loop {
            if let Some(id) = walk.resolve(self).map_err(error)? {
                return Ok(id);
            }
            let name = walk.todo.last().cloned().unwrap_or_default();
            walk.enter(self.add_implied(walk.here(), &name)?);
        }
    }

    /// The directory at `path` (cleaned), which must be there.
    pub(super) fn directory(&self, path: &Path) -> std::result::Result<Id, Errno> {
        Walk::new(path)?.resolve(self)?.ok_or(Errno::NOENT)
    }

    /// A directory that the archive does not mention.
    fn add_implied(&mut self, parent: Id, name: &[u8]) -> Result<Id> {
        let mut attributes = Attributes { mode: DIRECTORY_MODE, mtime: self.implied_mtime, ..Attributes::default() };
        if let Some(group) = self.inherited_group(parent) {
            attributes.mode |= SET_GROUP_ID;
            attributes.gid = group;
        }
        let id = self.add(directory(attributes))?;
        self.link(parent, name, id)?;
        Ok(id)
    }

    /// The group of what is created in a set-group-id directory and says no group itself (inode(7)).
    pub(super) fn inherited_group(&self, parent: Id) -> Option<u32> {
        let Attributes { mode, gid, .. } = self.node(parent).attributes;
        (mode & SET_GROUP_ID != 0).then_some(gid)
    }
}

const SET_GROUP_ID: u16 = 0o2000;
const DIRECTORY_MODE: u16 = 0o040_755;

/// An empty directory.
pub(super) fn directory(attributes: Attributes) -> Node {
    Node { attributes, xattrs: Xattrs::default(), content: Content::Directory(BTreeMap::new()), links: 0 }
}

/// A path being resolved.
struct Walk {
    /// Directories from the root to where we are.
    stack: Vec<Id>,
    /// What is left of the path, and of links on the way, the last name first.
    todo: Vec<Box<[u8]>>,
    links: usize,
}

impl Walk {
    fn new(path: &Path) -> std::result::Result<Walk, Errno> {
        let path = path.as_os_str().as_bytes();
        if path.len() > PATH_LENGTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(Walk { stack: vec![ROOT], todo: reversed_names(path), links: 0 })
    }

    fn here(&self) -> Id {
        self.stack.last().copied().unwrap_or(ROOT)
    }

    /// Goes on until the end of the path, or (`None`) until a name is missing, which is the last one in `todo` then.
    fn resolve(&mut self, tree: &Tree) -> std::result::Result<Option<Id>, Errno> {
        while let Some(name) = self.todo.last() {
            if **name == *b".." {
                self.stack.pop();
                self.todo.pop();
                continue;
            }
            if name.len() > NAME_LENGTH_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            let Some(id) = tree.lookup(self.here(), name) else { return Ok(None) };
            match &tree.node(id).content {
                Content::Directory(_) => self.enter(id),
                Content::Symlink(target) => self.follow(target)?,
                _ => return Err(Errno::NOTDIR),
            }
        }
        Ok(Some(self.here()))
    }

    fn enter(&mut self, id: Id) {
        self.todo.pop();
        self.stack.push(id);
    }

    fn follow(&mut self, target: &[u8]) -> std::result::Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP);
        }
        self.todo.pop();
        if target.starts_with(b"/") {
            self.stack.clear();
        }
        self.todo.extend(reversed_names(target));
        Ok(())
    }
}

fn reversed_names(path: &[u8]) -> Vec<Box<[u8]>> {
    let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.rev().map(Box::from).collect()
}

/// The same words as when a layer is unpacked.
pub(super) fn kernel_error(action: &str, name: &[u8], errno: Errno) -> Error {
    Error::Io(kernel::Error::at(action, Path::new(std::ffi::OsStr::from_bytes(name)), errno))
}
