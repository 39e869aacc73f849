//! `stead-system`: what is done inside a machine. It is streamed in, run, and stays nowhere.

use std::process::ExitCode;

const USAGE: &str = "\
stead-system apply [--check] [--root DIR] < {\"desired\": ..., \"secrets\": {...}}
    brings this machine to what is declared; a JSON line for each change
stead-system audit [--fix] [--plain] [--patience SECONDS] < a system as one machine has it, as JSON
    says whether this machine is as declared, and mends what needs no apply; exits with 3 if it is not
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { return misused() };
    match command.as_str() {
        "apply" => stead_system::apply::program(rest),
        // What `apply` starts as a user, so that it has no more rights in a home folder than its owner.
        "put" => stead_system::apply::put(rest),
        "audit" => stead_system::audit::program(rest),
        // What `audit` starts as nobody, to see whether it is kept off.
        "connect" => {
            println!("{}", stead_system::audit::gather::attempt());
            ExitCode::SUCCESS
        }
        _ => misused(),
    }
}

fn misused() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}
