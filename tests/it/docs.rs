//! README.md and `docs` against the program: what they say of variables, exit codes, commands and
//! flags is what the program says; and their links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use payouts::cli::exit::Exit;
use payouts::env_vars;

use crate::common::env::TestEnv;

/// Every page by its path.
const PAGES: [(&str, &str); 7] = [
    ("README.md", include_str!("../../README.md")),
    ("SECURITY.md", include_str!("../../SECURITY.md")),
    ("docs/paying.md", include_str!("../../docs/paying.md")),
    (
        "docs/production.md",
        include_str!("../../docs/production.md"),
    ),
    (
        "docs/reconciling.md",
        include_str!("../../docs/reconciling.md"),
    ),
    ("docs/reference.md", REFERENCE),
    (
        "docs/developing.md",
        include_str!("../../docs/developing.md"),
    ),
];

/// What settings, scripts and monitors rely on.
pub(crate) const REFERENCE: &str = include_str!("../../docs/reference.md");

/// The cells of every table row of the reference with as many columns as asked for.
fn rows(columns: usize) -> impl Iterator<Item = Vec<&'static str>> {
    REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect::<Vec<_>>())
        .filter(move |cells| cells.len() == columns)
}

#[test]
fn every_variable_stands_there_with_the_programs_words() {
    let written: BTreeSet<String> = rows(3)
        .filter(|cells| is_variable(cells[0].trim_matches('`')))
        .map(|cells| cells.join(" | "))
        .collect();
    let known: BTreeSet<String> = env_vars::ALL
        .iter()
        .map(|v| format!("`{}` | {} | {}", v.name, v.meaning, v.default))
        .collect();
    assert_eq!(written, known);
}

#[test]
fn no_other_variable_of_ours_is_named() {
    let unknown: Vec<&str> = PAGES
        .iter()
        .flat_map(|(_, text)| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| word.starts_with("PAYOUTS_") || word.starts_with("STRIPE_"))
        // Those of a test run are read by the tests alone.
        .filter(|word| !word.starts_with("PAYOUTS_TEST_"))
        .filter(|word| env_vars::ALL.iter().all(|v| v.name != *word))
        .collect();
    assert_eq!(unknown, [""; 0]);
}

fn is_variable(text: &str) -> bool {
    text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn every_exit_code_stands_there_with_the_programs_words() {
    // The table of all codes; the one for readers of mail has no such heading.
    let (_, section) = REFERENCE
        .split_once("\n## Exit codes\n")
        .expect("a section on exit codes");
    let section = section.split("\n## ").next().unwrap_or_default();
    let written: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter(|row| row.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let known: BTreeSet<String> = Exit::ALL
        .iter()
        .map(|exit| format!("{} | {}", exit.code(), exit.meaning()))
        .collect();
    assert_eq!(written, known.iter().map(String::as_str).collect());

    let order: Vec<String> = Exit::ALL
        .iter()
        .filter(|exit| !matches!(exit, Exit::Usage | Exit::Done))
        .map(|exit| exit.code().to_string())
        .collect();
    let sentence = format!("the first of {} is the exit code", order.join(", "));
    assert!(section.contains(&sentence), "not there: {sentence}");
}

#[test]
fn every_command_and_flag_exists() {
    let invocations: Vec<Vec<String>> = PAGES
        .iter()
        .flat_map(|(_, text)| invocations(text))
        .collect();
    let helps = Helps::default();
    let mut wrong = Vec::new();
    for words in &invocations {
        if let Err(reason) = helps.check(words) {
            wrong.push(format!("payouts {}: {reason}", words.join(" ")));
        }
    }
    assert_eq!(wrong, [""; 0]);
    // Were the search for them broken, nothing would be checked.
    let named: BTreeSet<&str> = invocations.iter().map(|words| words[0].as_str()).collect();
    for command in [
        "create", "creators", "list", "migrate", "process", "release", "show",
    ] {
        assert!(named.contains(command), "{command} was not found");
    }
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut broken = Vec::new();
    let mut links = 0;
    for (page, text) in PAGES {
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(')')?.0))
            .filter(|target| !target.starts_with("https://"));
        for target in targets {
            links += 1;
            if !leads_somewhere(page, target) {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
    assert!(links > 30, "they are looked for: {links}");
    assert!(!leads_somewhere("docs/paying.md", "#no-such-heading"));
    assert!(!leads_somewhere("docs/paying.md", "production.md#no"));
    assert!(!leads_somewhere("docs/paying.md", "README.md"));
}

/// Whether a page's link, such as `../README.md#runs`, is right.
fn leads_somewhere(page: &str, target: &str) -> bool {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = match path {
        "" => root.join(page),
        path => root.join(page).with_file_name("").join(path),
    };
    let Ok(text) = std::fs::read_to_string(&file) else {
        return false;
    };
    heading.is_empty() || anchors(&text).any(|anchor| anchor == heading)
}

/// What headings are called in links.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[test]
fn a_command_or_flag_that_does_not_exist_is_noticed() {
    let helps = Helps::default();
    let check = |text: &str| {
        let found = invocations(text);
        assert_eq!(found.len(), 1, "{text}");
        helps.check(&found[0])
    };
    assert_eq!(check("see `payouts list --status FAILED`"), Ok(()));
    assert_eq!(
        check("```console\n$ payouts creators show ann\n```"),
        Ok(())
    );
    assert_eq!(
        check("```cron\n* * * * * x out=$(payouts process 2>&1)\n```"),
        Ok(())
    );
    assert!(check("run `payouts frobnicate`").is_err());
    assert!(check("run `payouts list --frobnicate`").is_err());
    assert!(check("run `payouts creators frobnicate x`").is_err());
    assert!(check("```sh\npayouts migrate --frobnicate # why\n```").is_err());
}

/// The words behind each `payouts` that is a command line: in code between backticks, after a
/// prompt, and in blocks of shell and cron. What a command printed is none.
fn invocations(markdown: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut block: Option<&str> = None;
    for line in markdown.lines() {
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() {
                None
            } else {
                Some(language)
            };
            continue;
        }
        match block {
            None => {
                for code in line.split('`').skip(1).step_by(2) {
                    found.extend(code.strip_prefix("payouts ").and_then(command_words));
                }
            }
            Some("console") => {
                found.extend(line.strip_prefix("$ payouts ").and_then(command_words));
            }
            Some("sh" | "cron") => {
                let code = line.split(" #").next().unwrap_or_default();
                for (at, name) in code.match_indices("payouts ") {
                    let before = code[..at].chars().next_back();
                    if before.is_none_or(|c| matches!(c, ' ' | '(')) {
                        found.extend(command_words(&code[at + name.len()..]));
                    }
                }
            }
            Some(_) => {}
        }
    }
    found
}

/// The words of one command line, if it begins with a word that may be a command.
fn command_words(rest: &str) -> Option<Vec<String>> {
    let line = rest.split([';', '|', '&', ')', '>']).next()?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let is_command = |word: &String| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let first = words.first()?;
    (is_command(first) && !first.starts_with('-')).then_some(words)
}

/// What `--help` says of each command, asked for once.
#[derive(Default)]
struct Helps(std::cell::RefCell<BTreeMap<String, Option<String>>>);

impl Helps {
    /// Whether the command, of a family or not, and its long flags exist.
    fn check(&self, words: &[String]) -> Result<(), String> {
        let help = self.of(&words[..1]).ok_or("there is no such command")?;
        let help = match words.get(1) {
            Some(_) if help.contains("<COMMAND>") => self
                .of(&words[..2])
                .ok_or("there is no such command of the family")?,
            _ => help,
        };
        let known: BTreeSet<&str> = help
            .split(|c: char| c.is_whitespace() || c == ',')
            .collect();
        match words
            .iter()
            .find(|word| word.starts_with("--") && !known.contains(word.as_str()))
        {
            None => Ok(()),
            Some(flag) => Err(format!("{flag} is not in its help")),
        }
    }

    fn of(&self, command: &[String]) -> Option<String> {
        let ask = || {
            let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
            args.push("--help");
            let run = TestEnv::new().run(&args);
            (run.code == 0).then_some(run.stdout)
        };
        self.0
            .borrow_mut()
            .entry(command.join(" "))
            .or_insert_with(ask)
            .clone()
    }
}
