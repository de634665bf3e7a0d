//! Any bytes are a seccomp profile that compiles, or an error; whatever capabilities the container has. A profile whose
//! conditions are settled has none left: read again, for another container, it is the same.
#![no_main]

use engine::seccomp::from_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (capabilities, kernel_version) in [(0, (0, 0)), (u64::MAX, (6, 18))] {
        let Ok(profile) = from_json(data, capabilities, kernel_version) else { continue };
        assert!(runtime::seccomp::compile(&profile).is_ok());
        let json = serde_json::to_vec(&profile).expect("plain data");
        assert_eq!(from_json(&json, !capabilities, (5, 14)).expect("it was valid"), profile);
    }
});
