//! `brig pull`, and the pull that `run` and `create` make of an image that is not here.
//! Progress is worded here, as docker words it.

use super::budget;
use crate::failure::{Failure, Outcome};
use crate::flags::container::Fetch;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::progress::Board;
use engine::Engine;
use engine::images::{Progress, PullOptions, PullPolicy, Pulled, Step, TagsProgress, Verified};
use spec::Reference;
use std::io::Write;

/// Prints progress and the image's full name.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::pull::read(&parsed)?;
    let engine = place.engine_for_images()?;
    if asked.all_tags {
        return all_tags(&engine, &asked);
    }
    let mut board = Board::stdout(asked.quiet);
    let progress = &mut |name: &Reference, progress: Progress<'_>| show(&mut board, name, progress);
    let (name, pulled) = engine::images::pull(&engine, &asked.reach, &asked.name, &asked.options, progress)?;
    board.say(&format!("Digest: {}", pulled.digest));
    signers(&mut board, "", &pulled);
    board.say(&format!("Status: {} for {}", status(pulled.already_present), name.familiar()));
    budget::keep(&engine, &[pulled.image.id]);
    output::print(&format!("{name}\n"))
}

fn all_tags(engine: &Engine, asked: &flags::pull::Pull) -> Outcome {
    let mut board = Board::stdout(asked.quiet);
    let mut refused: Vec<String> = Vec::new();
    let progress = &mut |progress: TagsProgress<'_>| match progress {
        TagsProgress::Tag { tag } => board.say(&format!("{tag}: Pulling")),
        TagsProgress::Refused { tag, why } => {
            output::complain(why);
            refused.push(tag.to_owned());
        }
        TagsProgress::Skipped { tag, why } => output::complain(&format!("{tag} is left out: {why}")),
        TagsProgress::Image(Progress::Begin) => {}
        TagsProgress::Image(Progress::Layer { digest, step }) => layer(&mut board, digest.short(), step),
    };
    let (name, pulled) = engine::images::pull_all_tags(engine, &asked.reach, &asked.name, &asked.options, progress)?;
    budget::keep(engine, &pulled.iter().map(|(_, pulled)| pulled.image.id.clone()).collect::<Vec<_>>());
    for (name, pulled) in &pulled {
        board.say(&format!("{}: Digest: {}", name.tag().unwrap_or_default(), pulled.digest));
        signers(&mut board, &format!("{}: ", name.tag().unwrap_or_default()), pulled);
    }
    if !refused.is_empty() {
        let (count, all) = (refused.len(), refused.len() + pulled.len());
        let (name, tags) = (name.familiar_name(), refused.join(", "));
        return Err(Failure::message(format!("the image policy refuses {count} of {all} tags of {name}: {tags}")));
    }
    let all_present = pulled.iter().all(|(_, pulled)| pulled.already_present);
    board.say(&format!("Status: {} for {}", status(all_present), name.familiar_name()));
    output::print(&format!("{}\n", name.name()))
}

/// Whose signature the policy asked for and found.
fn signers<W: Write>(board: &mut Board<W>, before: &str, pulled: &Pulled) {
    let Verified { digest: Some(digest), signers } = &pulled.verified else { return };
    board.say(&format!("{before}Signature: {digest} signed by {}", signers.join(", ")));
}

fn status(already_present: bool) -> &'static str {
    if already_present { "Image is up to date" } else { "Downloaded newer image" }
}

/// Gets the image for a new container, from the store or, as `--pull` says, from its registry: the name to use for it.
/// Talks on stderr.
pub fn ensure(engine: &Engine, asked: &Fetch) -> Result<String, Failure> {
    let here = engine::images::local(engine, &asked.reach, &asked.name, asked.pull, asked.platform.as_ref())?;
    if let Some((name, _)) = here {
        return Ok(name);
    }
    // Before anything comes.
    engine.settings()?;
    let mut board = Board::stderr(asked.quiet);
    if asked.pull == PullPolicy::Missing {
        let name = Reference::parse(&asked.name).map_or_else(|_| asked.name.clone(), |name| name.familiar());
        board.say(&format!("Unable to find image '{name}' locally"));
    }
    let options = PullOptions { platform: asked.platform.clone(), ..PullOptions::default() };
    let progress = &mut |name: &Reference, progress: Progress<'_>| show(&mut board, name, progress);
    let (name, pulled) = engine::images::pull(engine, &asked.reach, &asked.name, &options, progress)?;
    signers(&mut board, "", &pulled);
    budget::keep(engine, &[pulled.image.id]);
    let as_typed = Reference::parse(&asked.name).is_ok_and(|typed| typed == name);
    Ok(if as_typed { asked.name.clone() } else { name.familiar() })
}

fn show<W: Write>(board: &mut Board<W>, name: &Reference, progress: Progress<'_>) {
    match progress {
        Progress::Begin => {
            let named = name.digest().map(|digest| digest.to_string());
            let named = named.or_else(|| name.tag().map(str::to_owned)).unwrap_or_default();
            board.say(&format!("{named}: Pulling from {}", name.repository()));
        }
        Progress::Layer { digest, step } => layer(board, digest.short(), step),
    }
}

fn layer<W: Write>(board: &mut Board<W>, name: &str, step: Step) {
    match step {
        Step::Waiting => board.step(name, "Pulling fs layer"),
        Step::AlreadyExists => board.step(name, "Already exists"),
        Step::Downloading { current, total } => board.count(name, "Downloading", current, total),
        Step::Extracting => board.step(name, "Download complete"),
        Step::Complete => board.step(name, "Pull complete"),
    }
}
