//! `events`: what a container uses, once or again and again, a JSON document per line.

use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::parse::Parsed;
use crate::runtime::{Context, print};
use std::time::Duration;

pub fn events(context: &Context, parsed: &Parsed) -> Outcome {
    let interval = interval(parsed.text("interval").unwrap_or("5s"))?;
    let container = context.root.open(parsed.first())?;
    if parsed.switch("stats") {
        return Ok(print(&format!("{}\n", oci::events::stats(&container)?)));
    }
    oci::events::watch(&container, interval, |event| print(&format!("{event}\n")) == 0)?;
    Ok(0)
}

fn interval(text: &str) -> Result<Duration, Failure> {
    let nanoseconds = ::spec::duration::parse(text)
        .map_err(|_| Failure::new(format!("invalid value {text:?} for flag -interval: parse error")))?;
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) if nanoseconds > 0 => Ok(Duration::from_nanos(nanoseconds)),
        _ => Err(Failure::new("duration interval must be greater than 0")),
    }
}
