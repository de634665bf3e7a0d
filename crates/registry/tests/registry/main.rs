//! The client against registries: one that follows a script and misbehaves on command, and Debian's
//! docker-registry. The store is a real one in a temporary directory.

mod copy;
mod docker_registry;
mod download;
mod fixture;
mod hosts;
mod lists;
mod login;
mod memory;
mod place;
mod policy;
mod pull;
mod push;
mod scripted;
mod transfer;
mod trouble;
