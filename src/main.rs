//! The binary: everything is in the library.

// Takes the place of the unwinder in release binaries.
extern crate no_unwind as _;

fn main() -> std::process::ExitCode {
    wspipe::main()
}
