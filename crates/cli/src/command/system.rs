//! `brig system df` and `prune`.
//! Sizes are what du(1) would say; brig keeps no build cache, which docker's table has a line for.

use super::{image, images, prune, ps, volume};
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::Row;
use crate::output::listing::Listing;
use crate::output::{size, time};
use ::image::usage::ImageUsage;
use engine::Engine;
use engine::prune::Filters;
use engine::usage::{self, DiskUsage};
use serde_json::{Value, json};
use spec::Timestamp;
use std::collections::BTreeMap;

static SUMMARY: Listing = Listing {
    columns: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    type_name: "*formatter.diskUsageContext",
};
const SUMMARY_TABLE: &str = "{{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}";
const IMAGES_TABLE: &str = "{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}\\t{{.SharedSize}}\\t{{.UniqueSize}}\\t{{.Containers}}";
const CONTAINERS_TABLE: &str =
    "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.LocalVolumes}}\\t{{.Size}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Names}}";
const VOLUMES_TABLE: &str = "{{.Name}}\\t{{.Links}}\\t{{.Size}}";

/// Prints the table, or with `--verbose` a table for each kind.
pub fn df(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::system::read_df(&parsed);
    let typed = asked.format.as_deref().unwrap_or_default();
    let engine = place.engine()?;
    let measure = || {
        let usage = usage::measure(&engine)?;
        images::complain_of(&usage.images.damaged);
        Ok::<_, Failure>(usage)
    };
    if asked.verbose {
        return output::print(&verbose(&engine, &measure()?, typed)?);
    }
    let format = SUMMARY.format(typed, SUMMARY_TABLE)?;
    output::print(&SUMMARY.render(&format, &summary(&measure()?))?)
}

fn summary(usage: &DiskUsage) -> [Row; 4] {
    let sum = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(0, u64::saturating_add);
    let idle_containers = usage.containers.iter().filter(|usage| !usage.container.is_running());
    let idle_volumes = usage.volumes.iter().filter(|usage| usage.links == 0);
    [
        line(
            "Images",
            usage.images.images.len(),
            usage.active_images(),
            usage.images.total,
            usage.reclaimable_of_images(),
        ),
        line(
            "Containers",
            usage.containers.len(),
            usage.containers.len() - idle_containers.clone().count(),
            sum(&mut usage.containers.iter().map(|usage| usage.size)),
            sum(&mut idle_containers.map(|usage| usage.size)),
        ),
        line(
            "Local Volumes",
            usage.volumes.len(),
            usage.volumes.len() - idle_volumes.clone().count(),
            sum(&mut usage.volumes.iter().map(|usage| usage.size)),
            sum(&mut idle_volumes.map(|usage| usage.size)),
        ),
        line("Build Cache", 0, 0, 0, 0),
    ]
}

fn line(kind: &str, total: usize, active: usize, bytes: u64, reclaimable: u64) -> Row {
    let percent = (u128::from(reclaimable) * 100).checked_div(u128::from(bytes));
    let percent = percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
    let columns = [
        ("Type", kind.to_owned()),
        ("TotalCount", total.to_string()),
        ("Active", active.to_string()),
        ("Size", size::decimal(bytes)),
        ("Reclaimable", format!("{}{percent}", size::decimal(reclaimable))),
    ];
    Row::new(columns, BTreeMap::new())
}

fn verbose(engine: &Engine, usage: &DiskUsage, typed: &str) -> Result<String, Failure> {
    let now = Timestamp::now();
    let images: Vec<Row> = usage.images.images.iter().map(|image| image_row(usage, image, now)).collect();
    let mut containers = Vec::new();
    let format = ps::LISTING.format("", CONTAINERS_TABLE)?;
    for one in &usage.containers {
        let mut row = ps::row(engine, &one.container, &format, now)?;
        set(&mut row, "Size", size::short(one.size));
        containers.push(row);
    }
    let volumes = usage.volumes.iter().map(|one| {
        let mut row = volume::row(&one.volume);
        set(&mut row, "Size", size::short(one.size));
        set(&mut row, "Links", one.links.to_string());
        row
    });
    let volumes: Vec<Row> = volumes.collect();
    if !matches!(typed, "" | "table") {
        let fields = |rows: &[Row]| Value::Array(rows.iter().map(|row| row.fields.clone()).collect());
        let all = json!({
            "Images": fields(&images), "Containers": fields(&containers), "Volumes": fields(&volumes), "BuildCache": [],
        });
        return match typed {
            "json" => Ok(format!("{all}\n")),
            template => output::inspect::render(&[all], Some(template)),
        };
    }
    let images = images::LISTING.render(&images::LISTING.format("", IMAGES_TABLE)?, &images)?;
    let containers = ps::LISTING.render(&format, &containers)?;
    let volumes = volume::LISTING.render(&volume::LISTING.format("", VOLUMES_TABLE)?, &volumes)?;
    Ok(format!(
        "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\nBuild cache usage: 0B\n"
    ))
}

fn image_row(usage: &DiskUsage, image: &ImageUsage, now: Timestamp) -> Row {
    let none = || "<none>".to_owned();
    let name = image.image.names.first();
    let created = image.image.config.created;
    let columns = [
        ("Repository", name.map_or_else(none, |name| name.familiar_name())),
        ("Tag", name.and_then(|name| name.tag()).map_or_else(none, str::to_owned)),
        ("ID", image.image.id.short().to_owned()),
        ("CreatedSince", created.map_or_else(|| "N/A".to_owned(), |created| time::ago(created, now))),
        ("CreatedAt", created.map_or_else(|| "N/A".to_owned(), time::listed)),
        ("Size", size::short(image.size)),
        ("SharedSize", size::decimal(image.shared)),
        ("UniqueSize", size::decimal(image.size.saturating_sub(image.shared))),
        ("Containers", usage.users(&image.image.id).to_string()),
    ];
    Row::new(columns, BTreeMap::new())
}

fn set(row: &mut Row, column: &str, text: String) {
    if let Some(field) = row.fields.get_mut(column) {
        *field = Value::String(text);
    }
}

/// Prints what was removed and how much space came free.
pub fn prune(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::system::read_prune(&parsed)?;
    let filters = Filters::parse(&asked.filters)?;
    if asked.volumes && filters.has_until() {
        return Err(Failure::message("the \"until\" filter is not supported with \"--volumes\""));
    }
    if !asked.force && !prune::confirmed(&warning(&asked))? {
        return Ok(0);
    }
    let engine = place.engine()?;
    // Containers first: what they held comes free with them.
    let (containers, mut freed) = engine::prune::containers(&engine, &filters)?;
    let containers: Vec<String> = containers.iter().map(ToString::to_string).collect();
    let mut text = prune::deleted("Containers", &containers);
    if asked.volumes {
        let filters = engine::volumes::Filters::parse(&asked.filters)?;
        let pruned = engine::volumes::prune(&engine, false, &filters)?;
        text.push_str(&prune::deleted("Volumes", &pruned.names));
        freed = freed.saturating_add(pruned.reclaimed_bytes);
    }
    let images = engine::prune::images(&engine, asked.all, &filters)?;
    image::complain_of_others(&images);
    text.push_str(&prune::report("Images", &image::lines(&images.removed), freed.saturating_add(images.freed)));
    output::print(&text)
}

fn warning(asked: &flags::system::Prune) -> String {
    let mut text = "This will remove:\n  - all stopped containers\n".to_owned();
    if asked.volumes {
        text.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    text.push_str(match asked.all {
        true => "  - all images without at least one container associated to them\n",
        false => "  - all dangling images\n",
    });
    if !asked.filters.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        asked.filters.iter().for_each(|filter| text.push_str(&format!("  - {filter}\n")));
    }
    text
}
