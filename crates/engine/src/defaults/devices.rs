//! Device access of an unprivileged container: every node may be made (CAP_MKNOD alone is
//! harmless), but only these may be opened.

use spec::runtime::DeviceRule;

/// (type, major, minor); `None` is any.
const OPENABLE: [(char, Option<i64>, Option<i64>); 9] = [
    ('c', Some(1), Some(3)), // null
    ('c', Some(1), Some(5)), // zero
    ('c', Some(1), Some(7)), // full
    ('c', Some(1), Some(8)), // random
    ('c', Some(1), Some(9)), // urandom
    ('c', Some(5), Some(0)), // tty
    ('c', Some(5), Some(1)), // console
    ('c', Some(5), Some(2)), // ptmx
    ('c', Some(136), None),  // pts/*
];

/// The rules in order: deny everything, then what is allowed.
pub fn rules() -> Vec<DeviceRule> {
    let mut rules =
        vec![rule(false, 'a', None, None, "rwm"), rule(true, 'c', None, None, "m"), rule(true, 'b', None, None, "m")];
    rules.extend(OPENABLE.iter().map(|(kind, major, minor)| rule(true, *kind, *major, *minor, "rwm")));
    rules
}

/// A privileged container may use every device.
pub fn rules_privileged() -> Vec<DeviceRule> {
    vec![rule(true, 'a', None, None, "rwm")]
}

fn rule(allow: bool, kind: char, major: Option<i64>, minor: Option<i64>, access: &str) -> DeviceRule {
    DeviceRule { allow, kind, major, minor, access: access.to_owned() }
}
