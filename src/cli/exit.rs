//! Exit codes: what a script may rely on.

use std::fmt;

use crate::model::reconciliation::FindingKind;

macro_rules! exit_codes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, $meaning:literal; )+) => {
        /// How a command ended. The declaration's order is the order in which
        /// one wins over another when several apply.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Exit { $( $(#[doc = $doc])+ $name ),+ }

        impl Exit {
            /// Every code, strongest first.
            pub const ALL: &'static [Self] = &[ $( Self::$name ),+ ];

            /// The number the process ends with.
            pub const fn code(self) -> u8 {
                match self { $( Self::$name => $code ),+ }
            }

            /// One line for people.
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$name => $meaning ),+ }
            }
        }
    };
}

exit_codes! {
    /// 70: a bug in `payouts`.
    Bug = 70, "a bug in payouts";
    /// 5: at least one payout's outcome is unknown.
    Unresolved = 5, "at least one payout's outcome is unknown: it stays unresolved, nothing is re-sent blindly";
    /// 130: interrupted.
    Interrupted = 130, "interrupted; what was in flight is recorded";
    /// 3: could not run.
    CouldNotRun = 3, "could not run: configuration, database, migrations, Stripe unreachable or key refused";
    /// 4: refused.
    Refused = 4, "refused: declined at the prompt, live not allowed, wrong account or mode, approval missing, held";
    /// 6: the balance is short.
    BalanceShort = 6, "stopped early: the platform balance does not cover the next payout; the rest is untouched";
    /// 1: a person should look.
    Attention = 1, "ran to the end, but a person should look: payouts failed, findings exist, rows refused";
    /// 2: wrong command line.
    Usage = 2, "the command line is wrong";
    /// 0: done.
    Done = 0, "done; an empty queue is done";
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.meaning())
    }
}

/// The codes that apply to one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exits(std::collections::BTreeSet<Exit>);

impl Exits {
    /// Adds one.
    pub fn add(&mut self, exit: Exit) {
        self.0.insert(exit);
    }

    /// Adds what an open finding of this kind stands for.
    pub fn add_finding(&mut self, kind: FindingKind) {
        self.add(if kind.is_alarm() {
            Exit::Unresolved
        } else {
            Exit::Attention
        });
    }

    /// The strongest, which the process ends with.
    pub fn strongest(&self) -> Exit {
        self.0.first().copied().unwrap_or(Exit::Done)
    }

    /// The others, for the last line on stderr.
    pub fn others(&self) -> impl Iterator<Item = Exit> {
        self.0.iter().copied().skip(1).filter(|e| *e != Exit::Done)
    }
}

impl From<Exit> for Exits {
    fn from(exit: Exit) -> Self {
        Self(std::iter::once(exit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_wins_and_the_rest_is_named() {
        let mut exits = Exits::default();
        assert_eq!(exits.strongest(), Exit::Done);
        for exit in [Exit::Attention, Exit::Interrupted, Exit::Unresolved] {
            exits.add(exit);
        }
        assert_eq!(exits.strongest(), Exit::Unresolved);
        assert_eq!(
            exits.others().collect::<Vec<_>>(),
            [Exit::Interrupted, Exit::Attention]
        );
        let order: Vec<u8> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(order, [70, 5, 130, 3, 4, 6, 1, 2, 0]);
    }
}
