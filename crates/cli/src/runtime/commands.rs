//! The commands of `brig runtime` with their flags, as runc has them, in the order of its help. A flat list.

use crate::runtime::parse::{Command, Flag, Kind, Order};

/// Where containers' state is unless `--root` says otherwise.
pub const DEFAULT_ROOT: &str = "/run/brig/runtime";

const fn switch(name: &'static str, short: &'static str, help: &'static str) -> Flag {
    Flag { name, short, kind: Kind::Switch, help }
}

const fn text(name: &'static str, short: &'static str, help: &'static str) -> Flag {
    Flag { name, short, kind: Kind::Text(""), help }
}

const fn list(name: &'static str, short: &'static str, help: &'static str) -> Flag {
    Flag { name, short, kind: Kind::List, help }
}

const fn number(name: &'static str, help: &'static str) -> Flag {
    Flag { name, short: "", kind: Kind::Number, help }
}

const fn defaulted(name: &'static str, short: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short, kind: Kind::Text(default), help }
}

/// Before the command.
pub const GLOBALS: &[Flag] = &[
    switch("debug", "", "log what is done, too"),
    text("log", "", "file to write the log to (standard error if absent)"),
    defaulted("log-format", "", "\"text\"", "text or json"),
    defaulted("root", "", "\"/run/brig/runtime\"", "directory of the containers' state, best on a tmpfs"),
    switch("systemd-cgroup", "", "let systemd make the cgroups; cgroupsPath is then slice:prefix:name"),
    defaulted("rootless", "", "\"auto\"", "go on without cgroups where there is no right to them: true, false or auto"),
    Flag { name: "criu", short: "", kind: Kind::Hidden, help: "" },
    switch("help", "h", "show help"),
    switch("version", "v", "print the version"),
];

const BUNDLE: Flag = text("bundle", "b", "the bundle's directory (the working directory if absent)");
const CONSOLE: Flag = text("console-socket", "", "unix socket that gets the master side of the terminal");
const PIDFD: Flag = text("pidfd-socket", "", "unix socket that gets a pidfd of the process");
const PID_FILE: Flag = text("pid-file", "", "file to write the process's pid to");
const NO_PIVOT: Flag = switch("no-pivot", "", "move the root instead of pivoting to it, for hosts on a RAM disk");
const NO_KEYRING: Flag = switch("no-new-keyring", "", "let the container share the caller's session keyring");
const PRESERVE: Flag = number("preserve-fds", "hand so many descriptors, after those of LISTEN_FDS, to the program");
const DETACH: Flag = switch("detach", "d", "do not wait for the process's end");
const NO_SUBREAPER: Flag = switch("no-subreaper", "", "do not become the parent of the container's orphans");

const ID: &str = "<container-id>";

const NONE: Command = Command {
    name: "",
    summary: "",
    arguments: ID,
    description: "",
    flags: &[],
    order: Order::Anywhere,
    count: (1, 1),
};

/// In the order of help.
pub static ALL: &[&Command] = &[
    &CHECKPOINT,
    &CREATE,
    &DELETE,
    &EVENTS,
    &EXEC,
    &KILL,
    &LIST,
    &PAUSE,
    &PS,
    &RESTORE,
    &RESUME,
    &RUN,
    &SPEC,
    &START,
    &STATE,
    &UPDATE,
    &FEATURES,
];

pub fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|command| command.name == name)
}

pub static CREATE: Command = Command {
    name: "create",
    summary: "create a container",
    description: "Makes the container of a bundle up to its program, which `start` lets go.",
    flags: &[BUNDLE, CONSOLE, PIDFD, PID_FILE, NO_PIVOT, NO_KEYRING, PRESERVE],
    ..NONE
};

pub static RUN: Command = Command {
    name: "run",
    summary: "create and run a container",
    description: "Makes the container of a bundle and starts it, and deletes it when its program has ended.",
    flags: &[
        BUNDLE,
        CONSOLE,
        PIDFD,
        DETACH,
        switch("keep", "", "do not delete the container when it has ended"),
        PID_FILE,
        NO_SUBREAPER,
        NO_PIVOT,
        NO_KEYRING,
        PRESERVE,
    ],
    ..NONE
};

pub static START: Command =
    Command { name: "start", summary: "start the program of a container that was created", ..NONE };

pub static STATE: Command = Command { name: "state", summary: "print a container's state as JSON", ..NONE };

pub static KILL: Command = Command {
    name: "kill",
    summary: "send a signal (TERM if none is named) to a container's first process",
    arguments: "<container-id> [signal]",
    flags: &[Flag { name: "all", short: "a", kind: Kind::Switch, help: "accept a container that has ended" }],
    count: (1, 2),
    ..NONE
};

pub static DELETE: Command = Command {
    name: "delete",
    summary: "remove what a container has left",
    flags: &[switch("force", "f", "end the container first if it runs")],
    ..NONE
};

pub static EXEC: Command = Command {
    name: "exec",
    summary: "run another process in a running container",
    arguments: "<container-id> <command> [argument...] || -p process.json <container-id>",
    flags: &[
        CONSOLE,
        PIDFD,
        text("cwd", "", "working directory in the container"),
        list("env", "e", "set an environment variable"),
        switch("tty", "t", "give it a terminal"),
        text("user", "u", "as uid[:gid]"),
        list("additional-gids", "g", "further groups"),
        text("process", "p", "file with the process as JSON"),
        DETACH,
        PID_FILE,
        text("process-label", "", "SELinux label"),
        text("apparmor", "", "AppArmor profile"),
        switch("no-new-privs", "", "forbid that it gains privileges"),
        list("cap", "c", "add a capability"),
        PRESERVE,
        list("cgroup", "", "enter a cgroup below the container's, as [controller,...:]path"),
        switch("ignore-paused", "", "accept a paused container"),
    ],
    order: Order::FlagsFirst,
    count: (1, usize::MAX),
    ..NONE
};

pub static PS: Command = Command {
    name: "ps",
    summary: "list the processes of a container",
    arguments: "<container-id> [ps options]",
    flags: &[defaulted("format", "f", "\"table\"", "table or json")],
    order: Order::FlagsFirst,
    count: (1, usize::MAX),
    ..NONE
};

pub static LIST: Command = Command {
    name: "list",
    summary: "list containers",
    arguments: "",
    flags: &[
        defaulted("format", "f", "\"table\"", "table or json"),
        switch("quiet", "q", "only the containers' names"),
    ],
    count: (0, 0),
    ..NONE
};

pub static PAUSE: Command = Command { name: "pause", summary: "stop all processes of a container for a while", ..NONE };

pub static RESUME: Command =
    Command { name: "resume", summary: "let the processes of a paused container go on", ..NONE };

pub static EVENTS: Command = Command {
    name: "events",
    summary: "print what a container uses, and when it runs out of memory, as JSON",
    flags: &[defaulted("interval", "", "5s", "time between two reports"), switch("stats", "", "one report only")],
    ..NONE
};

pub static UPDATE: Command = Command {
    name: "update",
    summary: "change a container's limits",
    description: "The file of --resources holds `linux.resources` of the specification as JSON; what it leaves out stays.",
    flags: &[
        text(
            "resources",
            "r",
            "file with the limits as JSON, - for standard input; other flags of limits do not count then",
        ),
        number("blkio-weight", "weight of its input and output, 10 to 1000"),
        text("cpu-period", "", "length of a period of the CPU quota in microseconds"),
        text("cpu-quota", "", "CPU time in each period in microseconds"),
        text("cpu-burst", "", "unused CPU time that may be saved up, in microseconds"),
        text("cpu-share", "", "weight of its CPU time"),
        text("cpu-rt-period", "", "length of a period of real-time CPU time in microseconds"),
        text("cpu-rt-runtime", "", "real-time CPU time in each period in microseconds"),
        text("cpuset-cpus", "", "CPUs to run on"),
        text("cpuset-mems", "", "memory nodes to use"),
        text("memory", "", "memory in bytes"),
        text("cpu-idle", "", "1: only when nobody else wants to run"),
        text("memory-reservation", "", "memory in bytes that it is brought down to when memory is short"),
        text("memory-swap", "", "memory and swap together in bytes, -1 for no limit"),
        number("pids-limit", "number of processes and threads"),
        text("l3-cache-schema", "", "Intel RDT schema of the L3 cache"),
        text("mem-bw-schema", "", "Intel RDT schema of memory bandwidth"),
        Flag { name: "kernel-memory", short: "", kind: Kind::Hidden, help: "" },
        Flag { name: "kernel-memory-tcp", short: "", kind: Kind::Hidden, help: "" },
    ],
    ..NONE
};

pub static SPEC: Command = Command {
    name: "spec",
    summary: "write a specification to start from",
    arguments: "",
    description: "Writes config.json: a shell on a terminal, to be edited.",
    flags: &[
        text("bundle", "b", "the bundle's directory (the working directory if absent)"),
        switch("rootless", "", "for a user without privileges"),
    ],
    count: (0, 0),
    ..NONE
};

pub static FEATURES: Command = Command {
    name: "features",
    summary: "print what this runtime can do as JSON",
    arguments: "",
    count: (0, 0),
    ..NONE
};

const IMAGE: Flag = text("image-path", "", "directory of CRIU's files (checkpoint, in the working directory)");
const WORK: Flag = text("work-path", "", "directory of CRIU's log");
const TCP: Flag = switch("tcp-established", "", "accept open TCP connections");
const UNIX: Flag = switch("ext-unix-sk", "", "accept unix sockets to the outside");
const SHELL: Flag = switch("shell-job", "", "accept a terminal of the outside");
const LOCKS: Flag = switch("file-locks", "", "accept file locks");
const CGROUPS: Flag = defaulted("manage-cgroups-mode", "", "soft", "soft, full, strict or ignore");
const DEDUP: Flag = switch("auto-dedup", "", "keep each page of memory once");
const EMPTY: Flag = list("empty-ns", "", "a namespace (network) that is made but not filled");

pub static CHECKPOINT: Command = Command {
    name: "checkpoint",
    summary: "save a running container",
    flags: &[
        IMAGE,
        WORK,
        text("parent-path", "", "relative path of the dump before this one"),
        switch("leave-running", "", "let the container go on"),
        TCP,
        switch("tcp-skip-in-flight", "", "leave out TCP connections that are being made"),
        switch("link-remap", "", "link unlinked files back for a while"),
        UNIX,
        SHELL,
        switch("lazy-pages", "", "serve memory to the restored container on demand"),
        text("status-fd", "", "descriptor that gets a zero byte when pages can be served"),
        text("page-server", "", "ADDRESS:PORT to send memory to"),
        LOCKS,
        switch("pre-dump", "", "save memory only and let the container go on"),
        CGROUPS,
        EMPTY,
        DEDUP,
    ],
    ..NONE
};

pub static RESTORE: Command = Command {
    name: "restore",
    summary: "make a container from what checkpoint has saved",
    flags: &[
        CONSOLE,
        IMAGE,
        WORK,
        TCP,
        UNIX,
        SHELL,
        LOCKS,
        CGROUPS,
        BUNDLE,
        DETACH,
        PID_FILE,
        NO_SUBREAPER,
        NO_PIVOT,
        EMPTY,
        DEDUP,
        switch("lazy-pages", "", "get memory on demand"),
        text("lsm-profile", "", "TYPE:NAME of a security profile"),
        text("lsm-mount-context", "", "SELinux label of mounts"),
    ],
    ..NONE
};
