//! `brig volume create`, `ls`, `rm` and `prune`.
//! `volume inspect` is with the other forms of inspect.

use super::each::each;
use super::prune;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::{Row, joined};
use crate::output::listing::Listing;
use engine::volumes::{self, Filters, Lifetime, Volume};

pub static LISTING: Listing = Listing {
    columns: &[
        ("Name", "VOLUME NAME"),
        ("Driver", "DRIVER"),
        ("Labels", "LABELS"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Scope", "SCOPE"),
        ("Size", "SIZE"),
        ("Links", "LINKS"),
        ("Availability", "AVAILABILITY"),
        ("Group", "GROUP"),
        ("Status", "STATUS"),
    ],
    type_name: "*formatter.volumeContext",
};

/// Prints the name.
pub fn create(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::volume::read_create(&parsed)?;
    let engine = place.engine()?;
    let volume =
        volumes::create(&engine, asked.name.as_deref(), &asked.driver, &asked.labels, &asked.options, Lifetime::Named)?;
    output::print(&format!("{}\n", volume.name))
}

/// Prints the list.
pub fn ls(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::volume::read_ls(&parsed)?;
    let typed = asked.format.as_deref().unwrap_or_default();
    let format = LISTING.format(if asked.quiet { "{{.Name}}" } else { typed }, "{{.Driver}}\\t{{.Name}}")?;
    let filters = Filters::parse(&asked.filters)?;
    let engine = place.engine()?;
    let rows: Vec<Row> = volumes::list(&engine, &filters)?.iter().map(row).collect();
    output::print(&LISTING.render(&format, &rows)?)
}

/// A volume's row, without what takes long to find out.
pub fn row(volume: &Volume) -> Row {
    let unknown = || "N/A".to_owned();
    let columns = [
        ("Name", volume.name.clone()),
        ("Driver", volume.driver.clone()),
        ("Labels", joined(&volume.labels)),
        ("Mountpoint", volume.mountpoint.display().to_string()),
        ("Scope", "local".to_owned()),
        ("Size", unknown()),
        ("Links", unknown()),
        ("Availability", unknown()),
        ("Group", unknown()),
        ("Status", unknown()),
    ];
    Row::new(columns, volume.labels.clone())
}

/// Prints the names of those removed.
pub fn rm(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::volume::read_rm(parsed);
    let engine = place.engine()?;
    each(&asked.volumes, |name| Ok(volumes::remove(&engine, name, asked.force)?))
}

/// Prints the names of those removed and how much space came free.
pub fn prune(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::volume::read_prune(&parsed)?;
    let filters = Filters::parse(&asked.filters)?;
    let which = if asked.all { "all" } else { "anonymous" };
    if !asked.force
        && !prune::confirmed(&format!("This will remove {which} local volumes not used by at least one container."))?
    {
        return Ok(0);
    }
    let engine = place.engine()?;
    let pruned = volumes::prune(&engine, asked.all, &filters)?;
    output::print(&prune::report("Volumes", &pruned.names, pruned.reclaimed_bytes))
}
