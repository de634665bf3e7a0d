//! `store.max`: after images have come in, those that no container needs go until the store is as small as it shall be.
//! The choice is `image::gc`'s; here come the setting and the containers.

use crate::engine::Engine;
use crate::error::Result;
use image::gc::Shrunk;
use spec::Digest;

/// Keeps the store within its budget, but leaves the images that have just come in. `None` when there was nothing to do.
///
/// # Errors
/// `Invalid` when the settings cannot be read, so that nothing is removed.
pub fn keep(engine: &Engine, brought: &[Digest]) -> Result<Option<Shrunk>> {
    let Some(bytes_max) = engine.settings()?.store_bytes_max else { return Ok(None) };
    Ok(engine.store().shrink(bytes_max, brought, &|| super::users(engine))?)
}
