//! What to do when an alert comes: one entry each, as text.

use crate::model::alert::AlertCode;

/// All of it, in the order of the alerts.
const TEXT: &str = include_str!("runbook.md");

/// Each entry begins with this and its name.
const HEADING: &str = "## ";

/// The whole runbook.
pub fn whole() -> &'static str {
    TEXT.trim_end()
}

/// What to do about an alert, without its heading.
pub fn entry(code: AlertCode) -> &'static str {
    TEXT.split(HEADING)
        .filter_map(|part| part.split_once('\n'))
        .find(|(name, _)| *name == code.as_str())
        .map_or("", |(_, text)| text.trim())
}

/// The command that prints the entry.
pub fn command(code: AlertCode) -> String {
    format!("payouts help runbook {code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_an_entry_and_every_entry_an_alert() {
        let names: Vec<&str> = TEXT
            .lines()
            .filter_map(|line| line.strip_prefix(HEADING))
            .collect();
        let codes: Vec<&str> = AlertCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names, codes);
        for code in AlertCode::ALL {
            assert!(
                entry(*code).contains("payouts "),
                "{code}: {}",
                entry(*code)
            );
        }
    }
}
