//! `brig history`.
//! Only the newest step has the image's id; docker's `<missing>` stands for the others.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::Row;
use crate::output::listing::Listing;
use crate::output::{quote, size, time};
use image::Step;
use spec::Timestamp;
use std::collections::BTreeMap;

/// Longest command in a table.
const COMMAND_MAX: usize = 45;

static LISTING: Listing = Listing {
    columns: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    type_name: "*history.historyContext",
};

/// Prints the list.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::history::read(&parsed);
    let created = if asked.human { "{{.CreatedSince}}" } else { "{{.CreatedAt}}" };
    let table = format!("{{{{.ID}}}}\\t{created}\\t{{{{.CreatedBy}}}}\\t{{{{.Size}}}}\\t{{{{.Comment}}}}");
    let typed = asked.format.as_deref().unwrap_or_default();
    let format = LISTING.format(if asked.quiet { "{{.ID}}" } else { typed }, &table)?;
    let engine = place.engine()?;
    let image = engine.store().resolve(&asked.image).map_err(Failure::from)?;
    let id = if asked.no_trunc { image.id.to_string() } else { image.id.short().to_owned() };
    let now = Timestamp::now();
    let mut rows: Vec<Row> = Vec::new();
    for step in image.history(engine.store()) {
        let id = if rows.is_empty() { id.clone() } else { "<missing>".to_owned() };
        rows.push(row(&step, id, &asked, now));
    }
    output::print(&LISTING.render(&format, &rows)?)
}

fn row(step: &Step, id: String, asked: &flags::history::History, now: Timestamp) -> Row {
    let created = step.history.created;
    let by = step.history.created_by.replace(['\t', '\n'], " ");
    let columns = [
        ("ID", id),
        ("CreatedSince", created.map_or_else(|| "N/A".to_owned(), |created| time::ago(created, now))),
        ("CreatedAt", created.map_or_else(String::new, time::rfc3339)),
        ("CreatedBy", if asked.no_trunc { by } else { quote::ellipsis(&by, COMMAND_MAX) }),
        ("Size", if asked.human { size::short(step.size) } else { step.size.to_string() }),
        ("Comment", step.history.comment.clone()),
    ];
    Row::new(columns, BTreeMap::new())
}
