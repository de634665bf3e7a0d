//! `brig image prune`, `untag` and `tree`.
//! The other commands of the group are known under shorter names as well and have files of their own.

use super::prune;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::size;
use engine::Engine;
use engine::images::{Pruned, Removed};
use engine::prune::Filters;
use image::Image;
use spec::{Digest, Reference};
use std::fmt::Write as _;

/// Prints what was removed and how much space came free.
pub fn prune(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::image::read_prune(&parsed)?;
    let filters = Filters::parse(&asked.filters)?;
    let warning = match asked.all {
        true => "This will remove all images without at least one container associated to them.",
        false => "This will remove all dangling images.",
    };
    if !asked.force && !prune::confirmed(warning)? {
        return Ok(0);
    }
    let engine = place.engine()?;
    let pruned = engine::prune::images(&engine, asked.all, &filters)?;
    complain_of_others(&pruned);
    output::print(&prune::report("Images", &lines(&pruned.removed), pruned.freed))
}

/// Why nothing came free.
pub fn complain_of_others(pruned: &Pruned) {
    if !pruned.is_swept {
        output::complain(
            "others are bringing images in: what is not needed any more goes from the disk at the next prune",
        );
    }
}

/// What was removed, in docker's words for prunes.
pub fn lines(removed: &[Removed]) -> Vec<String> {
    let line = |removed: &Removed| match removed {
        Removed::Untagged(name) => format!("untagged: {name}"),
        Removed::Deleted(id) => format!("deleted: {id}"),
    };
    removed.iter().map(line).collect()
}

/// Prints nothing.
pub fn untag(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let image = engine.store().resolve(&parsed.first())?;
    let typed = parsed.arguments.get(1..).unwrap_or_default();
    let names: Result<Vec<Reference>, Failure> = match typed {
        [] => Ok(image.names.clone()),
        typed => typed
            .iter()
            .map(|name| Reference::parse(name).map_err(|error| Failure::message(error.to_string())))
            .collect(),
    };
    let names = names?;
    // Nothing is done if one of them is wrong.
    if let Some(foreign) = names.iter().find(|name| !image.names.contains(name)) {
        return Err(Failure::message(format!("{} is no name of image {}", foreign.familiar(), image.id.short())));
    }
    for name in &names {
        engine.store().untag(name)?;
    }
    Ok(0)
}

/// Prints the layers, or the images on top, as a tree.
pub fn tree(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let image = engine.store().resolve(&parsed.first())?;
    let tags: Vec<String> = image.tags().map(Reference::familiar).collect();
    let size = size::short(image.size(engine.store()));
    let mut text =
        format!("Image ID: {}\nTags:     [{}]\nSize:     {size}\nImage Layers\n", image.id.short(), tags.join(" "));
    let tree = Tree { engine: &engine, images: engine.store().listing()?.images };
    match parsed.on("whatrequires") {
        true => tree.above(&image.config.rootfs.diff_ids, "", &mut text),
        false => tree.layers(&image, &mut text),
    }
    output::print(&text)
}

struct Tree<'a> {
    engine: &'a Engine,
    images: Vec<Image>,
}

impl Tree<'_> {
    /// The layers of one image, the lowest first.
    fn layers(&self, image: &Image, text: &mut String) {
        let diff_ids = &image.config.rootfs.diff_ids;
        for end in 1..=diff_ids.len() {
            let branch = if end == diff_ids.len() { "└──" } else { "├──" };
            let _ = writeln!(text, "{branch} {}", self.layer(&diff_ids[..end]));
        }
    }

    /// What other images have on top of `below`, a branch for each different layer.
    fn above(&self, below: &[Digest], indent: &str, text: &mut String) {
        let mut next: Vec<&[Digest]> = Vec::new();
        for image in &self.images {
            let diff_ids = &image.config.rootfs.diff_ids;
            if diff_ids.len() > below.len() && diff_ids.starts_with(below) {
                let upto = &diff_ids[..=below.len()];
                if !next.contains(&upto) {
                    next.push(upto);
                }
            }
        }
        for (index, upto) in next.iter().enumerate() {
            let is_last = index + 1 == next.len();
            let (branch, deeper) = if is_last { ("└──", "    ") } else { ("├──", "│   ") };
            let _ = writeln!(text, "{indent}{branch} {}", self.layer(upto));
            self.above(upto, &format!("{indent}{deeper}"), text);
        }
    }

    /// A layer by all that are below it and itself, and the images that end with it.
    fn layer(&self, upto: &[Digest]) -> String {
        let Some(diff_id) = upto.last() else { return String::new() };
        let mut line =
            format!("ID: {} Size: {}", diff_id.short(), size::short(self.engine.store().layer_size(diff_id)));
        let tops = self.images.iter().filter(|image| image.config.rootfs.diff_ids == upto);
        let names: Vec<String> = tops.map(name).collect();
        if !names.is_empty() {
            let _ = write!(line, " Top Layer of: [{}]", names.join(" "));
        }
        line
    }
}

/// Its names, else its id.
fn name(image: &Image) -> String {
    let names: Vec<String> = image.tags().map(Reference::familiar).collect();
    if names.is_empty() { image.id.short().to_owned() } else { names.join(" ") }
}
