//! `ps`: a container's processes, as numbers or as ps(1) shows them. The program is the host's.

use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::parse::Parsed;
use crate::runtime::{Context, print};
use std::process::Command;

pub fn ps(context: &Context, parsed: &Parsed) -> Outcome {
    let format = parsed.text("format").unwrap_or("table");
    if !matches!(format, "table" | "json") {
        return Err(Failure::new("invalid format option"));
    }
    let container = context.root.open(parsed.first())?;
    let pids = container.processes()?;
    if format == "json" {
        let json = if pids.is_empty() { "null".to_owned() } else { serde_json::json!(pids).to_string() };
        return Ok(print(&format!("{json}\n")));
    }
    let arguments = match &parsed.arguments[1..] {
        [] => vec!["-ef".to_owned()],
        arguments => arguments.to_vec(),
    };
    let output = Command::new("ps").args(arguments).output();
    let output = output.map_err(|error| Failure::new(format!("ps: {}", crate::failure::plain(&error))))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::new(format!("{}: {said}", output.status)));
    }
    Ok(print(&selected(&String::from_utf8_lossy(&output.stdout), &pids)?))
}

/// The heading, and the lines of `pids`.
fn selected(table: &str, pids: &[i32]) -> Result<String, Failure> {
    let heading = table.lines().next().unwrap_or_default();
    let column = heading.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Failure::new("couldn't find PID field in ps output"))?;
    let wanted = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let lines = std::iter::once(heading).chain(table.lines().skip(1).filter(wanted));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_the_column() {
        let table = "UID   PID  CMD\nroot    7  a 8\nroot    8  b\n";
        assert_eq!(selected(table, &[8]).unwrap(), "UID   PID  CMD\nroot    8  b\n");
        assert!(selected("CMD\n", &[8]).is_err());
    }
}
