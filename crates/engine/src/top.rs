//! The processes of a container: docker's `top`. The default columns, those of `ps -ef`, are read
//! from /proc (proc_pid_stat(5)), without a program. Other columns are asked of the host's ps(1),
//! as docker does, whose output is then cut down to the container's processes.

mod ps;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use rustix::param::clock_ticks_per_second;
use spec::Timestamp;
use std::collections::HashMap;

/// Rows are as long as `titles`; the last column may hold spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub titles: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// `Conflict` when the container does not run. A process that ends meanwhile is left out.
pub fn top(_engine: &Engine, container: &Container, ps_args: &[String]) -> Result<Table> {
    container.require_running()?;
    let mut pids = container.cgroup()?.processes()?;
    pids.sort_unstable();
    if ps_args.is_empty() { default_columns(&pids) } else { ps::run(ps_args, &pids) }
}

fn default_columns(pids: &[i32]) -> Result<Table> {
    let titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"].map(String::from).to_vec();
    let mut users = Users::default();
    let machine = Machine::read()?;
    let rows = pids.iter().filter_map(|pid| row(*pid, &machine, &mut users)).collect();
    Ok(Table { titles, rows })
}

/// What turns clock ticks after boot into a time of day.
struct Machine {
    ticks_per_second: u64,
    now: Timestamp,
    up_seconds: f64,
}

impl Machine {
    fn read() -> Result<Machine> {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let up_seconds = uptime.split(' ').next().and_then(|text| text.parse().ok());
        Ok(Machine {
            ticks_per_second: clock_ticks_per_second().max(1),
            now: Timestamp::now(),
            up_seconds: up_seconds.ok_or_else(|| Error::Failed("read /proc/uptime: not as expected".into()))?,
        })
    }
}

fn row(pid: i32, machine: &Machine, users: &mut Users) -> Option<Vec<String>> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = Stat::parse(&stat)?;
    let owner = std::fs::metadata(format!("/proc/{pid}")).ok()?;
    let mut arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // A program that has overwritten its arguments, as our reaper has, leaves the rest of their room zero.
    arguments.truncate(arguments.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    let alive_seconds = (machine.up_seconds - stat.start_ticks as f64 / machine.ticks_per_second as f64).max(0.0);
    let cpu_seconds = stat.cpu_ticks / machine.ticks_per_second;
    let share = if alive_seconds < 1.0 { 0.0 } else { cpu_seconds as f64 * 100.0 / alive_seconds };
    Some(vec![
        users.name(std::os::unix::fs::MetadataExt::uid(&owner)),
        pid.to_string(),
        stat.parent.to_string(),
        format!("{}", share.min(99.0) as u32),
        start_time(machine.now, alive_seconds),
        terminal(stat.terminal),
        format!("{:02}:{:02}:{:02}", cpu_seconds / 3600, cpu_seconds / 60 % 60, cpu_seconds % 60),
        command(&arguments, &stat.name),
    ])
}

/// Fields of /proc/PID/stat.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    parent: i32,
    terminal: u32,
    cpu_ticks: u64,
    start_ticks: u64,
}

impl Stat {
    /// The name may hold anything, also brackets and spaces: it ends with the last `)`.
    fn parse(line: &[u8]) -> Option<Stat> {
        let open = line.iter().position(|b| *b == b'(')?;
        let close = line.iter().rposition(|b| *b == b')')?;
        let fields: Vec<&str> = std::str::from_utf8(&line[close + 1..]).ok()?.split_ascii_whitespace().collect();
        // The first of them is field 3 of the manual page.
        let field = |number: usize| fields.get(number - 3);
        let (user_ticks, system_ticks): (u64, u64) = (field(14)?.parse().ok()?, field(15)?.parse().ok()?);
        Some(Stat {
            name: String::from_utf8_lossy(line.get(open + 1..close)?).into_owned(),
            parent: field(4)?.parse().ok()?,
            terminal: field(7)?.parse::<i32>().ok()? as u32,
            cpu_ticks: user_ticks.saturating_add(system_ticks),
            start_ticks: field(22)?.parse().ok()?,
        })
    }
}

/// ps shows the hour of today's processes and the day of older ones. In UTC: what the host's
/// zone is, only its C library knows.
fn start_time(now: Timestamp, alive_seconds: f64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let start = Timestamp::from_seconds(now.seconds() - alive_seconds as i64);
    let ((year, month, day, hour, minute, _), today) = (start.civil(), now.civil());
    if (year, month, day) == (today.0, today.1, today.2) {
        format!("{hour:02}:{minute:02}")
    } else if year == today.0 {
        format!("{}{day:02}", MONTHS[month as usize - 1])
    } else {
        year.to_string()
    }
}

/// A device number as the kernel packs it: minor in bits 0–7 and 20–31, major in bits 8–19.
fn terminal(device: u32) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match (major, minor) {
        (0, 0) => "?".into(),
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, 0..=63) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (5, 1) => "console".into(),
        _ => format!("{major}:{minor}"),
    }
}

/// The arguments, or the name in brackets where there are none (kernel threads, zombies).
fn command(arguments: &[u8], name: &str) -> String {
    let words = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    let text = if words.is_empty() {
        format!("[{name}]")
    } else {
        let spaced: Vec<u8> = words.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        String::from_utf8_lossy(&spaced).into_owned()
    };
    // Nothing that moves the reader's cursor: a process chooses its own arguments and its name.
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Names from the host's /etc/passwd, as ps shows them: longer than eight letters are cut with a `+`.
#[derive(Default)]
struct Users(Option<HashMap<u32, String>>);

impl Users {
    fn name(&mut self, uid: u32) -> String {
        let names = self.0.get_or_insert_with(|| {
            let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
            crate::user::names_by_id(&passwd)
        });
        match names.get(&uid) {
            Some(name) if name.chars().count() > 8 => format!("{}+", name.chars().take(7).collect::<String>()),
            Some(name) => name.clone(),
            None => uid.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let line = b"7 (a) b(c) S 1 2 3 34817 5 6 7 8 9 10 250 50 13 14 15 16 17 18 999 20 21";
        let expected = Stat { name: "a) b(c".into(), parent: 1, terminal: 34817, cpu_ticks: 300, start_ticks: 999 };
        assert_eq!(Stat::parse(line), Some(expected));
        for bad in [&b""[..], b"7 (a", b")(", b"7 (a) S 1"] {
            assert_eq!(Stat::parse(bad), None);
        }
    }

    #[test]
    fn columns() {
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(34817), "pts/1");
        assert_eq!(terminal(4 << 8 | 2), "tty2");
        assert_eq!(terminal(4 << 8 | 65), "ttyS1");
        assert_eq!(command(b"sleep\x0010\0", "sleep"), "sleep 10");
        assert_eq!(command(b"a\x1b[2J\0", "a"), "a?[2J");
        assert_eq!(command(b"", "kthread"), "[kthread]");
        assert_eq!(command(b"", "\x1b[2J\n"), "[?[2J?]");
        let now = Timestamp::parse("2024-03-01T00:10:00Z").unwrap();
        for (alive, text) in [(60.0, "00:09"), (601.0, "Feb29"), (86400.0 * 100.0, "2023")] {
            assert_eq!(start_time(now, alive), text);
        }
    }

    #[test]
    fn own_process_is_listed() {
        let table = default_columns(&[std::process::id() as i32, i32::MAX]).unwrap();
        assert_eq!(table.rows.len(), 1);
        assert_eq!(table.rows[0].len(), table.titles.len());
        assert_eq!(table.rows[0][1], std::process::id().to_string());
    }
}
