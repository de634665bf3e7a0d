//! `brig images`: images as a table, a line for each name.
//! An image is shown once for each of its names.

use super::images_tree;
use crate::failure::Outcome;
use crate::flags::images::Images;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::Row;
use crate::output::listing::Listing;
use crate::output::{size, time};
use engine::Engine;
use image::{Damaged, Image};
use spec::{Reference, Timestamp};
use std::collections::BTreeMap;

pub static LISTING: Listing = Listing {
    columns: &[
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
        ("VirtualSize", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
    type_name: "*formatter.imageContext",
};
const TABLE: &str = "{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}";
const TABLE_WITH_DIGEST: &str = "{{.Repository}}\\t{{.Tag}}\\t{{.Digest}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}";
const NONE: &str = "<none>";

/// Prints the list.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::images::read(&parsed)?;
    if asked.tree {
        return images_tree::print(&place.engine()?, &asked);
    }
    let typed = asked.format.as_deref().unwrap_or_default();
    let table = if asked.digests { TABLE_WITH_DIGEST } else { TABLE };
    let format = LISTING.format(if asked.quiet { "{{.ID}}" } else { typed }, table)?;
    let engine = place.engine()?;
    let listed = engine::images::list(&engine, asked.repository.as_deref(), &asked.filters)?;
    complain_of(&listed.damaged);
    let now = Timestamp::now();
    let containers = match format.mentions("Containers") {
        true => engine::list::all(&engine)?.into_iter().map(|container| container.record.image_id).collect(),
        false => Vec::new(),
    };
    let mut rows = Vec::new();
    for image in &listed.images {
        let used = containers.iter().filter(|id| **id == image.id).count();
        let names = lines(image, asked.digests);
        for (repository, tag, digest) in names {
            rows.push(row(&engine, image, &asked, [repository, tag, digest], used, now));
        }
    }
    output::print(&LISTING.render(&format, &rows)?)
}

/// Says which images cannot be shown, and why.
pub fn complain_of(damaged: &[Damaged]) {
    for Damaged { id, names, why } in damaged {
        let name = names.first().map_or_else(|| id.short().to_owned(), Reference::familiar);
        output::complain(&format!("image {name} is damaged: {why}"));
    }
}

fn row(
    engine: &Engine,
    image: &Image,
    asked: &Images,
    [repository, tag, digest]: [String; 3],
    used: usize,
    now: Timestamp,
) -> Row {
    let created = image.config.created;
    let bytes = image.size(engine.store());
    let columns = [
        ("ID", if asked.no_trunc { image.id.to_string() } else { image.id.short().to_owned() }),
        ("Repository", repository),
        ("Tag", tag),
        ("Digest", digest),
        ("CreatedSince", created.map_or_else(|| "N/A".to_owned(), |created| time::ago(created, now))),
        ("CreatedAt", created.map_or_else(|| "N/A".to_owned(), time::listed)),
        ("Size", size::short(bytes)),
        ("Containers", used.to_string()),
        ("VirtualSize", size::decimal(bytes)),
        ("SharedSize", "N/A".to_owned()),
        ("UniqueSize", "N/A".to_owned()),
    ];
    Row::new(columns, BTreeMap::new())
}

/// Repository, tag and digest of each line. A name with a digest has a line of its own only with `--digests` or where its
/// repository has no tag.
fn lines(image: &Image, digests: bool) -> Vec<(String, String, String)> {
    let repository = |name: &Reference| name.familiar_name();
    let digest_of = |wanted: &str| {
        let found = image.repository_digests().find(|name| repository(name) == wanted);
        found.and_then(|name| name.digest()).map_or_else(|| NONE.to_owned(), ToString::to_string)
    };
    let mut lines: Vec<(String, String, String)> = Vec::new();
    for name in image.tags() {
        let repository = repository(name);
        let digest = digest_of(&repository);
        lines.push((repository, name.tag().unwrap_or(NONE).to_owned(), digest));
    }
    for name in image.repository_digests() {
        let repository = repository(name);
        if !lines.iter().any(|(known, _, _)| *known == repository) {
            let digest = name.digest().map_or_else(|| NONE.to_owned(), ToString::to_string);
            lines.push((repository, NONE.to_owned(), if digests { digest } else { NONE.to_owned() }));
        }
    }
    if lines.is_empty() {
        lines.push((NONE.to_owned(), NONE.to_owned(), NONE.to_owned()));
    }
    lines
}
