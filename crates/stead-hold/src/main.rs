//! `stead-hold`: holds one session. Needs no steward.

fn main() -> std::process::ExitCode {
    stead_hold::cli::main()
}
