//! `brig runtime`, and this binary called as `brig-runtime` or `runc`: an OCI runtime with runc's command line. Reads the
//! words, opens the log, calls the command; the work is `oci`'s. Nothing of the engine is touched.

mod checkpoint;
mod commands;
mod delete;
mod events;
mod exec;
mod failure;
mod foreground;
mod handover;
mod help;
mod launch;
mod list;
mod log;
mod parse;
mod process;
mod ps;
mod spec;
mod state;
mod update;

use crate::output;
use failure::{Failure, Outcome};
use log::{Format, Log};
use parse::{Command, Misread, Parsed};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What holds for every command.
pub struct Context {
    /// As which program we were called.
    program: &'static str,
    root: oci::Root,
    root_path: PathBuf,
    log: Log,
}

/// The name to go by when the binary itself is called as the runtime.
pub fn called_as(argument: Option<&OsStr>) -> Option<&'static str> {
    match Path::new(argument?).file_name()?.to_str()? {
        "runc" => Some("runc"),
        "brig-runtime" => Some("brig-runtime"),
        _ => None,
    }
}

/// Runs the words after the program's name; the result is the exit code.
pub fn main(program: &'static str, words: &[String]) -> u8 {
    let (globals, rest) = match parse::leading(commands::GLOBALS, words) {
        Ok(parsed) => parsed,
        Err(misread) => return misread_globals(program, misread),
    };
    if globals.switch("version") {
        return print(&format!(
            "{program} version {VERSION}\ncommit: v{VERSION}\nspec: {}\n",
            ::spec::runtime::VERSION
        ));
    }
    let Some((name, words)) = rest.split_first() else {
        return print(&help::program(program, VERSION));
    };
    if globals.switch("help") {
        return print(&help::program(program, VERSION));
    }
    let context = match context(program, &globals) {
        Ok(context) => context,
        Err(failure) => return report(&Log::plain(), &failure),
    };
    let outcome = match commands::find(name) {
        Some(command) => dispatch(&context, command, words),
        None if matches!(name.as_str(), "help" | "h") => help_for(&context, words.first()),
        None => Err(Failure::new(format!("No help topic for '{name}'"))),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => report(&context.log, &failure),
    }
}

fn misread_globals(program: &'static str, misread: Misread) -> u8 {
    match misread {
        Misread::Help => print(&help::program(program, VERSION)),
        Misread::Wrong(text) => {
            print(&format!("Incorrect Usage. {text}\n\n{}", help::program(program, VERSION)));
            report(&Log::plain(), &Failure::new(text))
        }
    }
}

fn context(program: &'static str, globals: &Parsed) -> Result<Context, Failure> {
    let format = match globals.text("log-format").unwrap_or("text") {
        "text" => Format::Text,
        "json" => Format::Json,
        other => return Err(Failure::new(format!("invalid log-format: {other}"))),
    };
    let path = globals.text("log").unwrap_or_default();
    let log = Log::open(path, format, globals.switch("debug"));
    let log = log.map_err(|error| Failure::new(format!("open {path}: {}", crate::failure::plain(&error))))?;
    if globals.text("criu").is_some_and(|path| !path.is_empty()) {
        // As runc since 1.1.
        log.warning("--criu is ignored: the criu in $PATH is used");
    }
    let cgroups = match globals.text("rootless").unwrap_or("auto") {
        "true" => oci::Cgroups::WherePermitted,
        "auto" => oci::Cgroups::by_user_namespace(),
        "false" => oci::Cgroups::Required,
        other => return Err(Failure::new(format!("invalid value {other:?} for --rootless: true, false or auto"))),
    };
    let driver = if globals.switch("systemd-cgroup") { oci::Driver::Systemd } else { oci::Driver::Cgroupfs };
    let root = globals.text("root").filter(|root| !root.is_empty()).unwrap_or(commands::DEFAULT_ROOT);
    let root_path = std::path::absolute(root).map_err(|error| Failure::new(error.to_string()))?;
    Ok(Context { program, root: oci::Root::at(&root_path, driver, cgroups), root_path, log })
}

fn dispatch(context: &Context, command: &'static Command, words: &[String]) -> Outcome {
    let parsed = match parse::command(command, words) {
        Ok(parsed) => parsed,
        Err(Misread::Help) => return Ok(print(&help::command(context.program, command))),
        Err(Misread::Wrong(text)) => {
            print(&format!("Incorrect Usage: {text}\n\n{}", help::command(context.program, command)));
            return Err(Failure::new(text));
        }
    };
    check_count(context, command, &parsed)?;
    if matches!(command.name, "create" | "run" | "restore") && !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            "containers need root: run this as root; users without privileges cannot make them yet",
        ));
    }
    match command.name {
        "create" => launch::create(context, &parsed),
        "run" => launch::run(context, &parsed),
        "start" => state::start(context, &parsed),
        "state" => state::state(context, &parsed),
        "kill" => state::kill(context, &parsed),
        "pause" => state::pause(context, &parsed),
        "resume" => state::resume(context, &parsed),
        "delete" => delete::delete(context, &parsed),
        "exec" => exec::exec(context, &parsed),
        "ps" => ps::ps(context, &parsed),
        "list" => list::list(context, &parsed),
        "events" => events::events(context, &parsed),
        "update" => update::update(context, &parsed),
        "spec" => spec::spec(&parsed),
        "features" => Ok(print(&state::pretty(&oci::features::features(VERSION)))),
        "checkpoint" => checkpoint::checkpoint(context, &parsed),
        "restore" => checkpoint::restore(context, &parsed),
        name => unreachable!("{name} is in the table of commands"),
    }
}

fn check_count(context: &Context, command: &'static Command, parsed: &Parsed) -> Result<(), Failure> {
    let (least, most) = command.count;
    let count = parsed.arguments.len();
    let wanted = match (least, most) {
        _ if (least..=most).contains(&count) => return Ok(()),
        (least, most) if least == most => format!("exactly {least}"),
        (least, _) if count < least => format!("a minimum of {least}"),
        (_, most) => format!("a maximum of {most}"),
    };
    print(&format!("Incorrect Usage.\n\n{}", help::command(context.program, command)));
    let text = format!("{}: {:?} requires {wanted} argument(s)", context.program, command.name);
    Err(Failure { text, code: if command.name == "exec" { exec::FAILED } else { 1 } })
}

fn help_for(context: &Context, topic: Option<&String>) -> Outcome {
    match topic {
        None => Ok(print(&help::program(context.program, VERSION))),
        Some(name) => match commands::find(name) {
            Some(command) => Ok(print(&help::command(context.program, command))),
            None => Err(Failure::new(format!("No help topic for '{name}'"))),
        },
    }
}

/// On standard output; the exit code.
fn print(text: &str) -> u8 {
    match output::print(text) {
        Ok(code) => code,
        Err(failure) => failure.exit_code(),
    }
}

fn report(log: &Log, failure: &Failure) -> u8 {
    if !failure.text.is_empty() {
        log.error(&failure.text);
    }
    failure.code
}
