//! A policy in our form or in podman's: it is refused, or it has a rule for every image; and an image without any
//! signature is accepted only where a rule asks for none, whatever else the file says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::Error;
use registry::policy::{Policy, Source};
use spec::image::Descriptor;
use spec::{Digest, Reference};
use std::path::Path;

fuzz_target!(|text: &str| {
    // Keys are found from the policy's directory: this one is empty.
    let path = Path::new("/nonexistent/policy");
    for policy in [Policy::parse(text, path), Policy::parse_containers(text, path)].into_iter().flatten() {
        for name in ["docker.io/library/busybox:1", "ghcr.io/team/app", "localhost:5000/x", "a.example.com/b/c:v1"] {
            let reference = Reference::parse(name).expect("it is a name");
            match policy.check(&Nothing, &reference, &[&Digest::from_hash(&[7; 32])]) {
                Ok(verified) => assert!(verified.digest.is_none() && verified.signers.is_empty(), "{verified:?}"),
                Err(Error::Refused(refusal)) => assert!(!refusal.to_string().contains('\n'), "{refusal}"),
                Err(error) => panic!("nothing else can be wrong: {error}"),
            }
        }
    }
});

/// A repository with no signature.
struct Nothing;

impl Source for Nothing {
    fn manifest(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn blob(&self, _: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, Error> {
        Ok(Vec::new())
    }
}
