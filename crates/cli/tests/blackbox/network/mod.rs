//! Networks: each test is a host of its own, a network namespace that the test's thread makes and its programs inherit, so
//! nothing of the machine's interfaces and firewall is touched. Other hosts are further namespaces (`host::Place`), joined
//! by cables; servers and clients are programs in containers, or the test's own in their namespaces.

mod basics;
mod changes;
mod churn;
mod firewalls;
mod forgery;
mod host;
mod jobs;
mod kills;
mod reach;
mod refusals;
