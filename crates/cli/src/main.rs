//! `jitcall`: the engine on the command line.

mod argument;
mod bench;
mod call;
mod doctor;
mod js;
mod long_double;
mod render;
mod show;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jitcall::error::explain;

/// Why a command failed; its sources are printed after it.
type Failure = Box<dyn Error>;

/// Calls C functions by their declarations, and shows how
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Call(call::Call),
    Show(show::Show),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    Js(js::Js),
}

fn main() -> ExitCode {
    end_quietly_with_the_reader();
    let outcome = match Program::parse_from(arguments()).command {
        Command::Call(call) => call.run(),
        Command::Show(show) => show.run(),
        Command::Bench(bench) => bench.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Js(js) => js.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", explain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The program's arguments; those of `call` may be negative numbers.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|command| command == "call") {
        arguments = arguments.into_iter().map(call::mark_numbers).collect();
    }
    arguments
}

/// Lets a pipe whose reader has gone end the program, as it ends C programs, and with it the C functions called here.
fn end_quietly_with_the_reader() {
    // SAFETY: the default action is set before any other thread is started.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
