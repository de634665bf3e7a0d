//! The host's ps(1) for `top` with arguments: its formats are too many to write again. Its output
//! is trusted no more than needed: a column of pids must be in it, and only lines whose pid is one
//! of the container's are shown.

use super::Table;
use crate::error::{Error, Result};
use std::process::{Command, Stdio};

/// `Invalid` when ps is missing or refuses the arguments (its own first line says why).
pub fn run(arguments: &[String], pids: &[i32]) -> Result<Table> {
    // As docker: one string of arguments may hold several.
    let arguments: Vec<&str> = arguments.iter().flat_map(|argument| argument.split(' ')).collect();
    refuse_renamed_pid(&arguments)?;
    let list: Vec<String> = pids.iter().map(i32::to_string).collect();
    let selection = format!("-q{}", list.join(","));
    // Some options do not go together with -q: then all processes are listed and ours chosen.
    let mut with_selection = arguments.clone();
    with_selection.push(&selection);
    let output = output_of(&with_selection).or_else(|_| output_of(&arguments))?;
    parse(&output, pids)
}

fn output_of(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ps").args(arguments).stdin(Stdio::null()).output().map_err(|error| {
        Error::Invalid(format!("run ps: {error}; install procps, or leave out the arguments of ps"))
    })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let reason = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
        return Err(Error::Invalid(format!("ps: {reason}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `-o comm=PID` would pass off another column as the pid (docker's rule and text).
fn refuse_renamed_pid(arguments: &[&str]) -> Result<()> {
    for (name, title) in arguments.iter().filter_map(|argument| argument.split_once('=')) {
        if title.trim_start().starts_with("PID") && name != "pid" {
            return Err(Error::Invalid(format!("specifying \"{name}={title}\" is not allowed")));
        }
    }
    Ok(())
}

/// Keeps the lines of `pids`, and lines without a pid (`-`, threads) that follow one of them.
fn parse(output: &str, pids: &[i32]) -> Result<Table> {
    let mut lines = output.lines();
    let titles: Vec<String> = fields(lines.next().unwrap_or_default()).into_iter().map(String::from).collect();
    let Some(column) = titles.iter().position(|title| title == "PID") else {
        return Err(Error::Invalid("Couldn't find PID field in ps output".into()));
    };
    let mut rows = Vec::new();
    let mut belongs = false;
    for line in lines.map(fields).filter(|line| line.len() >= titles.len()) {
        if line[column] != "-" {
            let pid: i32 = line[column]
                .parse()
                .map_err(|_| Error::Invalid(format!("Unexpected pid '{}' in ps output", line[column])))?;
            belongs = pids.contains(&pid);
        }
        if belongs {
            let (first, last) = line.split_at(titles.len() - 1);
            rows.push(first.iter().map(|field| field.to_string()).chain([last.join(" ")]).collect());
        }
    }
    Ok(Table { titles, rows })
}

fn fields(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_containers_lines() {
        let output =
            "USER   PID COMMAND\nroot     1 init\nann     42 sh -c  x\nann      - -\nroot    43 other\nroot     - -\n";
        let table = parse(output, &[42]).unwrap();
        assert_eq!(table.titles, ["USER", "PID", "COMMAND"]);
        assert_eq!(table.rows, [["ann", "42", "sh -c x"], ["ann", "-", "-"]]);
        assert!(parse("USER COMMAND\n", &[1]).unwrap_err().to_string().contains("PID"));
        assert!(parse("", &[1]).is_err());
        assert!(parse("PID\nx\n", &[1]).is_err());
    }

    #[test]
    fn refuses_a_false_pid_column() {
        for (argument, allowed) in [("-opid=PID", false), ("pid=PID", true), ("comm=PID", false), ("-ocomm", true)] {
            // `-opid=PID` is refused by docker, too: the name must be exactly `pid`.
            assert_eq!(refuse_renamed_pid(&["-e", argument]).is_ok(), allowed, "{argument}");
        }
    }
}
