//! A profile file: docker's format, podman's variant of it (errnos by name), or the plain `seccomp` object of an OCI
//! specification, which is docker's without conditions. The conditions are settled here, so that what remains is an OCI
//! object. Fields that are not known are skipped, as every other engine does, so that profiles can carry comments.

use super::{architecture_name, errno};
use crate::error::{Error, Result};
use kernel::capability::{Capability, Set};
use kernel::seccomp::Architecture;
use serde::Deserialize;
use spec::runtime::{Seccomp, SeccompArg, SeccompRule};

// Go writes an absent list as `null`, so every list is an `Option`.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: Option<String>,
    default_errno_ret: Option<u32>,
    default_errno: Option<String>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchitectureFamily>>,
    flags: Option<Vec<String>>,
    #[serde(default)]
    listener_path: String,
    #[serde(default)]
    listener_metadata: String,
    syscalls: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchitectureFamily {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    names: Option<Vec<String>>,
    #[serde(default)]
    action: String,
    errno_ret: Option<u32>,
    errno: Option<String>,
    args: Option<Vec<Arg>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Arg {
    index: u32,
    value: u64,
    value_two: u64,
    op: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What conditions ask about.
struct Machine {
    architecture: Architecture,
    capabilities: Set,
    kernel_version: (u32, u32),
}

/// The profile for a container with these capabilities (one bit per number) under this kernel. `Ok` means that it also
/// compiles into a filter. A profile without a default action, which docker takes for "no filter", is an error.
pub fn from_json(json: &[u8], capabilities: u64, kernel_version: (u32, u32)) -> Result<Seccomp> {
    let profile: Profile = serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
    let machine = Machine { architecture: Architecture::NATIVE, capabilities: Set(capabilities), kernel_version };
    let seccomp = settle(profile, &machine)?;
    runtime::seccomp::compile(&seccomp).map_err(|error| invalid(error.to_string()))?;
    runtime::seccomp::flags(&seccomp).map_err(|error| invalid(error.to_string()))?;
    Ok(seccomp)
}

fn settle(profile: Profile, machine: &Machine) -> Result<Seccomp> {
    let mut syscalls = Vec::new();
    for entry in profile.syscalls.unwrap_or_default() {
        if machine.fulfils(entry.includes.as_ref(), entry.excludes.as_ref())? {
            syscalls.push(rule(entry)?);
        }
    }
    let Some(default_action) = profile.default_action.filter(|action| !action.is_empty()) else {
        return Err(invalid("there is no defaultAction; to run without a filter use seccomp=unconfined".to_owned()));
    };
    Ok(Seccomp {
        default_action,
        default_errno_ret: errno_of(profile.default_errno.as_deref(), profile.default_errno_ret)?,
        architectures: architectures(profile.architectures, profile.arch_map, machine.architecture)?,
        // An empty list is as good as none, as docker writes one for the other.
        flags: profile.flags.filter(|flags| !flags.is_empty()),
        listener_path: profile.listener_path,
        listener_metadata: profile.listener_metadata,
        syscalls,
    })
}

fn rule(entry: Entry) -> Result<SeccompRule> {
    let names = match (entry.name.filter(|name| !name.is_empty()), entry.names.unwrap_or_default()) {
        (Some(name), names) if names.is_empty() => vec![name],
        (None, names) => names,
        (Some(name), _) => {
            return Err(invalid(format!("the rule for {name:?} has both 'name' and 'names'; leave one of them away")));
        }
    };
    let arg = |arg: Arg| SeccompArg { index: arg.index, value: arg.value, value_two: arg.value_two, op: arg.op };
    Ok(SeccompRule {
        names,
        action: entry.action,
        errno_ret: errno_of(entry.errno.as_deref(), entry.errno_ret)?,
        args: entry.args.unwrap_or_default().into_iter().map(arg).collect(),
    })
}

/// The name decides where both are given, as in podman.
fn errno_of(name: Option<&str>, number: Option<u32>) -> Result<Option<u32>> {
    match name {
        None | Some("") => Ok(number),
        Some(name) => match errno::parse(name) {
            Some(number) => Ok(Some(number)),
            None => Err(invalid(format!("unknown errno {name:?}; an example is \"EPERM\""))),
        },
    }
}

/// Of `arch_map` the family of this machine alone.
fn architectures(
    listed: Option<Vec<String>>,
    families: Option<Vec<ArchitectureFamily>>,
    native: Architecture,
) -> Result<Vec<String>> {
    let (listed, families) = (listed.unwrap_or_default(), families.unwrap_or_default());
    if !listed.is_empty() && !families.is_empty() {
        return Err(invalid("it has both 'architectures' and 'archMap'; leave one of them away".to_owned()));
    }
    match families.into_iter().find(|family| family.architecture == architecture_name(native)) {
        None => Ok(listed),
        Some(family) => {
            Ok(std::iter::once(family.architecture).chain(family.sub_architectures.unwrap_or_default()).collect())
        }
    }
}

impl Machine {
    /// All that `includes` asks for is here and nothing of what `excludes` names.
    fn fulfils(&self, includes: Option<&Condition>, excludes: Option<&Condition>) -> Result<bool> {
        if let Some(excludes) = excludes {
            let names_us = excludes.arches().contains(&self.architecture_word().to_owned());
            let too_new = excludes.min_kernel()?.is_some_and(|version| self.kernel_version >= version);
            if names_us || too_new || excludes.caps().iter().any(|name| self.has(name)) {
                return Ok(false);
            }
        }
        let Some(includes) = includes else { return Ok(true) };
        let arches = includes.arches();
        let names_us = arches.is_empty() || arches.contains(&self.architecture_word().to_owned());
        let new_enough = includes.min_kernel()?.is_none_or(|version| self.kernel_version >= version);
        Ok(names_us && new_enough && includes.caps().iter().all(|name| self.has(name)))
    }

    /// A capability that no kernel has is one the container lacks.
    fn has(&self, name: &str) -> bool {
        Capability::from_name(name).is_some_and(|capability| self.capabilities.contains(capability))
    }

    /// As Go, and so docker, calls this machine.
    fn architecture_word(&self) -> &'static str {
        match self.architecture {
            Architecture::X86_64 | Architecture::X32 => "amd64",
            Architecture::X86 => "x86",
            Architecture::Aarch64 => "arm64",
            Architecture::Arm => "arm",
        }
    }
}

impl Condition {
    fn caps(&self) -> &[String] {
        self.caps.as_deref().unwrap_or_default()
    }

    fn arches(&self) -> &[String] {
        self.arches.as_deref().unwrap_or_default()
    }

    /// `MAJOR.MINOR`
    fn min_kernel(&self) -> Result<Option<(u32, u32)>> {
        let text = match self.min_kernel.as_deref() {
            None | Some("") => return Ok(None),
            Some(text) => text,
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        match text.split_once('.').and_then(|(major, minor)| Some((digits(major)?, digits(minor)?))) {
            Some(version) if version != (0, 0) => Ok(Some(version)),
            _ => Err(invalid(format!("minKernel {text:?} is not of the form \"4.8\""))),
        }
    }
}

fn invalid(text: String) -> Error {
    Error::Invalid(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYS_ADMIN: u64 = 1 << 21;
    const KERNEL: (u32, u32) = (5, 14);

    fn parse(json: &str) -> Result<Seccomp> {
        from_json(json.as_bytes(), SYS_ADMIN, KERNEL)
    }

    #[track_caller]
    fn assert_refused(json: &str, word: &str) {
        let error = parse(json).expect_err("the profile is bad").to_string();
        assert!(error.contains(word), "{error}");
    }

    /// Which of the rules named `a`, `b`, … remain.
    #[track_caller]
    fn kept(rules: &[&str]) -> String {
        let rules: Vec<String> = rules
            .iter()
            .zip('a'..)
            .map(|(fields, name)| format!(r#"{{"name":"{name}","action":"SCMP_ACT_ALLOW",{fields}}}"#))
            .collect();
        let json = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#, rules.join(","));
        parse(&json).unwrap().syscalls.into_iter().flat_map(|rule| rule.names).collect()
    }

    #[test]
    fn conditions_are_settled() {
        let caps = |list: &str| format!(r#""includes":{{"caps":[{list}]}}"#);
        let not_caps = |list: &str| format!(r#""excludes":{{"caps":[{list}]}}"#);
        let (admin, both) = (r#""CAP_SYS_ADMIN""#, r#""CAP_SYS_ADMIN","CAP_BPF""#);
        let rules = [caps(admin), caps(both), caps(r#""CAP_NONE""#), not_caps(both), not_caps(r#""CAP_BPF""#)];
        assert_eq!(kept(&rules.each_ref().map(String::as_str)), "ae");

        let here = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let arches = |field: &str, list: &str| format!(r#""{field}":{{"arches":[{list}]}}"#);
        let (us, them) = (format!(r#""s390x","{here}""#), r#""s390x""#);
        let rules =
            [arches("includes", &us), arches("includes", them), arches("excludes", &us), arches("excludes", them)];
        assert_eq!(kept(&rules.each_ref().map(String::as_str)), "ad");

        let kernel = |field: &str, version: &str| format!(r#""{field}":{{"minKernel":"{version}"}}"#);
        let rules = [
            kernel("includes", "5.14"),
            kernel("includes", "5.15"),
            kernel("includes", "6.0"),
            kernel("includes", "4.99"),
            kernel("excludes", "5.14"),
            kernel("excludes", "5.15"),
            kernel("includes", ""),
        ];
        assert_eq!(kept(&rules.each_ref().map(String::as_str)), "adfg");
        assert_eq!(kept(&[r#""includes":null,"excludes":{},"args":null,"comment":"x""#]), "a");
    }

    #[test]
    fn old_and_foreign_forms_are_understood() {
        let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS","defaultErrnoRet":1,"archMap":[
            {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
            {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":null}],
            "syscalls":[{"names":["socket"],"action":"SCMP_ACT_ERRNO","errno":"EINVAL","args":[
                {"index":0,"value":16,"op":"SCMP_CMP_EQ"}]}]}"#;
        let profile = parse(json).unwrap();
        assert_eq!(profile.default_errno_ret, Some(38));
        let family: &[&str] =
            if cfg!(target_arch = "x86_64") { &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] } else { &["SCMP_ARCH_AARCH64"] };
        assert_eq!(profile.architectures, family);
        assert_eq!(profile.syscalls[0].errno_ret, Some(22));
        assert_eq!(profile.syscalls[0].args[0].value, 16);
    }

    #[test]
    fn an_oci_document_comes_out_as_it_went_in() {
        let profile = super::super::default_profile(SYS_ADMIN, KERNEL);
        let json = serde_json::to_string(&profile).unwrap();
        assert_eq!(parse(&json).unwrap(), profile);
    }

    #[test]
    fn bad_profiles_are_refused_with_the_word_at_fault() {
        assert_refused("", "EOF");
        assert_refused("null", "null");
        assert_refused("{}", "defaultAction");
        assert_refused(r#"{"defaultAction":"ALLOW"}"#, "\"ALLOW\"");
        let with = |more: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW",{more}}}"#);
        assert_refused(&with(r#""architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"x"}]"#), "archMap");
        assert_refused(&with(r#""architectures":["x86"]"#), "\"x86\"");
        assert_refused(&with(r#""flags":["TSYNC"]"#), "\"TSYNC\"");
        let rule = |more: &str| with(&format!(r#""syscalls":[{{"names":["read"],"action":"SCMP_ACT_LOG",{more}}}]"#));
        assert_refused(&rule(r#""name":"write""#), "both 'name' and 'names'");
        assert_refused(&rule(r#""errno":"EFOO""#), "\"EFOO\"");
        assert_refused(&rule(r#""args":[{"index":9,"op":"SCMP_CMP_EQ"}]"#), "index 9");
        assert_refused(&rule(r#""args":[{"index":0}]"#), "operator \"\"");
        for version in ["5", "5.", ".5", "+5.1", "5.1.2", "0.0", "x.y", "99999999999.1"] {
            assert_refused(&rule(&format!(r#""includes":{{"minKernel":"{version}"}}"#)), version);
        }
    }

    fn words(list: &'static [&'static str]) -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            8 => prop::sample::select(list).prop_map(serde_json::Value::from),
            1 => any::<String>().prop_map(serde_json::Value::from),
            1 => any::<i64>().prop_map(serde_json::Value::from),
            1 => Just(serde_json::Value::Null),
        ]
    }

    /// Objects with the format's own keys and mostly values of the right kind.
    fn documents() -> impl Strategy<Value = serde_json::Value> {
        let leaf = words(&[
            "SCMP_ACT_ALLOW",
            "SCMP_ACT_ERRNO",
            "SCMP_CMP_MASKED_EQ",
            "SCMP_CMP_GT",
            "SCMP_ARCH_X86_64",
            "CAP_SYS_ADMIN",
            "amd64",
            "4.8",
            "EPERM",
            "read",
            "socket",
            "clone3",
        ]);
        const KEYS: &[&str] = &[
            "defaultAction",
            "defaultErrnoRet",
            "architectures",
            "archMap",
            "architecture",
            "subArchitectures",
            "flags",
            "syscalls",
            "name",
            "names",
            "action",
            "errnoRet",
            "errno",
            "args",
            "index",
            "value",
            "valueTwo",
            "op",
            "includes",
            "excludes",
            "caps",
            "arches",
            "minKernel",
        ];
        leaf.prop_recursive(5, 96, 6, |inner| {
            let object = prop::collection::vec((prop::sample::select(KEYS), inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
                object.prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
            ]
        })
    }

    prop_compose! {
        fn rules()(
            names in prop::collection::vec(prop::sample::select(&["read", "socket", "ipc", "clone", "nope"][..]), 0..4),
            action in prop::sample::select(&["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "x"][..]),
            args in prop::collection::vec((0_u32..8, any::<u64>(), any::<u64>(), prop::sample::select(
                &["SCMP_CMP_EQ", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"][..])), 0..4),
            includes in prop::option::of(documents()),
        ) -> serde_json::Value {
            let arg = |(index, value, two, op): &(u32, u64, u64, &str)| {
                serde_json::json!({"index": index, "value": value, "valueTwo": two, "op": op})
            };
            let args: Vec<_> = args.iter().map(arg).collect();
            let mut rule = serde_json::json!({"names": names, "action": action, "args": args});
            if let Some(includes) = includes {
                rule["includes"] = includes;
            }
            rule
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_give_a_profile_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_json(&bytes, SYS_ADMIN, KERNEL);
        }

        #[test]
        fn any_document_gives_a_profile_or_an_error(document in documents(), capabilities in any::<u64>()) {
            let _ = from_json(document.to_string().as_bytes(), capabilities, KERNEL);
        }

        /// What is accepted compiles, and means the same when it is read again.
        #[test]
        fn accepted_profiles_are_stable(rules in prop::collection::vec(rules(), 0..8), capabilities in any::<u64>()) {
            let json = serde_json::json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}).to_string();
            if let Ok(profile) = from_json(json.as_bytes(), capabilities, KERNEL) {
                let again = serde_json::to_vec(&profile).unwrap();
                prop_assert_eq!(from_json(&again, capabilities, KERNEL).unwrap(), profile);
            }
        }
    }
}
