//! All moments, not one of each kind: `./dev test-all`.

use super::{Moments, cuts, kills};
use crate::slow::is_wanted;

#[test]
fn every_command_killed_at_every_write() {
    if !is_wanted() {
        return;
    }
    kills::pull(Moments::All);
    kills::load(Moments::All, "auto");
    kills::load(Moments::All, "directory");
    kills::first(Moments::All);
    kills::import(Moments::All);
    kills::commit(Moments::All);
    kills::rmi(Moments::All);
    kills::prune(Moments::All);
    kills::eviction(Moments::All);
    kills::repair(Moments::All);
}

#[test]
fn the_power_goes_at_every_sync_and_rename() {
    if !is_wanted() {
        return;
    }
    cuts::all(Moments::All);
}
