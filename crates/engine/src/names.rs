//! Names for containers that were given none: `adjective_noun`, as docker makes them, from
//! word lists of our own (the sea, and nothing unkind). Called by `create.rs`, which tries again
//! when the name is taken: making the name's link is the reservation, not this.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// One of some forty thousand names, e.g. `quiet_harbor`; two calls may return the same.
pub fn random_name() -> String {
    // The hasher's key comes from getrandom(2); names need variety, not secrecy.
    let random = RandomState::new().hash_one(0u8);
    let adjective = ADJECTIVES[(random >> 32) as usize % ADJECTIVES.len()];
    let noun = NOUNS[(random as u32) as usize % NOUNS.len()];
    format!("{adjective}_{noun}")
}

#[rustfmt::skip]
const ADJECTIVES: &[&str] = &[
    "able", "abrupt", "agile", "airy", "alert", "amber", "ample", "ancient", "apt", "arctic",
    "ardent", "autumn", "balmy", "blithe", "bold", "bonny", "brave", "brazen", "breezy", "bright",
    "brisk", "bronze", "buoyant", "calm", "candid", "careful", "cheery", "civil", "clear", "clever",
    "coastal", "cobalt", "cool", "copper", "coral", "cosy", "crafty", "crimson", "crisp", "curious",
    "dapper", "daring", "dashing", "deft", "dewy", "discreet", "distant", "eager", "early",
    "eastern", "elder", "electric", "emerald", "even", "fabled", "fair", "faithful", "famous",
    "fearless", "festive", "fierce", "fine", "firm", "fleet", "fluent", "fond", "frank", "free",
    "fresh", "frosty", "gallant", "genial", "gentle", "gilded", "glad", "gleaming", "golden",
    "graceful", "grand", "grave", "hale", "hardy", "hazel", "hearty", "helpful", "hidden", "high",
    "honest", "humble", "idle", "ivory", "jade", "jaunty", "jolly", "jovial", "just", "keen",
    "kind", "lasting", "leal", "leeward", "lively", "lofty", "lone", "loyal", "lucid", "lucky",
    "lunar", "mellow", "merry", "mighty", "mild", "misty", "modest", "mossy", "neat", "nimble",
    "noble", "northern", "opal", "open", "patient", "placid", "plucky", "polar", "polite", "prime",
    "proud", "prudent", "quick", "quiet", "radiant", "rapid", "ready", "regal", "robust", "rosy",
    "rugged", "rustic", "salty", "sandy", "scarlet", "serene", "sharp", "silent", "silver",
    "simple", "sleek", "sly", "smart", "snowy", "snug", "sober", "solar", "solid", "southern",
    "spry", "stable", "starry", "steady", "stern", "stoic", "stormy", "stout", "sturdy", "subtle",
    "sunny", "supple", "sure", "swift", "tame", "tawny", "teal", "tidal", "tidy", "tranquil",
    "trim", "true", "trusty", "upbeat", "valiant", "vast", "velvet", "vivid", "warm", "wary",
    "western", "wild", "willing", "windward", "wise", "witty", "young", "zesty",
];

#[rustfmt::skip]
const NOUNS: &[&str] = &[
    "albatross", "anchor", "anemone", "anvil", "archipelago", "astrolabe", "atoll", "auk",
    "ballast", "bark", "barnacle", "barometer", "bay", "beacon", "beam", "bell", "berth",
    "binnacle", "boom", "bosun", "bow", "bowline", "bowsprit", "breakwater", "brine", "buoy",
    "cable", "canal", "canvas", "cape", "capstan", "caravel", "carrack", "channel", "chart",
    "cleat", "cliff", "clipper", "cloud", "coast", "cod", "compass", "coral", "cormorant",
    "corvette", "course", "cove", "coxswain", "crab", "crane", "crew", "crow", "current", "cutter",
    "cuttlefish", "davit", "deck", "delta", "dinghy", "dock", "dolphin", "dory", "dugong", "eddy",
    "eel", "ensign", "estuary", "fathom", "felucca", "fender", "ferry", "fjord", "flag", "flagship",
    "flotilla", "foam", "frigate", "gaff", "gale", "galleon", "galley", "gangway", "gannet", "gull",
    "gunwale", "halyard", "harbor", "hatch", "haven", "hawser", "headland", "heron", "herring",
    "horizon", "hull", "inlet", "island", "isle", "jetty", "jib", "junk", "kayak", "keel", "kelp",
    "ketch", "kingfisher", "knot", "lagoon", "lantern", "lanyard", "larboard", "ledge", "limpet",
    "lobster", "locker", "log", "longboat", "lugger", "mackerel", "manatee", "mariner", "marlin",
    "mast", "mate", "mizzen", "moorings", "mussel", "narwhal", "navigator", "needle", "octopus",
    "orca", "osprey", "otter", "outrigger", "oyster", "packet", "paddle", "pelican", "pennant",
    "petrel", "pier", "pilot", "pinnace", "plover", "pontoon", "porpoise", "port", "prow", "puffin",
    "pulley", "purser", "quay", "raft", "rail", "reef", "rigging", "ripple", "rope", "rowboat",
    "rudder", "sail", "sailor", "salmon", "sandbar", "sandpiper", "schooner", "scow", "sculpin",
    "scupper", "seahorse", "seal", "sextant", "shackle", "shallop", "shark", "sheet", "shoal",
    "shore", "shroud", "skerry", "skiff", "skipper", "sloop", "sole", "sonar", "spar", "spinnaker",
    "spray", "squall", "squid", "starboard", "starfish", "stern", "steward", "storm", "strait",
    "surf", "swell", "tarpon", "tern", "tide", "tiller", "topsail", "trawler", "trench", "tuna",
    "turbot", "turtle", "urchin", "vane", "voyage", "wake", "walrus", "warp", "watch", "wave",
    "whale", "wharf", "wheel", "whelk", "wherry", "winch", "wind", "yacht", "yawl",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_many_distinct_and_plain() {
        for list in [ADJECTIVES, NOUNS] {
            assert!(list.len() >= 100);
            assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len());
            for word in list {
                assert!(word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            }
        }
    }

    #[test]
    fn names_vary() {
        let names: BTreeSet<String> = (0..100).map(|_| random_name()).collect();
        assert!(names.len() > 50);
        assert!(names.iter().all(|name| name.split('_').count() == 2));
    }
}
