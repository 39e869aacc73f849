//! The program `stead-vm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next().as_deref().and_then(|a| a.to_str()), args.next()) {
        (Some("keep"), Some(spec)) => stead_vm::keep::run(spec.as_ref()),
        _ => ExitCode::FAILURE,
    }
}
