//! An image's history step by step, each with what it added: `history` and `image tree`. And taking a name from an image
//! that stays: `image untag`.

use crate::error::{Error, Result};
use crate::store::{Image, Store};
use spec::image::History;
use spec::{Digest, Reference};

/// One step of an image's making.
#[derive(Debug, Clone)]
pub struct Step {
    /// Empty for layers that the history does not mention.
    pub history: History,
    /// `None` for a step that changed no files.
    pub diff_id: Option<Digest>,
    /// Sum of the sizes of the layer's files in bytes.
    pub size: u64,
}

impl Image {
    /// The steps, newest first.
    pub fn history(&self, store: &Store) -> Vec<Step> {
        let mut layers = self.config.rootfs.diff_ids.iter();
        let step = |history: History, diff_id: Option<&Digest>| Step {
            history,
            diff_id: diff_id.cloned(),
            size: diff_id.map_or(0, |diff_id| store.layer_size(diff_id)),
        };
        let told = self.config.history.iter().map(|history| {
            let diff_id = if history.empty_layer { None } else { layers.next() };
            step(history.clone(), diff_id)
        });
        let mut steps: Vec<Step> = told.collect();
        steps.extend(layers.map(|diff_id| step(History::default(), Some(diff_id))));
        steps.reverse();
        steps
    }
}

impl Store {
    /// Sum of the sizes of a layer's files in bytes; 0 when it is missing.
    pub fn layer_size(&self, diff_id: &Digest) -> u64 {
        self.layers().size(diff_id)
    }

    /// Takes a name from its image, which stays even if it was the last.
    pub fn untag(&self, name: &Reference) -> Result<()> {
        self.update(|entries| {
            let position = entries.iter().position(|entry| entry.name.as_ref() == Some(name));
            let position = position.ok_or_else(|| Error::NotFound { name: name.familiar() })?;
            let id = entries[position].id.clone();
            if entries.iter().filter(|entry| entry.id == id).count() > 1 {
                entries.remove(position);
            } else {
                entries[position].name = None;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, add_image};

    #[test]
    fn steps_have_their_layers() {
        let scratch = Scratch::new("history");
        let store = Store::open(scratch.path()).unwrap();
        let mut image = add_image(&store, "a", &[("x", b"12")], &[("y", b"345")]);
        let named =
            |text: &str, empty_layer| History { created_by: text.to_owned(), empty_layer, ..History::default() };
        image.config.history = vec![named("one", false), named("env", true)];
        let steps = image.history(&store);
        let seen: Vec<_> = steps.iter().map(|step| (step.history.created_by.as_str(), step.size)).collect();
        assert_eq!(seen, [("", 3), ("env", 0), ("one", 2)]);
    }

    #[test]
    fn the_last_name_leaves_a_nameless_image() {
        let scratch = Scratch::new("untag");
        let store = Store::open(scratch.path()).unwrap();
        let image = add_image(&store, "a", &[("x", b"1")], &[]);
        let other = Reference::parse("b:1").unwrap();
        store.tag(&image, &other).unwrap();
        store.untag(&Reference::parse("a").unwrap()).unwrap();
        assert_eq!(store.image(&image.id).unwrap().names, std::slice::from_ref(&other));
        store.untag(&other).unwrap();
        assert!(store.image(&image.id).unwrap().names.is_empty());
        assert!(store.untag(&other).unwrap_err().is_not_found());
    }
}
