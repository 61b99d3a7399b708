//! Looking at Stripe for a payout in doubt, and when a person may let go of it.
//!
//! An empty look-up proves nothing: the request may still be running at Stripe.
//! Two of them, far enough from the last send and from each other, are as near to
//! a proof as there is, and what [`may_release`] asks for before a person may let
//! go of an attempt without one. The rule never leads to a send by itself.
//!
//! The last send is not always known: a restored database has forgotten those since
//! its backup. Nobody sends under a key that is too old, or that Stripe stored an
//! error for, so that only from then on is it certain that there is no later one.

use std::time::Duration;

use crate::model::ids::{PayoutId, RunId};
use crate::model::schema::payout_lookups;
use crate::model::time::Time;
use crate::model::{text_column, text_enum};

/// A look-up counts when it began at least this long after the last send that there can have been.
pub const QUIET: Duration = Duration::from_secs(3600);
/// Two look-ups count as two when they began at least this far apart.
pub const APART: Duration = Duration::from_secs(3600);

/// Of the look-ups of one attempt the oldest are kept, this many …
const OLDEST_KEPT: usize = 3;
/// … and the newest: a week on which nobody decides fills no table. Two of these
/// that count are always far enough apart, see [`LookUp::adds_to`].
const NEWEST_KEPT: usize = 9;

text_enum! {
    /// What a look-up came to.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum LookUpFinding {
        /// Stripe lists nothing that may have paid it.
        Nothing = "nothing",
        /// Something that does not fit, or several transfers.
        Misfit = "misfit",
    }
}
text_column!(LookUpFinding);

/// A look-up that was done to its end. One that failed is none.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_lookups, treat_none_as_default_value = false)]
pub struct LookUp {
    /// Whose.
    pub payout_id: PayoutId,
    /// Of which attempt; of a row without one, the number that letting go of it
    /// would write.
    pub attempt: i32,
    /// When it began, by this machine's clock.
    pub begun_at: Time,
    /// By whom.
    pub run_id: RunId,
    /// The account of the key it was made with.
    pub stripe_account: String,
    /// The mode of that key.
    pub livemode: bool,
    /// What there was.
    pub found: LookUpFinding,
    /// The same in words, where there was something.
    pub detail: Option<String>,
}

impl LookUp {
    /// Whether it says something that the earlier ones do not: another finding,
    /// or an hour has passed. One from before `quiet_from` stands for none after it.
    pub fn adds_to(&self, earlier: &[Self], quiet_from: Time) -> bool {
        let counts = |one: &Self| one.begun_at >= quiet_from;
        !earlier.iter().any(|one| {
            one.found == self.found
                && one.detail == self.detail
                && one.stripe_account == self.stripe_account
                && one.livemode == self.livemode
                && counts(one) == counts(self)
                && one.begun_at <= self.begun_at
                && self.begun_at < one.begun_at.plus(APART)
        })
    }
}

/// Of these, oldest first, those that need not be kept.
pub fn dispensable(look_ups: &[LookUp]) -> &[LookUp] {
    let end = look_ups.len().saturating_sub(NEWEST_KEPT);
    look_ups.get(OLDEST_KEPT..end).unwrap_or_default()
}

/// What decides whether a person may let go of a payout in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The account it was sent from, as far as that is known.
    pub stripe_account: String,
    /// The mode it was sent in.
    pub livemode: bool,
    /// No byte of it left this machine later than this, as far as is on record. A run
    /// that died may hide a send, so that this is not before the run's end; of a row of
    /// other software, when that last touched it.
    pub last_sent: Time,
    /// Until then `process` may send it again by itself, which cannot pay twice.
    /// None where an error is stored under its key.
    pub resent_until: Option<Time>,
    /// Until then the run that has it in hand counts as alive.
    pub held_until: Option<Time>,
    /// Its row is COMPLETED without a transfer of it: whoever wrote that says that it
    /// was paid some other way.
    pub said_to_be_paid: bool,
}

impl Doubt {
    /// From then on a look-up counts.
    pub fn quiet_from(&self) -> Time {
        let last_sent = self
            .resent_until
            .map_or(self.last_sent, |until| until.max(self.last_sent));
        last_sent.plus(QUIET)
    }
}

/// Why a person may not let go of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// Its row says that it was paid.
    SaidToBePaid,
    /// The run that has it in hand may still send it.
    Held,
    /// `process` sends it again by itself.
    Resent,
    /// The key is not of the account and mode it was sent with.
    OtherAccount,
    /// The last look-up found something.
    Misfit,
    /// No look-up long enough after the last send that there can have been found nothing.
    FirstLookUp,
    /// This look-up failed, and a failed one says nothing.
    Failed,
    /// One did, and a second an hour later is missing.
    SecondLookUp,
}

impl Lacking {
    /// The word that scripts read.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SaidToBePaid => "said_to_be_paid",
            Self::Held => "held_by_a_run",
            Self::Resent => "sent_again_by_process",
            Self::OtherAccount => "other_account",
            Self::Misfit => "does_not_fit",
            Self::FirstLookUp => "look_up_missing",
            Self::Failed => "look_up_failed",
            Self::SecondLookUp => "second_look_up_missing",
        }
    }

    /// The same in a sentence.
    pub const fn in_words(&self) -> &'static str {
        match self {
            Self::SaidToBePaid => {
                "its row says COMPLETED, without a transfer: ask whoever wrote that how it was paid"
            }
            Self::Held => "the run that has it in hand may still send it",
            Self::Resent => {
                "its key is younger than 23 hours, so that `payouts process` sends the same request again, which \
                 cannot pay twice"
            }
            Self::OtherAccount => "it was sent with a key of another account or mode",
            Self::Misfit => "Stripe holds something that may have paid it",
            Self::FirstLookUp => {
                "no look-up has found nothing yet an hour or more after the last moment at which it can have been sent"
            }
            Self::Failed => "it could not be looked up now, and a look-up that failed says nothing",
            Self::SecondLookUp => {
                "only one look-up has found nothing so far; it takes a second, an hour later"
            }
        }
    }
}

/// A refusal, and when to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet {
    /// The first condition that is not met.
    pub lacking: Lacking,
    /// The first moment at which all of them can be, if time alone can do it.
    pub from: Option<Time>,
}

/// The two look-ups that a person lets go on.
pub type Evidence = (Time, Time);

/// Decides whether a person may let go of a payout in doubt, on these look-ups,
/// oldest first, with a key of this account and mode.
///
/// # Errors
/// The first condition that is not met.
pub fn may_release(
    doubt: &Doubt,
    look_ups: &[LookUp],
    (account, livemode): (&str, bool),
    now: Time,
) -> Result<Evidence, NotYet> {
    let never = |lacking| {
        Err(NotYet {
            lacking,
            from: None,
        })
    };
    if doubt.said_to_be_paid {
        return never(Lacking::SaidToBePaid);
    }
    if doubt.stripe_account != account || doubt.livemode != livemode {
        return never(Lacking::OtherAccount);
    }
    // What was found does not go away: only what was empty since counts.
    let since_found = look_ups
        .iter()
        .rposition(|one| one.found != LookUpFinding::Nothing)
        .map_or(0, |found| found + 1);
    let empty = look_ups.get(since_found..).unwrap_or_default();
    if since_found > 0 && empty.is_empty() {
        return never(Lacking::Misfit);
    }
    let mut counting = empty
        .iter()
        .filter(|one| one.stripe_account == account && one.livemode == livemode)
        .filter(|one| one.begun_at >= doubt.quiet_from() && one.begun_at <= now)
        .map(|one| one.begun_at);
    let first = counting.next();
    let last = counting.next_back();
    let far_apart = first
        .zip(last)
        .filter(|(first, last)| *last >= first.plus(APART));
    let looked_at_from = first.unwrap_or(now.max(doubt.quiet_from())).plus(APART);
    let from = [doubt.held_until, doubt.resent_until]
        .into_iter()
        .flatten()
        .fold(looked_at_from, Time::max);
    let not_yet = |lacking| {
        Err(NotYet {
            lacking,
            from: Some(from),
        })
    };
    if doubt.held_until.is_some() {
        return not_yet(Lacking::Held);
    }
    if doubt.resent_until.is_some_and(|until| now < until) {
        return not_yet(Lacking::Resent);
    }
    match far_apart {
        Some(evidence) => Ok(evidence),
        None if first.is_none() => not_yet(Lacking::FirstLookUp),
        None => not_yet(Lacking::SecondLookUp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: u64) -> Time {
        Time::from_millis(0).plus(Duration::from_secs(60 * number))
    }

    /// What is in doubt, the look-ups, the minute, what is lacking, and from when on it may be.
    type Case = (Doubt, Vec<LookUp>, u64, Lacking, Option<Time>);

    const NEVER_RESENT: Option<Time> = None;

    /// Sent at minute 0 for the last time.
    fn doubt(change: impl FnOnce(&mut Doubt)) -> Doubt {
        let mut doubt = Doubt {
            stripe_account: "acct_1".to_owned(),
            livemode: false,
            last_sent: minute(0),
            resent_until: NEVER_RESENT,
            held_until: None,
            said_to_be_paid: false,
        };
        change(&mut doubt);
        doubt
    }

    fn empty(at: u64) -> LookUp {
        LookUp {
            payout_id: PayoutId::new("p1"),
            attempt: 1,
            begun_at: minute(at),
            run_id: RunId::new("r1"),
            stripe_account: "acct_1".to_owned(),
            livemode: false,
            found: LookUpFinding::Nothing,
            detail: None,
        }
    }

    fn misfit(at: u64) -> LookUp {
        LookUp {
            found: LookUpFinding::Misfit,
            ..empty(at)
        }
    }

    fn ask(
        doubt: &Doubt,
        look_ups: &[LookUp],
        now: u64,
    ) -> Result<Evidence, (Lacking, Option<Time>)> {
        may_release(doubt, look_ups, ("acct_1", false), minute(now))
            .map_err(|not_yet| (not_yet.lacking, not_yet.from))
    }

    #[test]
    fn two_empty_look_ups_an_hour_apart_and_after_the_last_send_allow_it() {
        let evidence = Ok((minute(60), minute(120)));
        assert_eq!(ask(&doubt(|_| ()), &[empty(60), empty(120)], 120), evidence);
        // What is between or before changes nothing.
        let look_ups = [empty(5), empty(60), empty(90), empty(120)];
        assert_eq!(ask(&doubt(|_| ()), &look_ups, 130), evidence);
    }

    #[test]
    fn every_condition_is_asked_for_and_says_from_when_on() {
        use Lacking::{
            FirstLookUp, Held, Misfit, OtherAccount, Resent, SaidToBePaid, SecondLookUp,
        };
        let from = |at: u64| Some(minute(at));
        let good = || vec![empty(60), empty(120)];
        let cases: [Case; 15] = [
            (
                doubt(|doubt| doubt.said_to_be_paid = true),
                good(),
                130,
                SaidToBePaid,
                None,
            ),
            (doubt(|_| ()), vec![], 10, FirstLookUp, from(120)),
            (doubt(|_| ()), vec![], 70, FirstLookUp, from(130)),
            // One minute too early, or from the future.
            (
                doubt(|_| ()),
                vec![empty(59), empty(119)],
                119,
                SecondLookUp,
                from(179),
            ),
            (doubt(|_| ()), vec![empty(59)], 59, FirstLookUp, from(120)),
            (
                doubt(|_| ()),
                vec![empty(60), empty(120)],
                119,
                SecondLookUp,
                from(120),
            ),
            // Two, less than an hour apart.
            (
                doubt(|_| ()),
                vec![empty(60), empty(119)],
                119,
                SecondLookUp,
                from(120),
            ),
            (
                doubt(|d| d.held_until = Some(minute(300))),
                good(),
                125,
                Held,
                from(300),
            ),
            (
                doubt(|d| d.resent_until = Some(minute(300))),
                good(),
                125,
                Resent,
                from(420),
            ),
            // Look-ups from before say nothing: it may have been sent again since, and that be forgotten.
            (
                doubt(|d| d.resent_until = Some(minute(300))),
                vec![empty(60), empty(120), empty(359)],
                359,
                FirstLookUp,
                from(420),
            ),
            (
                doubt(|d| d.resent_until = Some(minute(300))),
                vec![empty(60), empty(360)],
                419,
                SecondLookUp,
                from(420),
            ),
            (
                doubt(|d| d.stripe_account = "acct_2".to_owned()),
                good(),
                125,
                OtherAccount,
                None,
            ),
            (
                doubt(|d| d.livemode = true),
                good(),
                125,
                OtherAccount,
                None,
            ),
            (
                doubt(|_| ()),
                vec![empty(60), empty(120), misfit(121)],
                125,
                Misfit,
                None,
            ),
            (
                doubt(|_| ()),
                vec![empty(60), misfit(61), empty(120)],
                125,
                SecondLookUp,
                from(180),
            ),
        ];
        for (number, (doubt, look_ups, now, lacking, from)) in cases.into_iter().enumerate() {
            assert_eq!(
                ask(&doubt, &look_ups, now),
                Err((lacking, from)),
                "case {number}"
            );
        }
        // A look-up with a key of another account or mode is none.
        for change in [
            (|one| one.stripe_account = "acct_2".to_owned()) as fn(&mut LookUp),
            |one| one.livemode = true,
        ] {
            let mut look_ups = good();
            change(&mut look_ups[0]);
            let said = ask(&doubt(|_| ()), &look_ups, 125);
            assert_eq!(said, Err((SecondLookUp, from(180))));
        }
        let again = doubt(|d| d.resent_until = Some(minute(120)));
        let look_ups = [empty(60), empty(180), empty(240)];
        assert_eq!(ask(&again, &look_ups, 240), Ok((minute(180), minute(240))));
    }

    #[test]
    fn what_says_the_same_within_the_hour_is_not_kept() {
        let quiet = minute(60);
        assert!(empty(10).adds_to(&[], quiet));
        assert!(!empty(59).adds_to(&[empty(10)], quiet));
        // The first that counts is kept, however soon it comes.
        assert!(empty(60).adds_to(&[empty(59)], quiet));
        assert!(!empty(119).adds_to(&[empty(60)], quiet));
        assert!(empty(120).adds_to(&[empty(60)], quiet));
        assert!(misfit(61).adds_to(&[empty(60)], quiet));
        let other = LookUp {
            stripe_account: "acct_2".to_owned(),
            ..empty(61)
        };
        assert!(other.adds_to(&[empty(60)], quiet));
        // A clock that was turned back hides nothing.
        assert!(empty(60).adds_to(&[empty(500)], quiet));
    }

    #[test]
    fn of_many_the_first_and_the_last_are_kept() {
        let all: Vec<LookUp> = (0..20).map(|hour| empty(hour * 60)).collect();
        assert_eq!(dispensable(&all), &all[3..11]);
        assert_eq!(dispensable(&all[..12]), &[]);
        assert_eq!(dispensable(&all[..2]), &[]);
    }
}
