//! Docker's face: JSON as Docker's API and `docker inspect` have it.
//! Knows the engine and nothing of terminals; the API's server will stand next to `wire`.

pub mod wire;
