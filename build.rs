//! What each run of a release binary for Linux would pay for in pages and need not: tables for unwinding, since a
//! panic aborts there (Cargo.toml), and relocations in their long form. The crate no_unwind takes out what reads the
//! tables.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=scripts/packaging/no-unwinding.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Other systems' linkers know no such script.
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let script = "scripts/packaging/no-unwinding.ld";
    if Path::new(script).exists() {
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
    }
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if env::var("HOST") != env::var("TARGET")
        || !is("CARGO_CFG_TARGET_ENV", "gnu")
        || features.split(',').any(|feature| feature == "crt-static")
    {
        return;
    }
    if glibc().is_some_and(|minor| minor >= 36) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The minor version of the system's glibc: the short form is known to it since 2.36, and linkers do not look.
fn glibc() -> Option<u32> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().strip_prefix("glibc 2.")?.parse().ok()
}
