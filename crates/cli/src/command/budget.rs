//! `store.max` for the commands that bring images in: what had to go for them is told on stderr, a line each.
//! The setting and the choice are the engine's. A store that stays too large is no failure of the command.

use crate::output;
use crate::output::size;
use engine::Engine;
use image::gc::{Evicted, Shrunk};
use spec::{Digest, Reference};

/// Keeps the store within its budget after these images have come in.
pub fn keep(engine: &Engine, brought: &[Digest]) {
    match engine::images::budget::keep(engine, brought) {
        Ok(None) => {}
        Ok(Some(shrunk)) => {
            let bytes_max = engine.settings().ok().and_then(|settings| settings.store_bytes_max).unwrap_or(u64::MAX);
            lines(&shrunk, bytes_max).iter().for_each(|line| output::complain(line));
        }
        Err(error) => output::complain(&format!("store.max is not kept: {error}")),
    }
}

fn lines(shrunk: &Shrunk, bytes_max: u64) -> Vec<String> {
    let max = size::short(bytes_max);
    let evicted = |evicted: &Evicted| {
        let names: Vec<String> = evicted.names.iter().map(Reference::familiar).collect();
        let name = if names.is_empty() { evicted.id.short().to_owned() } else { names.join(", ") };
        format!("removed {name} ({}): store.max is {max}", size::short(evicted.freed))
    };
    let mut lines: Vec<String> = shrunk.evicted.iter().map(evicted).collect();
    if shrunk.left > bytes_max {
        let left = size::short(shrunk.left);
        lines.push(format!("the store takes {left} and store.max is {max}: what is left is needed"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_a_line() {
        let id = Digest::from_hash(&[0xab; 32]);
        let names = vec![Reference::parse("a:1").unwrap(), Reference::parse("b").unwrap()];
        let evicted = vec![
            Evicted { id: id.clone(), names, freed: 2_000_000 },
            Evicted { id: id.clone(), names: Vec::new(), freed: 0 },
        ];
        let expected = [
            "removed a:1, b:latest (2MB): store.max is 1GB".to_owned(),
            format!("removed {} (0B): store.max is 1GB", id.short()),
        ];
        assert_eq!(lines(&Shrunk { evicted, left: 1_000_000_000 }, 1_000_000_000), expected);
        let full = lines(&Shrunk { evicted: Vec::new(), left: 3_000_000_000 }, 1_000_000_000);
        assert_eq!(full, ["the store takes 3GB and store.max is 1GB: what is left is needed"]);
    }
}
