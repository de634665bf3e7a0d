//! `brig push`.
//! Progress is worded here, as docker words it.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::progress::Board;
use engine::images::{PushProgress, PushStep, Pushed};
use spec::Reference;
use std::io::Write;

/// Prints progress and the digest.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::push::read(&parsed)?;
    let engine = place.engine()?;
    if !asked.all_tags && asked.target.is_none() && has_no_tag(&asked.name) && !asked.quiet {
        output::print("Using default tag: latest\n")?;
    }
    let board = std::cell::RefCell::new(Board::stdout(asked.quiet));
    let begin = &mut |name: &Reference| {
        board.borrow_mut().say(&format!("The push refers to repository [{}]", name.name()));
    };
    let progress = &mut |progress: PushProgress<'_>| show(&mut board.borrow_mut(), progress);
    let (reach, options) = (&asked.reach, &asked.options);
    let pushed = match asked.all_tags {
        true => engine::images::push_all_tags(&engine, reach, &asked.name, options, begin, progress)?,
        false => {
            let target = asked.target.as_deref();
            vec![engine::images::push(&engine, reach, &asked.name, target, options, begin, progress)?]
        }
    };
    for (name, Pushed { digest, size, .. }) in &pushed {
        let tag = name.tag().unwrap_or_default();
        board.borrow_mut().say(&format!("{tag}: digest: {digest} size: {size}"));
    }
    if let (Some(path), Some((_, pushed))) = (&asked.digest_file, pushed.last()) {
        let written = std::fs::write(path, pushed.digest.to_string());
        written.map_err(|error| Failure::file("write the digest to", path, &error))?;
    }
    if asked.quiet {
        let names: Vec<String> = pushed.iter().map(|(name, _)| name.to_string() + "\n").collect();
        return output::print(&names.concat());
    }
    Ok(0)
}

fn has_no_tag(name: &str) -> bool {
    Reference::parse_untagged(name).is_ok_and(|name| name.tag().is_none() && name.digest().is_none())
}

fn show<W: Write>(board: &mut Board<W>, progress: PushProgress<'_>) {
    let (name, step) = match progress {
        PushProgress::Tag { tag } => return board.say(&format!("{tag}: Pushing")),
        PushProgress::Layer { diff_id, step } => (diff_id.short(), step),
    };
    match step {
        PushStep::Waiting => board.step(name, "Preparing"),
        PushStep::AlreadyExists => board.step(name, "Layer already exists"),
        PushStep::Mounted { from } => board.step(name, &format!("Mounted from {from}")),
        PushStep::Pushing { current, total } => board.count(name, "Pushing", current, total),
        PushStep::Pushed => board.step(name, "Pushed"),
    }
}
