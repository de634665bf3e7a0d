//! The small commands on one container: `state`, `start`, `kill`, `pause`, `resume`.

use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::launch;
use crate::runtime::parse::Parsed;
use crate::runtime::{Context, print};
use kernel::signal::Signal;
use oci::{Container, Status};
use serde_json::{Value, json};

/// The container as `state` and `list` show it.
pub fn document(container: &Container, owner: &str) -> Result<Value, Failure> {
    let (record, status) = (&container.record, container.status()?);
    let gone = matches!(status, Status::Stopped | Status::Creating);
    let mut document = json!({
        "ociVersion": record.config.oci_version,
        "id": record.id,
        "pid": if gone { 0 } else { record.init_process_pid },
        "status": status.to_string(),
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
    });
    if !record.config.annotations.is_empty() {
        document["annotations"] = json!(record.config.annotations);
    }
    document["owner"] = json!(owner);
    Ok(document)
}

/// With two spaces, as runc indents.
pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

pub fn state(context: &Context, parsed: &Parsed) -> Outcome {
    let container = context.root.open(parsed.first())?;
    Ok(print(&pretty(&document(&container, "")?)))
}

pub fn start(context: &Context, parsed: &Parsed) -> Outcome {
    let container = context.root.open(parsed.first())?;
    // First: the socket of one that runs is in use.
    oci::start::check(&container)?;
    let notifier = launch::notifier(&container)?;
    oci::start::start(&container)?;
    notifier.map_or(Ok(()), |notifier| notifier.forward(&container))?;
    Ok(0)
}

pub fn kill(context: &Context, parsed: &Parsed) -> Outcome {
    let number = signal(parsed.arguments.get(1).map_or("SIGTERM", String::as_str))?;
    let container = context.root.open(parsed.first())?;
    match oci::kill::kill(&container, number) {
        // Whoever asks for all processes is content with none.
        Err(oci::Error::NotRunning) if parsed.switch("all") => Ok(0),
        killed => Ok(killed.map(|()| 0)?),
    }
}

/// 0 asks whether there is a process.
fn signal(text: &str) -> Result<i32, Failure> {
    match Signal::parse(text) {
        _ if text == "0" => Ok(0),
        Some(signal) => Ok(signal.number()),
        None => Err(Failure::new(format!("unknown signal {text:?}"))),
    }
}

pub fn pause(context: &Context, parsed: &Parsed) -> Outcome {
    oci::pause::pause(&context.root.open(parsed.first())?)?;
    Ok(0)
}

pub fn resume(context: &Context, parsed: &Parsed) -> Outcome {
    oci::pause::resume(&context.root.open(parsed.first())?)?;
    Ok(0)
}
