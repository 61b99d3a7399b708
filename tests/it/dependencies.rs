//! What is built in comes from where it is said to come from, under licences that allow it, and with
//! one TLS stack: what `deny.toml` says, as far as it can be known without a download. `cargo deny
//! check` knows the rest, such as what has become known of a version since.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Every package that a build for Linux takes in, tests and benchmarks among it.
fn packages() -> Vec<Value> {
    let run = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let metadata: Value = serde_json::from_slice(&run.stdout).expect("it is JSON");
    let built: Vec<&Value> = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|node| &node["id"])
        .collect();
    let all = metadata["packages"].as_array().cloned().unwrap_or_default();
    all.into_iter()
        .filter(|package| built.contains(&&package["id"]))
        .collect()
}

const DENY: &str = include_str!("../../deny.toml");

/// The texts of a list in `deny.toml` that begins with this line.
fn list(begin: &str) -> Vec<&'static str> {
    let (_, rest) = DENY.split_once(begin).expect("deny.toml has the list");
    let (inside, _) = rest.split_once("\n]").expect("the list ends");
    let entries = inside
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    entries.filter_map(|line| line.split('"').nth(1)).collect()
}

/// Whether one of the allowed licences is enough for an SPDX expression.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for word in expression.split(' ') {
        depth += word.matches('(').count();
        if word == "AND" && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(word);
            part.push(' ');
        }
        depth -= word.matches(')').count();
    }
    parts.iter().all(|part| {
        let part = part.replace(['(', ')'], "").replace('/', " OR ");
        part.split(" OR ").any(|one| allowed.contains(&one.trim()))
    })
}

#[test]
fn an_expression_is_read_as_spdx_means_it() {
    let allowed = ["MIT", "ISC"];
    for fine in [
        "MIT",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND ISC",
        "MIT/GPL-3.0",
        "MIT AND ISC",
    ] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    for wrong in [
        "GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT WITH x",
        "",
    ] {
        assert!(!is_allowed(wrong, &allowed), "{wrong}");
    }
}

#[test]
fn what_is_built_in_may_be() {
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let (allowed, banned) = (list("allow = ["), list("deny = ["));
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        *versions.entry(name).or_default() += 1;
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence, &allowed), "{name} is under {licence:?}");
        let source = package["source"].as_str();
        let ours = name == env!("CARGO_PKG_NAME") && source.is_none();
        let registry = source == Some("registry+https://github.com/rust-lang/crates.io-index");
        assert!(ours || registry, "{name} comes from {source:?}");
    }
    assert!(banned.len() > 5, "{banned:?}");
    for name in banned {
        let once = DENY.contains(&format!("crate = \"{name}\", deny-multiple-versions"));
        let count = versions.get(name).copied().unwrap_or_default();
        assert_eq!(count, u32::from(once), "{name}");
    }
}
