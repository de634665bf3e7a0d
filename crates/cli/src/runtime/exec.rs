//! `exec`: another process in a running container, waited for unless it is detached.

use crate::runtime::Context;
use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::foreground::Foreground;
use crate::runtime::handover::{self, Handover};
use crate::runtime::launch::exec_failure;
use crate::runtime::parse::Parsed;
use crate::runtime::process;
use oci::exec::{Paused, Request};

/// runc's exit code for everything that is not the process's own end.
pub const FAILED: u8 = 255;

pub fn exec(context: &Context, parsed: &Parsed) -> Outcome {
    let failed = |failure: Failure| Failure { code: FAILED, ..failure.within("exec failed") };
    execute(context, parsed).map_err(failed)
}

fn execute(context: &Context, parsed: &Parsed) -> Outcome {
    kernel::self_exe::ensure_sealed()?;
    let mut environment = Vec::new();
    // Before anything is opened.
    let preserved = handover::preserved(parsed, &mut environment)?;
    let container = context.root.open(parsed.first())?;
    let mut process = process::process(&container, parsed)?;
    process.env.extend(environment);
    let (terminal, detached) = (process.terminal, parsed.switch("detach"));
    let handover = Handover::prepare(parsed, context.program, terminal, detached)?;
    let foreground = if detached { None } else { Some(Foreground::new()?) };
    let size = process.console_size.map(|size| (size.width, size.height));
    let stdio = handover::stdio(terminal, size)?;
    let paused = if parsed.switch("ignore-paused") { Paused::Ignored } else { Paused::Refused };
    context.log.debug("nsexec container setup: the container's namespaces are joined");
    if let Some(affinity) = &process.exec_cpu_affinity {
        context.log.debug(&format!("nsexec container setup: affinity: {}", mask(&affinity.initial)));
    }
    oci::capabilities::sift(&mut process).iter().for_each(|warning| context.log.warning(warning));
    let request = Request { process, stdio, preserved, cgroups: parsed.all("cgroup"), paused };
    let created = oci::exec::exec(&container, request).map_err(start_failure)?;
    context.log.debug(&format!("child process in init() is ready as process {}", created.pid));
    if let Err(failure) = handover.deliver(created.pid, &created.pidfd, created.console.as_ref()) {
        created.abandon();
        return Err(failure);
    }
    context.log.debug("setns_init: about to exec");
    let running = created.start().map_err(|error| exec_failure(&error.into()))?;
    match foreground {
        Some(foreground) => foreground.wait(&running),
        None => Ok(0),
    }
}

fn start_failure(error: oci::Error) -> Failure {
    match &error {
        oci::Error::Runtime(_) | oci::Error::Kernel(_) => {
            Failure::new(format!("unable to start container process: {error}"))
        }
        _ => error.into(),
    }
}

/// A list of CPUs (`0-2,5`) as the kernel's hexadecimal mask; of the first 64.
fn mask(list: &str) -> String {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|cpu| *cpu < 64);
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => Some(number(first)?..=number(last)?),
        None => number(part).map(|cpu| cpu..=cpu),
    };
    let mask = list.split(',').filter_map(range).flatten().fold(0u64, |mask, cpu| mask | 1 << cpu);
    format!("{mask:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_masks() {
        for (list, expected) in [("0", "0x1"), ("0-1", "0x3"), ("0,2-3", "0xd"), ("", "0x0"), ("x,99", "0x0")] {
            assert_eq!(mask(list), expected, "{list}");
        }
    }
}
