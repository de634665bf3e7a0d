//! Capabilities that a process asks for and cannot have: the specification wants a warning and no error (config.md,
//! capabilities). They are taken out here, so that whoever prints can say which.

use kernel::capability::{self, Capability};
use spec::runtime::Process;

/// Takes out of `process` what cannot be granted; the warnings.
pub fn sift(process: &mut Process) -> Vec<String> {
    let Some(sets) = &mut process.capabilities else { return Vec::new() };
    // What cannot be asked is left to whoever grants them.
    let had = capability::Process::current().ok().map(|own| own.permitted);
    let mut unknown: Vec<String> = Vec::new();
    let lists =
        [&mut sets.bounding, &mut sets.effective, &mut sets.inheritable, &mut sets.permitted, &mut sets.ambient];
    for list in lists {
        list.retain(|name| {
            let named = Capability::from_name(name);
            let known = named.is_some_and(|one| had.is_none_or(|had| had.contains(one)));
            if !known && !unknown.contains(name) {
                unknown.push(name.clone());
            }
            known
        });
    }
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
    let (inheritable, permitted) = (sets.inheritable.clone(), sets.permitted.clone());
    sets.ambient.retain(|name| {
        let possible = inheritable.contains(name) && permitted.contains(name);
        if !possible {
            warnings.push(format!("can't raise ambient capability {name}: operation not permitted"));
        }
        possible
    });
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::Capabilities;

    #[test]
    fn what_cannot_be_is_told() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let capabilities = Capabilities {
            bounding: names(&["CAP_NOTHING", "CAP_KILL"]),
            inheritable: names(&["CAP_KILL"]),
            permitted: names(&["CAP_KILL", "CAP_NOTHING"]),
            ambient: names(&["CAP_KILL", "CAP_CHOWN"]),
            ..Capabilities::default()
        };
        let mut process = Process { capabilities: Some(capabilities), ..Process::default() };
        let warnings = sift(&mut process).join("\n");
        assert!(warnings.contains("CAP_NOTHING") && warnings.contains("CAP_CHOWN"), "{warnings}");
        let left = process.capabilities.unwrap();
        assert_eq!((left.bounding, left.ambient), (names(&["CAP_KILL"]), names(&["CAP_KILL"])));
        assert!(sift(&mut Process::default()).is_empty());
    }
}
