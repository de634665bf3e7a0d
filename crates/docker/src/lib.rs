//! Docker's face: JSON as Docker's API and `docker inspect` have it.

pub mod wire;
