//! Makes the output of two runs equal where it may differ, and keeps its width, so that tables stay
//! in line.
//!
//! Ids become numbers in order of their first appearance. The same id has the same number in
//! everything that one [`TestEnv`](super::env::TestEnv) prints, so a transcript still shows *which*
//! payout a line is about.

/// Prefixes of ids with a random tail: ours, and those that Stripe and the simulator make.
const ID_PREFIXES: [&str; 7] = ["tr_", "trr_", "req_", "txn_", "evt_", "py_", "run_"];

/// A CUID, which is what the id of a payout is: `c` and 24 characters of base 36.
const CUID_LENGTH: usize = 25;

/// The id of a finding: `f` and 16 hexadecimal digits.
const FINDING_LENGTH: usize = 17;

/// The hash of a plan: 32 hexadecimal digits.
const PLAN_LENGTH: usize = 32;

/// Tails shorter than this are words that a person wrote, such as `tr_1` in a message.
const ID_TAIL_MIN: usize = 8;

/// The path of a temporary folder, as [`temporary_folder`](super::temporary_folder) and `tests/run`
/// make it.
const FOLDER_PREFIX: &str = "/tmp/payouts-";
const FOLDER_TAIL: usize = 8;

/// The sandbox's documented port is part of the contract; every other one was given by the system.
const FIXED_PORT: &str = "12111";

/// Remembers which ids were seen.
#[derive(Default)]
pub(crate) struct Redactor {
    seen: Vec<String>,
}

impl Redactor {
    /// `text` with ids numbered, and temporary folders, ports and measured durations blanked, each
    /// to its own width.
    ///
    /// Durations are taken for measured when they have a fraction of a second or are in
    /// milliseconds: `0.42 s`, `12ms`. `2m` or `30 s` is a setting and stays.
    pub(crate) fn redact(&mut self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let starts_word = !redacted.ends_with(|last: char| last.is_ascii_alphanumeric());
            let taken = if starts_word {
                self.take(rest, &redacted)
            } else {
                None
            };
            let (length, replacement) =
                taken.unwrap_or_else(|| (next.len_utf8(), next.to_string()));
            redacted.push_str(&replacement);
            rest = &rest[length..];
        }
        redacted
    }

    /// What stands at the start of `rest` and varies: how long it is, and what to write for it.
    fn take(&mut self, rest: &str, before: &str) -> Option<(usize, String)> {
        self.take_id(rest)
            .or_else(|| take_folder(rest))
            .or_else(|| take_port(rest, before))
            .or_else(|| take_duration(rest, before))
    }

    fn take_id(&mut self, rest: &str) -> Option<(usize, String)> {
        let (prefix, length) = id_at(rest)?;
        let id = &rest[..length];
        let known = self.seen.iter().position(|seen| seen == id);
        let index = known.unwrap_or_else(|| {
            self.seen.push(id.to_owned());
            self.seen.len() - 1
        });
        // Numbered per prefix, so that a new kind of id does not renumber the others.
        let number = self.seen[..=index]
            .iter()
            .filter(|seen| id_at(seen).is_some_and(|(p, _)| p == prefix))
            .count();
        let width = length - prefix.len();
        Some((length, format!("{prefix}{number:0width$}")))
    }
}

/// The prefix and length of the id that `text` begins with.
fn id_at(text: &str) -> Option<(&'static str, usize)> {
    let prefixed = ID_PREFIXES.iter().find_map(|prefix| {
        let tail = length_of(text.strip_prefix(prefix)?, |c| c.is_ascii_alphanumeric());
        (tail >= ID_TAIL_MIN).then_some((*prefix, prefix.len() + tail))
    });
    let is_cuid = || {
        text.starts_with('c')
            && length_of(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit()) == CUID_LENGTH
            && !text[CUID_LENGTH..].starts_with(|c: char| c.is_ascii_uppercase())
    };
    let is_finding = || {
        text.starts_with('f')
            && length_of(text, |c| c.is_ascii_hexdigit()) == FINDING_LENGTH
            && !text[FINDING_LENGTH..].starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let is_plan = || {
        length_of(text, |c| c.is_ascii_hexdigit()) == PLAN_LENGTH
            && !text[PLAN_LENGTH..].starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    prefixed
        .or_else(|| is_plan().then_some(("p", PLAN_LENGTH)))
        .or_else(|| is_cuid().then_some(("c", CUID_LENGTH)))
        .or_else(|| is_finding().then_some(("f", FINDING_LENGTH)))
}

fn take_folder(rest: &str) -> Option<(usize, String)> {
    let tail = length_of(rest.strip_prefix(FOLDER_PREFIX)?, |c| {
        c.is_ascii_alphanumeric()
    });
    (tail == FOLDER_TAIL).then(|| {
        (
            FOLDER_PREFIX.len() + tail,
            format!("{FOLDER_PREFIX}{}", "x".repeat(tail)),
        )
    })
}

fn take_port(rest: &str, before: &str) -> Option<(usize, String)> {
    let host = ["127.0.0.1:", "localhost:", "[::1]:"]
        .iter()
        .any(|host| before.ends_with(host));
    let length = length_of(rest, |c| c.is_ascii_digit());
    (host && (4..=5).contains(&length) && &rest[..length] != FIXED_PORT)
        .then(|| (length, "#".repeat(length)))
}

fn take_duration(rest: &str, before: &str) -> Option<(usize, String)> {
    // Not the end of a longer number: `1.234.5 s` is none of ours.
    if before.ends_with(['.', ',']) {
        return None;
    }
    let whole = length_of(rest, |c| c.is_ascii_digit());
    let fraction = rest[whole..]
        .strip_prefix('.')
        .map_or(0, |tail| length_of(tail, |c| c.is_ascii_digit()));
    let number = if fraction > 0 {
        whole + 1 + fraction
    } else {
        whole
    };
    let unit = rest[number..].strip_prefix(' ').unwrap_or(&rest[number..]);
    let unit = &unit[..length_of(unit, char::is_alphanumeric)];
    let measured = whole > 0 && (matches!(unit, "ms" | "µs") || (unit == "s" && fraction > 0));
    measured.then(|| {
        (
            number,
            rest[..number].replace(|c: char| c.is_ascii_digit(), "#"),
        )
    })
}

/// How many bytes of `text` pass, from its start.
fn length_of(text: &str, passes: impl Fn(char) -> bool) -> usize {
    text.find(|c| !passes(c)).unwrap_or(text.len())
}

mod tests {
    use super::*;

    fn redact(text: &str) -> String {
        let redacted = Redactor::default().redact(text);
        assert_eq!(
            redacted.chars().count(),
            text.chars().count(),
            "the width is kept"
        );
        redacted
    }

    #[test]
    fn ids_are_numbered_as_they_appear() {
        let mut redactor = Redactor::default();
        let first = redactor
            .redact("cmf3k2x9q0000abcdefghijk1 tr_1QabcDEFghiJKL cmf3k2x9q0000abcdefghijk2");
        assert_eq!(
            first,
            "c000000000000000000000001 tr_00000000000001 c000000000000000000000002"
        );
        let again = redactor.redact("|cmf3k2x9q0000abcdefghijk2|req_Zz9yX8wV7u");
        assert_eq!(again, "|c000000000000000000000002|req_0000000001");
    }

    #[test]
    fn an_id_inside_a_key_or_a_path_is_found() {
        assert_eq!(
            redact("payout_cmf3k2x9q0000abcdefghijk1_2"),
            "payout_c000000000000000000000001_2"
        );
        assert_eq!(
            redact("/v1/transfers/tr_1QabcDEFghiJKL?x"),
            "/v1/transfers/tr_00000000000001?x"
        );
    }

    #[test]
    fn what_only_looks_like_an_id_stays() {
        for text in [
            "creators of the platform",
            "tr_… and tr_1",
            "xcmf3k2x9q0000abcdefghijk1",
            "cmf3k2x9q0000abcdefghijk1longer",
            "cmf3k2x9q0000abcdefghijk1Longer",
            "attr_1QabcDEFghiJKL",
            "acct_1QabcDEFghiJKL",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn folders_and_ports_are_blanked() {
        assert_eq!(
            redact("sqlite:/tmp/payouts-Ab3dE6gH/payouts.db"),
            "sqlite:/tmp/payouts-xxxxxxxx/payouts.db"
        );
        assert_eq!(
            redact("http://127.0.0.1:40123/v1"),
            "http://127.0.0.1:#####/v1"
        );
        assert_eq!(
            redact("http://127.0.0.1:12111/v1 10:4012"),
            "http://127.0.0.1:12111/v1 10:4012"
        );
    }

    #[test]
    fn durations_that_were_measured_are_blanked_and_settings_stay() {
        assert_eq!(
            redact("3 paid in 0.42 s, 12ms each"),
            "3 paid in #.## s, ##ms each"
        );
        let settings = "lease 2m, back-off 30 s, 20/s, 500.00 usd, 2026-10-01T12:00:00.123Z";
        assert_eq!(redact(settings), settings);
    }

    #[test]
    fn text_of_any_script_survives() {
        assert_eq!(redact("Ünïcode ☃ cafés\n"), "Ünïcode ☃ cafés\n");
    }
}
