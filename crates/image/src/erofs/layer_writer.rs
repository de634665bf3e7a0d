//! Entries of an archive → a tree, by the rules of `unpack`: the last entry of a name wins, a file takes the place of a
//! directory with all in it, whiteouts become what overlay understands, links resolve within the layer.

use super::data::{DataWriter, Input};
use super::inode::device_number;
use super::tree::{Attributes, Content, Id, Node, ROOT, Tree, directory, kernel_error};
use super::xattr::Xattrs;
use super::{Unsealed, metadata};
use crate::error::{Error, Result};
use crate::tar::{Entry, Kind};
use crate::unpack::{clean, link_error};
use crate::whiteout::{Whiteout, whiteout};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) struct LayerWriter {
    tree: Tree,
    data: DataWriter,
    /// The directory of the last entry: the next one is mostly in the same.
    parent: Option<(PathBuf, Id)>,
    size: u64,
    is_first: bool,
}

impl LayerWriter {
    pub(super) fn new(file: File) -> Result<LayerWriter> {
        Ok(LayerWriter { tree: Tree::new(), data: DataWriter::new(file)?, parent: None, size: 0, is_first: true })
    }

    pub(super) fn entry(&mut self, entry: &Entry, input: &mut Input<'_>) -> Result<()> {
        self.tree.implied_mtime = entry.mtime;
        if std::mem::take(&mut self.is_first) {
            self.tree.node_mut(ROOT).attributes.mtime = entry.mtime;
        }
        self.place(entry, input)?;
        // Data that makes no file, such as a whiteout's.
        if input.data_left() > 0 {
            self.data.keep(input)?;
        }
        self.data.note_literal(input)
    }

    fn place(&mut self, entry: &Entry, input: &mut Input<'_>) -> Result<()> {
        let path = clean(&entry.path)?;
        let Some(name) = path.file_name() else {
            return self.root_itself(entry);
        };
        let parent_path = path.parent().unwrap_or(Path::new(""));
        if let Some(asked) = whiteout(name)? {
            let parent = self.parent(parent_path)?;
            return self.whiteout(parent, &asked, entry);
        }
        match entry.kind {
            Kind::Directory => {
                let parent = self.parent(parent_path)?;
                self.make_directory(parent, name.as_bytes(), entry)
            }
            Kind::Hardlink => self.make_link(parent_path, name.as_bytes(), entry),
            _ => {
                let parent = self.parent(parent_path)?;
                self.make_other(parent, name.as_bytes(), entry, input)
            }
        }
    }

    /// Creates what the archive does not mention.
    fn parent(&mut self, path: &Path) -> Result<Id> {
        if let Some((known, id)) = &self.parent
            && known == path
        {
            return Ok(*id);
        }
        let id = self.tree.create_directory(path)?;
        self.parent = Some((path.to_owned(), id));
        Ok(id)
    }

    /// Takes a name away, and what was known of paths, which may have led through it.
    fn unlink(&mut self, directory: Id, name: &[u8]) {
        self.tree.unlink(directory, name);
        self.parent = None;
    }

    fn root_itself(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Error::invalid("archive", "has an entry for its root that is no directory"));
        }
        self.set_directory(ROOT, entry)
    }

    fn make_directory(&mut self, parent: Id, name: &[u8], entry: &Entry) -> Result<()> {
        let mut hides = false;
        if let Some(existing) = self.tree.lookup(parent, name) {
            if self.is_directory(existing) {
                return self.set_directory(existing, entry);
            }
            // A whiteout of the same layer: what is below must stay hidden.
            hides = self.is_whiteout(existing);
            self.unlink(parent, name);
        }
        let id = self.tree.add(directory(attributes_of(entry)))?;
        self.tree.link(parent, name, id)?;
        if hides {
            self.tree.node_mut(id).xattrs.set_opaque();
        }
        self.set_directory(id, entry)
    }

    /// An attribute that the entry does not have stays from an earlier one.
    fn set_directory(&mut self, id: Id, entry: &Entry) -> Result<()> {
        let mut attributes = attributes_of(entry);
        let node = self.tree.node_mut(id);
        node.xattrs.change_mode(attributes.mode);
        node.xattrs.add(entry, &mut attributes.mode)?;
        node.attributes = attributes;
        let size = node.xattrs.encoded_size();
        self.tree.count_text(size)
    }

    fn make_other(&mut self, parent: Id, name: &[u8], entry: &Entry, input: &mut Input<'_>) -> Result<()> {
        if self.tree.lookup(parent, name).is_some() {
            self.unlink(parent, name);
        }
        let mut attributes = attributes_of(entry);
        let mut xattrs = Xattrs::default();
        xattrs.add(entry, &mut attributes.mode)?;
        let content = match entry.kind {
            Kind::File => {
                // Holes cost nothing: a few sparse files may claim more than there are bytes.
                self.size = self.size.saturating_add(entry.size);
                self.data.file(entry, attributes, &xattrs, input)?
            }
            Kind::Symlink => Content::Symlink(checked_target(entry)?.into()),
            Kind::Fifo => Content::Device(0),
            _ => Content::Device(device_number(entry.device_major, entry.device_minor)),
        };
        if matches!(content, Content::Written { .. }) {
            xattrs = Xattrs::default();
        }
        let id = self.tree.add(Node { attributes, xattrs, content, links: 0 })?;
        self.tree.link(parent, name, id)
    }

    fn make_link(&mut self, parent_path: &Path, name: &[u8], entry: &Entry) -> Result<()> {
        let fail = |errno| Err(link_error(entry, kernel::Error::new("create hard link", errno)));
        let target = clean(&entry.link)?;
        let target_parent = match self.tree.directory(target.parent().unwrap_or(Path::new(""))) {
            Ok(id) => id,
            Err(errno) => return fail(errno),
        };
        let source = |tree: &Tree| match target.file_name() {
            Some(name) => tree.lookup(target_parent, name.as_bytes()),
            None => Some(ROOT),
        };
        let parent = self.parent(parent_path)?;
        let Some(id) = source(&self.tree) else { return fail(Errno::NOENT) };
        if let Some(existing) = self.tree.lookup(parent, name) {
            if existing == id {
                return Ok(());
            }
            self.unlink(parent, name);
        }
        // What has just been replaced may have held the source.
        match source(&self.tree) {
            None => fail(Errno::NOENT),
            Some(id) if self.is_directory(id) => fail(Errno::PERM),
            Some(id) => self.tree.link(parent, name, id),
        }
    }

    fn whiteout(&mut self, parent: Id, asked: &Whiteout<'_>, entry: &Entry) -> Result<()> {
        let hidden = match asked {
            Whiteout::Opaque => {
                self.tree.node_mut(parent).xattrs.set_opaque();
                return Ok(());
            }
            Whiteout::Ignored => return Ok(()),
            Whiteout::Of(name) => name.as_bytes(),
        };
        match self.tree.lookup(parent, hidden) {
            // The same layer brings it anew: that hides a lower file by itself, and a lower directory when it is opaque.
            Some(existing) if self.is_directory(existing) => self.tree.node_mut(existing).xattrs.set_opaque(),
            Some(_) => {}
            None => {
                let mode = FileType::CharacterDevice.as_raw_mode() as u16; // six octal digits
                let gid = self.tree.inherited_group(parent).unwrap_or(0);
                let attributes = Attributes { mode, uid: 0, gid, mtime: entry.mtime };
                let node = Node { attributes, xattrs: Xattrs::default(), content: Content::Device(0), links: 0 };
                let id = self.tree.add(node)?;
                self.tree.link(parent, hidden, id)?;
            }
        }
        Ok(())
    }

    fn is_directory(&self, id: Id) -> bool {
        matches!(self.tree.node(id).content, Content::Directory(_))
    }

    /// Whether overlay takes it for a deletion.
    fn is_whiteout(&self, id: Id) -> bool {
        let node = self.tree.node(id);
        node.attributes.file_type().is_char_device() && matches!(node.content, Content::Device(0))
    }

    /// Reads what follows the archive's end and writes everything but the superblock.
    pub(super) fn finish(mut self, input: &mut Input<'_>) -> Result<Unsealed> {
        self.data.rest(input)?;
        metadata::write(&self.tree, self.data, self.size)
    }
}

fn attributes_of(entry: &Entry) -> Attributes {
    let file_type = match entry.kind {
        Kind::File | Kind::Hardlink => FileType::RegularFile,
        Kind::Symlink => FileType::Symlink,
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        Kind::Directory => FileType::Directory,
        Kind::Fifo => FileType::Fifo,
    };
    // On Linux a link's mode means nothing and is always the same.
    let mode = if entry.kind == Kind::Symlink { 0o777 } else { entry.mode & 0o7777 };
    let mode = (file_type.as_raw_mode() | mode) as u16; // six octal digits
    Attributes { mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
}

/// As symlink(2) refuses them.
fn checked_target(entry: &Entry) -> Result<&[u8]> {
    const LENGTH_MAX: usize = 4095;
    match entry.link.len() {
        0 => Err(kernel_error("create link", &entry.path, Errno::NOENT)),
        1..=LENGTH_MAX => Ok(&entry.link),
        _ => Err(kernel_error("create link", &entry.path, Errno::NAMETOOLONG)),
    }
}
