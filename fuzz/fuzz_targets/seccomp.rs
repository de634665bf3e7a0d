//! Any bytes are a seccomp profile that compiles, or an error; whatever capabilities the container has.
#![no_main]

use engine::seccomp::from_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for capabilities in [0, u64::MAX] {
        for kernel_version in [(0, 0), (6, 18)] {
            if let Ok(profile) = from_json(data, capabilities, kernel_version) {
                assert!(runtime::seccomp::compile(&profile).is_ok());
            }
        }
    }
});
