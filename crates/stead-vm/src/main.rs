//! The program `stead-vm`.

fn main() -> std::process::ExitCode {
    stead_vm::cli::main()
}
