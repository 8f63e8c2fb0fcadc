//! What each run of a release binary for Linux would pay for in pages and need not: tables for unwinding, since a
//! panic aborts there (Cargo.toml), and relocations in their long form. The crate no_unwind takes out what reads the
//! tables.

use std::{env, fs, path::Path, process::Command};

/// No table of how to unwind is ever read. The standard library and libc bring theirs compiled. INSERT adds to the
/// linker's own script. .comment is the compilers' names; lintian wants it gone, as strip -R would do.
const SECTIONS: &str =
    "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table*) *(.comment) } } INSERT AFTER .text;\n";

/// The functions of the crate no_unwind are for this program alone. A library that is loaded into it (of OpenSSL, of
/// the resolver, by LD_PRELOAD) and has exceptions, as in C++, finds libgcc's.
const SYMBOLS: &str = "{ local: _Unwind_*; };\n";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_PROFILE_RELEASE_PANIC");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Other systems' linkers know no such scripts.
    if !is("PROFILE", "release")
        || !is("CARGO_CFG_TARGET_OS", "linux")
        || is("CARGO_PROFILE_RELEASE_PANIC", "unwind")
    {
        return;
    }
    link_by("-T", "no-unwinding.ld", SECTIONS);
    link_by("--version-script", "symbols", SYMBOLS);
    println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
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

/// Has the binary linked with `option` and a file of this text.
fn link_by(option: &str, name: &str, text: &str) {
    let Some(dir) = env::var_os("OUT_DIR") else { return };
    let file = Path::new(&dir).join(name);
    if fs::write(&file, text).is_ok() {
        println!("cargo:rustc-link-arg-bins=-Wl,{option},{}", file.display());
    }
}

/// The minor version of the system's glibc: the short form is known to it since 2.36, and linkers do not look.
fn glibc() -> Option<u32> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().strip_prefix("glibc 2.")?.parse().ok()
}
