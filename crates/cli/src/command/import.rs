//! `brig import`.
//! An archive of a root file system, from a file, standard input or a web server, becomes an image of one layer.

use super::budget;
use super::load::{self, Source};
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::progress::Board;
use engine::images::{Download, Reach, files};
use image::import::Import;
use spec::{Platform, Timestamp};
use std::io::{Read, Stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Shortest time between two drawings of the progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Prints the new image's id; a transfer from a web server is told on stderr.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::import::read(&parsed)?;
    let engine = place.engine_for_images()?;
    let reach = flags::access::of_environment(false);
    let (mut archive, path) = archive(&asked.source, &reach)?;
    let import = Import {
        name: asked.name.as_ref(),
        changes: &asked.changes,
        message: &asked.message.unwrap_or_else(|| format!("Imported from {}", without_user(&asked.source))),
        platform: asked.platform.unwrap_or_else(Platform::host),
        created: Timestamp::now(),
    };
    let image = files::import(&engine, &reach, &mut archive, path.as_deref(), &import)?;
    budget::keep(&engine, std::slice::from_ref(&image.id));
    output::print(&format!("{}\n", image.id))
}

/// What is imported, and where it lies.
fn archive(source: &str, reach: &Reach) -> Result<(Box<dyn Read>, Option<PathBuf>), Failure> {
    if !engine::images::is_url(source) {
        let source = load::source(Some(source))?;
        let path = source.path();
        let archive: Box<dyn Read> = match source {
            Source::File(file) => Box::new(file),
            Source::Stdin => Box::new(std::io::stdin().lock()),
        };
        return Ok((archive, path));
    }
    let mut board = Board::stderr(false);
    board.say(&format!("Downloading from {}", without_user(source)));
    let download = engine::images::download(reach, source)?;
    Ok((Box::new(Metered { download, board, read: 0, reported: Instant::now() }), None))
}

/// A URL as it may be kept and shown: a name and a password in it are nobody's business.
fn without_user(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://") else { return source.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => source.to_owned(),
    }
}

/// A download that says how far it is.
struct Metered {
    download: Download,
    board: Board<Stderr>,
    read: u64,
    reported: Instant,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.download.read(buffer)?;
        self.read += count as u64;
        if count == 0 || self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            self.board.count("Archive", "Downloading", self.read, self.download.length().unwrap_or(0));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_url() {
        for (typed, kept) in [
            ("https://ann:pw@h.lan/x@y.tar", "https://h.lan/x@y.tar"),
            ("http://h.lan:80/a@b?c@d", "http://h.lan:80/a@b?c@d"),
            ("http://a:b@c", "http://c"),
            ("-", "-"),
            ("dir/x.tar", "dir/x.tar"),
        ] {
            assert_eq!(without_user(typed), kept);
        }
    }
}
