//! Lists that come a page at a time.

use clap::Args;

use crate::cli::context::Context;

/// How much of a list to show, and from where.
#[derive(Debug, Args)]
pub(super) struct PageArgs {
    /// At most this many, up to 1000
    #[arg(
        long,
        default_value_t = 50,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        help_heading = "Selection"
    )]
    limit: u16,

    /// Go on behind this id, the last of the page before
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    pub(super) after: Option<String>,
}

impl PageArgs {
    /// How many rows to ask for: one more than are shown, to see whether more follow.
    pub(super) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts what was found to one page. Returns the id to go on behind, if more follow.
    pub(super) fn cut<T>(&self, found: &mut Vec<T>, id: impl Fn(&T) -> String) -> Option<String> {
        let limit = usize::from(self.limit);
        let more = found.len() > limit;
        found.truncate(limit);
        found.last().filter(|_| more).map(id)
    }

    /// Says how to see the next page. `command` is what leads to this list.
    pub(super) fn tell_next(cx: &Context, command: &str, next: Option<&String>) {
        if let Some(next) = next {
            cx.ui
                .note(&format!("next page: {command} … --after {next}"));
        }
    }
}
