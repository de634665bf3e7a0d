//! Black-box tests: the brig binary as a user meets it, one file per subject. They say what
//! docker does (exit codes, output, order of events); where brig means to differ the test says so.
//! They need root, busybox-static, docker-registry and skopeo; `./dev test` brings them.

mod harness;

mod bad_input;
mod breakouts;
mod crashes;
mod entrypoints;
mod environment;
mod exit_codes;
mod files;
mod hello;
mod hostnames;
mod image_commands;
mod image_places;
mod images;
mod limits;
mod listing;
mod logs;
mod namespaces;
mod network;
mod oci;
mod oci_runtimes;
mod parallel;
mod policies;
mod pulls;
mod registries;
mod restarts;
mod run_basic;
mod security;
mod signals;
mod slow;
mod stdio;
mod store_budget;
mod store_check;
mod store_crashes;
mod terminals;
mod tmpfs;
mod users;
mod volumes;
