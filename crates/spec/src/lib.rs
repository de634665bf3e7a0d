//! Documents of the OCI image, runtime and distribution specifications, and the small
//! words they are made of: digest, reference, platform, id, timestamp, duration. No I/O happens here.

pub mod digest;
pub mod duration;
pub mod id;
pub mod image;
pub mod platform;
pub mod reference;
pub mod runtime;
pub mod timestamp;

pub use digest::Digest;
pub use id::ContainerId;
pub use platform::Platform;
pub use reference::Reference;
pub use timestamp::Timestamp;
