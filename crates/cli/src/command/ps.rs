//! `brig ps`: containers as a table.
//! Filters are the engine's; columns, widths and words are docker's.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::{Row, joined};
use crate::output::listing::{Format, Listing};
use crate::output::{quote, size, time};
use docker::wire::{network, word};
use engine::list::Filters;
use engine::options::MountSource;
use engine::state::{HealthStatus, Status};
use engine::{Container, Engine};
use spec::{Digest, Timestamp};
use std::collections::BTreeMap;

pub static LISTING: Listing = Listing {
    columns: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAMES"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Mounts", "MOUNTS"),
        ("Networks", "NETWORKS"),
        ("Platform", "PLATFORM"),
        ("ExitCode", "EXIT CODE"),
        ("Pid", "PID"),
    ],
    type_name: "*formatter.ContainerContext",
};
const TABLE: &str = "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}";

/// Prints the list.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::ps::read(&parsed)?;
    let filters = Filters::parse(&asked.filters)?;
    let typed = asked.format.as_deref().unwrap_or_default();
    if asked.quiet && !typed.is_empty() {
        output::complain("ignoring the custom format, because both --format and --quiet are set");
    }
    let table = if asked.size { format!("{TABLE}\\t{{{{.Size}}}}") } else { TABLE.to_owned() };
    let format = LISTING.format(if asked.quiet { "{{.ID}}" } else { typed }, &table)?;

    let engine = place.engine()?;
    let all = asked.all || asked.last.is_some() || filters.implies_all();
    let mut view = View {
        engine: &engine,
        format: &format,
        with_size: asked.size || (typed != "json" && format.mentions("Size")),
        no_trunc: asked.no_trunc,
        now: Timestamp::now(),
        names: BTreeMap::new(),
    };
    let mut rows = Vec::new();
    for container in engine::list::all(&engine)? {
        if asked.last.is_some_and(|last| rows.len() == last) {
            break;
        }
        if (all || container.is_running()) && filters.matches(&engine, &container)? {
            rows.push(view.row(&container)?);
        }
    }
    output::print(&LISTING.render(&format, &rows)?)
}

/// The row of one container, without its size.
pub fn row(engine: &Engine, container: &Container, format: &Format, now: Timestamp) -> Result<Row, Failure> {
    let names = BTreeMap::new();
    View { engine, format, with_size: false, no_trunc: false, now, names }.row(container)
}

/// What the rows have in common.
struct View<'a> {
    engine: &'a Engine,
    format: &'a Format,
    with_size: bool,
    no_trunc: bool,
    now: Timestamp,
    /// Which image a name means now.
    names: BTreeMap<String, Option<Digest>>,
}

impl View<'_> {
    fn row(&mut self, container: &Container) -> Result<Row, Failure> {
        let record = &container.record;
        let command = quote::command_line(&record.process.argv());
        let command = if self.no_trunc { command } else { quote::ellipsis(&command, 20) };
        let id = if self.no_trunc { container.id().as_str() } else { container.id().short() };
        let mut columns = vec![
            ("ID", id.to_owned()),
            ("Names", container.name().to_owned()),
            ("Image", self.image(container)),
            ("Command", quote::quoted(&command)),
            ("CreatedAt", time::listed(record.created)),
            ("RunningFor", time::ago(record.created, self.now)),
            ("Ports", self.ports(container)),
            ("State", word::status(container.status()).to_owned()),
            ("Status", status(container, self.now)),
            ("Labels", joined(&record.process.labels)),
            ("LocalVolumes", record.volumes.len().to_string()),
            ("Mounts", self.mounts(container)),
            ("Networks", engine::network::names_of(container).join(",")),
            ("Platform", String::new()),
            ("ExitCode", container.state.exit_code.to_string()),
            ("Pid", container.pid().unwrap_or(0).to_string()),
        ];
        // Adding up files takes long, so it is done only where it is shown. Docker's `--format json` does without.
        let size = match self.with_size {
            true => {
                let sizes = docker::wire::size::of_container(self.engine, container)?;
                format!("{} (virtual {})", size::short(sizes.writable), size::short(sizes.root))
            }
            false => size::short(0),
        };
        columns.push(("Size", size));
        Ok(Row::new(columns, record.process.labels.clone()))
    }

    /// The name, unless it means another image by now.
    fn image(&mut self, container: &Container) -> String {
        let record = &container.record;
        if !self.format.mentions("Image") {
            return record.image_name.clone();
        }
        let store = self.engine.store();
        let current = self
            .names
            .entry(record.image_name.clone())
            .or_insert_with_key(|name| store.resolve(name).ok().map(|image| image.id));
        match current.as_ref() == Some(&record.image_id) {
            true => record.image_name.clone(),
            false => record.image_id.short().to_owned(),
        }
    }

    fn ports(&self, container: &Container) -> String {
        network::column(container, &engine::network::publishes(self.engine, container))
    }

    fn mounts(&self, container: &Container) -> String {
        let record = &container.record;
        let binds = record.options.storage.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Bind { path, .. } => Some(path.as_str()),
            _ => None,
        });
        let volumes = record.volumes.iter().map(|volume| volume.name.as_str());
        let short = |name: &str| if self.no_trunc { name.to_owned() } else { quote::ellipsis(name, 15) };
        volumes.chain(binds).map(short).collect::<Vec<_>>().join(",")
    }
}

/// A phrase: `Up 3 minutes (healthy)`, `Exited (0) 5 seconds ago`.
fn status(container: &Container, now: Timestamp) -> String {
    let state = &container.state;
    let up = || time::span(now.since(state.started_at.unwrap_or(now)));
    let ended = || time::ago(state.finished_at.unwrap_or(now), now);
    match container.status() {
        Status::Created => "Created".to_owned(),
        Status::Paused => format!("Up {} (Paused)", up()),
        Status::Restarting => format!("Restarting ({}) {}", state.exit_code, ended()),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Exited => format!("Exited ({}) {}", state.exit_code, ended()),
        Status::Running => match state.health.as_ref().map(|health| health.status) {
            None => format!("Up {}", up()),
            Some(HealthStatus::Starting) => format!("Up {} (health: starting)", up()),
            Some(HealthStatus::Healthy) => format!("Up {} (healthy)", up()),
            Some(HealthStatus::Unhealthy) => format!("Up {} (unhealthy)", up()),
        },
    }
}
