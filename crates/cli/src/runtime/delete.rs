//! `delete`: what a container has left goes, and with `--force` the container itself.

use crate::runtime::Context;
use crate::runtime::failure::Outcome;
use crate::runtime::parse::Parsed;

pub fn delete(context: &Context, parsed: &Parsed) -> Outcome {
    let id = parsed.first();
    if parsed.switch("force") {
        oci::delete::delete_forced(&context.root, id)?
    } else {
        oci::delete::delete(&context.root, id)?
    }
    Ok(0)
}
