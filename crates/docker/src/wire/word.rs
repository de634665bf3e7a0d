//! Docker's words for the engine's states and modes, as its API and its lists have them.
//! The words that users type are read elsewhere: in the command line's flags and the engine's filters.

use engine::state::{HealthStatus, Status};

/// `State.Status`.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Removing => "removing",
        Status::Exited => "exited",
    }
}

/// `State.Health.Status`.
pub fn health(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Starting => "starting",
        HealthStatus::Healthy => "healthy",
        HealthStatus::Unhealthy => "unhealthy",
    }
}
