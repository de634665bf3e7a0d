//! Kernel files that would tell or change too much, hidden or read-only unless privileged.
//! `oci_spec` puts them into the specification, `docker inspect`'s output shows them.

/// Hidden: an empty file or directory lies on each.
pub const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// Hidden as well; present on some machines only.
pub const MASKED_POWER: [&str; 1] = ["/sys/devices/virtual/powercap"];

/// Readable only.
pub const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
