//! `brig runtime`: containers from bundles, as an engine asks an OCI runtime for them. What is expected is what runc does
//! (`BRIG_OCI_RUNTIME=/usr/sbin/runc` runs the same tests against it), unless a test says otherwise.

mod bundle;
mod crashes;
mod exec;
mod guards;
mod hooks;
mod leniency;
mod lifecycle;
mod streams;
mod words;
