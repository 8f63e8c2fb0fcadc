//! Any arguments up to the decided configuration and the machine that it makes. Nothing is connected, asked for or
//! written; files are read, so that the target stands in an empty directory and leaves out what is none.
#![no_main]

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    sync::Once,
    time::Instant,
};

use wspipe::{
    cli::{self, Invocation},
    config::{Mode, Zone},
    mode::{self, World},
};
use wspipe_fuzz::no_controls;

const COMMANDS: [&str; 8] = ["echo", "cat", "mqtt", "pub", "sub", "rr", "serve", ""];

/// Where reading would wait or never end.
const PLACES: [&[u8]; 7] = [b"/dev", b"/proc", b"/sys", b"/run", b"/tmp", b"/var", b".."];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static AWAY: Once = Once::new();
    AWAY.call_once(|| {
        let dir = std::env::temp_dir().join(format!("wspipe-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .and_then(|()| std::env::set_current_dir(&dir))
            .expect("an empty directory");
        let _ = std::fs::remove_dir(&dir);
    });
    let Some((&choice, text)) = data.split_first() else { return };
    let contains = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    if text.len() > 2000 || PLACES.iter().any(|place| contains(place)) {
        return;
    }
    // What is asked for is made: a message of a GB.
    let digits = text.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or_default();
    if contains(b"--size") && (digits > 5 || text.iter().any(|byte| b"kKmMgG".contains(byte))) {
        return;
    }
    let command = COMMANDS[usize::from(choice) % COMMANDS.len()];
    let first = (!command.is_empty()).then(|| OsString::from(command));
    let rest = text.split(|byte| *byte == b'\n').map(|argument| OsStr::from_bytes(argument).to_owned());
    let args: Vec<OsString> = first.into_iter().chain(rest).collect();
    let last = args.last().cloned().unwrap_or_default();
    let env = |name: &str| match name {
        "http_proxy" | "NO_PROXY" if choice & 0x40 != 0 => Some(last.clone()),
        "P" => Some(OsString::from("from the environment")),
        _ => None,
    };
    match cli::parse(args.into_iter(), &env) {
        Ok(Invocation::Print(text)) => assert!(text.ends_with('\n')),
        Ok(Invocation::Run(config)) => {
            let _ = format!("{config:?}");
            config.warnings.iter().for_each(|text| no_controls(text));
            machine(&config.mode);
        }
        Err(error) => {
            no_controls(&error.to_string());
            assert!(matches!(error.exit_code(), 2 | 23 | 26 | 58 | 77), "{}", error.exit_code());
        }
    }
});

/// What was decided is what a machine can be made of.
fn machine(mode: &Mode) {
    let now = Instant::now();
    let world = World {
        seed: 7,
        terminal: false,
        stderr_terminal: false,
        last_byte: None,
        started: (now, 1_700_000_000_000_000),
        zone: Zone::utc,
    };
    if let Some(mut machine) = mode::machine(mode, world) {
        machine.handle_connected(&Default::default(), now + std::time::Duration::from_secs(30), now);
    }
}
