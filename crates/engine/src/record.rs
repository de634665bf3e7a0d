//! A container's definition on disk, `containers/<id>/container.json`: what was asked
//! (`options`) and what that meant for the image it was made from (`process`). Written at
//! create, rewritten by rename and update only, always to a temporary name and renamed.

use crate::options::Options;
use serde::{Deserialize, Serialize};
use spec::{ContainerId, Digest, Timestamp};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub id: ContainerId,
    pub name: String,
    pub created: Timestamp,
    /// Config digest of the image.
    pub image_id: Digest,
    /// The image as `ps` shows it: familiar reference, or what was typed.
    pub image_name: String,
    /// Diff ids of the image's layers, bottom first: `start` needs no image document.
    pub layers: Vec<Digest>,
    pub options: Options,
    /// The program of another OCI runtime; `None`: brig's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    pub process: ResolvedProcess,
    /// Volumes in use, by mount target. `anonymous` ones go with the container.
    pub volumes: Vec<VolumeUse>,
}

/// Options and image configuration merged (docker's `Config`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResolvedProcess {
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    /// Without the defaults PATH, HOSTNAME, HOME and TERM, which depend on the start.
    pub env: Vec<String>,
    pub workdir: String,
    pub user: String,
    pub hostname: String,
    pub labels: BTreeMap<String, String>,
    pub exposed_ports: Vec<String>,
    /// A name such as `SIGTERM`; empty: default.
    pub stop_signal: String,
    pub health: Option<ResolvedHealth>,
    /// The image's VOLUMEs.
    pub image_volumes: Vec<String>,
}

impl Record {
    /// Stands for a definition that is damaged: enough to show and to remove the container.
    pub fn unreadable(id: ContainerId, name: String) -> Record {
        Record {
            id,
            name,
            created: Timestamp::EPOCH,
            image_id: Digest::from_hash(&[0; 32]),
            image_name: "<damaged>".into(),
            layers: Vec::new(),
            options: Options::default(),
            runtime: None,
            process: ResolvedProcess::default(),
            volumes: Vec::new(),
        }
    }
}

impl ResolvedProcess {
    /// Entrypoint and command as one argument vector.
    pub fn argv(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }
}

/// A health check as it will run. `test` is docker's: `["CMD", …]` or `["CMD-SHELL", line]`. Nanoseconds, never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolvedHealth {
    pub test: Vec<String>,
    pub interval_nanoseconds: i64,
    pub timeout_nanoseconds: i64,
    pub start_period_nanoseconds: i64,
    pub start_interval_nanoseconds: i64,
    pub retries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    pub name: String,
    pub target: String,
    pub read_only: bool,
    pub anonymous: bool,
}
