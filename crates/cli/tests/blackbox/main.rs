//! Black-box tests: the brig binary as a user meets it, one file per subject. They say what
//! docker does (exit codes, output, order of events); where brig means to differ the test says so.
//! They need root, busybox-static, docker-registry and skopeo; `./dev test` brings them.

mod harness;

mod entrypoints;
mod environment;
mod exit_codes;
mod hostnames;
mod limits;
mod namespaces;
mod run_basic;
mod security;
mod stdio;
mod tmpfs;
mod users;
mod volumes;
