//! What we build upon: licences we may ship, and no second TLS stack. The lists are those of
//! `.deny.toml`; advisories need `cargo deny` (see `.ci/run`).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::program::stdout_of;

#[test]
fn every_dependency_has_a_licence_we_may_ship() {
    let allowed = quoted_after(&read(".deny.toml"), "allow = [");
    assert!(allowed.contains("Apache-2.0"), "{allowed:?}");
    let faults: Vec<_> = packages()
        .into_iter()
        .filter(|(_, licence)| !permits(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect();
    assert!(faults.is_empty(), "not in .deny.toml:\n{}", faults.join("\n"));
}

#[test]
fn banned_crates_are_not_built() {
    let banned = quoted_after(&read(".deny.toml"), "\ndeny = [");
    assert!(banned.contains("ring"), "{banned:?}");
    let built = packages();
    let found: Vec<_> = built.iter().filter(|(name, _)| banned.contains(name)).collect();
    assert!(found.is_empty(), "banned by .deny.toml (ask cargo tree -i): {found:?}");
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "MIT AND (GPL-3.0 OR ISC)",
        "GPL-3.0 OR MIT AND ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(permits(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!permits(bad, &allowed), "{bad}");
    }
}

/// Name and licence of everything that is built for this machine. `cargo metadata` would also
/// list optional crates that no feature turns on.
fn packages() -> BTreeSet<(String, String)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--edges=normal,build,dev"])
        .args(["--prefix=none", "--no-dedupe", "--format={p}|{l}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo built this test");
    let tree = stdout_of(&output);
    let packages: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, licence)| {
            let name = package.split(' ').next().unwrap_or_default();
            (name.to_owned(), licence.to_owned())
        })
        .collect();
    assert!(packages.iter().any(|(name, _)| name == "tokio"), "{tree}");
    packages
}

/// `OR` binds weaker than `AND`; the old `/` means `OR`.
fn permits(licence: &str, allowed: &BTreeSet<String>) -> bool {
    let licence = licence.replace('/', " OR ");
    let mut words = licence.replace('(', " ( ").replace(')', " ) ");
    words.push_str(" )");
    either(&mut words.split_whitespace(), allowed)
}

/// One or more `AND` chains up to the closing parenthesis.
fn either<'a>(words: &mut impl Iterator<Item = &'a str>, allowed: &BTreeSet<String>) -> bool {
    let (mut any, mut all, mut name) = (false, true, String::new());
    loop {
        let word = words.next().unwrap_or(")");
        if word == "(" {
            all &= either(words, allowed);
            name.clear();
            name.push('(');
            continue;
        }
        if !["OR", "AND", ")"].contains(&word) {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(word);
            continue;
        }
        // `(` marks a group that is judged already.
        all &= name == "(" || allowed.contains(&name);
        name.clear();
        if word != "AND" {
            any |= all;
            all = true;
        }
        if word == ")" {
            return any;
        }
    }
}

/// The first quoted word of each line between `start` and the closing bracket.
fn quoted_after(text: &str, start: &str) -> BTreeSet<String> {
    let list = text.split_once(start).map_or("", |(_, rest)| rest);
    let list = list.split_once("\n]").map_or(list, |(list, _)| list);
    list.lines().filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
