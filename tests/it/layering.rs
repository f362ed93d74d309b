//! Who may import whom, and the shape of the source tree.

use std::path::{Path, PathBuf};

const MAX_LINES: usize = 400;

/// Free to all; they import no state room.
const LEAVES: &[&str] = &["api", "alert", "clock", "persistent", "publish", "telemetry"];
const STATE: &[&str] = &["routing", "registry", "dispatch", "store", "delivery"];

/// A room, and what it may import beside the leaves. Rooms declare their own settings, so that
/// `config` is for those who read the command line.
const ROOMS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("alert", &[]),
    ("clock", &[]),
    ("persistent", &[]),
    ("publish", &[]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("routing", &[]),
    ("registry", &["routing"]),
    ("dispatch", &["routing"]),
    ("store", &["dispatch"]),
    ("delivery", &["registry"]),
    ("controller", STATE),
    ("probe", STATE),
    ("fanout", STATE),
    ("server", STATE),
    ("cli", &["routing", "registry", "dispatch", "store", "delivery", "config"]),
];

/// Not rooms: the composition root sees everything, `main` calls it, `lib` is the map.
const ROOTS: &[(&str, Option<&[&str]>)] =
    &[("app", None), ("main", Some(&["app", "cli", "config"])), ("lib", Some(&[]))];

#[test]
fn rooms_import_only_what_their_line_names() {
    let mut faults = Vec::new();
    for file in rust_files("src") {
        let depth = file.components().count() - 1;
        let Some(room) = room_of(&file) else {
            faults.push(format!("{}: no such room: add it to ROOMS", file.display()));
            continue;
        };
        let text = read(&file);
        let mut imports = imports(&text, depth);
        if room == "main" {
            imports.extend(named(&text, "fanfare::"));
        }
        for import in imports {
            if !allowed(&room, &import) {
                faults.push(format!("{}: {room} may not import {import}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "see ROOMS:\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_none_is_a_mod_rs() {
    let mut faults = Vec::new();
    for file in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let lines = read(&file).lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines, split it", file.display()));
        }
        if file.ends_with("mod.rs") {
            faults.push(format!("{}: name it after its module", file.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_file_is_declared_by_its_parent() {
    let mut orphans = Vec::new();
    for (tree, roots) in [("src", ["lib.rs", "main.rs"]), ("tests/it", ["main.rs", "main.rs"])] {
        let roots = roots.map(|root| Path::new(tree).join(root));
        for file in rust_files(tree).into_iter().filter(|file| !roots.contains(file)) {
            let folder = file.parent().unwrap_or(Path::new(tree));
            let parents = if folder == Path::new(tree) {
                roots.to_vec()
            } else {
                vec![folder.with_extension("rs")]
            };
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !parents.iter().any(|parent| declares(parent, &name)) {
                orphans.push(format!("{}: no `mod {name};` above it", file.display()));
            }
        }
    }
    assert!(orphans.is_empty(), "never compiled:\n{}", orphans.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let found = |text: &str, depth| imports(text, depth).join(" ");
    assert_eq!(found("use crate::api::{Key, Target};", 1), "api");
    assert_eq!(
        found("use crate::{alert, api::{self, Key},\n  routing::Table,\n};", 1),
        "alert api routing"
    );
    assert_eq!(found("fn f(x: &crate::store::Store) {}", 1), "store");
    assert_eq!(found("use super::delivery::Client;", 1), "delivery");
    assert_eq!(found("use super::wire; use super::super::fanout::Engine;", 2), "fanout");
    assert_eq!(found("// see crate::server\n//! [`crate::cli`]\npub(crate) fn f() {}", 1), "");
    assert_eq!(found("use crate::*;", 1), "*");
}

#[test]
fn table_refuses_what_the_design_refuses() {
    for (room, import) in [
        ("api", "routing"),
        ("routing", "registry"),
        ("dispatch", "registry"),
        ("delivery", "dispatch"),
        ("probe", "controller"),
        ("server", "fanout"),
        ("fanout", "config"),
        ("server", "app"),
        ("cli", "*"),
    ] {
        assert!(!allowed(room, import), "{room} imports {import}");
    }
    for (room, import) in
        [("api", "api"), ("store", "dispatch"), ("probe", "registry"), ("app", "cli")]
    {
        assert!(allowed(room, import), "{room} imports {import}");
    }
}

fn allowed(room: &str, import: &str) -> bool {
    if room == import {
        return true;
    }
    if let Some((_, roots)) = ROOTS.iter().find(|(name, _)| *name == room) {
        return roots.is_none_or(|roots| roots.contains(&import) || LEAVES.contains(&import));
    }
    let row = ROOMS.iter().find(|(name, _)| *name == room);
    row.is_some_and(|(_, others)| others.contains(&import) || LEAVES.contains(&import))
}

/// `src/delivery/render/slack.rs` belongs to `delivery`.
fn room_of(file: &Path) -> Option<String> {
    let first = file.components().nth(1)?;
    let name = Path::new(first.as_os_str()).file_stem()?.to_string_lossy().into_owned();
    let known = ROOMS.iter().any(|(room, _)| *room == name);
    (known || ROOTS.iter().any(|(root, _)| *root == name)).then_some(name)
}

/// The top-level modules that a file at `depth` modules below the crate names, however it does.
fn imports(text: &str, depth: usize) -> Vec<String> {
    let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    let code = code.join("\n");
    let mut found = named(&code, "crate::");
    // In an inline module `super::` names items of the file itself, which are no rooms.
    let is_room = |name: &String| name == "app" || ROOMS.iter().any(|(room, _)| room == name);
    found.extend(named(&code, &"super::".repeat(depth)).into_iter().filter(is_room));
    found
}

/// What follows `prefix`, wherever a path begins with it.
fn named(code: &str, prefix: &str) -> Vec<String> {
    let begins = |at: usize| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    };
    code.match_indices(prefix)
        .filter(|(at, _)| begins(*at))
        .flat_map(|(at, _)| heads(&code[at + prefix.len()..]))
        .collect()
}

/// `a::b` → `a`; `{a, b::{c, d}}` → `a`, `b`.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        return vec![path[..end.unwrap_or(path.len())].to_owned()];
    };
    let (mut found, mut level, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level > 0 => level -= 1,
            ',' | '}' if level == 0 => {
                found.extend(heads(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn declares(parent: &Path, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(parent);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let wanted = format!("mod {name};");
    text.lines().map(str::trim).any(|line| line.ends_with(&wanted) && !line.starts_with("//"))
}

fn read(file: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files under a folder of the repository, as paths from its root.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder))
        else {
            continue;
        };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
