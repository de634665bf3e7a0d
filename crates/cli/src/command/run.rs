//! `brig run`: an image, a new container, its process, and our terminal around it.
//! Everything up to the start fails with 125, 126 or 127; after it the exit code is the container's.

use super::containers::{self, IdFile};
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::{output, terminal};
use engine::attach::Streams;

/// The exit code is that of the container's command.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    // Before the flags are read: the second execution must find an --env-file that is a pipe still full.
    kernel::self_exe::ensure_sealed()?;
    let asked = flags::run::read(&parsed)?;
    let streams = if asked.detach { Streams::NONE } else { containers::streams(&asked.container) };
    let tty = asked.container.options.process.tty;
    terminal::check_input(tty, streams.stdin)?;

    let started = start(place, asked.container, streams);
    let (engine, container, client) = started.map_err(Failure::before_start)?;
    if asked.detach {
        return output::print(&format!("{}\n", container.id()));
    }
    let side =
        terminal::Side { tty, detach_keys: asked.detach_keys, forward_signals: asked.sig_proxy, detached_code: 0 };
    terminal::relay(&engine, &container, client, streams, &side)
}

type Started = (engine::Engine, engine::Container, engine::attach::Client);

fn start(place: &Place, asked: flags::container::Container, streams: Streams) -> Result<Started, Failure> {
    let engine = place.engine()?;
    let id_file = IdFile::make(asked.cidfile.as_deref())?;
    let options = containers::options(&engine, asked, streams)?;
    let mut container = engine::create::create(&engine, options)?;
    // Before the start, as docker: whoever reads the file may want to look at a start that failed.
    if let Some(file) = id_file {
        file.write(container.id())?;
    }
    let client = engine::run::start_new(&engine, &mut container, streams)?;
    Ok((engine, container, client))
}
