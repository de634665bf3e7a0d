//! `brig manifest inspect`, `create`, `add`, `annotate`, `push` and `rm`.
//! What they do is in `command/manifest.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, access};
use engine::images::Reach;
use engine::images::manifests::Annotation;

/// Docker's word for what `--tls-verify=false` says.
const INSECURE: Flag = Flag::switch("insecure", "As --tls-verify=false");

const PLATFORM: [Flag; 5] = [
    Flag::value("arch", "string", "Architecture that the image is for"),
    Flag::value("os", "string", "Operating system that the image is for"),
    Flag::value("os-features", "list", "Feature of the operating system that the image needs"),
    Flag::value("os-version", "string", "Version of the operating system that the image needs"),
    Flag::value("variant", "string", "Variant of the architecture (e.g. \"v8\")"),
];

/// `manifest inspect`.
pub static INSPECT: Command = Command {
    name: "manifest inspect",
    usage: &["[OPTIONS] [MANIFEST_LIST] MANIFEST"],
    about: "Show what a name means on its registry, or a list that was made here",
    details: "",
    aliases: &[],
    flags: &[
        &access::ACCESS,
        &[INSECURE, Flag::switch("verbose", "Add the manifests of a list's images, and their platforms").short('v')],
    ],
    absent: &[],
    positional: Positional::between(1, 2),
    flags_first: false,
    examples: &[Example { about: "The platforms of an image", line: "brig manifest inspect debian:stable" }],
};

/// `manifest create`.
pub static CREATE: Command = Command {
    name: "manifest create",
    usage: &["[OPTIONS] MANIFEST_LIST [MANIFEST...]"],
    about: "Make a list of images for several platforms, to be pushed",
    details: "The images must be on a registry; the list is kept here until it is pushed or removed.",
    flags: &[&access::ACCESS, &[INSECURE, Flag::switch("amend", "Add to a list that exists already").short('a')]],
    absent: &["all", "annotation"],
    positional: Positional::at_least(1),
    examples: &[Example {
        about: "One name for two platforms",
        line: "brig manifest create registry.lan:5000/web:1 registry.lan:5000/web:1-amd64 registry.lan:5000/web:1-arm64",
    }],
    ..INSPECT
};

/// `manifest add`.
pub static ADD: Command = Command {
    name: "manifest add",
    usage: &["[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]"],
    about: "Add images to a list",
    flags: &[&access::ACCESS, &PLATFORM, &[INSECURE]],
    absent: &[
        "all",
        "annotation",
        "artifact",
        "artifact-config",
        "artifact-config-type",
        "artifact-exclude-titles",
        "artifact-layer-type",
        "artifact-subject",
        "artifact-type",
        "cert-dir",
        "features",
    ],
    positional: Positional::at_least(2),
    examples: &[Example {
        about: "One more platform",
        line: "brig manifest add registry.lan:5000/web:1 registry.lan:5000/web:1-riscv64",
    }],
    ..INSPECT
};

/// `manifest annotate`.
pub static ANNOTATE: Command = Command {
    name: "manifest annotate",
    usage: &["[OPTIONS] MANIFEST_LIST MANIFEST"],
    about: "Say for which platform an image of a list is",
    flags: &[&PLATFORM],
    absent: &["annotation", "features", "index", "subject"],
    positional: Positional::exactly(2),
    examples: &[Example {
        about: "An image that does not say it itself",
        line: "brig manifest annotate --arch arm64 --variant v8 registry.lan:5000/web:1 registry.lan:5000/web:1-arm64",
    }],
    ..INSPECT
};

/// `manifest push`.
pub static PUSH: Command = Command {
    name: "manifest push",
    usage: &["[OPTIONS] MANIFEST_LIST [DESTINATION]"],
    about: "Send a list to its registry",
    details: "Images that are in other repositories are brought along.",
    flags: &[
        &access::ACCESS,
        &[INSECURE, Flag::switch("purge", "Remove the list here once it is on the registry").short('p')],
    ],
    absent: &[
        "add-compression",
        "all",
        "cert-dir",
        "compression-format",
        "compression-level",
        "digestfile",
        "force-compression",
        "format",
        "quiet",
        "remove-signatures",
        "rm",
        "sign-by",
        "sign-by-sigstore",
        "sign-by-sigstore-private-key",
        "sign-by-sq-fingerprint",
        "sign-passphrase-file",
    ],
    positional: Positional::between(1, 2),
    examples: &[Example { about: "Publish it", line: "brig manifest push --purge registry.lan:5000/web:1" }],
    ..INSPECT
};

/// `manifest rm`.
pub static RM: Command = Command {
    name: "manifest rm",
    usage: &["MANIFEST_LIST [MANIFEST_LIST...]"],
    about: "Remove lists that were made here",
    flags: &[],
    absent: &["ignore"],
    positional: Positional::at_least(1),
    examples: &[Example { about: "Throw a list away", line: "brig manifest rm registry.lan:5000/web:1" }],
    ..INSPECT
};

/// Reads how to reach registries.
pub fn reach(parsed: &Parsed) -> Result<Reach, Misuse> {
    let reach = access::read(parsed)?;
    Ok(Reach { unverified: reach.unverified || parsed.on("insecure"), ..reach })
}

/// Reads what is said of an image.
pub fn annotation(parsed: &Parsed) -> Annotation {
    Annotation {
        os: parsed.text("os"),
        architecture: parsed.text("arch"),
        variant: parsed.text("variant"),
        os_version: parsed.text("os-version"),
        os_features: parsed.all("os-features").flat_map(|text| text.split(',')).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn dockers_word_for_insecure_counts_too() {
        assert!(reach(&words(&CREATE, "--insecure a b").unwrap()).unwrap().unverified);
        assert!(reach(&words(&PUSH, "--tls-verify=false a").unwrap()).unwrap().unverified);
        let said = annotation(&words(&ANNOTATE, "--os linux --os-features a,b --os-features c a b").unwrap());
        assert_eq!((said.os.as_deref(), said.os_features.len(), said.variant), (Some("linux"), 3, None));
    }
}
