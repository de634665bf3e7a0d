//! `brig pull`, and the pull that `run` and `create` make of an image that is not here.
//! Progress is worded here, as docker words it.

use crate::failure::{Failure, Outcome};
use crate::flags::container::Fetch;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::size;
use engine::Engine;
use engine::images::{Progress, PullPolicy, Step};
use spec::{Digest, Reference};
use std::io::Write;

/// Registries to speak to without HTTPS, besides this machine: names separated by commas.
const INSECURE: &str = "BRIG_INSECURE_REGISTRIES";

/// Prints progress and the image's full name.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::pull::read(&parsed)?;
    let engine = place.engine()?;
    let name = Reference::parse(&asked.name).map_err(|error| Failure::message(error.to_string()))?;
    let mut screen = Screen::new(asked.quiet, &asked.name, std::io::stdout());
    let insecure = insecure(&asked);
    let progress = &mut |progress: Progress<'_>| screen.show(progress);
    let pulled = engine::images::pull(&engine, &asked.name, asked.platform, &insecure, progress)?;
    let status = if pulled.already_present { "Image is up to date" } else { "Downloaded newer image" };
    screen.say(&format!("Digest: {}", pulled.digest));
    screen.say(&format!("Status: {status} for {}", name.familiar()));
    output::print(&format!("{name}\n"))
}

/// Gets the image for a new container, from the store or, as `--pull` says, from its registry. Talks on stderr.
pub fn ensure(engine: &Engine, asked: &Fetch) -> Result<(), Failure> {
    if engine::images::local(engine, &asked.name, asked.pull, asked.platform.as_ref())?.is_some() {
        return Ok(());
    }
    let mut screen = Screen::new(asked.quiet, &asked.name, std::io::stderr());
    if asked.pull == PullPolicy::Missing {
        screen.announce();
    }
    let progress = &mut |progress: Progress<'_>| screen.show(progress);
    engine::images::pull(engine, &asked.name, asked.platform.clone(), &insecure(asked), progress)?;
    Ok(())
}

/// Registries that may be spoken to without HTTPS.
fn insecure(asked: &Fetch) -> Vec<String> {
    let named = std::env::var(INSECURE).unwrap_or_default();
    let mut names: Vec<String> =
        named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if let (true, Ok(reference)) = (asked.insecure, Reference::parse(&asked.name)) {
        names.push(reference.registry().to_owned());
    }
    names
}

/// Progress as docker prints it where there is no terminal: a line for each step of each layer, none for single bytes.
/// On a terminal one more line at the bottom counts them.
struct Screen<W> {
    quiet: bool,
    out: W,
    is_terminal: bool,
    name: String,
    /// Bytes so far and in all, by layer.
    layers: Vec<(Digest, u64, u64)>,
    /// The counting line is on the screen.
    counting: bool,
}

impl<W: Write> Screen<W> {
    fn new(quiet: bool, name: &str, out: W) -> Screen<W> {
        let is_terminal =
            kernel::terminal::is_terminal(std::io::stderr()) && kernel::terminal::is_terminal(std::io::stdout());
        Screen { quiet, out, is_terminal, name: name.to_owned(), layers: Vec::new(), counting: false }
    }

    /// Progress that cannot be shown must not stop a pull.
    fn say(&mut self, line: &str) {
        if self.quiet {
            return;
        }
        let erase = if std::mem::take(&mut self.counting) { "\r\x1b[K" } else { "" };
        let _ = writeln!(self.out, "{erase}{line}");
    }

    /// Before the registry is asked, which may fail. What is no name is for the pull to refuse.
    fn announce(&mut self) {
        if let Ok(name) = Reference::parse(&self.name) {
            self.say(&format!("Unable to find image '{}' locally", name.familiar()));
        }
    }

    fn show(&mut self, progress: Progress<'_>) {
        if self.quiet {
            return;
        }
        match progress {
            Progress::Begin => {
                let (tag, repository) = match Reference::parse(&self.name) {
                    Ok(name) => (name.tag().map(str::to_owned).unwrap_or_default(), name.repository().to_owned()),
                    Err(_) => (String::new(), self.name.clone()),
                };
                self.say(&format!("{tag}: Pulling from {repository}"));
            }
            Progress::Layer { digest, step } => self.layer(digest, step),
        }
    }

    fn layer(&mut self, digest: &Digest, step: Step) {
        let words = match step {
            Step::Waiting => "Pulling fs layer",
            Step::AlreadyExists => "Already exists",
            Step::Downloading { current, total } => return self.count(digest, current, total),
            Step::Extracting => "Download complete",
            Step::Complete => "Pull complete",
        };
        self.say(&format!("{}: {words}", digest.short()));
    }

    fn count(&mut self, digest: &Digest, current: u64, total: u64) {
        match self.layers.iter_mut().find(|(known, ..)| known == digest) {
            Some(layer) => (layer.1, layer.2) = (current, total),
            None => self.layers.push((digest.clone(), current, total)),
        }
        if self.is_terminal {
            // Totals are what the manifest claims.
            let sum = |of: fn(&(Digest, u64, u64)) -> u64| self.layers.iter().map(of).fold(0, u64::saturating_add);
            let (current, total) = (sum(|layer| layer.1), sum(|layer| layer.2));
            let _ = write!(self.out, "\r\x1b[KDownloading {} of {}", size::short(current), size::short(total));
            let _ = self.out.flush();
            self.counting = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_docker_without_a_terminal() {
        let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let mut screen = Screen::new(false, "busybox:1", Vec::new());
        screen.is_terminal = false;
        screen.announce();
        screen.show(Progress::Begin);
        for step in [Step::Waiting, Step::Downloading { current: 1, total: 2 }, Step::Extracting, Step::Complete] {
            screen.show(Progress::Layer { digest: &digest, step });
        }
        let text = String::from_utf8(screen.out).unwrap();
        assert_eq!(
            text,
            "Unable to find image 'busybox:1' locally\n1: Pulling from library/busybox\naaaaaaaaaaaa: Pulling fs layer\naaaaaaaaaaaa: Download complete\naaaaaaaaaaaa: Pull complete\n"
        );
    }
}
