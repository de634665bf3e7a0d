//! `brig hello-inside`: what the embedded image `hello` runs. Reports what a process in a container sees of its own cell,
//! reading /proc, /sys and the cgroup files as any program in there could. Every part is optional: what cannot be read is
//! left out or called unknown. Knows both cgroup versions.

use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::globals::Place;
use crate::output;
use crate::output::size;
use kernel::capability::Capability;
use std::fmt::Write as _;
use std::path::Path;

/// Column in which values begin.
const INDENT: usize = 21;
/// What is said where no cgroup can be seen.
const NO_CGROUP: &str = "not visible";
/// Columns of a value.
const WIDTH: usize = 76;

/// Prints the report.
pub fn run(_place: &Place, _parsed: Parsed) -> Outcome {
    output::print(&report())
}

fn report() -> String {
    let status = read("/proc/self/status");
    let mut text = String::from("Hello from inside a brig container.\n\nThis process can see:\n\n");
    let mut line = |name: &str, value: String| _ = writeln!(text, "  {name:<18} {value}");
    line("process", process());
    line("user", format!("uid {}, gid {}", first(field(&status, "Uid")), first(field(&status, "Gid"))));
    line("host name", or_unknown(read("/proc/sys/kernel/hostname").trim()));
    line("kernel", or_unknown(read("/proc/sys/kernel/osrelease").trim()));
    line("namespaces", namespaces());
    line("uid map", uid_map(&read("/proc/self/uid_map")));
    line("capabilities", capabilities(field(&status, "CapEff")));
    let (now, ever) = (field(&status, "CapEff"), field(&status, "CapBnd"));
    line("  may ever gain", if now == ever { "no more".to_owned() } else { capabilities(ever) });
    line("seccomp", seccomp(field(&status, "Seccomp"), field(&status, "Seccomp_filters")));
    line("no new privileges", if field(&status, "NoNewPrivs") == "1" { "on" } else { "off" }.to_owned());
    line("memory limit", limit(&["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]));
    line("CPU limit", cpu_limit());
    line("process limit", count_limit(&["/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"]));
    line("cgroup", cgroup_version().to_owned());
    line("interfaces", or_unknown(&interfaces(&read("/proc/self/net/dev"))));
    let mounts = read("/proc/self/mounts");
    line("root file system", root_filesystem(&mounts));
    let _ = writeln!(text, "\n  {} mounts:", mounts.lines().count());
    text.push_str(&mount_list(&mounts));
    text.push_str("\nTo look around yourself:  brig run --rm -it debian bash\n");
    text
}

fn read(path: &str) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn or_unknown(text: &str) -> String {
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

/// The value behind `name:` in /proc/PID/status.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim).unwrap_or_default()
}

fn first(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("unknown")
}

fn process() -> String {
    let others = processes().saturating_sub(1);
    let company = match others {
        0 => "alone".to_owned(),
        1 => "with one other".to_owned(),
        _ => format!("with {others} others"),
    };
    format!("pid {}, {company}", std::process::id())
}

fn processes() -> usize {
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())).count()
}

/// Each with the kernel's number for it: the same number outside would mean a shared one.
fn namespaces() -> String {
    let found = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"].iter().filter_map(|name| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
        let link = link.to_string_lossy().into_owned();
        let number = link.split_once('[')?.1.trim_end_matches(']').to_owned();
        Some(format!("{name} {number}"))
    });
    let found: Vec<String> = found.collect();
    or_unknown(&found.chunks(4).map(|some| some.join(", ")).collect::<Vec<_>>().join(&format!(",\n{:INDENT$}", "")))
}

fn uid_map(map: &str) -> String {
    let ranges = map.lines().filter_map(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers.as_slice() {
            [0, 0, 4_294_967_295] => Some("the host's users".to_owned()),
            [inside, outside, count] => Some(format!("{inside} here is {outside} outside ({count} ids)")),
            _ => None,
        }
    });
    or_unknown(&ranges.collect::<Vec<_>>().join(", "))
}

fn capabilities(hex: &str) -> String {
    let Ok(bits) = u64::from_str_radix(hex, 16) else { return "unknown".to_owned() };
    if bits == 0 {
        return "none".to_owned();
    }
    let held = Capability::known().filter(|capability| bits & (1 << capability.number()) != 0);
    let names: Vec<String> =
        held.map(|capability| capability.name().trim_start_matches("CAP_").to_ascii_lowercase()).collect();
    let mut text = format!("{} of {}: ", names.len(), Capability::known().count());
    let mut width = text.len();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            text.push(',');
            width += name.len() + 2;
            if width > WIDTH {
                let _ = write!(text, "\n{:INDENT$}", "");
                width = name.len();
            } else {
                text.push(' ');
            }
        }
        text.push_str(name);
    }
    text
}

fn seccomp(mode: &str, filters: &str) -> String {
    match (mode, filters) {
        ("0", _) => "off".to_owned(),
        ("1", _) => "strict".to_owned(),
        ("2", "") => "filter".to_owned(),
        ("2", count) => format!("filter ({count} loaded)"),
        _ => "unknown".to_owned(),
    }
}

fn first_readable(paths: &[&str]) -> String {
    paths.iter().map(|path| read(path)).find(|text| !text.trim().is_empty()).unwrap_or_default()
}

fn limit(paths: &[&str]) -> String {
    match first_readable(paths).trim() {
        "" => absent_limit(cgroup_version()),
        "max" => "none".to_owned(),
        // v1 writes "no limit" as the largest multiple of a page.
        text => match text.parse::<u64>() {
            Ok(bytes) if bytes >= 1 << 62 => "none".to_owned(),
            Ok(bytes) => size::binary(bytes),
            Err(_) => "unknown".to_owned(),
        },
    }
}

fn count_limit(paths: &[&str]) -> String {
    match first_readable(paths).trim() {
        "" => absent_limit(cgroup_version()),
        "max" => "none".to_owned(),
        "1" => "1 process".to_owned(),
        count => format!("{count} processes"),
    }
}

/// A controller that has no file for us does not limit us, if the cgroup can be seen at all.
fn absent_limit(version: &str) -> String {
    if version == NO_CGROUP { "unknown" } else { "none" }.to_owned()
}

fn cpu_limit() -> String {
    let v2 = read("/sys/fs/cgroup/cpu.max");
    let v1 = || {
        format!(
            "{} {}",
            read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").trim(),
            read("/sys/fs/cgroup/cpu/cpu.cfs_period_us").trim()
        )
    };
    match cpus(&if v2.is_empty() { v1() } else { v2 }) {
        Some(limit) => limit,
        None => absent_limit(cgroup_version()),
    }
}

/// `quota period` in microseconds; `None` when they are not there.
fn cpus(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let (quota, period) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (quota, quota.parse::<f64>(), period.parse::<f64>()) {
        ("max" | "-1", _, _) => Some("none".to_owned()),
        (_, Ok(quota), Ok(period)) if period > 0.0 => {
            let count = (quota / period * 1000.0).round() / 1000.0;
            Some(format!("{count} {}", if count == 1.0 { "CPU" } else { "CPUs" }))
        }
        _ => None,
    }
}

fn cgroup_version() -> &'static str {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "version 2"
    } else if Path::new("/sys/fs/cgroup/memory").exists() {
        "version 1"
    } else {
        NO_CGROUP
    }
}

fn interfaces(dev: &str) -> String {
    let names = dev.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    names.collect::<Vec<_>>().join(", ")
}

fn root_filesystem(mounts: &str) -> String {
    let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).rfind(|words| words.get(1) == Some(&"/"));
    match root.as_deref() {
        Some([_, _, kind, options, ..]) => {
            let access = if options.split(',').any(|option| option == "ro") { "read-only" } else { "writable" };
            format!("{kind}, {access}")
        }
        _ => "unknown".to_owned(),
    }
}

fn mount_list(mounts: &str) -> String {
    let rows: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    let column = rows.iter().filter_map(|row| row.get(1)).map(|target| target.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        if let [_, target, kind, options, ..] = row.as_slice() {
            let access = options.split(',').next().unwrap_or_default();
            let _ = writeln!(text, "    {target:<column$}  {kind:<8} {access}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let cpus = |text: &str| cpus(text).unwrap_or_default();
        assert_eq!((cpus("20000 100000").as_str(), cpus("100000 100000").as_str()), ("0.2 CPUs", "1 CPU"));
        assert_eq!((cpus("max 100000"), cpus("-1 100000"), cpus(" ")), ("none".into(), "none".into(), String::new()));
        assert_eq!(uid_map("         0          0 4294967295\n"), "the host's users");
        assert_eq!(uid_map("0 100000 65536\n"), "0 here is 100000 outside (65536 ids)");
        assert_eq!(seccomp("2", "1"), "filter (1 loaded)");
        assert_eq!(root_filesystem("overlay / overlay ro,lowerdir=x 0 0\n"), "overlay, read-only");
        assert_eq!((absent_limit("version 1"), absent_limit(NO_CGROUP)), ("none".into(), "unknown".into()));
        assert_eq!(field("Name:\tx\nUid:\t0\t0\n", "Uid"), "0\t0");
        assert_eq!(interfaces("Inter-| a\n face |b\n    lo: 1\n"), "lo");
    }

    #[test]
    fn works_outside_of_a_container_too() {
        let text = report();
        assert!(text.starts_with("Hello from inside") && text.contains("capabilities"));
    }
}
