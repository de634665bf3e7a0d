//! The flags that `run` and `create` share, and what they mean: the conversion to `engine::options::Options`.
//! Only the text is looked at here: what needs the image or the machine is checked by the engine.

use super::value::{
    bytes, device, duration, env, log, mount, namespace, network, number, pair, publish, restart, security, sysctl,
    tmpfs, ulimit, volume,
};
use super::{Flag, Misuse, Parsed, access, limits, shared};
use engine::images::{PullPolicy, Reach};
use engine::options::{
    Attachment, Health, Lifecycle, Mount, Namespaces, Network, Networking, Options, Process, Resources, Restart,
    Security, Storage,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Flags of `run` and `create` alike, besides those of a process and the limits.
pub const FLAGS: [Flag; 63] = [
    Flag::value("add-host", "list", "Name that /etc/hosts is to know (NAME:ADDRESS)"),
    Flag::value("annotation", "map", "Annotation for the OCI configuration (KEY=VALUE)"),
    Flag::value("attach", "list", "Stream to connect: STDIN, STDOUT or STDERR").short('a'),
    Flag::value("cap-add", "list", "Capability to grant beyond the usual ones"),
    Flag::value("cap-drop", "list", "Capability to take away"),
    Flag::value("cgroupns", "string", "Whose cgroup namespace to run in (host|private)"),
    Flag::value("cidfile", "string", "New file that receives the container's ID"),
    Flag::value("device", "list", "Device of the host to make available inside"),
    Flag::value("dns", "list", "Resolver to ask instead of the host's"),
    Flag::value("dns-option", "list", "Option for resolv.conf"),
    Flag::value("dns-search", "list", "Domain to search for short names"),
    Flag::value("domainname", "string", "NIS domain name seen inside"),
    Flag::value("entrypoint", "string", "Program to start in place of the image's ENTRYPOINT"),
    Flag::value("expose", "list", "Port or port range to record as offered"),
    Flag::value("group-add", "list", "Further group for the process"),
    Flag::value("health-cmd", "string", "Shell command that tells whether all is well"),
    Flag::value("health-interval", "duration", "Pause between two health checks (ms|s|m|h)").default("0s"),
    Flag::value("health-retries", "int", "Failed checks in a row that mean unhealthy"),
    Flag::value("health-start-interval", "duration", "Pause between two checks in the start period (ms|s|m|h)")
        .default("0s"),
    Flag::value(
        "health-start-period",
        "duration",
        "Time after the start in which failed checks do not count towards health-retries (ms|s|m|h)",
    )
    .default("0s"),
    Flag::value("health-timeout", "duration", "How long one check may take (ms|s|m|h)").default("0s"),
    Flag::value("hostname", "string", "Host name seen inside").short('h'),
    Flag::switch("init", "Put a small init in front that passes signals on and reaps orphans"),
    Flag::value("ip", "ip", "Address to have (172.30.100.104)"),
    Flag::value("ip6", "ip", "IPv6 address to have (2001:db8::33)"),
    Flag::value("ipc", "string", "Whose IPC to use (private|shareable|none|host|container:NAME)"),
    Flag::value("label", "list", "Label for the container (KEY=VALUE)").short('l'),
    Flag::value("label-file", "list", "File with one label a line"),
    Flag::value("link", "list", "Other container to know by name (NAME[:ALIAS])"),
    Flag::value("log-driver", "string", "What keeps the output for 'logs' (json-file|none)").default("\"json-file\""),
    Flag::value("log-opt", "list", "Setting of the log (max-size, max-file, labels, env, tag)"),
    Flag::value("mac-address", "string", "MAC address to have (92:d0:c6:0a:29:33)"),
    Flag::value("memory-swappiness", "int", "How readily memory is swapped out (0 to 100)").default("-1"),
    Flag::value("mount", "mount", "Mount, written as KEY=VALUE pairs with commas"),
    Flag::value("name", "string", "What to call the container"),
    Flag::value("net", "network", "The same as --network"),
    Flag::value("network", "network", "Network to join: a name, none, host, container:NAME or ns:PATH")
        .default("bridge"),
    Flag::value("network-alias", "list", "Further name on the network"),
    Flag::switch("no-healthcheck", "Ignore the image's HEALTHCHECK"),
    Flag::switch("oom-kill-disable", "Never kill for lack of memory"),
    Flag::value("oom-score-adj", "int", "How soon to be killed when memory is short (-1000 to 1000)"),
    Flag::value("pid", "string", "Whose processes to see (host|container:NAME)"),
    shared::PLATFORM,
    Flag::switch("privileged", "Lift most of the isolation from the host"),
    Flag::value("publish", "list", "Port of the container to offer at a port of the host ([ADDRESS:]HOST:CONTAINER)")
        .short('p'),
    Flag::switch("publish-all", "Offer all exposed ports at random ports of the host").short('P'),
    Flag::value("pull", "string", "When to fetch the image (\"always\", \"missing\", \"never\")")
        .default("\"missing\""),
    Flag::switch("quiet", "Say nothing while fetching the image").short('q'),
    Flag::switch("read-only", "Forbid writing to the root file system"),
    shared::RESTART.default("\"no\""),
    Flag::switch("rm", "Delete the container and its anonymous volumes once it has ended"),
    Flag::value("runtime", "string", "OCI runtime to run under: a name in PATH or a path").default("brig"),
    Flag::value("security-opt", "list", "Security setting"),
    Flag::value("shm-size", "bytes", "Room in /dev/shm"),
    Flag::value("stop-signal", "string", "Signal that 'stop' sends"),
    Flag::value("stop-timeout", "int", "Seconds that 'stop' waits before it kills"),
    Flag::value("sysctl", "map", "Kernel parameter (KEY=VALUE)"),
    access::TLS_VERIFY,
    Flag::value("tmpfs", "list", "Directory to keep in memory"),
    Flag::value("ulimit", "ulimit", "Resource limit of the process"),
    Flag::value("userns", "string", "Whose user namespace to run in (host)"),
    Flag::value("uts", "string", "Whose host name to share (host)"),
    Flag::value("volume", "list", "Volume or host path to mount").short('v'),
];

/// Docker's flags of `run` and `create` that brig does not have.
pub const ABSENT: &[&str] = &[
    "blkio-weight-device",
    "cgroup-parent",
    "cpu-count",
    "cpu-percent",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "device-cgroup-rule",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "disable-content-trust",
    "gpus",
    "io-maxbandwidth",
    "io-maxiops",
    "isolation",
    "kernel-memory",
    "link-local-ip",
    "storage-opt",
    "use-api-socket",
    "volume-driver",
    "volumes-from",
];

/// What `run` and `create` were asked for.
pub struct Container {
    /// What the container is to be.
    pub options: Options,
    /// Which image to get, and how.
    pub image: Fetch,
    /// File for the new id.
    pub cidfile: Option<String>,
    /// `-a` as typed, in capitals.
    pub attach: Vec<String>,
}

/// How to come by an image.
pub struct Fetch {
    /// Reference or id as typed.
    pub name: String,
    pub pull: PullPolicy,
    pub platform: Option<spec::Platform>,
    pub reach: Reach,
    pub quiet: bool,
}

/// Reads all flags that `run` and `create` have alike.
pub fn read(parsed: &Parsed) -> Result<Container, Misuse> {
    let attach = parsed.each("attach", stream)?;
    let options = Options {
        image: parsed.first(),
        name: parsed.text("name"),
        process: process(parsed)?,
        storage: storage(parsed)?,
        resources: resources(parsed)?,
        security: security(parsed)?,
        namespaces: namespaces(parsed)?,
        networking: networking(parsed)?,
        lifecycle: lifecycle(parsed)?,
        runtime: parsed.text("runtime").filter(|name| !name.is_empty()),
        health: health(parsed)?,
        log: log::parse(parsed.last("log-driver"), &parsed.each("log-opt", pair::option)?)
            .map_err(|problem| parsed.misuse(problem))?,
        labels: labels(parsed)?,
        annotations: parsed.each("annotation", pair::label)?.into_iter().collect(),
        expose: exposed(parsed)?,
    };
    let image = Fetch {
        name: parsed.first(),
        pull: parsed.one("pull", pull_policy)?.unwrap_or(PullPolicy::Missing),
        platform: parsed.one("platform", shared::platform)?,
        reach: access::of_environment(parsed.switch("tls-verify") == Some(false)),
        quiet: parsed.on("quiet"),
    };
    Ok(Container { options, image, cidfile: parsed.text("cidfile"), attach })
}

fn process(parsed: &Parsed) -> Result<Process, Misuse> {
    let mut env = parsed.each("env-file", env::env_file)?.concat();
    env.extend(parsed.each("env", env::variable)?);
    Ok(Process {
        command: parsed.arguments.iter().skip(1).cloned().collect(),
        entrypoint: parsed
            .last("entrypoint")
            .map(|word| if word.is_empty() { Vec::new() } else { vec![word.to_owned()] }),
        env,
        workdir: parsed.text("workdir"),
        user: parsed.text("user"),
        group_add: parsed.list("group-add"),
        tty: parsed.on("tty"),
        stdin_open: parsed.on("interactive"),
        init: parsed.on("init"),
        // Which streams are attached and the terminal's size are known to the command, not to the flags.
        ..Process::default()
    })
}

fn storage(parsed: &Parsed) -> Result<Storage, Misuse> {
    let mut mounts: Vec<Mount> = parsed.each("volume", volume::parse)?;
    mounts.extend(parsed.each("mount", mount::parse)?);
    mounts.extend(parsed.each("tmpfs", tmpfs::parse)?);
    let shm = parsed.one("shm-size", bytes::memory)?.filter(|size| *size > 0);
    Ok(Storage { mounts, read_only: parsed.on("read-only"), shm_size_bytes: shm.map(i64::unsigned_abs) })
}

fn resources(parsed: &Parsed) -> Result<Resources, Misuse> {
    Ok(Resources {
        // The kernel's name for "never kill this container on lack of memory".
        oom_kill_disable: parsed.on("oom-kill-disable"),
        memory_swappiness: parsed.one("memory-swappiness", swappiness)?.flatten(),
        ulimits: parsed.each("ulimit", ulimit::parse)?,
        oom_score_adj: parsed.one("oom-score-adj", number::signed)?,
        ..limits::read(parsed)?
    })
}

fn swappiness(text: &str) -> Result<Option<u64>, String> {
    match number::signed::<i64>(text)? {
        -1 => Ok(None),
        value @ 0..=100 => Ok(Some(value.unsigned_abs())),
        value => Err(format!("invalid value: {value}. Valid memory swappiness range is 0-100")),
    }
}

fn security(parsed: &Parsed) -> Result<Security, Misuse> {
    let mut asked = Security {
        cap_add: parsed.list("cap-add"),
        cap_drop: parsed.list("cap-drop"),
        privileged: parsed.on("privileged"),
        devices: parsed.each("device", device::parse)?,
        sysctls: parsed.each("sysctl", sysctl::parse)?.into_iter().collect(),
        ..Security::default()
    };
    for option in parsed.each("security-opt", security::parse)? {
        match option {
            security::Choice::NoNewPrivileges(on) => asked.no_new_privileges = on,
            security::Choice::Seccomp(seccomp) => asked.seccomp = seccomp,
            security::Choice::AsItIs => {}
        }
    }
    Ok(asked)
}

fn namespaces(parsed: &Parsed) -> Result<Namespaces, Misuse> {
    Ok(Namespaces {
        network: mode(parsed)?,
        pid: parsed.one("pid", namespace::pid)?.unwrap_or_default(),
        ipc: parsed.one("ipc", namespace::ipc)?.unwrap_or_default(),
        uts_host: parsed.one("uts", namespace::uts)?.unwrap_or_default(),
        userns_host: parsed.one("userns", namespace::userns)?.unwrap_or_default(),
        cgroup_host: parsed.one("cgroupns", namespace::host_or_private)?.unwrap_or_default(),
        hostname: parsed.text("hostname"),
        domainname: parsed.text("domainname"),
    })
}

/// All of `--network` and `--net`, the default one when there is none.
fn networks(parsed: &Parsed) -> Result<Vec<network::Choice>, Misuse> {
    let mut all = parsed.each("network", network::parse)?;
    all.extend(parsed.each("net", network::parse)?);
    if all.is_empty() {
        let default = Attachment { network: engine::network::DEFAULT.to_owned(), ..Attachment::default() };
        all.push(network::Choice::Attachment(default));
    }
    Ok(all)
}

fn mode(parsed: &Parsed) -> Result<Network, Misuse> {
    let all = networks(parsed)?;
    match all.iter().find_map(|one| if let network::Choice::Mode(mode) = one { Some(mode) } else { None }) {
        None => Ok(Network::Attached),
        Some(mode) if all.len() == 1 => Ok(mode.clone()),
        Some(_) => {
            Err(parsed.misuse("conflicting options: cannot combine none, host, container: and ns: with other networks"))
        }
    }
}

fn networking(parsed: &Parsed) -> Result<Networking, Misuse> {
    let mut attachments: Vec<Attachment> = networks(parsed)?
        .into_iter()
        .filter_map(|one| if let network::Choice::Attachment(one) = one { Some(one) } else { None })
        .collect();
    let conflict = |flag: &str| {
        format!(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes, or --{flag} without one network to which it applies"
        )
    };
    let addresses = [parsed.one("ip", network::address)?, parsed.one("ip6", network::address)?];
    let mac = parsed.one("mac-address", network::mac)?;
    let aliases = parsed.list("network-alias");
    match attachments.first_mut() {
        Some(first) => {
            for address in addresses.into_iter().flatten() {
                match address {
                    IpAddr::V4(address) => first.ipv4 = Some(address),
                    IpAddr::V6(address) => first.ipv6 = Some(address),
                }
            }
            first.mac = mac.or(first.mac);
            first.aliases.extend(aliases);
        }
        None if addresses.iter().any(Option::is_some) => return Err(parsed.misuse(conflict("ip"))),
        None if mac.is_some() => return Err(parsed.misuse(conflict("mac-address"))),
        None if !aliases.is_empty() => return Err(parsed.misuse(conflict("network-alias"))),
        None => {}
    }
    let links =
        parsed.list("link").into_iter().map(|link| if link.contains(':') { link } else { format!("{link}:{link}") });
    Ok(Networking {
        attachments,
        publish: parsed.each("publish", publish::parse)?.concat(),
        publish_all: parsed.on("publish-all"),
        dns: parsed.each("dns", network::address)?,
        dns_search: parsed.list("dns-search"),
        dns_options: parsed.list("dns-option"),
        extra_hosts: parsed.list("add-host").into_iter().map(|one| extra_host(&one)).collect(),
        links: links.collect(),
    })
}

/// Docker takes `NAME=ADDRESS` too.
fn extra_host(text: &str) -> String {
    match text.split_once('=') {
        Some((name, address)) if !name.contains(':') => format!("{name}:{address}"),
        _ => text.to_owned(),
    }
}

fn lifecycle(parsed: &Parsed) -> Result<Lifecycle, Misuse> {
    let restart = parsed.one("restart", restart::parse)?.unwrap_or_default();
    if parsed.on("rm") && restart != Restart::No {
        return Err(parsed.misuse("conflicting options: cannot specify both --restart and --rm"));
    }
    parsed.one("stop-signal", shared::signal)?;
    Ok(Lifecycle {
        auto_remove: parsed.on("rm"),
        restart,
        stop_signal: parsed.text("stop-signal"),
        stop_timeout_seconds: parsed.one("stop-timeout", number::signed)?,
    })
}

fn health(parsed: &Parsed) -> Result<Health, Misuse> {
    let nanoseconds = |flag| parsed.one(flag, duration::health).map(|time| time.filter(|time| *time != 0));
    let health = Health {
        disabled: parsed.on("no-healthcheck"),
        command: parsed.text("health-cmd"),
        interval_nanoseconds: nanoseconds("health-interval")?,
        timeout_nanoseconds: nanoseconds("health-timeout")?,
        start_period_nanoseconds: nanoseconds("health-start-period")?,
        start_interval_nanoseconds: nanoseconds("health-start-interval")?,
        retries: parsed.one("health-retries", number::unsigned)?.filter(|retries| *retries != 0),
    };
    if health.disabled && (Health { disabled: false, ..health.clone() }) != Health::default() {
        return Err(parsed.misuse("--no-healthcheck conflicts with --health-* options"));
    }
    Ok(health)
}

fn labels(parsed: &Parsed) -> Result<BTreeMap<String, String>, Misuse> {
    let mut labels: BTreeMap<String, String> =
        parsed.each("label-file", env::label_file)?.into_iter().flatten().collect();
    labels.extend(parsed.each("label", pair::label)?);
    Ok(labels)
}

fn stream(text: &str) -> Result<String, String> {
    match text.to_ascii_uppercase() {
        name if ["STDIN", "STDOUT", "STDERR"].contains(&name.as_str()) => Ok(name),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

fn pull_policy(text: &str) -> Result<PullPolicy, String> {
    match text {
        "always" => Ok(PullPolicy::Always),
        "missing" | "" => Ok(PullPolicy::Missing),
        "never" => Ok(PullPolicy::Never),
        _ => Err(format!("invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\"")),
    }
}

/// What is published is offered, whether the image says so or not.
fn exposed(parsed: &Parsed) -> Result<Vec<String>, Misuse> {
    let mut all = parsed.each("expose", port)?.concat();
    for one in parsed.each("publish", publish::parse)?.concat() {
        let port = format!("{}/{}", one.container_port, one.protocol);
        if !all.contains(&port) {
            all.push(port);
        }
    }
    Ok(all)
}

/// `80`, `80/udp` or `80-82/tcp` as single ports with their protocol.
fn port(text: &str) -> Result<Vec<String>, String> {
    let invalid = || format!("invalid port {text:?}: use PORT[-PORT][/tcp|udp|sctp]");
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(invalid);
    let (first, last) = (number(first)?, number(last)?);
    if first > last || !["tcp", "udp", "sctp"].contains(&protocol) {
        return Err(invalid());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;
    use crate::flags::run::COMMAND;
    use engine::options::{Seccomp, Sharing};

    fn container(line: &str) -> Container {
        read(&words(&COMMAND, line).unwrap()).unwrap()
    }

    fn problem(line: &str) -> String {
        match words(&COMMAND, line).and_then(|parsed| read(&parsed)) {
            Ok(_) => String::new(),
            Err(misuse) => misuse.message,
        }
    }

    #[test]
    fn options_by_subject() {
        let asked = container(
            "-it --rm --name c1 -m 100m --cpus 0.2 --pids-limit 5 -e A=1 -v v1:/d --tmpfs /t --cap-drop ALL --security-opt seccomp=unconfined \
             --security-opt no-new-privileges --network host --pid container:x --health-cmd true --health-interval 1s -l a=b --entrypoint= --expose 80-81 img sh -c x",
        );
        let options = asked.options;
        assert_eq!((options.image.as_str(), options.name.as_deref()), ("img", Some("c1")));
        assert_eq!(options.process.command, ["sh", "-c", "x"]);
        assert_eq!(options.process.entrypoint, Some(Vec::new()));
        assert!(options.process.tty && options.process.stdin_open && options.lifecycle.auto_remove);
        assert_eq!(
            (options.resources.memory_bytes, options.resources.nano_cpus, options.resources.pids_limit),
            (Some(100 << 20), Some(200_000_000), Some(5))
        );
        assert_eq!(options.storage.mounts.len(), 2);
        assert_eq!((options.security.seccomp, options.security.no_new_privileges), (Seccomp::Unconfined, true));
        assert_eq!(
            (options.namespaces.network, options.namespaces.pid),
            (Network::Host, Sharing::Container("x".into()))
        );
        assert_eq!(options.health.interval_nanoseconds, Some(1_000_000_000));
        assert_eq!(
            (options.labels["a"].as_str(), options.expose),
            ("b", vec!["80/tcp".to_owned(), "81/tcp".to_owned()])
        );
    }

    #[test]
    fn zero_means_not_limited() {
        let resources = container("-m 0 --cpus 0 --pids-limit 0 --memory-swappiness -1 img").options.resources;
        assert_eq!(resources, Resources::default());
    }

    #[test]
    fn errors_use_dockers_words() {
        for (line, want) in [
            ("--memory abc i", "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"),
            ("--cpus abc i", "invalid argument \"abc\" for \"--cpus\" flag: failed to parse abc as a rational number"),
            ("--ulimit nofile i", "invalid argument \"nofile\" for \"--ulimit\" flag: invalid ulimit argument: nofile"),
            ("--pids-limit x i", "invalid argument \"x\" for \"--pids-limit\" flag: use a whole number"),
            ("-e =x i", "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x"),
            (
                "--health-interval 5x i",
                "invalid argument \"5x\" for \"--health-interval\" flag: time: unknown unit \"x\" in duration \"5x\"",
            ),
            ("--rm --restart always i", "conflicting options: cannot specify both --restart and --rm"),
            ("--health-cmd true --no-healthcheck i", "--no-healthcheck conflicts with --health-* options"),
            ("--pids-limit x", "invalid argument \"x\" for \"--pids-limit\" flag: use a whole number"),
            ("-p x i", "invalid argument \"x\" for \"-p, --publish\" flag: invalid containerPort: x"),
        ] {
            assert_eq!(problem(line), want, "{line}");
        }
        for line in [
            "--pull foo i",
            "-a foo i",
            "--stop-signal FOO i",
            "--expose x i",
            "--log-opt foo=bar i",
            "--env-file /nonexistent i",
            "--platform a/b/c/d i",
        ] {
            assert!(!problem(line).is_empty(), "{line}");
        }
    }
}
