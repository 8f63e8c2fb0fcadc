//! Leaves out of release binaries for Linux what only unwinding reads: a panic aborts there (Cargo.toml), and each run
//! would pay for the pages. Other systems' linkers know no such script.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=scripts/packaging/no-unwinding.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let script = "scripts/packaging/no-unwinding.ld";
    let there = std::path::Path::new(script).exists();
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && there {
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
    }
}
