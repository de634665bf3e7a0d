//! The binary `brig`. `main` reads as the program: options for all commands, the command's table, its flags, the command,
//! and the exit code. The first word is looked at before anything else, so that starting one command pays for no other.

mod command;
mod failure;
mod flags;
mod globals;
mod output;
mod runtime;
mod terminal;

use failure::{Failure, Outcome};
use flags::help;
use flags::parse::Asked;
use std::process::ExitCode;

fn main() -> ExitCode {
    let code = match program() {
        Ok(code) => code,
        Err(failure) => report(&failure),
    };
    ExitCode::from(code)
}

fn program() -> Outcome {
    let mut arguments = std::env::args_os();
    let as_runtime = runtime::called_as(arguments.next().as_deref());
    let mut words = globals::words(arguments)?;
    if let Some(program) = as_runtime {
        return Ok(runtime::main(program, &words));
    }
    if words.first().is_some_and(|word| word == "runtime") {
        return Ok(runtime::main("brig runtime", &words[1..]));
    }
    let place = globals::place(&mut words)?;
    let first = words.first().map_or("", String::as_str);
    match first {
        "" | "help" | "--help" | "-h" => return command::help::show(&words),
        "--version" | "-v" => return command::version::short(),
        _ => {}
    }
    let Some((entry, used)) = command::find(&words) else {
        return command::help::unknown(&words);
    };
    match flags::parse::parse(entry.command, words.split_off(used))? {
        Asked::Help => output::print(&help::command(entry.command)),
        Asked::Run(parsed) => (entry.run)(&place, parsed),
    }
}

/// Says what went wrong on stderr and gives the exit code.
fn report(failure: &Failure) -> u8 {
    match failure {
        Failure::Told(_) => {}
        Failure::Misuse(misuse) => eprint!("{}", help::misuse(misuse)),
        other => output::complain(&other.text()),
    }
    failure.exit_code()
}
