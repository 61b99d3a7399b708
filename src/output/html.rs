//! Pages of HTML that stand alone: what they load is nothing, what they run is nothing, and
//! they say so to the browser. Every value that stands in one passes through [`escape`].

use crate::model::money::{Currency, major};
use crate::model::time::Time;
use crate::output::text::{brief, clean};

/// What every page looks like, on a screen by day and by night, and on paper.
const STYLE: &str = include_str!("page.css");

/// The beginning of a page, up to its main part. The title is HTML already, as all that is put
/// behind it; `style` is what this kind of page has besides what all have.
pub fn begin(title: &str, style: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no">
<title>{title}</title>
<style>
{STYLE}{style}</style>
</head>
<body>
<main>
"#
    )
}

/// The end of a page.
pub const END: &str = "</main>\n</body>\n</html>";

/// `1,332.00`, with a minus sign that is one.
pub fn number(cents: i64, currency: Currency) -> String {
    escape(&major(cents, currency).replace('-', "\u{2212}"))
}

/// `5 October 2026`
pub fn day(time: Time) -> String {
    let utc = time.utc();
    format!(
        r#"<time datetime="{}">{}</time>"#,
        utc.format("%Y-%m-%d"),
        utc.format("%-d\u{a0}%B\u{a0}%Y")
    )
}

/// `5 October 2026, 08:00:01 UTC`
pub fn moment(time: Time) -> String {
    format!(
        r#"<time datetime="{time}">{}</time>"#,
        time.utc().format("%-d\u{a0}%B\u{a0}%Y, %H:%M:%S\u{a0}UTC")
    )
}

/// An id, which people copy.
pub fn id(text: &str, chars_max: usize) -> String {
    format!(r#"<span class="id">{}</span>"#, foreign(text, chars_max))
}

/// Makes a text harmless in an element and in an attribute between double quotes: what
/// HTML gives a meaning is written as a reference; control characters, and invisible
/// ones that reorder or join text, are left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text that somebody else made up, of at most so many characters, in an element of
/// its own: whichever way it is written, the words around it stay where they are.
pub fn foreign(text: &str, chars_max: usize) -> String {
    format!("<bdi>{}</bdi>", escape(&brief(text, chars_max)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_html_gives_a_meaning_has_none() {
        assert_eq!(
            escape("<b onclick=\"x()\" a='1'>&amp;\x1b[31m\u{202e}\0\n"),
            "&lt;b onclick=&quot;x()&quot; a=&#39;1&#39;&gt;&amp;amp;[31m "
        );
        assert_eq!(foreign("</bdi>", 4), "<bdi>&lt;/b…</bdi>");
    }

    proptest! {
        #[test]
        fn nothing_leaves_an_element_or_an_attribute(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            prop_assert!(!escaped.chars().any(char::is_control));
            let read = escaped
                .replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
                .replace("&#39;", "'").replace("&amp;", "&");
            prop_assert_eq!(read, clean(&text).into_owned());
        }
    }
}
