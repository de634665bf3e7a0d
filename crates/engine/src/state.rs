//! What happened to a container so far, `containers/<id>/state.json`: written by its monitor
//! (or by `recover.rs` where a monitor was killed), read by everyone. Whether a process lives
//! is never believed from here: `Container::load` asks the kernel with `process` and the boot id.
//!
//! ```text
//!            start                 exit, no restart
//!  created ───────▶ running ───────────────────────▶ exited
//!                    ▲   │ exit, restart policy         │ start
//!                    │   ▼                              │
//!                  restarting ◀─────────────────────────┘ (running again)
//! ```
//! Paused is not a state here: the freezer is asked.

use kernel::process::ProcessId;
use serde::{Deserialize, Serialize};
use spec::Timestamp;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub status: Status,
    /// Boot id of the kernel under which `process` has a meaning.
    pub boot_id: String,
    /// pid 1 of the container as the host sees it.
    pub process: Option<Process>,
    pub monitor_pid: Option<i32>,
    pub exit_code: i32,
    pub oom_killed: bool,
    /// Why the last start failed, or why the exit code is unknown.
    pub error: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub restart_count: u32,
    /// A user stopped it: `unless-stopped` keeps it down.
    pub stopped_by_user: bool,
    pub health: Option<Health>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks after boot, field 22 of proc_pid_stat(5): makes the pid unique.
    pub start_time: u64,
}

impl From<ProcessId> for Process {
    fn from(id: ProcessId) -> Process {
        Process { pid: id.pid, start_time: id.start_time }
    }
}

impl From<Process> for ProcessId {
    fn from(process: Process) -> ProcessId {
        ProcessId { pid: process.pid, start_time: process.start_time }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Created,
    Running,
    /// Between an exit and the next start by the restart policy.
    Restarting,
    Exited,
    /// Only as an answer of `Container::status`, never stored.
    Paused,
    /// Being removed.
    Removing,
}

/// Health as docker's inspect shows it; the log keeps the last five probes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    pub status: HealthStatus,
    pub failing_streak: u32,
    pub log: Vec<Probe>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub start: Timestamp,
    pub end: Timestamp,
    pub exit_code: i32,
    pub output: String,
}
