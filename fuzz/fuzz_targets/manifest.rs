//! An image document that parses is written such that it parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spec::image::{Document, ImageConfig, Index, Manifest};

fuzz_target!(|data: &[u8]| {
    match Document::parse(data) {
        Ok(Document::Manifest(manifest)) => assert_eq!(Manifest::parse(&manifest.to_bytes()).ok(), Some(*manifest)),
        Ok(Document::Index(index)) => assert_eq!(Index::parse(&index.to_bytes()).ok(), Some(index)),
        Err(_) => {}
    }
    if let Ok(config) = ImageConfig::parse(data) {
        assert_eq!(ImageConfig::parse(&config.to_bytes()).ok(), Some(config));
    }
});
