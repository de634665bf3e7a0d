//! What a runtime says about a container (runtime.md, state): on the standard input of hooks, as answer to `state`, and
//! with the descriptor of a seccomp listener.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// runtime.md, state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub oci_version: String,
    pub id: String,
    pub status: Status,
    /// As the runtime's pid namespace counts; absent in a container without a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    pub bundle: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Creating,
    Created,
    Running,
    Stopped,
}

/// config-linux.md, the container process state: what a seccomp listener is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerProcessState {
    pub oci_version: String,
    /// Names of the descriptors that come along, in their order.
    pub fds: Vec<String>,
    pub pid: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    pub state: State,
}

impl ContainerProcessState {
    /// The name of a listener's descriptor among `fds`.
    pub const SECCOMP_FD: &str = "seccompFd";
}
