//! `brig stats`: what containers use, once or again and again.
//! Adding up is the engine's; this file looks twice, so that there is a rate, and draws.

use crate::failure::{Failure, Outcome};
use crate::flags::stats::Stats;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::Row;
use crate::output::listing::{Format, Listing};
use crate::output::size;
use engine::stats::Sample;
use engine::{Container, Engine};
use std::collections::BTreeMap;
use std::time::Duration;

static LISTING: Listing = Listing {
    columns: &[
        ("Container", "CONTAINER"),
        ("Name", "NAME"),
        ("ID", "CONTAINER ID"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    type_name: "*formatter.statsContext",
};
const TABLE: &str =
    "{{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}";
/// A CPU percentage needs two looks; this far apart.
const INTERVAL: Duration = Duration::from_millis(500);
/// Top left, then erase to the end of the screen, so that nothing flickers.
const HOME: &str = "\x1b[H\x1b[J";

/// Prints the table; without `--no-stream` until interrupted.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::stats::read(parsed);
    let format = LISTING.format(asked.format.as_deref().unwrap_or_default(), TABLE)?;
    let engine = place.engine()?;
    let mut before = look(&engine, &asked)?;
    let screen = !asked.no_stream && kernel::terminal::is_terminal(std::io::stdout());
    loop {
        std::thread::sleep(INTERVAL);
        let now = look(&engine, &asked)?;
        let text = render(&format, &before, &now, asked.no_trunc)?;
        output::print(&if screen { format!("{HOME}{text}") } else { text })?;
        if asked.no_stream {
            return Ok(0);
        }
        before = now;
    }
}

/// One container's counters.
struct Counted {
    /// As typed; the id where nothing was.
    name: String,
    container: Container,
    sample: Sample,
}

type Look = Vec<Counted>;

fn look(engine: &Engine, asked: &Stats) -> Result<Look, Failure> {
    let counted = |name: String, container: Container| {
        // One that ends while we look has used nothing.
        let sample = engine::stats::sample(engine, &container).unwrap_or_default();
        Counted { name, container, sample }
    };
    if asked.containers.is_empty() {
        let shown = engine::list::all(engine)?.into_iter().filter(|container| asked.all || container.is_running());
        return Ok(shown.map(|container| counted(container.id().to_string(), container)).collect());
    }
    let found = asked.containers.iter().map(|name| Ok(counted(name.clone(), Container::find(engine, name)?)));
    found.collect()
}

fn render(format: &Format, before: &Look, now: &Look, no_trunc: bool) -> Result<String, Failure> {
    let rows: Vec<Row> = now
        .iter()
        .map(|counted| {
            let earlier = before.iter().find(|other| other.container.id() == counted.container.id());
            row(counted, &earlier.unwrap_or(counted).sample, no_trunc)
        })
        .collect();
    LISTING.render(format, &rows)
}

fn row(counted: &Counted, earlier: &Sample, no_trunc: bool) -> Row {
    let Counted { name, container, sample } = counted;
    let id = container.id();
    let columns = [
        ("Container", name.clone()),
        ("Name", container.name().to_owned()),
        ("ID", if no_trunc { id.to_string() } else { id.short().to_owned() }),
        ("CPUPerc", format!("{:.2}%", engine::stats::cpu_percent(earlier, sample))),
        ("MemUsage", format!("{} / {}", size::binary(sample.memory_usage), size::binary(sample.memory_limit))),
        ("MemPerc", format!("{:.2}%", engine::stats::memory_percent(sample))),
        ("NetIO", format!("{} / {}", size::short(sample.net_rx), size::short(sample.net_tx))),
        ("BlockIO", format!("{} / {}", size::short(sample.block_read), size::short(sample.block_write))),
        ("PIDs", sample.pids.to_string()),
    ];
    Row::new(columns, BTreeMap::new())
}
