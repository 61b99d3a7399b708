//! What a person does about payouts of which nobody knows whether they were paid:
//! look again, say which transfer paid one, or let go of one without proof.
//!
//! Nothing here sends. Looking again adopts what fits, by the same functions as
//! `process`. Letting go is decided by [`crate::model::lookup::may_release`] on
//! look-ups that are on record, this one among them, and never on one that failed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::failpoint::planted;
use crate::model::attempt::{Attempt, AttemptOutcome, KEY_AGE_MAX};
use crate::model::ids::{CreatorId, PayoutId};
use crate::model::lookup::{Doubt, Evidence, Lacking, LookUp, LookUpFinding, NotYet};
use crate::model::money::Currency;
use crate::model::payout::PayoutStatus;
use crate::model::standing::FoundPayment;
use crate::model::text_enum;
use crate::model::time::{Clock, Time};
use crate::ops::account::{account_of_this_database, skew};
use crate::ops::adopt::{adopt_for_attempt, adopt_for_row, attempt_said, expected_of, fits_row};
use crate::ops::event::Event;
use crate::ops::pace::Pace;
use crate::ops::run_error::RunError;
use crate::ops::search::{Found, PAGES_MAX, Search};
use crate::ops::transfers::{OVERLAP, TransferReader};
use crate::store::RunStamp;
use crate::store::doubt::{Case, DoubtTerms, OpenDoubt};
use crate::store::settle::Recorded;
use crate::store::thread::StoreThread;
use crate::stripe::classify::Expected;
use crate::stripe::{Stripe, Transfer};

text_enum! {
    /// How a payout stands after a look: the word that scripts read.
    pub enum Outcome {
        /// Nothing of it is in doubt.
        Settled = "settled",
        /// Its transfer was found, or named by a person, and is recorded now.
        Adopted = "adopted",
        /// A run that may be alive has it in hand; nobody looked.
        InFlight = "in_flight",
        /// Nobody knows yet.
        Unresolved = "unresolved",
        /// A person let go of it: it is pending again.
        Released = "released",
        /// Stripe and the table do not fit together.
        Alarm = "alarm",
    }
}

impl Outcome {
    /// Whether somebody has to come back.
    pub fn is_open(self) -> bool {
        matches!(self, Self::InFlight | Self::Unresolved | Self::Alarm)
    }
}

/// A payout after a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Which.
    pub payout_id: PayoutId,
    /// Whom it pays.
    pub creator_id: CreatorId,
    /// Minor units.
    pub amount_cents: i32,
    /// How it stands.
    pub outcome: Outcome,
    /// What was found, for people.
    pub found: String,
    /// The transfer that was found or that it holds.
    pub transfer_id: Option<String>,
    /// What is in doubt about it; none where nothing is.
    pub open: Option<OpenDoubt>,
    /// Whether a person may let go of it; none where there is nothing to let go of.
    pub release: Option<Result<Evidence, NotYet>>,
}

impl Looked {
    /// What a person may do next, and when.
    pub fn next_step(&self) -> String {
        let id = &self.payout_id;
        match (self.outcome, &self.release) {
            (Outcome::Settled | Outcome::Adopted, _) => "nothing".to_owned(),
            (Outcome::Released, _) => {
                "the next `payouts process` sends it, under a new key".to_owned()
            }
            (Outcome::Alarm, _) => format!(
                "`payouts reconcile` says what to do; `payouts show {id}` says what is known"
            ),
            (_, Some(Ok(_))) => format!(
                "if it was paid: `payouts resolve {id} --paid tr_…`; else `payouts resolve {id} --release --reason \
                 TEXT`"
            ),
            (_, Some(Err(not_yet))) => not_yet_in_words(id, not_yet),
            (_, None) => format!("`payouts resolve {id}` again"),
        }
    }
}

/// What stands against letting go of a payout, and when to come back.
pub(super) fn not_yet_in_words(id: &PayoutId, not_yet: &NotYet) -> String {
    let why = not_yet.lacking.in_words();
    match (&not_yet.lacking, not_yet.from) {
        (Lacking::Resent, Some(from)) => {
            format!("{why}; `payouts resolve {id} --release` is possible from {from} on")
        }
        (_, Some(from)) => format!("{why}; `payouts resolve {id}` again from {from} on"),
        (_, None) => why.to_owned(),
    }
}

/// What is asked for besides the payouts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database's one currency.
    pub currency: Currency,
    /// See `PAYOUTS_LEASE`.
    pub lease: Duration,
    /// Reads per second; none is unlimited.
    pub rate: Option<u32>,
}

/// A run that resolves payouts by hand.
pub struct Resolver {
    search: Search,
    clock: Clock,
    terms: DoubtTerms,
    stamp: RunStamp,
}

impl Resolver {
    /// Checks the key's account and mode, and the clocks. Only reads.
    ///
    /// # Errors
    /// A read at Stripe, the database, or a key of another account or mode.
    pub async fn open(
        db: StoreThread,
        stripe: Arc<Stripe>,
        clock: &Clock,
        settings: Settings,
        stamp: RunStamp,
        events: &mut dyn FnMut(Event),
    ) -> Result<Self, RunError> {
        let livemode = stripe.livemode();
        let reader = TransferReader::new(stripe, Arc::new(Pace::new(clock, settings.rate)));
        let (account, date) = account_of_this_database(&db, &reader, livemode).await?;
        let stripe_ahead_millis = skew(clock, date, events)?;
        Ok(Self {
            terms: DoubtTerms {
                account: account.clone(),
                livemode,
                currency: settings.currency,
                lease: settings.lease,
                key_age_max: KEY_AGE_MAX,
                stripe_ahead_millis,
            },
            search: Search {
                db,
                reader,
                account,
                livemode,
            },
            clock: clock.clone(),
            stamp,
        })
    }

    /// Looks for the transfers of these payouts, adopts what fits, and puts on
    /// record where there is nothing.
    ///
    /// # Errors
    /// The database, or a key that Stripe refuses. What was adopted until then is
    /// recorded.
    pub async fn look(&self, ids: &[PayoutId]) -> Result<Vec<Looked>, RunError> {
        let cases = self.cases(ids).await?;
        let begun = self.clock.now();
        let made = self.made_under(&cases).await?;
        let mut looked = Vec::with_capacity(cases.len());
        for case in cases {
            looked.push(self.look_at(case, begun, made.as_ref()).await?);
        }
        Ok(looked)
    }

    /// Records the transfer that a person says has paid a payout. The refusal, if
    /// it is none of this payout's, is for people.
    ///
    /// # Errors
    /// A read at Stripe, or the database.
    pub async fn record_paid(
        &self,
        payout: &PayoutId,
        transfer: &str,
    ) -> Result<Result<Looked, String>, RunError> {
        let Some(case) = self.cases(std::slice::from_ref(payout)).await?.pop() else {
            return Ok(Err(format!("there is no payout {payout}")));
        };
        let transfer = match self.search.reader.transfer(transfer).await? {
            Some(transfer) => transfer,
            None if planted!("paid_believed_unseen") => self.believed(&case, transfer),
            None => return Ok(Err("Stripe has no such transfer".to_owned())),
        };
        match self.against(&case, &transfer).await? {
            Some(refusal) if !planted!("paid_believed_unseen") => return Ok(Err(refusal)),
            _ => {}
        }
        let (db, stamp) = (&self.search.db, self.stamp.clone());
        let recorded = if let Some(attempt) = attempt_to_blame(&case, &transfer) {
            adopt_for_attempt(db, stamp, attempt, &transfer).await?
        } else {
            adopt_for_row(db, stamp, case.payout.clone(), &transfer).await?
        };
        Ok(Ok(adopted(&case, &transfer, recorded)))
    }

    /// Lets go of a payout that was just looked at, if that may be done.
    ///
    /// # Errors
    /// The database, also when it is not as it was shown.
    pub async fn release(&self, looked: Looked, reason: &str) -> Result<Looked, RunError> {
        // Only what the look-up just made allows: the store judges by what was kept before.
        let (Some(open), Some(Ok(_))) = (&looked.open, &looked.release) else {
            return Ok(looked);
        };
        let (stamp, terms) = (self.stamp.clone(), self.terms.clone());
        let (id, number, reason) = (looked.payout_id.clone(), open.number, reason.to_owned());
        let released = self
            .search
            .db
            .call(move |store| store.doubt_release(&stamp, &id, number, &reason, &terms))
            .await?;
        Ok(match released {
            Ok(()) => Looked {
                outcome: Outcome::Released,
                release: None,
                ..looked
            },
            Err(not_yet) => Looked {
                release: Some(Err(not_yet)),
                ..looked
            },
        })
    }

    async fn cases(&self, ids: &[PayoutId]) -> Result<Vec<Case>, RunError> {
        let (ids, terms) = (ids.to_vec(), self.terms.clone());
        Ok(self
            .search
            .db
            .call(move |store| store.doubts(&ids, &terms))
            .await?)
    }

    /// The transfers that Stripe's events say were made under the keys of the open
    /// attempts. None when not all events could be read.
    async fn made_under(
        &self,
        cases: &[Case],
    ) -> Result<Option<HashMap<String, String>>, RunError> {
        let open = || {
            cases
                .iter()
                .filter_map(|case| case.open.as_ref()?.attempt.as_ref())
        };
        let keys: HashSet<String> = open().map(|a| a.idempotency_key.clone()).collect();
        let Some(since) = open().map(|attempt| attempt.first_sent_at).min() else {
            return Ok(Some(HashMap::new()));
        };
        let read = self
            .search
            .reader
            .created_under(&keys, since.minus(OVERLAP), PAGES_MAX)
            .await;
        match read {
            Ok((made, true)) => Ok(Some(made)),
            Err(error) if error.source.is_key_refused() => Err(error.into()),
            // An error while looking is not "nothing there".
            Ok((_, false)) | Err(_) => Ok(None),
        }
    }

    async fn look_at(
        &self,
        case: Case,
        begun: Time,
        made: Option<&HashMap<String, String>>,
    ) -> Result<Looked, RunError> {
        let Some(open) = &case.open else {
            return self.look_for_late(case, begun).await;
        };
        if open.doubt.held_until.is_some() {
            let mut looked = standing(&case, Outcome::InFlight, "a run has it in hand".to_owned());
            looked.release = Some(self.may_release(open));
            return Ok(looked);
        }
        let found = if let Some(attempt) = &open.attempt {
            match self.search.of_attempt(attempt, std::iter::empty()).await? {
                Found::Nothing => self.by_event(attempt, made).await?,
                found => found,
            }
        } else {
            let (row, terms) = (&case.payout, &self.terms);
            let to = case.destination.as_deref();
            let fits =
                |transfer: &Transfer| fits_row(row, to, transfer, terms.currency, terms.livemode);
            self.search.of_row(row, to, begun, fits).await?
        };
        match found {
            Found::Transfer(transfer) => {
                let (db, stamp) = (&self.search.db, self.stamp.clone());
                let recorded = match &open.attempt {
                    Some(attempt) => adopt_for_attempt(db, stamp, attempt, &transfer).await?,
                    None => adopt_for_row(db, stamp, case.payout.clone(), &transfer).await?,
                };
                Ok(adopted(&case, &transfer, recorded))
            }
            Found::Nothing => {
                let found = "no transfer".to_owned();
                self.unresolved(case, begun, LookUpFinding::Nothing, found)
                    .await
            }
            Found::Misfit(found) => {
                self.unresolved(case, begun, LookUpFinding::Misfit, found)
                    .await
            }
            Found::Doubt(found) => {
                let mut looked = standing(&case, Outcome::Unresolved, found);
                looked.release = Some(match self.may_release(open) {
                    Err(not_yet) if not_yet.lacking == Lacking::OtherAccount => Err(not_yet),
                    _ => Err(NotYet {
                        lacking: Lacking::Failed,
                        from: None,
                    }),
                });
                Ok(looked)
            }
        }
    }

    /// What the events say where the lists say nothing.
    async fn by_event(
        &self,
        attempt: &Attempt,
        made: Option<&HashMap<String, String>>,
    ) -> Result<Found, RunError> {
        let Some(made) = made else {
            return Ok(Found::Doubt("the events could not all be read".to_owned()));
        };
        let Some(id) = made.get(&attempt.idempotency_key) else {
            return Ok(Found::Nothing);
        };
        let says = format!("an event says that its key made transfer {id}");
        Ok(match self.search.reader.transfer(id).await? {
            None => Found::Misfit(format!("{says}, which cannot be found")),
            Some(transfer) => match expected_of(attempt).mismatch(&transfer) {
                None => Found::Transfer(Box::new(transfer)),
                Some(what) => Found::Misfit(format!("{says}, which does not fit: {what}")),
            },
        })
    }

    /// Puts a look-up on record and says what follows from all of them.
    async fn unresolved(
        &self,
        case: Case,
        begun_at: Time,
        finding: LookUpFinding,
        found: String,
    ) -> Result<Looked, RunError> {
        let look_up = LookUp {
            payout_id: case.payout.id.clone(),
            attempt: case.open.as_ref().map_or(1, |open| open.number),
            begun_at,
            run_id: self.stamp.run_id.clone(),
            stripe_account: self.terms.account.clone(),
            livemode: self.terms.livemode,
            found: finding,
            detail: (finding != LookUpFinding::Nothing).then(|| found.clone()),
        };
        let terms = self.terms.clone();
        self.search
            .db
            .call(move |store| store.look_up_keep(&look_up, &terms))
            .await?;
        let id = case.payout.id.clone();
        // Somebody else may have settled it meanwhile.
        let case = self.cases(&[id]).await?.pop().unwrap_or(case);
        let mut looked = standing(&case, Outcome::Unresolved, found);
        match &case.open {
            None => looked.outcome = Outcome::Settled,
            Some(open) => looked.release = Some(self.may_release(open)),
        }
        Ok(looked)
    }

    /// A payout of which nothing is open: only an attempt that a person had let go
    /// of may still have made a transfer.
    async fn look_for_late(&self, case: Case, begun: Time) -> Result<Looked, RunError> {
        let released = |attempt: &&Attempt| {
            attempt.outcome == AttemptOutcome::Released && !attempt.body.is_empty()
        };
        let held = |id: &str| {
            case.payout.stripe_transfer_id.as_deref() == Some(id)
                || case
                    .attempts
                    .iter()
                    .any(|attempt| attempt.transfer_id.as_deref() == Some(id))
        };
        for attempt in case.attempts.iter().filter(released) {
            let late = match self.search.all_of_attempt(attempt).await? {
                Ok(found) => found.into_values().find(|transfer| !held(&transfer.id)),
                Err(doubt) => return Ok(standing(&case, Outcome::Unresolved, doubt)),
            };
            let Some(transfer) = late else { continue };
            let mine = attempt_said(&transfer) == Some(attempt.attempt)
                && expected_of(attempt).mismatch(&transfer).is_none();
            if !mine {
                let found = format!("transfer {} names it and does not fit", transfer.id);
                return Ok(standing(&case, Outcome::Alarm, found));
            }
            let (db, stamp) = (&self.search.db, self.stamp.clone());
            let recorded = adopt_for_attempt(db, stamp, attempt, &transfer).await?;
            return Ok(adopted(&case, &transfer, recorded));
        }
        if let Some(surplus) = case
            .attempts
            .iter()
            .find(|attempt| attempt.outcome == AttemptOutcome::Surplus)
        {
            let id = surplus.transfer_id.as_deref().unwrap_or_default();
            let found = format!("it was paid twice: {id} is one transfer too many");
            return Ok(standing(&case, Outcome::Alarm, found));
        }
        if case.attempts.is_empty() && case.payout.status != PayoutStatus::Completed {
            return Box::pin(self.look_at_untouched(case, begun)).await;
        }
        let found = match &case.payout.stripe_transfer_id {
            Some(transfer) if case.payout.status == PayoutStatus::Completed => {
                format!("paid by {transfer}")
            }
            _ => "nothing of it is in doubt".to_owned(),
        };
        Ok(standing(&case, Outcome::Settled, found))
    }

    /// A row that nobody here has tried, and that nothing says was sent elsewhere: a
    /// transfer may name it all the same.
    async fn look_at_untouched(&self, case: Case, begun: Time) -> Result<Looked, RunError> {
        let (outcome, found) = match &case.found {
            Some(FoundPayment {
                finding,
                open: true,
            }) => (
                Outcome::Alarm,
                format!("a transfer that is not recorded names it: finding {finding}"),
            ),
            Some(FoundPayment { finding, .. }) => (
                Outcome::Settled,
                format!("a transfer names it, and a person accepted that: finding {finding}"),
            ),
            None if case.cancelled => (Outcome::Settled, "it was cancelled".to_owned()),
            None => {
                let (row, terms) = (&case.payout, &self.terms);
                let to = case.destination.as_deref();
                let fits = |transfer: &Transfer| {
                    transfer.payout_named() == Some(row.id.as_str())
                        && fits_row(row, to, transfer, terms.currency, terms.livemode)
                };
                match self.search.of_untouched(row, begun, fits).await? {
                    Found::Transfer(transfer) => {
                        let (db, stamp) = (&self.search.db, self.stamp.clone());
                        let recorded = adopt_for_row(db, stamp, row.clone(), &transfer).await?;
                        return Ok(adopted(&case, &transfer, recorded));
                    }
                    Found::Nothing => (Outcome::Settled, "nothing of it is in doubt".to_owned()),
                    Found::Misfit(found) => (Outcome::Alarm, found),
                    Found::Doubt(found) => (Outcome::Unresolved, found),
                }
            }
        };
        Ok(standing(&case, outcome, found))
    }

    fn may_release(&self, open: &OpenDoubt) -> Result<Evidence, NotYet> {
        open.may_release(&self.terms, self.clock.now())
    }

    /// A planted bug: what a person names is there, and is what it should be.
    fn believed(&self, case: &Case, transfer: &str) -> Transfer {
        Transfer {
            id: transfer.to_owned(),
            amount: i64::from(case.payout.amount_cents),
            amount_reversed: 0,
            currency: self.terms.currency.as_str().to_owned(),
            destination: case.destination.clone(),
            created: self.clock.now(),
            livemode: self.terms.livemode,
            metadata: std::collections::BTreeMap::new(),
            transfer_group: None,
            reversals: Vec::new(),
        }
    }

    /// Why a transfer is not this payout's.
    async fn against(&self, case: &Case, transfer: &Transfer) -> Result<Option<String>, RunError> {
        let (payout, id) = (&case.payout, &transfer.id);
        let holds = |held: &&String| *held != id;
        let of_attempts = case.attempts.iter().filter_map(|a| a.transfer_id.as_ref());
        let held = payout.stripe_transfer_id.iter().chain(of_attempts);
        if let Some(other) = held.into_iter().find(holds) {
            return Ok(Some(format!("payout {} holds transfer {other}", payout.id)));
        }
        if payout.status == PayoutStatus::Completed {
            return Ok(Some(format!("payout {} is COMPLETED", payout.id)));
        }
        if let Some(OpenDoubt {
            doubt: Doubt {
                held_until: Some(until),
                ..
            },
            ..
        }) = &case.open
        {
            return Ok(Some(format!(
                "a run has payout {} in hand, and may still send it until {until}",
                payout.id
            )));
        }
        let named = ["payout_id", "payoutId"]
            .into_iter()
            .filter_map(|key| transfer.metadata.get(key))
            .find(|named| *named != payout.id.as_str());
        if let Some(named) = named {
            return Ok(Some(format!("its metadata name payout {named}")));
        }
        let (of, tr, group) = (
            payout.id.clone(),
            id.clone(),
            transfer.transfer_group.clone(),
        );
        let another = self
            .search
            .db
            .call(move |store| store.transfer_is_of_another(&of, &tr, group.as_deref()))
            .await?;
        if let Some(other) = another {
            return Ok(Some(format!("it is the transfer of payout {other}")));
        }
        let expected = match attempt_to_blame(case, transfer) {
            Some(attempt) => expected_of(attempt),
            None => Expected {
                amount_cents: payout.amount_cents,
                currency: self.terms.currency,
                destination: case.destination.clone().unwrap_or_default(),
                livemode: self.terms.livemode,
                payout_id: payout.id.as_str().to_owned(),
            },
        };
        // That it is this payout's is what the person says; the rest must fit.
        let mut named = transfer.clone();
        named
            .metadata
            .insert("payout_id".to_owned(), payout.id.as_str().to_owned());
        Ok(expected.mismatch(&named))
    }
}

/// The attempt that a transfer is of: the open one, or the released one it names.
fn attempt_to_blame<'a>(case: &'a Case, transfer: &Transfer) -> Option<&'a Attempt> {
    let said = attempt_said(transfer);
    let open = case.open.as_ref().and_then(|open| open.attempt.as_ref());
    open.or_else(|| {
        case.attempts
            .iter()
            .find(|a| a.outcome == AttemptOutcome::Released && Some(a.attempt) == said)
    })
}

/// A payout as it stands, with nothing to let go of.
fn standing(case: &Case, outcome: Outcome, found: String) -> Looked {
    Looked {
        payout_id: case.payout.id.clone(),
        creator_id: case.payout.creator_id.clone(),
        amount_cents: case.payout.amount_cents,
        outcome,
        found,
        transfer_id: case.payout.stripe_transfer_id.clone(),
        open: case.open.clone(),
        release: None,
    }
}

/// What became of a payout when its transfer was recorded.
fn adopted(case: &Case, transfer: &Transfer, recorded: Recorded) -> Looked {
    let paid = format!("paid by {}", transfer.id);
    let (outcome, found) = match recorded {
        Recorded::Done | Recorded::Already => (Outcome::Adopted, paid),
        Recorded::Finding(beside) => (Outcome::Adopted, beside),
        Recorded::Alarm(reason) | Recorded::Waits(reason) => (Outcome::Alarm, reason),
        Recorded::NotOurs => (
            Outcome::InFlight,
            format!("{paid}; another run is recording it"),
        ),
    };
    Looked {
        transfer_id: Some(transfer.id.clone()),
        ..standing(case, outcome, found)
    }
}
