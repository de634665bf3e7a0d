//! `WWW-Authenticate` of any registry: what is read of it, written in its plainest form, is read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::challenge::{Challenge, parse};

/// Those that are acted on.
const NAMES: [&str; 4] = ["realm", "service", "scope", "error"];

fuzz_target!(|text: &str| {
    let challenges = parse(text);
    assert!(challenges.len() <= text.len());
    let written: Vec<String> = challenges.iter().map(write).collect();
    let again = parse(&written.join(", "));
    assert_eq!(again.len(), challenges.len(), "{written:?}");
    for (one, other) in challenges.iter().zip(&again) {
        assert_eq!(one.scheme, other.scheme);
        assert!(!one.scheme.is_empty() && !one.scheme.bytes().any(|byte| byte.is_ascii_uppercase()));
        for name in NAMES {
            assert_eq!(one.parameter(name), other.parameter(name), "{written:?}");
        }
    }
});

fn write(challenge: &Challenge) -> String {
    let parameters = NAMES.into_iter().filter_map(|name| Some((name, challenge.parameter(name)?)));
    let parameters =
        parameters.map(|(name, value)| format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{} {}", challenge.scheme, parameters.collect::<Vec<_>>().join(","))
}
