//! What a registry says are signatures of an image is no more than bytes: nothing panics, and nothing makes an image
//! accepted that nobody signed. One input is tried as a bundle and as cosign's manifest, by rules with and without a log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::Error;
use registry::policy::{Files, Policy, Source};
use spec::image::Descriptor;
use spec::{Digest, Reference};
use std::path::Path;
use std::sync::LazyLock;

/// The keys have signed what is in the seeds, but not this image.
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/registry/src/policy/testdata");
    let key = |name: &str| keys.join(name).display().to_string();
    let text = format!(
        "default = \"reject\"\n\
         [[rule]]\nimages = [\"keyed.test\"]\npolicy = \"signed\"\nkeys = [{:?}]\n\
         [[rule]]\nimages = [\"logged.test\"]\npolicy = \"signed\"\nkeys = [{:?}]\nrekor = [{:?}]\n",
        key("cosign3.pub"),
        key("cosign3.pub"),
        key("p256.pub")
    );
    let path = std::env::temp_dir().join(format!("brig-fuzz-signature-{}", std::process::id()));
    std::fs::write(&path, text).expect("the temporary directory can be written");
    let policy = Policy::load(&Files { named: Some(path.clone()), ..Files::none() }).expect("it is right");
    std::fs::remove_file(&path).expect("it is ours");
    policy
});

fuzz_target!(init: LazyLock::force(&POLICY), |data: &[u8]| {
    let image = Digest::from_hash(&[7; 32]);
    for name in ["keyed.test/app:v1", "logged.test/app:v1"] {
        let reference = Reference::parse(name).expect("it is a name");
        let checked = POLICY.check(&Registry(data), &reference, &[&image]);
        assert!(matches!(checked, Err(Error::Refused(_))), "{checked:?}");
    }
});

/// A repository in which everything about signatures is the input.
struct Registry<'a>(&'a [u8]);

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD: &[u8] = br#"{"critical":{"identity":{"docker-reference":"keyed.test/app"},"image":{"docker-manifest-digest":"sha256:0707070707070707070707070707070707070707070707070707070707070707"},"type":"cosign container image signature"},"optional":null}"#;

impl Source for Registry<'_> {
    fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if name.ends_with(".sig") {
            return Ok(Some(self.0.to_vec()));
        }
        let config = Descriptor::new("application/vnd.oci.empty.v1+json", Digest::from_hash(&[1; 32]), 2);
        let bundle = Descriptor::new(BUNDLE, Digest::from_hash(&[2; 32]), self.0.len() as u64);
        Ok(Some(spec::image::Manifest::new(config, vec![bundle]).to_bytes()))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        Ok(Some(if blob.media_type == BUNDLE { self.0.to_vec() } else { PAYLOAD.to_vec() }))
    }

    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, Error> {
        let artifact_type = BUNDLE.to_owned();
        Ok(vec![Descriptor { artifact_type, ..Descriptor::new("", Digest::from_hash(&[3; 32]), 0) }])
    }
}
