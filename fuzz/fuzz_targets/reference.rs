//! The words that users and documents name things with: what parses prints as a text that parses to the same, and
//! nothing panics. One input is tried as each of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spec::{ContainerId, Digest, Platform, Reference, Timestamp};

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference));
        assert_eq!(Reference::parse(&reference.familiar()).as_ref(), Ok(&reference));
        // It becomes a path in a registry's URL.
        assert!(!reference.repository().split('/').any(|component| matches!(component, "" | "." | "..")));
    }
    if let Ok(platform) = Platform::parse(text) {
        assert_eq!(Platform::parse(&platform.to_string()).as_ref(), Ok(&platform));
        let _ = (platform.distance(&Platform::host()), Platform::host().distance(&platform));
    }
    if let Ok(time) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.as_str(), text);
        // It becomes a file's name.
        assert!(digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    if let Ok(id) = ContainerId::parse(text) {
        assert_eq!(id.as_str(), text);
    }
});
