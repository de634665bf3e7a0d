//! Which system calls a container may make when nobody says otherwise: docker's default profile (as of Docker 29 in June
//! 2026) as tables of ids. Everything not listed fails with EPERM, and calls newer than the list with ENOSYS. Only
//! `crate::seccomp` reads this. Rules for machines that brig does not run on are left out.
//!
//! Kept as docker has it, knowingly: `socketcall` is open, so 32-bit x86 code still reaches every address family.

use kernel::seccomp::{Action, Architecture, Comparison, Syscall, Test, named};

/// Some calls, what becomes of them, and the containers and machines for which this holds.
pub struct Group {
    pub syscalls: &'static [Syscall],
    /// All must hold.
    pub tests: &'static [Test],
    pub action: Action,
    /// Capabilities that the container must all have, one bit per number …
    pub with: u64,
    /// … and of which it must have none.
    pub without: u64,
    /// The machine's native architecture; `None` for any.
    pub machine: Option<Architecture>,
    /// The oldest kernel, (major, minor).
    pub kernel_min: (u32, u32),
}

/// For calls that no group names: EPERM.
pub const OTHERWISE: Action = Action::Errno(1);

const ENOSYS: Action = Action::Errno(38);

const ALLOW: Group =
    Group { syscalls: &[], tests: &[], action: Action::Allow, with: 0, without: 0, machine: None, kernel_min: (0, 0) };

// Numbers of linux/capability.h.
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_RAWIO: u64 = 1 << 17;
const CAP_SYS_CHROOT: u64 = 1 << 18;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_PACCT: u64 = 1 << 20;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYS_BOOT: u64 = 1 << 22;
const CAP_SYS_NICE: u64 = 1 << 23;
const CAP_SYS_TIME: u64 = 1 << 25;
const CAP_SYS_TTY_CONFIG: u64 = 1 << 26;
const CAP_SYSLOG: u64 = 1 << 34;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// linux/socket.h
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;

/// The flags of clone(2) that make namespaces: mount, cgroup, UTS, IPC, user, PID, network.
const NEW_NAMESPACES: u64 = 0x2_0000 | 0x200_0000 | 0x400_0000 | 0x800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;

const fn first_argument(comparison: Comparison) -> [Test; 1] {
    [Test { argument: 0, comparison }]
}

const SOCKET: &[Syscall] = &named(&["socket"]);
const PERSONALITY: &[Syscall] = &named(&["personality"]);

pub static GROUPS: &[Group] = &[
    Group { syscalls: ALWAYS, ..ALLOW },
    // Before 4.8 a tracer could slip past the filter.
    Group { syscalls: &named(&["process_vm_readv", "process_vm_writev", "ptrace"]), kernel_min: (4, 8), ..ALLOW },
    // Every address family but AF_ALG and AF_VSOCK: neither belongs to the network namespace.
    Group { syscalls: SOCKET, tests: &first_argument(Comparison::Less(AF_ALG)), ..ALLOW },
    Group { syscalls: SOCKET, tests: &first_argument(Comparison::Equal(AF_ALG + 1)), ..ALLOW },
    Group { syscalls: SOCKET, tests: &first_argument(Comparison::Greater(AF_VSOCK)), ..ALLOW },
    // PER_LINUX and PER_LINUX32, each with or without UNAME26, and the question which it is.
    Group { syscalls: PERSONALITY, tests: &first_argument(Comparison::Equal(0)), ..ALLOW },
    Group { syscalls: PERSONALITY, tests: &first_argument(Comparison::Equal(0x8)), ..ALLOW },
    Group { syscalls: PERSONALITY, tests: &first_argument(Comparison::Equal(0x2_0000)), ..ALLOW },
    Group { syscalls: PERSONALITY, tests: &first_argument(Comparison::Equal(0x2_0008)), ..ALLOW },
    Group { syscalls: PERSONALITY, tests: &first_argument(Comparison::Equal(0xffff_ffff)), ..ALLOW },
    Group { syscalls: ARM_CALLS, machine: Some(Architecture::Aarch64), ..ALLOW },
    Group { syscalls: &named(&["arch_prctl", "modify_ldt"]), machine: Some(Architecture::X86_64), ..ALLOW },
    Group { syscalls: &named(&["open_by_handle_at"]), with: CAP_DAC_READ_SEARCH, ..ALLOW },
    Group { syscalls: ADMIN_CALLS, with: CAP_SYS_ADMIN, ..ALLOW },
    Group {
        syscalls: &named(&["clone"]),
        tests: &first_argument(Comparison::MaskedEqual { mask: NEW_NAMESPACES, value: 0 }),
        without: CAP_SYS_ADMIN,
        ..ALLOW
    },
    // Its flags lie in memory, where no filter can look. C libraries fall back to clone.
    Group { syscalls: &named(&["clone3"]), action: ENOSYS, without: CAP_SYS_ADMIN, ..ALLOW },
    Group { syscalls: &named(&["reboot"]), with: CAP_SYS_BOOT, ..ALLOW },
    Group { syscalls: &named(&["chroot"]), with: CAP_SYS_CHROOT, ..ALLOW },
    Group { syscalls: &named(&["delete_module", "finit_module", "init_module"]), with: CAP_SYS_MODULE, ..ALLOW },
    Group { syscalls: &named(&["acct"]), with: CAP_SYS_PACCT, ..ALLOW },
    Group { syscalls: PTRACE_CALLS, with: CAP_SYS_PTRACE, ..ALLOW },
    Group { syscalls: &named(&["ioperm", "iopl"]), with: CAP_SYS_RAWIO, ..ALLOW },
    Group { syscalls: TIME_CALLS, with: CAP_SYS_TIME, ..ALLOW },
    Group { syscalls: &named(&["vhangup"]), with: CAP_SYS_TTY_CONFIG, ..ALLOW },
    Group { syscalls: NICE_CALLS, with: CAP_SYS_NICE, ..ALLOW },
    Group { syscalls: &named(&["syslog"]), with: CAP_SYSLOG, ..ALLOW },
    Group { syscalls: &named(&["bpf"]), with: CAP_BPF, ..ALLOW },
    Group { syscalls: &named(&["perf_event_open"]), with: CAP_PERFMON, ..ALLOW },
];

#[rustfmt::skip]
const ADMIN_CALLS: &[Syscall] = &named(&[
    "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
    "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree",
    "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2",
    "unshare",
]);

#[rustfmt::skip]
const ARM_CALLS: &[Syscall] = &named(&[
    "arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls", "sync_file_range2",
]);

#[rustfmt::skip]
const PTRACE_CALLS: &[Syscall] = &named(&[
    "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
]);

const TIME_CALLS: &[Syscall] = &named(&["clock_settime", "clock_settime64", "settimeofday", "stime"]);

const NICE_CALLS: &[Syscall] = &named(&["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]);

#[rustfmt::skip]
const ALWAYS: &[Syscall] = &named(&[
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "cachestat",
    "capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64",
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "close", "close_range", "connect", "copy_file_range", "creat", "dup", "dup2",
    "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
    "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
    "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark", "fchdir", "fchmod",
    "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr",
    "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
    "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait",
    "futex_waitv", "futex_wake", "futimesat", "get_robust_list", "get_thread_area", "getcpu", "getcwd",
    "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid",
    "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat",
    "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
    "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "ioctl", "ioprio_get",
    "ioprio_set", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr", "listxattrat",
    "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "madvise", "map_shadow_stack",
    "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock",
    "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr", "mq_notify", "mq_open",
    "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "mremap",
    "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap",
    "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat", "openat2", "pause", "pidfd_open",
    "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll",
    "ppoll_time64", "prctl", "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6",
    "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat",
    "readv", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
    "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "set_robust_list",
    "set_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid",
    "setgid32", "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
    "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid",
    "setsockopt", "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt", "shmget",
    "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn", "socketcall", "socketpair",
    "splice", "stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat", "sync",
    "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64",
    "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times",
    "tkill", "truncate", "truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe",
    "utime", "utimensat", "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid",
    "write", "writev",
]);
