//! `brig save`.
//! Which images and names the words on the command line mean is found here; the archive is `image::archive`'s.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output::sink::Sink;
use engine::Engine;
use image::Image;
use image::archive::{self, Saved};
use spec::{Platform, Reference};

/// Writes the images as one archive.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::save::read(parsed)?;
    let engine = place.engine()?;
    // Nothing is removed between finding the images and writing the last of them.
    let _lease = engine.store().use_images()?;
    let mut images: Vec<(Image, Vec<Reference>)> = Vec::new();
    for name in &asked.images {
        for (image, name) in named(&engine, name)? {
            check_platform(&image, name.as_ref(), asked.platform.as_ref())?;
            match images.iter_mut().find(|(known, _)| known.id == image.id) {
                Some((_, names)) => names.extend(name),
                None => images.push((image, name.into_iter().collect())),
            }
        }
    }
    let saved: Vec<Saved<'_>> = images.iter().map(|(image, names)| Saved { image, names }).collect();
    let mut sink = Sink::open(asked.output.as_deref())?;
    let written = archive::save(engine.store(), &saved, asked.format, &mut sink);
    sink.finish(written.map_err(Failure::from))
}

/// Whether the image is for the platform that was asked for. Of each name the store has the image for one platform.
fn check_platform(image: &Image, name: Option<&Reference>, wanted: Option<&Platform>) -> Result<(), Failure> {
    let is = image.config.platform();
    let Some(wanted) = wanted.filter(|wanted| wanted.distance(&is) != Some(0)) else { return Ok(()) };
    let called = name.map_or_else(|| image.id.short().to_owned(), Reference::familiar);
    Err(Failure::message(format!(
        "no suitable export target found: image with reference {called} was found but does not provide the specified \
         platform ({wanted}): it is here for {is}, pull it with --platform first"
    )))
}

/// What a word on the command line means: an id, a name, or without tag all tags of a repository.
fn named(engine: &Engine, word: &str) -> Result<Vec<(Image, Option<Reference>)>, Failure> {
    let reference = Reference::parse_untagged(word).ok();
    if let Some(wanted) = reference.as_ref().filter(|name| name.tag().is_none() && name.digest().is_none()) {
        let same = |name: &&Reference| name.name() == wanted.name();
        let mut found = Vec::new();
        for image in engine.store().listing()?.images_of(&wanted.name())? {
            let names: Vec<Reference> = image.tags().filter(same).cloned().collect();
            found.extend(names.into_iter().map(|name| (image.clone(), Some(name))));
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let image = engine.store().resolve(word)?;
    let name = reference.filter(|name| image.names.contains(name) && name.digest().is_none());
    Ok(vec![(image, name)])
}
