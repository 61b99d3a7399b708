//! Text that came from outside, made harmless; plurals; times.

use std::borrow::Cow;

/// Removes what could move the cursor, change colours or hide text: control
/// characters, and the invisible ones that reorder or join text. Line breaks
/// and tabs become spaces.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text
        .chars()
        .any(|c| is_harmful(c) || matches!(c, '\n' | '\t' | '\r'))
    {
        return Cow::Borrowed(text);
    }
    let cleaned = text
        .chars()
        .filter_map(|c| match c {
            '\n' | '\t' | '\r' => Some(' '),
            c if is_harmful(c) => None,
            c => Some(c),
        })
        .collect();
    Cow::Owned(cleaned)
}

/// What a terminal would obey, or what hides or reorders text: controls, line and
/// paragraph separators, and what Unicode calls default-ignorable, without the selectors
/// between the looks of one character (U+FE00 to U+FE0F), which change nothing else.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Cleans and shortens a text to at most `width` characters, with `…` at the cut.
pub fn brief(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text.into_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Breaks a text between words into lines of at most `width` characters; a word
/// that is longer has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1 payout`, `2 payouts`, `1,000 payouts`.
pub fn count(number: u64, singular: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {singular}{plural}", grouped(number))
}

/// A number with thousands separators.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time in its two largest units: `45 s`, `2 min 05 s`, `1 h 30 min`, `3 d 4 h`.
pub fn lasted(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (minutes, hours, days) {
        (0, ..) => format!("{seconds} s"),
        (_, 0, _) => format!("{minutes} min {:02} s", seconds % 60),
        (_, _, 0) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A moment for a table: `2026-10-01 14:03`, in UTC.
pub fn minute(time: crate::model::time::Time) -> String {
    time.utc().format("%Y-%m-%d %H:%M").to_string()
}

/// Who holds something, since when and why: `by ann since 2026-10-01 14:03 UTC: looks odd`.
pub fn held(hold: &crate::model::hold::Hold) -> String {
    let since = minute(hold.created_at);
    let until = hold
        .ends_at
        .map_or_else(String::new, |end| format!(" until {} UTC", minute(end)));
    format!(
        "by {} since {since} UTC{until}: {}",
        hold.actor, hold.reason
    )
}

/// Payouts that are left to the run that holds them, since when it was not heard
/// of, and what becomes of them if it never is again.
pub fn held_by(holder: &crate::model::run::Holder, now: crate::model::time::Time) -> String {
    format!(
        "{} held by run {} on {}, last seen {} s ago; if that run is dead, what it held is looked up from \
         {} UTC on",
        count(holder.payouts, "payout"),
        holder.run_id,
        clean(&holder.host),
        now.millis_since(holder.seen_at).max(0) / 1000,
        holder.until.utc().format("%H:%M:%S"),
    )
}

/// Who let go of something, when, and what of: `by ben on 2026-10-02 09:00 UTC: checked
/// (held by ann since 2026-10-01 14:03 UTC: looks odd)`.
pub fn released(release: &crate::model::hold::HoldRelease) -> String {
    let on = minute(release.released_at);
    let note = release
        .note
        .as_deref()
        .map_or_else(String::new, |note| format!(": {note}"));
    format!(
        "by {} on {on} UTC{note} (held by {} since {} UTC: {})",
        release.released_by,
        release.held_by,
        minute(release.held_at),
        release.reason
    )
}

/// A cell that a spreadsheet would run as a formula gets a quote in front.
///
/// Source: OWASP, "CSV Injection".
pub fn formula_safe(cell: &str) -> Cow<'_, str> {
    match cell.chars().next() {
        Some(
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}'
            | '\u{ff20}',
        ) => Cow::Owned(format!("'{cell}")),
        _ => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_direction_marks_are_removed() {
        assert_eq!(clean("a\x1b[31mred\x07\u{202e}x\ny"), "a[31mredx y");
        assert_eq!(brief("abcdef", 4), "abc…");
        assert_eq!(count(1, "payout"), "1 payout");
        assert_eq!(count(1_234_567, "payout"), "1,234,567 payouts");
        assert_eq!(formula_safe("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(formula_safe("Ann"), "Ann");
    }

    #[test]
    fn a_length_of_time_is_said_in_its_two_largest_units() {
        let said = [-1, 0, 59, 60, 3599, 3600, 86_399, 86_400, 1_000_000].map(lasted);
        let expected = [
            "0 s",
            "0 s",
            "59 s",
            "1 min 00 s",
            "59 min 59 s",
            "1 h 00 min",
            "23 h 59 min",
            "1 d 0 h",
            "11 d 13 h",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(
            wrapped("a bc  def\nghijklmno p", 6),
            ["a bc", "def", "ghijklmno", "p"]
        );
        assert_eq!(wrapped("a bc def", 8), ["a bc def"]);
        assert_eq!(wrapped("a bc def", 7), ["a bc", "def"]);
        assert_eq!(wrapped(" ", 7), [""; 0]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_no_word(text in any::<String>(), width in 0_usize..40) {
            let lines = wrapped(&text, width);
            let words: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(lines.join(" "), words.join(" "));
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width || !line.contains(' ')));
        }

        #[test]
        fn nothing_that_controls_a_terminal_survives(text in any::<String>(), width in 0_usize..40) {
            prop_assert!(!clean(&text).chars().any(char::is_control));
            prop_assert!(brief(&text, width).chars().count() <= width.max(1));
        }
    }
}
