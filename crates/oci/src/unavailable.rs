//! What a bundle asks for that has no effect on this machine and that need not keep its container from running: engines
//! write such things into every specification. It is taken out, for the runtime below refuses it, and told to
//! whoever prints. Capabilities are sifted in `capabilities.rs`.

use kernel::label;
use spec::runtime::Spec;

/// Takes it out of `spec`; the warnings.
pub fn sift(spec: &mut Spec) -> Vec<String> {
    let mut warnings = Vec::new();
    for mount in &mut spec.mounts {
        let data = runtime::sift_bind(mount);
        if !data.is_empty() {
            let (place, data) = (&mount.destination, data.join(","));
            warnings.push(format!("bind mount on {place}: ignoring options of file systems: {data}"));
        }
    }
    if let Some(process) = &mut spec.process
        && !process.apparmor_profile.is_empty()
        && !label::has_apparmor()
    {
        let profile = std::mem::take(&mut process.apparmor_profile);
        // "unconfined" is so without AppArmor, too.
        if profile != "unconfined" {
            warnings.push(format!("ignoring apparmor profile {profile:?}: the kernel has no apparmor"));
        }
    }
    if let Some(linux) = &mut spec.linux
        && !linux.mount_label.is_empty()
        && !label::has_selinux()
    {
        let label = std::mem::take(&mut linux.mount_label);
        warnings.push(format!("ignoring mount label {label:?}: selinux is disabled or not supported"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::{Linux, Mount, Process};

    #[test]
    fn what_has_no_effect_is_told() {
        let mut spec = Spec {
            process: Some(Process { apparmor_profile: "x".into(), ..Process::default() }),
            mounts: vec![Mount {
                destination: "/x".into(),
                options: ["bind", "mode=755"].map(str::to_owned).to_vec(),
                ..Mount::default()
            }],
            linux: Some(Linux { mount_label: "y".into(), ..Linux::default() }),
            ..Spec::default()
        };
        let warnings = sift(&mut spec).join("\n");
        assert!(warnings.contains("mode=755"), "{warnings}");
        assert_eq!(warnings.contains("\"x\""), !label::has_apparmor(), "{warnings}");
        assert_eq!(warnings.contains("\"y\""), !label::has_selinux(), "{warnings}");
        assert_eq!(spec.mounts[0].options, ["bind"]);
        assert!(sift(&mut spec).is_empty());
    }
}
