//! What can be said about options without the image and before anything is made: values out of
//! range, options that exclude each other, names. Texts are docker's where docker has one.

use crate::error::{Error, Result};
use crate::oci_spec;
use crate::options::{Ipc, MountSource, Network, Options, Resources, Restart, Sharing};
use kernel::capability::Capability;
use kernel::signal::Signal;

/// The least memory that a container's init can start with (docker's bound).
const MEMORY_BYTES_MIN: i64 = 6 * 1024 * 1024;

pub fn options(options: &Options) -> Result<()> {
    resources(&options.resources)?;
    namespaces(options)?;
    mounts(options)?;
    capabilities(&options.security.cap_add, "--cap-add")?;
    capabilities(&options.security.cap_drop, "--cap-drop")?;
    lifecycle(options)?;
    workdir(options)
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`
pub fn container_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.len() > 0 && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && name.len() <= 255 {
        return Ok(());
    }
    Err(Error::Invalid(format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
}

/// Shared with `update`.
pub fn resources(resources: &Resources) -> Result<()> {
    let invalid = |text: String| Err(Error::Invalid(text));
    let memory = resources.memory_bytes.filter(|bytes| *bytes > 0);
    if memory.is_some_and(|bytes| bytes < MEMORY_BYTES_MIN) {
        return invalid("Minimum memory limit allowed is 6MB".into());
    }
    if let Some(total) = resources.memory_swap_bytes.filter(|bytes| *bytes > 0) {
        match memory {
            None => {
                return invalid("You should always set the Memory limit when using Memoryswap limit, see usage".into());
            }
            Some(memory) if total < memory => {
                return invalid("Minimum memoryswap limit should be larger than memory limit, see usage".into());
            }
            Some(_) => {}
        }
    }
    if let (Some(memory), Some(reservation)) = (memory, resources.memory_reservation_bytes)
        && reservation > memory
    {
        return invalid("Minimum memory limit can not be less than memory reservation limit, see usage".into());
    }
    if resources.memory_swappiness.is_some_and(|value| value > 100) {
        return invalid(format!(
            "Invalid value: {}, valid memory swappiness range is 0-100",
            resources.memory_swappiness.unwrap_or(0)
        ));
    }
    if let Some(nano) = resources.nano_cpus.filter(|nano| *nano != 0) {
        let cpus = kernel::machine::usable_cpus();
        if nano < 0 || nano > i64::from(cpus) * 1_000_000_000 {
            return invalid(format!(
                "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
            ));
        }
        if resources.cpu_period_microseconds.is_some() || resources.cpu_quota_microseconds.is_some() {
            return invalid("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set".into());
        }
    }
    if resources.cpu_period_microseconds.is_some_and(|period| period != 0 && !(1000..=1_000_000).contains(&period)) {
        return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)".into());
    }
    if resources.cpu_quota_microseconds.is_some_and(|quota| quota > 0 && quota < 1000) {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)".into());
    }
    cpu_list(resources.cpuset_cpus.as_deref(), "CPUs", "cpuset cpus", "/sys/devices/system/cpu/online")?;
    cpu_list(resources.cpuset_mems.as_deref(), "memory nodes", "cpuset mems", "/sys/devices/system/node/online")?;
    if resources.blkio_weight.is_some_and(|weight| weight != 0 && !(10..=1000).contains(&weight)) {
        return invalid("Range of blkio weight is from 10 to 1000".into());
    }
    if resources.oom_score_adj.is_some_and(|value| !(-1000..=1000).contains(&value)) {
        return invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            resources.oom_score_adj.unwrap_or(0)
        ));
    }
    Ok(())
}

/// Every number of `asked` must be on line, as the kernel lists it in `file`.
fn cpu_list(asked: Option<&str>, what: &str, option: &str, file: &str) -> Result<()> {
    let Some(asked) = asked.filter(|list| !list.is_empty()) else { return Ok(()) };
    let ranges = parse_list(asked).ok_or_else(|| Error::Invalid(format!("Invalid value {asked} for {option}")))?;
    // Without the file (one memory node, say) the kernel decides.
    let Ok(online) = std::fs::read_to_string(file) else { return Ok(()) };
    let available = parse_list(online.trim()).unwrap_or_default();
    let fits = |(first, last): &(u32, u32)| available.iter().any(|(from, to)| from <= first && last <= to);
    if ranges.iter().all(fits) {
        return Ok(());
    }
    Err(Error::Invalid(format!("Requested {what} are not available - requested {asked}, available: {}", online.trim())))
}

/// `0-2,5` as ranges (cpuset(7), list format).
fn parse_list(text: &str) -> Option<Vec<(u32, u32)>> {
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some((first, last))
        })
        .collect()
}

fn namespaces(options: &Options) -> Result<()> {
    let namespaces = &options.namespaces;
    let unsupported = |text: &str| Err(Error::Unsupported(text.into()));
    if namespaces.uts_host && namespaces.hostname.is_some() {
        return Err(Error::Invalid("conflicting options: hostname and the UTS mode".into()));
    }
    if let Some(name) = &namespaces.hostname {
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if !fits {
            return Err(Error::Invalid(format!(
                "invalid hostname format: {name}: use at most 64 letters, digits, '-' and '.'"
            )));
        }
    }
    network(options)?;
    if options.security.sysctls.keys().any(|key| key.starts_with("net.")) && namespaces.network == Network::Host {
        return Err(Error::Invalid(
            "sysctl 'net.*' not allowed as the network namespace is shared with the host".into(),
        ));
    }
    if matches!(namespaces.pid, Sharing::Container(ref name) if name.is_empty())
        || matches!(namespaces.ipc, Ipc::Container(ref name) if name.is_empty())
    {
        return unsupported("container: needs the name or id of a container after it");
    }
    Ok(())
}

/// What only makes sense with networks of one's own, in docker's words.
fn network(options: &Options) -> Result<()> {
    let conflict = |text: &str| Err(Error::Invalid(format!("conflicting options: {text}")));
    let (mode, asked) = (&options.namespaces.network, &options.networking);
    if let Network::Container(name) = mode {
        if name.is_empty() {
            return Err(Error::Invalid("invalid container format container:<name|id>".into()));
        }
        if options.namespaces.hostname.is_some() {
            return conflict("hostname and the network mode");
        }
        if !asked.publish.is_empty() || asked.publish_all {
            return conflict("port publishing and the container type network mode");
        }
        if !asked.dns.is_empty() {
            return conflict("dns and the network mode");
        }
        if !asked.extra_hosts.is_empty() {
            return conflict("custom host-to-IP mapping and the network mode");
        }
        if !options.expose.is_empty() {
            return conflict("port exposing and the container type network mode");
        }
    }
    if matches!(mode, Network::Host | Network::Container(_)) && !asked.links.is_empty() {
        return conflict("host type networking can't be used with links. This would result in undefined behavior");
    }
    let is_address = |text: &str| text == "host-gateway" || text.parse::<std::net::IpAddr>().is_ok();
    let fits = |extra: &&String| {
        extra.split_once(':').is_some_and(|(name, address)| {
            !name.is_empty() && !name.contains(char::is_whitespace) && is_address(address.trim_matches(['[', ']']))
        })
    };
    if let Some(extra) = asked.extra_hosts.iter().find(|extra| !fits(extra)) {
        return Err(Error::Invalid(format!("bad format for add-host: \"{extra}\": use NAME:ADDRESS")));
    }
    let names = asked.attachments.iter().flat_map(|one| &one.aliases);
    match names.into_iter().find(|name| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '/')) {
        Some(name) => Err(Error::Invalid(format!("invalid network alias {name:?}"))),
        None => Ok(()),
    }
}

fn mounts(options: &Options) -> Result<()> {
    let mut targets: Vec<&str> = Vec::new();
    for mount in &options.storage.mounts {
        let target = mount.target.trim_end_matches('/');
        if !mount.target.starts_with('/') {
            return Err(Error::Invalid(format!("invalid mount path: '{}' mount path must be absolute", mount.target)));
        }
        if target.is_empty() {
            return Err(Error::Invalid("invalid specification: destination can't be '/'".into()));
        }
        if targets.contains(&target) {
            return Err(Error::Invalid(format!("Duplicate mount point: {}", mount.target)));
        }
        targets.push(target);
        if let MountSource::Bind { path, create: false, .. } = &mount.source
            && std::fs::metadata(path).is_err()
        {
            return Err(Error::Invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {path}"
            )));
        }
    }
    Ok(())
}

fn capabilities(names: &[String], flag: &str) -> Result<()> {
    for name in names {
        let full = oci_spec::capability_name(name);
        if full != oci_spec::CAPABILITY_ALL && Capability::from_name(&full).is_none() {
            return Err(Error::Invalid(format!(
                "invalid capability \"{name}\" for {flag}: see capabilities(7) for the names"
            )));
        }
    }
    Ok(())
}

fn lifecycle(options: &Options) -> Result<()> {
    if options.lifecycle.auto_remove && options.lifecycle.restart != Restart::No {
        return Err(Error::Invalid("conflicting options: cannot specify both --restart and --rm".into()));
    }
    match &options.lifecycle.stop_signal {
        Some(name) if Signal::parse(name).is_none() => Err(Error::Invalid(format!("invalid signal: {name}"))),
        _ => Ok(()),
    }
}

fn workdir(options: &Options) -> Result<()> {
    match &options.process.workdir {
        Some(path) if !path.starts_with('/') => {
            Err(Error::Invalid(format!("the working directory '{path}' is invalid, it needs to be an absolute path")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["ab", "a1", "A.b-c_d", "0a"] {
            assert!(container_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", ".a", "a b", "a/b", "ä1", "a\n"] {
            assert!(container_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(parse_list("0-2,5"), Some(vec![(0, 2), (5, 5)]));
        for bad in ["", "a", "2-1", "1-", "-1", "0,,1"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn memory_rules() {
        let with = |memory, swap, reservation| {
            resources(&Resources {
                memory_bytes: memory,
                memory_swap_bytes: swap,
                memory_reservation_bytes: reservation,
                ..Resources::default()
            })
        };
        let mib = 1024 * 1024;
        assert!(with(Some(5 * mib), None, None).is_err());
        assert!(with(Some(64 * mib), Some(32 * mib), None).is_err());
        assert!(with(None, Some(32 * mib), None).is_err());
        assert!(with(Some(64 * mib), Some(-1), None).is_ok());
        assert!(with(Some(64 * mib), None, Some(65 * mib)).is_err());
    }
}
