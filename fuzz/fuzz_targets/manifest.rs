//! An image document that parses is written such that it parses to the same; what an index offers can be chosen.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spec::Platform;
use spec::image::{Document, ImageConfig, Index, Manifest};

fuzz_target!(|data: &[u8]| {
    match Document::parse(data) {
        Ok(Document::Manifest(manifest)) => {
            assert_eq!(Manifest::parse(&manifest.to_bytes()), Ok(*manifest));
        }
        Ok(Document::Index(index)) => {
            assert_eq!(Index::parse(&index.to_bytes()).as_ref(), Ok(&index));
            for wanted in [Platform::host(), Platform::new("linux", "arm", "v6")] {
                let chosen = index.choose(&wanted).and_then(|descriptor| descriptor.platform.as_ref());
                assert!(chosen.is_none_or(|platform| wanted.distance(platform).is_some()));
            }
        }
        Err(_) => {}
    }
    if let Ok(config) = ImageConfig::parse(data) {
        let _ = Platform::host().distance(&config.platform());
        assert_eq!(ImageConfig::parse(&config.to_bytes()), Ok(config));
    }
});
