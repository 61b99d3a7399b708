//! The architecture as a test: which part of the crate may know which, and what only one place may
//! do.
//!
//! The rules are the tables below; `src/lib.rs` explains them. The reader of the source is a
//! scanner for paths and words, not a compiler: comments and text are blanked first, then it looks
//! for `crate::…` and for a few names.

use std::fs;
use std::path::{Path, PathBuf};

/// For each part of the crate, the parts that it may import. Imports point one way only: `main` →
/// `cli` → `ops` → `store`, `stripe` or `mail` → `model`. A part that is not listed has no place in the
/// architecture yet: give it one here.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "ops",
            "store",
            "stripe",
            "mail",
            "sandbox",
            "output",
            "config",
            "env_vars",
            "model",
            "failpoint",
        ],
    ),
    ("config", &["env_vars", "model", "store"]),
    ("env_vars", &[]),
    ("output", &["ops", "model"]),
    ("ops", &["store", "stripe", "mail", "model", "failpoint"]),
    ("store", &["model", "failpoint"]),
    ("stripe", &["model"]),
    ("mail", &["model"]),
    ("sandbox", &[]),
    ("model", &[]),
    ("failpoint", &[]),
];

/// Packages that only some parts may use.
const ONLY_IN: [(&str, &[&str]); 13] = [
    ("stripe_client_core", &["stripe"]),
    ("stripe_connect", &["stripe"]),
    ("stripe_core", &["stripe"]),
    ("diesel", &["store", "model"]),
    ("clap", &["main", "cli", "output"]),
    ("dialoguer", &["cli"]),
    ("indicatif", &["output"]),
    ("comfy_table", &["output"]),
    ("schemars", &["output"]),
    ("axum", &["sandbox"]),
    // Commands speak to `Ui`, and operations through their events.
    ("tracing", &["store", "stripe", "sandbox", "output"]),
    ("lettre", &["mail"]),
    ("minijinja", &["output"]),
];

/// Macros that write to a standard stream, and the parts that may.
const PRINTING: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];
const MAY_PRINT: [&str; 2] = ["output", "main"];

/// The file and the folder that may tell the databases apart.
const MAY_MATCH_BACKEND: [&str; 2] = ["src/store/connection.rs", "src/store/dialect/"];

/// The files of the store that may use the connection outside a transaction: behind a transaction
/// pooler only a transaction is set up. A run is announced and a schema migrated in a session, and an
/// embedded database is copied outside a transaction.
const MAY_USE_SESSION: [&str; 4] = [
    "src/store/backup.rs",
    "src/store/migrations.rs",
    "src/store/mod.rs",
    "src/store/runs.rs",
];

/// The constructor of consent, the file that declares it, and the one that may call it: right after
/// showing the plan.
const CONSENT: &str = "given_for";
const MAY_CONSENT: [&str; 2] = ["src/ops/consent.rs", "src/cli/consent.rs"];

#[test]
fn imports_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut violations = Vec::new();
    for file in rust_files(&root.join("src")) {
        let path = file
            .strip_prefix(root)
            .expect("the file is in the package")
            .to_string_lossy()
            .into_owned();
        let source = fs::read_to_string(&file).expect("a source file can be read");
        violations.extend(violations_in(&path, &source));
    }
    assert!(
        violations.is_empty(),
        "the layers of src/lib.rs are crossed:\n{}",
        violations.join("\n")
    );
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder can be read") {
        let path = entry
            .expect("an entry of a source folder can be read")
            .path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What is wrong with one file, as `path:line: what`.
fn violations_in(path: &str, source: &str) -> Vec<String> {
    let code = without_comments_and_text(source);
    let part = part_of(path);
    let allowed = MAY_IMPORT
        .iter()
        .find(|(name, _)| *name == part)
        .map(|(_, allowed)| *allowed);
    let mut found = Vec::new();
    let mut report = |at: usize, what: String| {
        let line = code[..at].matches('\n').count() + 1;
        found.push((at, format!("{path}:{line}: {what}")));
    };

    // The root of the crate only names its parts, and every part has its row.
    if part != "lib" && allowed.is_none() {
        report(0, format!("`{part}` is not in the table of layers"));
    }
    for (at, imported) in imports(path, &code) {
        if imported != part
            && part != "lib"
            && !allowed.unwrap_or_default().contains(&imported.as_str())
        {
            report(at, format!("`{part}` must not import `{imported}`"));
        }
    }
    for at in positions(&code, "super::super") {
        report(
            at,
            "name the path from `crate::`, where the layers can be seen".to_owned(),
        );
    }
    for (package, parts) in ONLY_IN {
        for at in words(&code, package) {
            let is_root = code[at + package.len()..].trim_start().starts_with("::")
                && !code[..at].ends_with("::");
            if is_root && !parts.contains(&part) {
                report(at, format!("`{part}` must not use the package `{package}`"));
            }
        }
    }
    for name in PRINTING {
        for at in words(&code, name) {
            if code[at + name.len()..].starts_with('!') && !MAY_PRINT.contains(&part) {
                report(at, format!("`{part}` must not print (`{name}!`)"));
            }
        }
    }
    for at in positions(&code, "AnyConnection::") {
        let variant = code[at + "AnyConnection::".len()..].trim_start();
        let is_variant = variant.starts_with(|c: char| c.is_ascii_uppercase() || "{*".contains(c));
        if is_variant && !MAY_MATCH_BACKEND.iter().any(|may| path.starts_with(may)) {
            report(
                at,
                "only the store's connection and dialect may tell the databases apart".to_owned(),
            );
        }
    }
    for at in positions(&code, "self.conn") {
        if part == "store" && !MAY_USE_SESSION.contains(&path) {
            report(
                at,
                "use `read` or `write`: behind a pooler only a transaction is set up".to_owned(),
            );
        }
    }
    for at in words(&code, CONSENT) {
        if !MAY_CONSENT.contains(&path) {
            let [_, caller] = MAY_CONSENT;
            report(
                at,
                format!("only {caller} may say that somebody agreed (`{CONSENT}`)"),
            );
        }
    }
    found.sort();
    found.into_iter().map(|(_, violation)| violation).collect()
}

/// `src/ops/process.rs` → `ops`, `src/config/mod.rs` → `config`.
fn part_of(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let first = below.split('/').next().unwrap_or(below);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Each part of the crate that `code` names, with the place where it does.
fn imports(path: &str, code: &str) -> Vec<(usize, String)> {
    // The binary is a crate of its own and sees the library under its name.
    let mut roots = vec![if path == "src/main.rs" {
        "payouts"
    } else {
        "crate"
    }];
    let is_head_of_part = path.matches('/').count() == 1
        || path.ends_with("/mod.rs") && path.matches('/').count() == 2;
    if is_head_of_part {
        roots.push("super");
    }
    let mut imports = Vec::new();
    for root in roots {
        for at in words(code, root) {
            let Some(rest) = code[at + root.len()..].trim_start().strip_prefix("::") else {
                continue;
            };
            for name in first_names(rest.trim_start()) {
                // Above the head of a part is the root of the crate; but a module inside that file
                // says `super` too.
                if root != "super" || MAY_IMPORT.iter().any(|(part, _)| *part == name) {
                    imports.push((at, name));
                }
            }
        }
    }
    imports
}

/// The first name of a path, or of each path in a group: `{a::b, c::{d, e}}` → `a`, `c`.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![first_word(path)];
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut entry_begins = true;
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => entry_begins = true,
            char if char.is_whitespace() => {}
            _ if entry_begins => {
                entry_begins = false;
                names.push(first_word(&group[at..]));
            }
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| is_word(*c) || *c == '*')
        .collect()
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn positions<'a>(code: &'a str, text: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(text).map(|(at, _)| at)
}

/// Where `word` stands by itself.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    positions(code, word).filter(move |at| {
        !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

/// `source` with every character of comments, strings and character literals blanked, so that lines
/// keep their numbers.
fn without_comments_and_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let in_word = code.ends_with(is_word);
        let blank = length_of_comment(rest)
            .or_else(|| {
                if in_word {
                    None
                } else {
                    length_of_raw_string(rest)
                }
            })
            .or_else(|| length_of_literal(rest));
        if let Some(length) = blank {
            code.extend(
                rest[..length]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[length..];
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

fn length_of_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(text.len())
}

/// `r"…"`, `r#"…"#`, and the same after `b` or `c`.
fn length_of_raw_string(text: &str) -> Option<usize> {
    let opening = text
        .strip_prefix(['b', 'c'])
        .unwrap_or(text)
        .strip_prefix('r')?;
    let hashes = opening.len() - opening.trim_start_matches('#').len();
    let body = opening[hashes..].strip_prefix('"')?;
    let begin = text.len() - body.len();
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(
        body.find(&closing)
            .map_or(text.len(), |end| begin + end + closing.len()),
    )
}

/// `"…"` or `'…'`; a lifetime is neither.
fn length_of_literal(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let body = &text[1..];
    if quote == '\'' && !body.starts_with('\\') && body.chars().nth(1) != Some('\'') {
        return None;
    }
    let mut escaped = false;
    for (at, char) in body.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            char if char == quote => return Some(at + 2),
            _ => {}
        }
    }
    Some(text.len())
}

mod tests {
    use super::*;

    /// The one complaint about a file with this text.
    fn violation(path: &str, source: &str) -> String {
        violations_in(path, source).join(" + ")
    }

    #[test]
    fn an_import_upwards_or_sideways_is_found() {
        for (path, source, expected) in [
            (
                "src/ops/process.rs",
                "\nuse crate::cli::Context;",
                "src/ops/process.rs:2: `ops` must not import `cli`",
            ),
            (
                "src/ops/mod.rs",
                "use crate::output::table;",
                "src/ops/mod.rs:1: `ops` must not import `output`",
            ),
            (
                "src/store/payouts.rs",
                "use crate::stripe::Outcome;",
                "src/store/payouts.rs:1: `store` must not import `stripe`",
            ),
            (
                "src/stripe/mod.rs",
                "use crate::store;",
                "src/stripe/mod.rs:1: `stripe` must not import `store`",
            ),
            (
                "src/model/money.rs",
                "use crate::ops::x;",
                "src/model/money.rs:1: `model` must not import `ops`",
            ),
            (
                "src/sandbox/mod.rs",
                "use crate::model::Cents;",
                "src/sandbox/mod.rs:1: `sandbox` must not import `model`",
            ),
            (
                "src/config/mod.rs",
                "use crate::ops::event;",
                "src/config/mod.rs:1: `config` must not import `ops`",
            ),
            (
                "src/main.rs",
                "use payouts::store::Store;",
                "src/main.rs:1: `main` must not import `store`",
            ),
            (
                "src/extra.rs",
                "",
                "src/extra.rs:1: `extra` is not in the table of layers",
            ),
            (
                "src/ops/mod.rs",
                "use crate::extra::x;",
                "src/ops/mod.rs:1: `ops` must not import `extra`",
            ),
            (
                "src/ops/mod.rs",
                "use crate::*;",
                "src/ops/mod.rs:1: `ops` must not import `*`",
            ),
        ] {
            assert_eq!(violation(path, source), expected);
        }
    }

    #[test]
    fn an_import_is_found_however_it_is_written() {
        let expected = "src/store/a.rs:1: `store` must not import `stripe`";
        for source in [
            "pub(crate) use crate::stripe;",
            "use crate :: stripe :: Outcome;",
            "use crate::{model::{Cents, stripe}, stripe::Outcome};",
            "use crate::{model, stripe};",
            "fn f(outcome: &'a crate::stripe::Outcome) -> char { '\"' }",
            "fn f() { let quote = '\\''; crate::stripe::send() }",
        ] {
            assert_eq!(violation("src/store/a.rs", source), expected, "{source}");
        }
        let multiline = "use crate::{\n    model::Cents,\n    stripe::Outcome,\n};";
        assert_eq!(violation("src/store/a.rs", multiline), expected);
        assert_eq!(
            violation("src/store/mod.rs", "use super::stripe;"),
            "src/store/mod.rs:1: `store` must not import `stripe`"
        );
        assert!(
            violation("src/store/a.rs", "use super::super::stripe;")
                .contains("name the path from `crate::`")
        );
    }

    #[test]
    fn what_is_allowed_is_left_alone() {
        for (path, source) in [
            ("src/main.rs", "use payouts::cli; fn main() { eprintln!() }"),
            (
                "src/lib.rs",
                "pub mod cli; pub use crate::sandbox::Sandbox;",
            ),
            (
                "src/cli/process.rs",
                "use crate::{ops, output::table, sandbox, store::Store, stripe};",
            ),
            (
                "src/ops/process.rs",
                "use crate::ops::event; use crate::store::Store; use super::event;",
            ),
            (
                "src/output/table.rs",
                "use crate::ops::Summary; fn f() { println!() }",
            ),
            ("src/store/mod.rs", "mod tests { use super::payouts; }"),
            (
                "src/store/dialect/mod.rs",
                "match c { AnyConnection::Postgres(c) => 1, AnyConnection::Sqlite(c) => 2 }",
            ),
            (
                "src/store/payouts.rs",
                "use diesel::prelude::*; fn f(c: &mut AnyConnection) {}",
            ),
            (
                "src/model/ids.rs",
                "// use crate::cli;\n/* println! /* crate::ops */ AnyConnection::Sqlite */",
            ),
            (
                "src/model/ids.rs",
                r##"const A: &str = r#"crate::cli "quoted" diesel::x"#; const B: &str = "\"crate::cli";"##,
            ),
            (
                "src/model/ids.rs",
                "fn my_println() { fingerprint!(); other::clap::x(); clapper::y() }",
            ),
        ] {
            assert_eq!(violation(path, source), "", "{source}");
        }
    }

    #[test]
    fn printing_outside_the_output_is_found() {
        for name in PRINTING {
            let expected = format!("src/ops/a.rs:1: `ops` must not print (`{name}!`)");
            assert_eq!(
                violation("src/ops/a.rs", &format!("fn f() {{ {name}!(\"x\") }}")),
                expected
            );
        }
        assert_eq!(
            violation("src/cli/mod.rs", "std::println!()"),
            "src/cli/mod.rs:1: `cli` must not print (`println!`)"
        );
    }

    #[test]
    fn telling_the_databases_apart_elsewhere_is_found() {
        for source in [
            "AnyConnection::Sqlite(c) => 1",
            "use AnyConnection::*;",
            "use super::AnyConnection::{Postgres};",
        ] {
            let found = violation("src/store/payouts.rs", source);
            assert!(
                found.starts_with("src/store/payouts.rs:1: only the store's connection"),
                "{source}: {found}"
            );
        }
    }

    #[test]
    fn a_query_outside_a_transaction_is_found() {
        let found = violation("src/store/holds.rs", "holds.load(&mut self.conn)");
        assert!(
            found.starts_with("src/store/holds.rs:1: use `read` or `write`"),
            "{found}"
        );
    }

    #[test]
    fn consent_out_of_thin_air_is_found() {
        for source in ["let agreed = Consent::given_for(x);", "agree(C::given_for)"] {
            let complaint = "src/ops/process/send.rs:1: only src/cli/consent.rs may say that \
                             somebody agreed (`given_for`)";
            assert_eq!(violation("src/ops/process/send.rs", source), complaint);
            assert_eq!(violation("src/cli/consent.rs", source), "");
        }
    }

    #[test]
    fn a_package_in_the_wrong_layer_is_found() {
        for (path, source, expected) in [
            (
                "src/ops/a.rs",
                "use clap::Args;",
                "src/ops/a.rs:1: `ops` must not use the package `clap`",
            ),
            (
                "src/cli/a.rs",
                "use diesel::prelude::*;",
                "src/cli/a.rs:1: `cli` must not use the package `diesel`",
            ),
            (
                "src/ops/a.rs",
                "#[derive(diesel::Queryable)]",
                "src/ops/a.rs:1: `ops` must not use the package `diesel`",
            ),
            (
                "src/sandbox/a.rs",
                "use stripe_connect::x;",
                "src/sandbox/a.rs:1: `sandbox` must not use the package `stripe_connect`",
            ),
        ] {
            assert_eq!(violation(path, source), expected);
        }
    }
}
