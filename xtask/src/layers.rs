//! Who may use whom, as data: the edges between crates, the crates that heavy packages belong
//! to, and the figures that may only fall. Read by `tidy`; the reasons stand in ARCHITECTURE.md.

/// One crate of the workspace and the crates of the workspace that it may name in
/// `[dependencies]`. A crate uses only lower levels and siblings do not know each other; an edge
/// that the level would allow but nobody needs is left out, so that adding it is a decision.
pub struct Layer {
    pub name: &'static str,
    pub may_use: &'static [&'static str],
}

/// Lowest level first.
pub const LAYERS: &[Layer] = &[
    Layer { name: "spec", may_use: &[] },
    Layer { name: "kernel", may_use: &[] },
    Layer { name: "image", may_use: &["kernel", "spec"] },
    Layer { name: "runtime", may_use: &["kernel", "spec"] },
    Layer { name: "net", may_use: &["kernel", "spec"] },
    Layer { name: "oci", may_use: &["kernel", "runtime", "spec"] },
    Layer { name: "registry", may_use: &["image", "spec"] },
    Layer { name: "engine", may_use: &["image", "kernel", "net", "registry", "runtime", "spec"] },
    Layer { name: "build", may_use: &["engine", "image", "registry", "spec"] },
    Layer { name: "cri", may_use: &["engine", "image", "registry", "spec"] },
    Layer { name: "compose", may_use: &["build", "engine", "spec"] },
    Layer { name: "docker", may_use: &["build", "engine", "image", "spec"] },
    Layer {
        name: "cli",
        may_use: &["build", "compose", "cri", "docker", "engine", "image", "kernel", "oci", "runtime", "spec"],
    },
    Layer { name: "xtask", may_use: &[] },
];

/// Packages from outside that carry much with them (a TLS stack, an inflater, an async runtime)
/// or that are a door (raw system calls), with the crates whose `[dependencies]` may name them.
/// Packages that are not listed may be used anywhere; `[dev-dependencies]` are free.
pub const OWNERS: &[(&str, &[&str])] = &[
    ("basic-toml", &["engine", "registry"]),
    ("flate2", &["image", "registry"]),
    ("hyper", &["cri", "docker"]),
    ("libc", &["kernel"]),
    ("regex-lite", &["engine"]),
    ("ring", &["registry"]),
    ("rustix", &["cli", "engine", "image", "kernel", "net", "oci", "runtime"]),
    ("rustls", &["registry"]),
    ("sha2", &["image"]),
    ("tokio", &["cri", "docker"]),
    ("tonic", &["cri"]),
    ("ureq", &["registry"]),
    ("webpki", &["registry"]),
    ("zstd", &["image", "registry"]),
];

/// Packages in `Cargo.lock`, our own included. Lower it when one goes; raising it needs a page
/// in docs/decisions.
pub const LOCKED_PACKAGES_MAX: usize = 97;

/// Lines of ARCHITECTURE.md: a map that does not fit in one sitting is not read.
pub const ARCHITECTURE_LINES_MAX: usize = 300;

/// Lines of a source file. A long flat list is fine, a long call graph is not; at this length
/// even a list wants a second file.
pub const FILE_LINES_MAX: usize = 700;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_by_level() {
        for (at, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use {
                let below = LAYERS[..at].iter().any(|lower| lower.name == *used);
                assert!(below, "{} names {used}, which is not below it", layer.name);
            }
        }
    }
}
