//! Looking at Stripe before anything is sent again: attempts that nobody knows about.
//!
//! An empty look-up proves nothing: the request may still be running. It only
//! allows the same bytes to go out again under the same key. It is empty only when
//! nothing bears the attempt's group and nothing names its payout, since what hangs
//! is sometimes paid by hand.

use std::time::Duration;

use crate::failpoint::planted;
use crate::model::attempt::{Attempt, KEY_AGE_MAX};
use crate::model::ids::PayoutId;
use crate::model::lookup::{LookUp, LookUpFinding};
use crate::model::payout::may_send_again;
use crate::model::time::Time;
use crate::ops::adopt::adopt_for_attempt;
use crate::ops::event::Event;
use crate::ops::process::foreign::tell_only;
use crate::ops::process::{Session, gate};
use crate::ops::reconcile::judge::is_taken_back;
use crate::ops::run_error::RunError;
use crate::ops::search::Found;
use crate::store::RunStamp;
use crate::store::Store;
use crate::store::doubt::DoubtTerms;
use crate::store::settle::{Resolution, Settlement};
use crate::stripe::Transfer;

/// A row that other software marked as failed is searched for this long after its
/// last change; `reconcile` looks as far back as a person says.
pub(in crate::ops) const FAILED_SEARCHED: Duration = Duration::from_secs(35 * 86_400);
/// Unresolved attempts read at once.
const UNRESOLVED_PAGE: i64 = 200;
/// Attempts parked as unknown this long ago are looked up while their run lives.
const PARKED: Duration = Duration::from_secs(600);

/// An attempt that goes out again: same bytes, same key.
#[derive(Debug, Clone)]
pub(super) struct Resend {
    /// The attempt, still in the hands of the run that left it.
    pub(super) attempt: Attempt,
    pub(super) belongs: gate::Belongs,
}

impl Session {
    /// Looks up every attempt whose run is over. Transfers that are found are
    /// adopted; what may go out again is returned; the rest stays unresolved.
    pub(super) async fn resolve(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<Vec<Resend>, RunError> {
        let mut resends = Vec::new();
        let mut after: Option<PayoutId> = None;
        loop {
            let own = stamp.map(|stamp| stamp.run_id.clone());
            let (lease, behind) = (self.settings.lease, after.clone());
            let open = self
                .db
                .call(move |store| {
                    store.attempts_unresolved(
                        own.as_ref(),
                        lease,
                        PARKED,
                        behind.as_ref(),
                        UNRESOLVED_PAGE,
                    )
                })
                .await?;
            let Some(last) = open.last_looked_at else {
                return Ok(resends);
            };
            for attempt in open.attempts {
                let begun = self.clock.now();
                let seen = self
                    .guard
                    .in_doubt
                    .get(&attempt.payout_id)
                    .into_iter()
                    .flatten();
                match self.search().of_attempt(&attempt, seen).await? {
                    Found::Transfer(transfer) => {
                        self.adopt(stamp, &attempt, &transfer, events).await?;
                    }
                    Found::Nothing | Found::Doubt(_)
                        if planted!("nothing_found_means_not_sent") =>
                    {
                        self.believe_that_nothing_was_sent(stamp, &attempt).await?;
                    }
                    Found::Nothing => match self.may_resend(&attempt).await? {
                        Ok(resend) => resends.push(resend),
                        Err(reason) => {
                            self.keep_look_up(stamp, &attempt, begun, None).await?;
                            self.report.stays_unresolved(
                                &attempt.payout_id,
                                attempt.amount_cents,
                                reason,
                            );
                        }
                    },
                    Found::Doubt(reason) => self.report.stays_unresolved(
                        &attempt.payout_id,
                        attempt.amount_cents,
                        reason,
                    ),
                    Found::Misfit(reason) => {
                        let found = Some(reason.clone());
                        self.keep_look_up(stamp, &attempt, begun, found).await?;
                        self.report
                            .alarms
                            .push(format!("payout {}: {reason}", attempt.payout_id));
                        self.report.stays_unresolved(
                            &attempt.payout_id,
                            attempt.amount_cents,
                            reason,
                        );
                    }
                }
            }
            after = Some(last);
        }
    }

    /// Puts a look-up on record, where this run writes at all: a person may let go
    /// of the attempt on it one day.
    async fn keep_look_up(
        &self,
        stamp: Option<&RunStamp>,
        attempt: &Attempt,
        begun_at: Time,
        found: Option<String>,
    ) -> Result<(), RunError> {
        let Some(stamp) = stamp else { return Ok(()) };
        let look_up = LookUp {
            payout_id: attempt.payout_id.clone(),
            attempt: attempt.attempt,
            begun_at,
            run_id: stamp.run_id.clone(),
            stripe_account: self.account.clone(),
            livemode: self.livemode,
            found: if found.is_some() {
                LookUpFinding::Misfit
            } else {
                LookUpFinding::Nothing
            },
            detail: found,
        };
        let terms = self.doubt_terms();
        Ok(self
            .db
            .call(move |store| store.look_up_keep(&look_up, &terms))
            .await?)
    }

    fn doubt_terms(&self) -> DoubtTerms {
        DoubtTerms {
            account: self.account.clone(),
            livemode: self.livemode,
            currency: self.settings.currency,
            lease: self.settings.lease,
            key_age_max: KEY_AGE_MAX,
            stripe_ahead_millis: self.stripe_ahead_millis,
        }
    }

    /// Transfers beside a paid one stay an alarm until somebody took them back at
    /// Stripe or accepted them.
    pub(super) async fn surplus(&mut self) -> Result<(), RunError> {
        for surplus in self.db.call(Store::surplus_open).await? {
            let (payout, id) = (surplus.payout_id, surplus.transfer_id);
            let transfer = self.reader().transfer(&id).await?;
            if !transfer.as_ref().is_some_and(is_taken_back) {
                self.report.alarms.push(format!(
                    "payout {payout} was paid twice: {id} is one transfer too many; reverse that one at Stripe, \
                     or accept it as `payouts reconcile` says"
                ));
            }
        }
        Ok(())
    }

    /// A planted bug: an empty look-up is taken for a proof.
    async fn believe_that_nothing_was_sent(
        &self,
        stamp: Option<&RunStamp>,
        attempt: &Attempt,
    ) -> Result<(), RunError> {
        let Some(stamp) = stamp.cloned() else {
            return Ok(());
        };
        let (left, reason) = (attempt.clone(), "not listed".to_owned());
        let rules = self.settings.rules.clone();
        self.db
            .call(move |store| {
                store.attempt_take_over(&stamp, &left, &rules, None)?;
                let settlement = Settlement {
                    payout_id: left.payout_id,
                    attempt: left.attempt,
                    amount_cents: left.amount_cents,
                    resolution: Resolution::NotSent { reason },
                    last: None,
                    answers: Vec::new(),
                };
                store.attempts_settle(&stamp, &[settlement]).map(drop)
            })
            .await?;
        Ok(())
    }

    async fn adopt(
        &mut self,
        stamp: Option<&RunStamp>,
        attempt: &Attempt,
        transfer: &Transfer,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        let Some(stamp) = stamp.cloned() else {
            tell_only(&attempt.payout_id, &transfer.id, events);
            self.in_doubt.insert(attempt.payout_id.clone());
            return Ok(());
        };
        let recorded = adopt_for_attempt(&self.db, stamp, attempt, transfer).await?;
        self.report.adopted(
            &attempt.payout_id,
            attempt.amount_cents,
            transfer,
            recorded,
            events,
        );
        Ok(())
    }

    /// The same checks as for a first send, and the key must be young.
    async fn may_resend(&self, attempt: &Attempt) -> Result<Result<Resend, String>, RunError> {
        let refused = |reason: &str| Ok(Err(format!("no transfer is listed, and {reason}")));
        if attempt.stored_error {
            return refused("Stripe stored an error under its key");
        }
        let young = attempt.key_is_young(self.clock.now(), self.stripe_ahead_millis);
        if !young && !planted!("resend_after_a_day") {
            return refused("its first send was 23 hours ago or more");
        }
        let (id, rules) = (attempt.payout_id.clone(), self.settings.rules.clone());
        let candidate = self.db.call(move |store| store.candidate(&id, &rules));
        let Some(candidate) = candidate.await? else {
            return refused("its payout is gone");
        };
        if let Err(refusal) = may_send_again(&candidate, attempt, &self.settings.rules) {
            return refused(&refusal.to_string());
        }
        if !self.settings.filter.covers(&candidate) {
            return refused("it is not among what this run was asked to send");
        }
        Ok(Ok(Resend {
            attempt: attempt.clone(),
            belongs: gate::Belongs {
                creator: candidate.payout.creator_id,
                batch: candidate.batch_id,
            },
        }))
    }
}
