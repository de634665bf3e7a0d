//! What a user may ask of a container: the one type that flags, the Docker API and CRI convert
//! to. Grouped by subject. Values are validated by whoever parses them; rules that need the
//! image or the machine are checked in `validate.rs` and `oci_spec.rs`. Stored in
//! `container.json` as typed, so that `start` after an upgrade of brig rebuilds the spec.

pub use net::ports::{Protocol, Publish};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Everything asked for one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The image as typed: a reference, an id or a prefix of one.
    pub image: String,
    /// `--name`; a random one is made when absent.
    pub name: Option<String>,
    pub process: Process,
    pub storage: Storage,
    pub resources: Resources,
    pub security: Security,
    pub namespaces: Namespaces,
    pub networking: Networking,
    pub lifecycle: Lifecycle,
    /// `--runtime` as typed: another OCI runtime, by a name in PATH or a path.
    pub runtime: Option<String>,
    pub health: Health,
    pub log: Log,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `--expose`: `80/tcp`.
    pub expose: Vec<String>,
}

/// What runs, as whom, with which streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// The words after the image; empty means the image's CMD.
    pub command: Vec<String>,
    /// `--entrypoint`; `Some(vec![])` is `--entrypoint ""`, which clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value`, later ones win. `--env-file` first, then `-e`; `-e KEY` is already resolved by the caller.
    pub env: Vec<String>,
    pub workdir: Option<String>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    pub group_add: Vec<String>,
    pub tty: bool,
    /// `-i`: keep standard input open.
    pub stdin_open: bool,
    /// Streams that `run`/`start -a` attach to by default.
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    /// A small init of ours as pid 1.
    pub init: bool,
    /// Characters; only with `tty`.
    pub console_size: Option<(u16, u16)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// `-v`, `--mount` and `--tmpfs`, in the order typed.
    pub mounts: Vec<Mount>,
    pub read_only: bool,
    /// Bytes; default 64 MiB.
    pub shm_size_bytes: Option<u64>,
}

/// One mount. `target` is absolute in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
    pub source: MountSource,
    #[serde(default)]
    pub typed: Typed,
}

/// How a mount was asked for; it matters to those who show it again and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Typed {
    /// `-v`, with the words behind the second colon: `ro,z`.
    Volume { mode: String },
    /// `--mount`, with its `consistency`, which means nothing on Linux.
    Mount { consistency: String },
    /// `--tmpfs`
    Tmpfs,
}

impl Default for Typed {
    fn default() -> Typed {
        Typed::Volume { mode: String::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    Bind {
        /// Absolute path on the host.
        path: String,
        /// `-v` makes a missing directory, `--mount` refuses it.
        create: bool,
        /// `rprivate` (default), `private`, `rshared`, `shared`, `rslave`, `slave`; empty means default.
        propagation: String,
        /// `bind-recursive=disabled`: only the top mount.
        non_recursive: bool,
    },
    Volume {
        /// `None`: an anonymous volume.
        name: Option<String>,
        /// Copy the image's files into a new empty volume (default true; `nocopy` false).
        copy: bool,
        labels: BTreeMap<String, String>,
        driver: String,
        driver_options: BTreeMap<String, String>,
    },
    Tmpfs {
        size_bytes: Option<u64>,
        /// Octal mode, e.g. 0o1777.
        mode: Option<u32>,
        /// mount(8) options as `--tmpfs` takes them (`rw`, `noexec`, `uid=…`), already checked.
        options: Vec<String>,
    },
}

/// All `None`: not limited. -1 where unlimited can be asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    pub memory_bytes: Option<i64>,
    /// Memory and swap together; -1 unlimited swap.
    pub memory_swap_bytes: Option<i64>,
    pub memory_reservation_bytes: Option<i64>,
    pub memory_swappiness: Option<u64>,
    pub oom_kill_disable: bool,
    /// Billionths of a CPU.
    pub nano_cpus: Option<i64>,
    pub cpu_shares: Option<u64>,
    pub cpu_period_microseconds: Option<u64>,
    pub cpu_quota_microseconds: Option<i64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    pub pids_limit: Option<i64>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    pub ulimits: Vec<Ulimit>,
    pub oom_score_adj: Option<i32>,
}

/// `name` without `RLIMIT_`, lower case: `nofile`. `u64::MAX` is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// Names with or without `CAP_`, any case, or `ALL`.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    pub devices: Vec<Device>,
    pub sysctls: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    #[default]
    Default,
    Unconfined,
    /// The text of a profile file, read when the flag was parsed.
    Profile(String),
}

/// `--device HOST[:CONTAINER[:rwm]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub host_path: String,
    pub container_path: String,
    /// Subset of `rwm`.
    pub permissions: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    pub network: Network,
    pub pid: Sharing,
    pub ipc: Ipc,
    pub uts_host: bool,
    /// `--userns host`, today the only mode.
    pub userns_host: bool,
    pub cgroup_host: bool,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A loopback of its own and nothing else.
    #[default]
    None,
    Host,
    /// A namespace of its own on the networks of [`Networking::attachments`].
    Attached,
    /// That of another container; name or id as typed.
    Container(String),
    /// A namespace by the path of its file.
    Ns(String),
}

/// What the container is connected to, and under which names it and others are known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Networking {
    /// In this order: the first that leads outside is the way out, and carries the published ports.
    pub attachments: Vec<Attachment>,
    pub publish: Vec<Publish>,
    /// `-P`: all exposed ports, at random ones of the host.
    pub publish_all: bool,
    /// Resolvers instead of the host's.
    pub dns: Vec<IpAddr>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// `NAME:ADDRESS`; the address may be `host-gateway`.
    pub extra_hosts: Vec<String>,
    /// `CONTAINER:ALIAS`
    pub links: Vec<String>,
}

/// One network of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Name or id as typed.
    pub network: String,
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    pub mac: Option<[u8; 6]>,
    pub aliases: Vec<String>,
    /// In the container; `eth` and a number without it.
    pub interface: Option<String>,
}

/// Own namespace, the host's, or that of another container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    #[default]
    Private,
    Host,
    /// Name or id as typed.
    Container(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ipc {
    #[default]
    Private,
    /// As private, and other containers may join.
    Shareable,
    /// Private without /dev/shm.
    None,
    Host,
    Container(String),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    pub auto_remove: bool,
    pub restart: Restart,
    /// `TERM`, `SIGTERM` or a number; `None`: the image's, else SIGTERM.
    pub stop_signal: Option<String>,
    /// Default 10; -1 waits for ever.
    pub stop_timeout_seconds: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    No,
    Always,
    UnlessStopped,
    OnFailure {
        /// 0: no bound.
        maximum_retries: u32,
    },
}

/// `--health-*` and `--no-healthcheck`; what is `None` comes from the image. Times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    pub disabled: bool,
    /// A shell command line.
    pub command: Option<String>,
    pub interval_nanoseconds: Option<i64>,
    pub timeout_nanoseconds: Option<i64>,
    pub start_period_nanoseconds: Option<i64>,
    pub start_interval_nanoseconds: Option<i64>,
    pub retries: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    pub driver: LogDriver,
    /// Bytes of one file; 0: unbounded (`max-size=-1`).
    pub max_size_bytes: u64,
    /// Files kept, the current one included.
    pub max_files: u32,
    /// Labels and variables by whose names values go beside each line.
    pub labels: Vec<String>,
    pub env: Vec<String>,
    /// Goes beside each line too; `{{.Name}}` and the like stand for the container's.
    pub tag: String,
    /// The options as typed, for inspect.
    pub options: BTreeMap<String, String>,
}

impl Default for Log {
    /// Bounded unless asked otherwise: an unbounded log is the commonest way to fill a disk.
    fn default() -> Log {
        Log {
            driver: LogDriver::JsonFile,
            max_size_bytes: 10 * 1000 * 1000,
            max_files: 3,
            labels: Vec::new(),
            env: Vec::new(),
            tag: String::new(),
            options: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    #[default]
    JsonFile,
    None,
}
