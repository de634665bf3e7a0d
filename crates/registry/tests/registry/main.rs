//! The client against registries: one that follows a script and misbehaves on command, and Debian's
//! docker-registry. The store is a real one in a temporary directory.

mod docker_registry;
mod fixture;
mod login;
mod place;
mod pull;
mod scripted;
mod transfer;
mod trouble;
