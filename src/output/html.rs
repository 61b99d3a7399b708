//! Text in a page of HTML. Every value that stands in one passes through [`escape`].

use crate::output::text::{brief, clean};

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
