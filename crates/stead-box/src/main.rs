//! The program `stead-box`.

fn main() -> std::process::ExitCode {
    stead_box::cli::main()
}
