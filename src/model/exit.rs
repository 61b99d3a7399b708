//! Exit codes: what a script may rely on, and what a run is recorded to have ended with.

use std::fmt;

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

            /// The one with this number; none of a number that this version does not know.
            pub fn of(code: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|exit| i32::from(exit.code()) == code)
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

impl Exit {
    /// Whether a run that ended so did what it could: also one that left outcomes unknown, or
    /// stopped where the balance ended. Nothing of it waits for a run that gets further.
    pub const fn did_what_it_could(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Attention | Self::Unresolved | Self::BalanceShort
        )
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.meaning())
    }
}
