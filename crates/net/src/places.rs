//! Where networks are on disk. Definitions survive a reboot; what lives (addresses given, endpoints) is on a tmpfs and
//! gone with the interfaces that it is about.
//!
//! ```text
//! <root>/networks/<name>.json        definition          .lock
//! <state>/networks/<id>/addresses    who has which       addresses6       endpoints/<container>.json
//! <state>/networks/firewall.lock     shared: one container's elements are changed; exclusive: all rules are
//! <state>/networks/records.lock      held while the file of an endpoint is changed or removed
//! ```

use std::path::{Path, PathBuf};

/// The usual place of what lives; another one gets names of its own for interfaces and tables, so that two stores on one
/// machine do not take each other's.
const USUAL: &str = "/run/brig/networks";

#[derive(Debug, Clone)]
pub struct Places {
    definitions: PathBuf,
    live: PathBuf,
}

impl Places {
    /// `root` and `state` as the engine has them.
    pub fn new(root: &Path, state: &Path) -> Places {
        Places { definitions: root.join("networks"), live: state.join("networks") }
    }

    pub fn definitions(&self) -> &Path {
        &self.definitions
    }

    pub fn live(&self) -> &Path {
        &self.live
    }

    pub fn of_network(&self, id: &str) -> PathBuf {
        self.live.join(id)
    }

    pub fn endpoints(&self, id: &str) -> PathBuf {
        self.of_network(id).join("endpoints")
    }

    pub fn endpoint(&self, id: &str, container: &str) -> PathBuf {
        self.endpoints(id).join(format!("{container}.json"))
    }

    pub(crate) fn firewall_lock(&self) -> PathBuf {
        self.live.join("firewall.lock")
    }

    pub(crate) fn records_lock(&self) -> PathBuf {
        self.live.join("records.lock")
    }

    pub(crate) fn is_usual(&self) -> bool {
        self.live == Path::new(USUAL)
    }

    /// The name of our nftables tables: `brig`, or one that goes with the place.
    pub fn table(&self) -> String {
        if self.is_usual() {
            return "brig".to_owned();
        }
        // FNV-1a: the same place has the same name whichever process asks.
        let bytes = self.live.as_os_str().as_encoded_bytes();
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        format!("brig-{hash:016x}")
    }
}
