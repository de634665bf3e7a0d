//! What every black-box test stands on: a sandbox with a store of its own (`Brig`), programs run
//! in it with a time limit (`process`), a terminal (`terminal`), images made on the spot (`tar`,
//! `image`), registries on loopback (`registry`), kills at any call (`steps`) and the search for what
//! was left behind (`leaks`). Nothing here knows how brig works inside; only `leaks` knows where it keeps things.

pub mod image;
pub mod leaks;
pub mod peers;
pub mod process;
pub mod registry;
pub mod sandbox;
pub mod steps;
pub mod tar;
pub mod terminal;
pub mod words;

pub use process::Process;
pub use sandbox::Brig;
pub use terminal::Terminal;
