//! Seccomp filters (seccomp(2)): a policy in plain terms is compiled into one classic BPF program and loaded into the
//! calling thread. `runtime` makes policies from OCI documents, `engine` from its default tables; what a profile says in
//! JSON is not known here.

mod assemble;
mod compile;
mod listener;
mod load;
mod multiplex;
mod policy;
mod program;
mod spans;
mod syscall;
mod table;
mod tree;

#[cfg(test)]
mod interpret;
#[cfg(test)]
mod tests;

pub use compile::compile;
pub use listener::load_with_listener;
pub use load::{Flags, load};
pub use policy::{Action, Architecture, Comparison, Policy, Rule, Test};
pub use program::Program;
pub use syscall::{Syscall, named};
