//! The plan: what a run would send, what not and why, shown before anything
//! happens. The same rule decides as in the claim.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::history::hex;
use crate::model::hold::Hold;
use crate::model::ids::{CreatorId, PayoutId};
use crate::model::mode::mode;
use crate::model::money::Currency;
use crate::model::payout::{Payout, Skip};
use crate::model::time::Time;
use crate::model::warning::{Warning, WarningKind};
use crate::ops::consent::Agreement;
use crate::ops::event::Event;
use crate::ops::pace::Pace;
use crate::ops::process::{LimitReached, Session};
use crate::ops::run_error::RunError;
use crate::store::Store;
use crate::store::queue::{Mark, QueueRequest, WINDOW_MAX};
use crate::stripe::Stripe;

/// A balance that cannot be read for a passing reason is asked for this often.
const BALANCE_TRIES: u32 = 4;

/// Creators a plan lists; the others are counted in its total.
pub(super) const CREATORS_KEPT: usize = 20;

/// Payouts a plan names of each kind that it warns of.
pub(super) const EXAMPLES_KEPT: usize = 5;

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
    /// What is conspicuous, by kind.
    pub warnings: Vec<WarningGroup>,
    /// Creators who get several payments, those who get most first; at most 20.
    pub creators: Vec<PlanCreator>,
    /// Stands for everything that is agreed to: account, mode, currency, every payout
    /// with its amount, account, creator, statement and reference, and every warning.
    /// Lowercase hex.
    pub hash: String,
    /// The limit at which it ends, although more is due.
    pub limit: Option<LimitReached>,
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

/// Conspicuous payouts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarningGroup {
    /// What is conspicuous.
    pub kind: WarningKind,
    /// How many.
    pub payouts: u64,
    /// Minor units.
    pub amount_cents: i64,
    /// The first few of them.
    pub examples: Vec<Warning>,
}

/// A creator who gets several payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanCreator {
    /// Who.
    pub creator_id: CreatorId,
    /// How many payments.
    pub payouts: u64,
    /// Their sum, minor units.
    pub amount_cents: i64,
}

/// What a plan agrees to, as a hash. Each part is preceded by its length, so that no two
/// plans are the same text.
#[derive(Default)]
struct Digest(Sha256);

impl Digest {
    fn line(&mut self, parts: &[&str]) {
        for part in parts {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part.as_bytes());
        }
    }

    /// The first half of it: long enough that nobody makes another plan of the same hash.
    fn text(self) -> String {
        let mut text = hex(&self.0.finalize());
        text.truncate(32);
        text
    }
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
    pub async fn plan(&mut self, events: &mut dyn FnMut(Event)) -> Result<Plan, RunError> {
        let in_doubt_cents = self.db.call(Store::attempts_open).await?.amount_cents;
        let mut plan = Plan {
            due: 0,
            due_cents: 0,
            resends: 0,
            resend_cents: 0,
            rows: Vec::new(),
            agreed: Arc::default(),
            skipped: Vec::new(),
            warnings: Vec::new(),
            creators: Vec::new(),
            hash: String::new(),
            limit: None,
            last: None,
            balance_cents: balance_cents(&self.stripe, &self.pace, self.settings.currency).await?,
            in_doubt_cents,
            account: self.account.clone(),
            livemode: self.livemode,
            currency: self.settings.currency,
        };
        let mut seen = Seen::default();
        let currency = plan.currency.as_str();
        seen.digest
            .line(&["plan", &plan.account, mode(plan.livemode), currency]);
        for resend in &self.resends {
            let attempt = &resend.attempt;
            let amount = i64::from(attempt.amount_cents);
            if plan.resends >= self.settings.payouts_max
                || plan.resend_cents.saturating_add(amount) > self.settings.most_cents()
            {
                break;
            }
            plan.resends += 1;
            plan.resend_cents = plan.resend_cents.saturating_add(amount);
            let number = attempt.attempt.to_string();
            let cents = attempt.amount_cents.to_string();
            let id = attempt.payout_id.as_str();
            let again = ["again", id, &number, &cents, &attempt.destination];
            seen.digest.line(&again);
            seen.pays(&resend.belongs.creator, amount);
            plan.push(PlanRow {
                payout_id: attempt.payout_id.clone(),
                creator_id: resend.belongs.creator.clone(),
                destination: attempt.destination.clone(),
                amount_cents: attempt.amount_cents,
                created_at: attempt.created_at,
                resend: true,
            });
        }
        self.plan_due(&mut plan, &mut seen, events).await?;
        if self.idle && plan.due > 0 {
            // It became due while this run began.
            self.guard_in_full().await?;
        }
        seen.end(&mut plan);
        Ok(plan)
    }

    async fn plan_due(
        &mut self,
        plan: &mut Plan,
        seen: &mut Seen,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        let day_left = self.day_left(plan).await?;
        let mut agreed = HashMap::new();
        let mut groups: BTreeMap<Skip, SkippedGroup> = BTreeMap::new();
        let mut request = self.queue_request(None, None);
        'walk: loop {
            let asked = request.clone();
            let window = self
                .db
                .call(move |store| store.queue_preview(&asked, WINDOW_MAX))
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
            let due = window.due;
            let unusual_times = self.settings.unusual_times;
            let (due, warnings) = self
                .db
                .call(move |store| {
                    let warnings = store.warnings_of(&due, unusual_times)?;
                    Ok((due, warnings))
                })
                .await?;
            let mut warnings = warnings.into_iter().peekable();
            for candidate in due {
                let payout = candidate.payout;
                let amount = i64::from(payout.amount_cents);
                if plan.due.saturating_add(plan.resends) >= self.settings.payouts_max {
                    break 'walk;
                }
                if plan.total_cents().saturating_add(amount) > self.settings.most_cents() {
                    plan.limit = self.settings.limits_itself().then_some(LimitReached::Run);
                    break 'walk;
                }
                if plan.due_cents.saturating_add(amount) > day_left {
                    plan.limit = Some(LimitReached::Day);
                    break 'walk;
                }
                plan.due += 1;
                plan.due_cents = plan.due_cents.saturating_add(amount);
                plan.last = Some(Mark::of(&payout));
                let destination = candidate.destination.unwrap_or_default();
                let cents = payout.amount_cents.to_string();
                let statement = payout.royalty_statement_id.as_ref();
                seen.digest.line(&[
                    "due",
                    payout.id.as_str(),
                    &cents,
                    &destination,
                    payout.creator_id.as_str(),
                    statement.map_or("", |id| id.as_str()),
                    candidate.reference.as_deref().unwrap_or_default(),
                ]);
                seen.pays(&payout.creator_id, amount);
                if let Some(other) = seen.alike(&payout) {
                    let warning = Warning {
                        kind: WarningKind::SameAmount,
                        payout_id: payout.id.clone(),
                        amount_cents: payout.amount_cents,
                        other: other.to_string(),
                    };
                    seen.warn(plan, warning);
                }
                while let Some(warning) = warnings.next_if(|one| one.payout_id == payout.id) {
                    seen.warn(plan, warning);
                }
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

    /// What all runs may still send on this day, minor units, once what goes out again
    /// has: that counts for the day of its first send, and for this one.
    async fn day_left(&self, plan: &Plan) -> Result<i64, RunError> {
        let Some(most) = self.settings.day_max_cents else {
            return Ok(i64::MAX);
        };
        let now = self.stripe_now();
        let spent = self.db.call(move |store| store.day_spent(now)).await?;
        let planned = usize::try_from(plan.resends).unwrap_or(usize::MAX);
        let again = self.resends.iter().take(planned).map(|one| &one.attempt);
        let uncounted = again.filter(|attempt| attempt.first_sent_at < now.day_start());
        Ok(uncounted.fold(most.saturating_sub(spent), |left, attempt| {
            left.saturating_sub(attempt.amount_cents.into())
        }))
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
) -> Result<Option<i64>, RunError> {
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
                return Err(RunError::Stripe {
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

/// What is added up while a plan is made.
#[derive(Default)]
struct Seen {
    digest: Digest,
    creators: HashMap<CreatorId, (u64, i64)>,
    /// The last payout of each amount to each creator.
    amounts: HashMap<(CreatorId, i32), PayoutId>,
}

impl Seen {
    fn pays(&mut self, creator: &CreatorId, cents: i64) {
        let entry = self.creators.entry(creator.clone()).or_default();
        *entry = (entry.0 + 1, entry.1.saturating_add(cents));
    }

    /// Another payout of this plan to the same creator, of the same amount.
    fn alike(&mut self, payout: &Payout) -> Option<PayoutId> {
        let key = (payout.creator_id.clone(), payout.amount_cents);
        self.amounts.insert(key, payout.id.clone())
    }

    fn warn(&mut self, plan: &mut Plan, warning: Warning) {
        let id = warning.payout_id.as_str();
        self.digest
            .line(&["warning", warning.kind.as_str(), id, &warning.other]);
        let place = plan
            .warnings
            .iter()
            .position(|group| group.kind == warning.kind);
        let place = place.unwrap_or_else(|| {
            plan.warnings.push(WarningGroup {
                kind: warning.kind,
                payouts: 0,
                amount_cents: 0,
                examples: Vec::new(),
            });
            plan.warnings.len() - 1
        });
        let Some(group) = plan.warnings.get_mut(place) else {
            return;
        };
        group.payouts += 1;
        group.amount_cents = group
            .amount_cents
            .saturating_add(warning.amount_cents.into());
        if group.examples.len() < EXAMPLES_KEPT {
            group.examples.push(warning);
        }
    }

    fn end(self, plan: &mut Plan) {
        let several = self
            .creators
            .into_iter()
            .filter(|(_, (payouts, _))| *payouts > 1);
        plan.creators = several
            .map(|(creator_id, (payouts, amount_cents))| PlanCreator {
                creator_id,
                payouts,
                amount_cents,
            })
            .collect();
        plan.creators
            .sort_by(|a, b| (b.amount_cents, &a.creator_id).cmp(&(a.amount_cents, &b.creator_id)));
        plan.creators.truncate(CREATORS_KEPT);
        plan.warnings.sort_by_key(|group| group.kind);
        plan.hash = self.digest.text();
    }
}
