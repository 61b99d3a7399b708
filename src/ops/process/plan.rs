//! The plan: what a run would send, what not and why, shown before anything
//! happens. The same rule decides as in the claim.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::hold::Hold;
use crate::model::ids::{CreatorId, PayoutId};
use crate::model::money::Currency;
use crate::model::payout::Skip;
use crate::model::time::Time;
use crate::ops::consent::Agreement;
use crate::ops::event::Event;
use crate::ops::pace::Pace;
use crate::ops::process::{ProcessError, Session};
use crate::store::Store;
use crate::store::queue::{Mark, QueueRequest};
use crate::stripe::Stripe;

/// A balance that cannot be read for a passing reason is asked for this often.
const BALANCE_TRIES: u32 = 4;

/// Rows a plan lists; the rest is counted.
const PLAN_ROWS: usize = 1000;

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Payouts that would be sent for the first time.
    pub due: u64,
    /// Their sum, minor units.
    pub due_cents: i64,
    /// Unresolved attempts that would go out again under their own keys.
    pub resends: u64,
    /// Their sum, minor units.
    pub resend_cents: i64,
    /// The first of both, in order.
    pub rows: Vec<PlanRow>,
    /// Amount and destination of every payout that would be sent for the first time.
    pub agreed: Arc<HashMap<PayoutId, (i32, String)>>,
    /// What would not be sent, by reason.
    pub skipped: Vec<SkippedGroup>,
    /// The last row of the queue that was looked at.
    pub last: Option<Mark>,
    /// Available card funds, minor units; none when the key may not read them.
    pub balance_cents: Option<i64>,
    /// Of it, what is on its way already.
    pub in_doubt_cents: i64,
    /// The platform's account.
    pub account: String,
    /// Real money.
    pub livemode: bool,
    /// The currency of every amount.
    pub currency: Currency,
}

/// One payout of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Which.
    pub payout_id: PayoutId,
    /// Whom.
    pub creator_id: CreatorId,
    /// Where to.
    pub destination: String,
    /// Minor units.
    pub amount_cents: i32,
    /// In the queue since.
    pub created_at: Time,
    /// An unresolved attempt, sent again.
    pub resend: bool,
}

/// Payouts that are left alone for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedGroup {
    /// Why.
    pub reason: Skip,
    /// How many.
    pub payouts: u64,
    /// Minor units.
    pub amount_cents: i64,
    /// One of them.
    pub example: PayoutId,
    /// The hold that keeps this one back, if one does.
    pub hold: Option<Hold>,
}

impl Plan {
    /// Nothing would be sent.
    pub fn is_empty(&self) -> bool {
        self.due == 0 && self.resends == 0
    }

    /// What the operator is asked to agree to, minor units.
    pub fn total_cents(&self) -> i64 {
        self.due_cents.saturating_add(self.resend_cents)
    }

    /// The balance once all of it is paid; none when the balance is not known.
    pub fn balance_after_cents(&self) -> Option<i64> {
        // What goes out again is part of what is in doubt.
        Some(
            self.balance_cents?
                .saturating_sub(self.in_doubt_cents)
                .saturating_sub(self.due_cents),
        )
    }

    /// The agreement to exactly this plan.
    pub fn agreement(&self) -> Agreement {
        Agreement {
            until: self.last.clone(),
            rows: Some(Arc::clone(&self.agreed)),
            resends_max: usize::try_from(self.resends).unwrap_or(usize::MAX),
            payouts_max: self.due.saturating_add(self.resends),
            total_max_cents: self.total_cents(),
            account: self.account.clone(),
            livemode: self.livemode,
        }
    }
}

impl Session {
    /// Walks the queue without claiming and adds up what would happen.
    pub async fn plan(&mut self, events: &mut dyn FnMut(Event)) -> Result<Plan, ProcessError> {
        let in_doubt_cents = self.db.call(Store::attempts_open).await?.amount_cents;
        let mut plan = Plan {
            due: 0,
            due_cents: 0,
            resends: 0,
            resend_cents: 0,
            rows: Vec::new(),
            agreed: Arc::default(),
            skipped: Vec::new(),
            last: None,
            balance_cents: balance_cents(&self.stripe, &self.pace, self.settings.currency).await?,
            in_doubt_cents,
            account: self.account.clone(),
            livemode: self.livemode,
            currency: self.settings.currency,
        };
        for resend in &self.resends {
            let attempt = &resend.attempt;
            let amount = i64::from(attempt.amount_cents);
            if plan.resends >= self.settings.payouts_max
                || plan.resend_cents.saturating_add(amount) > self.settings.total_max_cents
            {
                break;
            }
            plan.resends += 1;
            plan.resend_cents = plan.resend_cents.saturating_add(amount);
            plan.push(PlanRow {
                payout_id: attempt.payout_id.clone(),
                creator_id: resend.belongs.creator.clone(),
                destination: attempt.destination.clone(),
                amount_cents: attempt.amount_cents,
                created_at: attempt.created_at,
                resend: true,
            });
        }
        self.plan_due(&mut plan, events).await?;
        Ok(plan)
    }

    async fn plan_due(
        &mut self,
        plan: &mut Plan,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        let mut agreed = HashMap::new();
        let mut groups: BTreeMap<Skip, SkippedGroup> = BTreeMap::new();
        let mut request = self.queue_request(None, None);
        'walk: loop {
            let asked = request.clone();
            let window = self
                .db
                .call(move |store| store.queue_preview(&asked))
                .await?;
            for skipped in window.skipped {
                let group = groups
                    .entry(skipped.reason)
                    .or_insert_with(|| SkippedGroup {
                        reason: skipped.reason,
                        payouts: 0,
                        amount_cents: 0,
                        example: skipped.payout_id.clone(),
                        hold: None,
                    });
                group.payouts += 1;
                group.amount_cents = group
                    .amount_cents
                    .saturating_add(i64::from(skipped.amount_cents));
            }
            for candidate in window.due {
                let payout = candidate.payout;
                let amount = i64::from(payout.amount_cents);
                if plan.due.saturating_add(plan.resends) >= self.settings.payouts_max
                    || plan.total_cents().saturating_add(amount) > self.settings.total_max_cents
                {
                    break 'walk;
                }
                plan.due += 1;
                plan.due_cents = plan.due_cents.saturating_add(amount);
                plan.last = Some(Mark::of(&payout));
                let destination = candidate.destination.unwrap_or_default();
                agreed.insert(
                    payout.id.clone(),
                    (payout.amount_cents, destination.clone()),
                );
                plan.push(PlanRow {
                    payout_id: payout.id,
                    creator_id: payout.creator_id,
                    destination,
                    amount_cents: payout.amount_cents,
                    created_at: payout.created_at,
                    resend: false,
                });
            }
            if !window.more {
                break;
            }
            if window.unsearched {
                self.search_foreign_rest(events).await?;
                request.searched = Arc::clone(&self.searched);
                request.in_doubt = Arc::new(self.in_doubt.clone());
            }
            request.after = window.last;
        }
        plan.agreed = Arc::new(agreed);
        for mut group in groups.into_values() {
            if let Some(kind) = group.reason.hold() {
                let example = group.example.clone();
                let hold = move |store: &mut Store| store.hold_behind(&example, kind);
                group.hold = self.db.call(hold).await?;
            }
            plan.skipped.push(group);
        }
        Ok(())
    }

    pub(super) fn queue_request(
        &self,
        until: Option<Mark>,
        agreed: Option<Arc<HashMap<PayoutId, (i32, String)>>>,
    ) -> QueueRequest {
        QueueRequest {
            filter: self.settings.filter.clone(),
            after: None,
            until,
            rules: self.settings.rules.clone(),
            searched: Arc::clone(&self.searched),
            agreed,
            in_doubt: Arc::new(self.in_doubt.clone()),
        }
    }
}

/// Available card funds, minor units; nothing when the key may not read them.
///
/// # Errors
/// Any other failure to read them, after a few tries.
pub(super) async fn balance_cents(
    stripe: &Stripe,
    pace: &Pace,
    currency: Currency,
) -> Result<Option<i64>, ProcessError> {
    let mut tries_left = BALANCE_TRIES;
    loop {
        pace.slot().await;
        let asked_at = pace.clock().instant();
        tries_left -= 1;
        match stripe.balance(currency).await {
            Ok(balance) => return Ok(Some(balance.available_cents)),
            Err(error) if error.is_key_refused() => return Ok(None),
            Err(error) if error.is_transient() && tries_left > 0 => {
                if let Some(pause) = error.too_fast() {
                    pace.slow_down(asked_at, pause);
                }
                pace.clock().sleep(Duration::from_millis(500)).await;
            }
            Err(source) => {
                return Err(ProcessError::Stripe {
                    doing: "read the balance",
                    source,
                });
            }
        }
    }
}

impl Plan {
    fn push(&mut self, row: PlanRow) {
        if self.rows.len() < PLAN_ROWS {
            self.rows.push(row);
        }
    }
}
