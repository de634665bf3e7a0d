//! Text on the terminal: tables, templates, sizes and times as docker words them.

pub mod context;
pub mod inspect;
pub mod listing;
pub mod quote;
pub mod size;
pub mod table;
pub mod template;
pub mod time;
