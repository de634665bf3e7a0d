//! `brig search`.
//! What a registry says is shown as a table; with `--list-tags` the tags of one repository.

use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::Row;
use crate::output::listing::Listing;
use crate::output::quote;
use engine::images::Found;
use std::collections::BTreeMap;

static LISTING: Listing = Listing {
    columns: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
        ("IsAutomated", "AUTOMATED"),
    ],
    type_name: "*search.searchContext",
};
const TABLE: &str = "{{.Name}}\\t{{.Description}}\\t{{.StarCount}}\\t{{.IsOfficial}}";
static TAGS: Listing = Listing { columns: &[("Name", "NAME"), ("Tag", "TAG")], type_name: "*search.tagContext" };
const TAGS_TABLE: &str = "{{.Name}}\\t{{.Tag}}";

/// Longest description in a table.
const DESCRIPTION_MAX: usize = 45;

/// Prints the list.
pub fn run(_: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::search::read(&parsed)?;
    let typed = asked.format.as_deref().unwrap_or_default();
    if asked.list_tags {
        let format = TAGS.format(typed, TAGS_TABLE)?;
        let (name, tags) = engine::images::tags(&asked.reach, &asked.term)?;
        let most = if asked.limit == 0 { usize::MAX } else { asked.limit };
        let row = |tag: &String| Row::new([("Name", name.familiar_name()), ("Tag", tag.clone())], BTreeMap::new());
        let rows: Vec<Row> = tags.iter().take(most).map(row).collect();
        return output::print(&TAGS.render(&format, &rows)?);
    }
    let format = LISTING.format(typed, TABLE)?;
    let found = engine::images::search(&asked.reach, &asked.term, &asked.options)?;
    let rows: Vec<Row> = found.into_iter().map(|found| row(found, asked.no_trunc)).collect();
    output::print(&LISTING.render(&format, &rows)?)
}

fn row(found: Found, no_trunc: bool) -> Row {
    let description = found.description.replace(['\n', '\r', '\t'], " ");
    let name = match found.registry.as_str() {
        "docker.io" => found.name,
        registry => format!("{registry}/{}", found.name),
    };
    let columns = [
        ("Name", name),
        ("Description", if no_trunc { description } else { quote::ellipsis(&description, DESCRIPTION_MAX) }),
        ("StarCount", found.stars.to_string()),
        ("IsOfficial", mark(found.official)),
        ("IsAutomated", mark(found.automated)),
    ];
    Row::new(columns, BTreeMap::new())
}

fn mark(yes: bool) -> String {
    if yes { "[OK]".to_owned() } else { String::new() }
}
