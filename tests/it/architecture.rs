//! The layers import in one direction only.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Who may name whom in `crate::…`: the layers below it, as far as they lie on its way. A layer may always name
/// itself.
const TABLE: &[(&str, &[&str])] = &[
    ("lib", &["cli", "run", "serve", "mode", "config", "error", "logging", "sys"]),
    ("main", &[]),
    ("cli", &["config", "proto"]),
    ("config", &["proto"]),
    ("run", &["mode", "net", "sys", "config", "error", "proto"]),
    ("serve", &["net", "sys", "config", "error", "proto"]),
    ("mode", &["proto", "config"]),
    ("net", &["sys", "config", "proto"]),
    ("sys", &[]),
    ("proto", &[]),
    ("error", &["config", "mode", "net", "serve", "sys"]),
    ("logging", &["config", "sys"]),
    // A crate of its own, which main only links.
    ("no_unwind", &[]),
];

/// What `net` may know of `proto`: the types that cross the line, and how server-sent text is shown.
const NET_OF_PROTO: &[&str] = &["link", "format"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is there") {
        let path = entry.expect("src can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The layer that a file belongs to: the first part of its path.
fn layer(path: &Path) -> String {
    let first = path.components().next().expect("a path has parts").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The paths named after `crate::`, as `layer::rest`; those of `use crate::{a, b::c}` one by one.
fn named(source: &str) -> Vec<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` and names that end in crate are no paths of ours.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        expand("", &code[at + "crate::".len()..], &mut paths);
    }
    paths
}

/// Adds the paths that `text` begins with: one, or a braced list of them.
fn expand(prefix: &str, text: &str, paths: &mut Vec<String>) {
    let text = text.trim_start();
    if !text.starts_with('{') {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
        let path = text[..end].trim_end_matches(':');
        match text[end..].starts_with('{') && text[..end].ends_with("::") {
            true => expand(&format!("{prefix}{path}::"), &text[end..], paths),
            false => paths.push(format!("{prefix}{path}")),
        }
        return;
    }
    let (mut depth, mut start) = (0, 1);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            if !text[start..at].trim().is_empty() {
                expand(prefix, &text[start..at], paths);
            }
            start = at + 1;
        }
        if depth == 0 {
            return;
        }
    }
}

#[test]
fn imports_run_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "the sources are found");
    let mut wrong = Vec::new();
    for file in &files {
        let path = file.strip_prefix(&src).expect("found below src");
        let from = layer(path);
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == from) else {
            wrong.push(format!("{}: the layer {from} is in no table", path.display()));
            continue;
        };
        for name in named(&fs::read_to_string(file).expect("sources are UTF-8")) {
            let mut parts = name.split("::");
            let to = parts.next().unwrap_or_default();
            let further = parts.next().unwrap_or_default();
            let fine = to == from
                || allowed.contains(&to)
                    && (from != "net" || to != "proto" || NET_OF_PROTO.contains(&further));
            if !fine {
                wrong.push(format!("{}: {from} names crate::{name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against DESIGN section 4:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_reads_them() {
    let source = "use crate::{net::{ws, tls::{self, Stream}}, proto::link::Kind,\n    sys};\n// crate::cli\nfn f(x: crate::run::X) {}";
    assert_eq!(
        named(source),
        ["net::ws", "net::tls::self", "net::tls::Stream", "proto::link::Kind", "sys", "run::X"]
    );
}

#[test]
fn no_file_is_endless() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "tests"] {
        sources(&src.join(dir), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .map(|file| (file, fs::read_to_string(file).expect("sources are UTF-8").lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "files of about 500 lines at most:\n{}", long.join("\n"));
}

/// wspipe forbids it by a lint; the crate beside it may take the names of functions, and nothing else.
#[test]
fn no_unsafe_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/no_unwind/lib.rs");
    let source = fs::read_to_string(path).expect("the crate is there");
    let code = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let unsafes: Vec<&str> = code.filter(|line| line.contains("unsafe")).collect();
    assert!(!unsafes.is_empty(), "the functions have names");
    assert!(unsafes.iter().all(|line| *line == "#[unsafe(no_mangle)]"), "{unsafes:?}");
}
