//! `update`: new limits for a container, from flags or from a file in the specification's form.

use crate::runtime::Context;
use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::parse::Parsed;
use ::spec::runtime::{BlockIo, Cpu, Memory, Pids, Resources};
use oci::rdt::Schemas;
use std::io::Read;
use std::str::FromStr;

/// Kernels from 5.4 on have no such limit.
const GONE: &str = "kernel-memory";

pub fn update(context: &Context, parsed: &Parsed) -> Outcome {
    let container = context.root.open(parsed.first())?;
    let wanted = match parsed.text("resources") {
        Some(path) => from_file(path)?,
        None => from_flags(parsed)?,
    };
    if parsed.text(GONE).is_some() {
        context.log.warning(&format!("--{GONE} has no effect: the kernel has no such limit"));
    }
    let text = |name: &str| parsed.text(name).unwrap_or_default().to_owned();
    let schemas = Schemas { l3_cache: text("l3-cache-schema"), memory_bandwidth: text("mem-bw-schema") };
    oci::update::update(&container, &wanted, &schemas)?;
    Ok(0)
}

fn from_file(path: &str) -> Result<Resources, Failure> {
    let read = |text: &mut Vec<u8>| match path {
        "-" => std::io::stdin().read_to_end(text).map(drop),
        path => std::fs::read(path).map(|read| *text = read),
    };
    let mut text = Vec::new();
    read(&mut text).map_err(|error| Failure::new(format!("open {path}: {}", crate::failure::plain(&error))))?;
    ::spec::runtime::parse(&text).map_err(|error| Failure::new(format!("parse {path}: {error}")))
}

fn from_flags(parsed: &Parsed) -> Result<Resources, Failure> {
    let weight = parsed.text("blkio-weight").map(|_| parsed.number("blkio-weight"));
    let weight = weight.filter(|weight| *weight != 0).map(u16::try_from).transpose();
    let text = |name: &str| parsed.text(name).unwrap_or_default().to_owned();
    Ok(Resources {
        memory: memory(parsed)?,
        cpu: Some(Cpu {
            shares: number(parsed, "cpu-share")?,
            quota: number(parsed, "cpu-quota")?,
            burst: number(parsed, "cpu-burst")?,
            period: number(parsed, "cpu-period")?,
            realtime_runtime: number(parsed, "cpu-rt-runtime")?,
            realtime_period: number(parsed, "cpu-rt-period")?,
            cpus: text("cpuset-cpus"),
            mems: text("cpuset-mems"),
            idle: number(parsed, "cpu-idle")?,
        }),
        pids: parsed.text("pids-limit").map(|_| Pids { limit: Some(parsed.number("pids-limit")) }),
        block_io: match weight {
            Ok(Some(weight)) => Some(BlockIo { weight: Some(weight), ..BlockIo::default() }),
            Ok(None) => None,
            Err(_) => return Err(Failure::new("invalid value for blkio-weight: 10 to 1000")),
        },
        ..Resources::default()
    })
}

fn memory(parsed: &Parsed) -> Result<Option<Memory>, Failure> {
    let memory = Memory {
        limit: bytes(parsed, "memory")?,
        reservation: bytes(parsed, "memory-reservation")?,
        swap: bytes(parsed, "memory-swap")?,
        kernel_tcp: bytes(parsed, "kernel-memory-tcp")?,
        ..Memory::default()
    };
    Ok((memory != Memory::default()).then_some(memory))
}

fn number<T: FromStr>(parsed: &Parsed, name: &str) -> Result<Option<T>, Failure> {
    let invalid = |_| Failure::new(format!("invalid value for {name}: {}", parsed.text(name).unwrap_or_default()));
    parsed.text(name).filter(|text| !text.is_empty()).map(|text| text.parse().map_err(invalid)).transpose()
}

/// A number with a unit of binary thousands (`64M`), or -1.
fn bytes(parsed: &Parsed, name: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = parsed.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let factor: i64 = match unit.strip_suffix('i').unwrap_or(unit) {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(Failure::new(format!("invalid value for {name}: {text}"))),
    };
    let number: Option<i64> = digits.parse().ok();
    match number.and_then(|number| number.checked_mul(factor)) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(Failure::new(format!("invalid value for {name}: {text}"))),
    }
}
