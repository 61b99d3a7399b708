//! Bringing stored events together with the table. See [`mod@crate::ops::events`].

use crate::failpoint::planted;
use crate::model::event::{AccountState, EventOutcome, EventState, StripeEvent};
use crate::model::ids::PayoutId;
use crate::model::reconciliation::{Discrepancy, FindingKind};
use crate::model::time::{Span, Time};
use crate::ops::event::Event;
use crate::ops::events::Applied;
use crate::ops::reconcile::examine::{Examiner, Fetched};
use crate::ops::reconcile::judge::{Judged, judge};
use crate::ops::reconcile::repair::Repairs;
use crate::ops::run_error::RunError;
use crate::store::StoreError;
use crate::store::ledger::{LedgerEntry, TransferKey, TransferLedger};
use crate::stripe::Transfer;
use crate::stripe::webhook::read::Capability;

/// Events applied together: what agrees is read and settled in a few statements.
const TOGETHER: i64 = 500;
/// After so many reads in a row that Stripe did not answer, the rest is left for
/// later.
const UNANSWERED_MAX: u32 = 3;
/// The prefix of a transfer's id; what else an event is about is an account.
const TRANSFER_PREFIX: &str = "tr_";

/// Applies every event that waits. Where none does, this is one query. What cannot be
/// read at Stripe waits on; it keeps nobody from paying or comparing.
///
/// # Errors
/// The database.
pub(in crate::ops) async fn apply_pending(
    examiner: &Examiner,
    events: &mut dyn FnMut(Event),
) -> Result<Applied, RunError> {
    let mut applier = Applier::new(examiner);
    let mut after: Option<String> = None;
    loop {
        let behind = after.clone();
        let page = examiner
            .db
            .call(move |store| store.events_pending(behind.as_deref(), TOGETHER))
            .await?;
        let Some(last) = page.last().map(|event| event.event_id.clone()) else {
            return Ok(applier.applied);
        };
        applier.apply(&page, events).await?;
        if applier.is_cut_off() {
            return Ok(applier.applied);
        }
        after = Some(last);
    }
}

/// One pass over events.
pub(super) struct Applier<'a> {
    examiner: &'a Examiner,
    unanswered: u32,
    pub(super) applied: Applied,
}

/// What became of one event, and what it says of an account.
type Settled = (EventOutcome, Option<AccountState>);

impl<'a> Applier<'a> {
    pub(super) fn new(examiner: &'a Examiner) -> Self {
        Self {
            examiner,
            unanswered: 0,
            applied: Applied::default(),
        }
    }

    /// Whether Stripe does not answer: going on cannot help.
    pub(super) fn is_cut_off(&self) -> bool {
        self.unanswered >= UNANSWERED_MAX
    }

    /// Applies some events, and records what became of each.
    pub(super) async fn apply(
        &mut self,
        page: &[StripeEvent],
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        let now = self
            .examiner
            .db
            .call(|store| Ok(store.clock().now()))
            .await?;
        let mut settled: Vec<Settled> = Vec::with_capacity(page.len());
        let mut closer: Vec<&StripeEvent> = Vec::new();
        let (of_transfers, of_accounts): (Vec<&StripeEvent>, Vec<&StripeEvent>) =
            page.iter().partition(|event| is_of_a_transfer(event));
        for (event, look) in self.at_first_sight(&of_transfers, now).await? {
            match look {
                Look::Settled(outcome) => settled.push((outcome, None)),
                Look::Closer => closer.push(event),
            }
        }
        for event in of_accounts {
            match account_said(event, now) {
                Some(said) => settled.push(said),
                None => closer.push(event),
            }
        }
        for event in closer {
            if self.is_cut_off() {
                break;
            }
            if planted!("event_settled_unheard") {
                settled.push((applied(event, None, "not looked at"), None));
                continue;
            }
            settled.push(self.look_closer(event, now, events).await?);
        }
        let (outcomes, accounts): (Vec<EventOutcome>, Vec<Option<AccountState>>) =
            settled.into_iter().unzip();
        let accounts: Vec<AccountState> = accounts.into_iter().flatten().collect();
        let states: Vec<(String, EventState)> = outcomes
            .iter()
            .map(|outcome| (outcome.event_id.clone(), outcome.state))
            .collect();
        let settled = self
            .examiner
            .db
            .call(move |store| store.events_settle(&outcomes, &accounts))
            .await?;
        for (event_id, state) in states {
            // What somebody else was faster with is theirs to count.
            if settled.contains(&event_id) {
                self.applied.count(state);
            }
        }
        Ok(())
    }

    /// What the snapshots alone settle: that the table says the same already, or that
    /// it is too early to say anything. A snapshot may be old, so that it proves
    /// nothing else; and where a finding is open, the transfer is looked at anew.
    async fn at_first_sight<'e>(
        &self,
        events: &[&'e StripeEvent],
        now: Time,
    ) -> Result<Vec<(&'e StripeEvent, Look)>, RunError> {
        let snapshots: Vec<Option<Transfer>> = events.iter().map(|e| snapshot_of(e)).collect();
        let keys: Vec<TransferKey> = snapshots.iter().flatten().map(key_of).collect();
        let ids: Vec<String> = keys.iter().map(|key| key.id.clone()).collect();
        let lease = self.examiner.lease;
        let (ledgers, doubted) = self
            .examiner
            .db
            .call(move |store| {
                Ok((
                    store.ledger_of(&keys, lease)?,
                    store.transfers_doubted(&ids)?,
                ))
            })
            .await?;
        let mut ledgers = ledgers.iter();
        let look = |(event, snapshot): (&&'e StripeEvent, &Option<Transfer>)| {
            let seen = snapshot.as_ref().zip(
                // There is one for each snapshot, in their order.
                snapshot.as_ref().and_then(|_| ledgers.next()),
            );
            let look = match seen {
                Some((transfer, ledger)) if !doubted.contains(&transfer.id) => {
                    let judged = judge(transfer, ledger, &self.examiner.terms);
                    first_look(event, ledger, &judged, now)
                }
                _ => Look::Closer,
            };
            (*event, look)
        };
        Ok(events.iter().zip(&snapshots).map(look).collect())
    }

    /// Asks Stripe, and records or reports what it says now.
    async fn look_closer(
        &mut self,
        event: &StripeEvent,
        now: Time,
        events: &mut dyn FnMut(Event),
    ) -> Result<Settled, RunError> {
        let looked = if is_of_a_transfer(event) {
            let looked = self.look_at_transfer(event, now, events).await;
            looked.map(|outcome| (outcome, None))
        } else {
            self.look_at_account(event, now).await
        };
        match looked {
            Ok(settled) => {
                self.unanswered = 0;
                Ok(settled)
            }
            Err(RunError::Stripe { doing, source }) => {
                self.unanswered += 1;
                let words = format!("failed to {doing}: {source}");
                events(Event::Warning(format!(
                    "event {} waits: {words}",
                    event.event_id
                )));
                Ok((waits(event, None, words), None))
            }
            // One that cannot be written holds up nobody else.
            Err(RunError::Store(error)) if !error.is_transient() && holds_up_one(&error) => {
                let words = error.with_cause();
                events(Event::Warning(format!(
                    "event {} waits: {words}",
                    event.event_id
                )));
                Ok((waits(event, None, words), None))
            }
            Err(error) => Err(error),
        }
    }

    async fn look_at_transfer(
        &mut self,
        event: &StripeEvent,
        now: Time,
        events: &mut dyn FnMut(Event),
    ) -> Result<EventOutcome, RunError> {
        let id = event.object_id.as_deref().unwrap_or_default();
        let transfer = match self.examiner.fetch(id).await? {
            Fetched::Transfer(transfer) => *transfer,
            Fetched::Nothing if !event.has_waited(now) => {
                return Ok(waits(event, None, "Stripe has no such transfer"));
            }
            Fetched::Nothing => {
                self.examiner.look_up(id, None, None).await?;
                return Ok(ignored(event, "Stripe has no such transfer"));
            }
            Fetched::Odd(error) => {
                self.examiner.look_up(id, None, None).await?;
                self.found(&[FindingKind::OddEntry]);
                return Ok(reported(event, None, error.to_string()));
            }
        };
        let (ledger, mut judged) = self.judged(&transfer).await?;
        if let Look::Settled(outcome) = first_look(event, &ledger, &judged, now)
            && outcome.state == EventState::Pending
        {
            return Ok(outcome);
        }
        let payout = payout_of(&ledger);
        let mut recorded = None;
        let closely = self.closely(&judged, &transfer).await?;
        if let Some(behind) = of_kind(&closely, FindingKind::StatusBehind) {
            let done = if self.made_here(&behind, &transfer, &judged) {
                self.repair(&behind, &transfer, &judged, events).await?
            } else {
                Err(format!(
                    "{}, and {}",
                    behind.expected.as_deref().unwrap_or("no row"),
                    behind.found
                ))
            };
            match done {
                Ok(_) => {
                    recorded = Some(format!("paid by {id}: recorded"));
                    judged = self.judged(&transfer).await?.1;
                }
                Err(why) if !event.has_waited(now) => return Ok(waits(event, payout, why)),
                Err(_) => {}
            }
        }
        for kind in [FindingKind::ReversedFully, FindingKind::ReversedPartly] {
            if let Some(reversed) = of_kind(&judged.found, kind) {
                let kept = self.repair(&reversed, &transfer, &judged, events).await?;
                recorded = recorded.or(kept.ok().map(|_| reversed.found));
            }
        }
        // What is left is kept as findings, and what is gone is settled.
        let (_, judged) = self.judged(&transfer).await?;
        let left = self.closely(&judged, &transfer).await?;
        self.examiner
            .keep(vec![id.to_owned()], left.clone())
            .await?;
        if left.is_empty() {
            let words = recorded.unwrap_or_else(|| "the table says the same".to_owned());
            return Ok(applied(event, payout, words));
        }
        let about = vec![id.to_owned()];
        let db = &self.examiner.db;
        let doubted = db
            .call(move |store| store.transfers_doubted(&about))
            .await?;
        if doubted.is_empty() {
            return Ok(applied(
                event,
                payout,
                "it differs, and a person accepted that",
            ));
        }
        let kinds: Vec<FindingKind> = left.iter().map(|found| found.kind).collect();
        self.found(&kinds);
        let words: Vec<String> = left
            .iter()
            .map(|found| format!("{}: {}", found.kind, found.found))
            .collect();
        let words = words.join("; ");
        events(Event::Warning(format!("transfer {id}: {words}")));
        Ok(reported(event, payout, words))
    }

    /// Whether an attempt of this database made what the table does not know as paid,
    /// so that it may be recorded: what `process` would record.
    fn made_here(&self, behind: &Discrepancy, transfer: &Transfer, judged: &Judged) -> bool {
        let ours = transfer.metadata.get("database") == Some(&self.examiner.terms.database_id);
        ours && behind.attempt.is_some() && judged.may_be_adopted()
    }

    /// What was found, with what a payment that the table does not know turns out to
    /// be beside the payout's other transfers: one too many, or nothing any more.
    async fn closely(
        &self,
        judged: &Judged,
        transfer: &Transfer,
    ) -> Result<Vec<Discrepancy>, RunError> {
        let mut found = judged.found.clone();
        for kind in [FindingKind::StatusBehind, FindingKind::ForgottenPayout] {
            let Some(at) = found.iter().position(|one| one.kind == kind) else {
                continue;
            };
            let Some(payout) = found[at].payout_id.clone() else {
                continue;
            };
            let beside = self.examiner.beside(&payout, &transfer.id).await?;
            if beside.taken_back_itself && !beside.standing.is_empty() {
                found.retain(|one| one.kind != kind && one.kind != FindingKind::ReversedFully);
            } else if let Some(others) = beside.others() {
                let one = &mut found[at];
                one.kind = FindingKind::TwoTransfers;
                one.expected = Some("one transfer".to_owned());
                one.found = format!("{} and {}", transfer.id, others.join(", "));
            }
        }
        Ok(found)
    }

    async fn repair(
        &self,
        found: &Discrepancy,
        transfer: &Transfer,
        judged: &Judged,
        events: &mut dyn FnMut(Event),
    ) -> Result<Result<String, String>, RunError> {
        let repairs = Repairs {
            examiner: self.examiner,
            period: Span::default(),
            begun: transfer.created,
        };
        let payout = found.payout_id.as_ref();
        repairs
            .by_transfer(found.kind, payout, transfer, judged, events)
            .await
    }

    async fn judged(&self, transfer: &Transfer) -> Result<(TransferLedger, Judged), RunError> {
        let (key, lease) = (key_of(transfer), self.examiner.lease);
        let ledger = self
            .examiner
            .db
            .call(move |store| store.ledger_of(&[key], lease))
            .await?
            .pop()
            .unwrap_or_default();
        let judged = judge(transfer, &ledger, &self.examiner.terms);
        Ok((ledger, judged))
    }

    async fn look_at_account(&self, event: &StripeEvent, now: Time) -> Result<Settled, RunError> {
        let id = event.object_id.as_deref().unwrap_or_default();
        if !is_account_id(id) {
            return Ok((ignored(event, "it is about no account"), None));
        }
        Ok(match self.examiner.stripe()?.capability(id).await? {
            Some(capability) => account_is(event, capability, now),
            None => (ignored(event, "Stripe has no such account"), None),
        })
    }

    fn found(&mut self, kinds: &[FindingKind]) {
        for kind in kinds {
            *self.applied.kinds.entry(*kind).or_default() += 1;
        }
    }
}

/// What a first look comes to.
enum Look {
    Settled(EventOutcome),
    Closer,
}

fn first_look(event: &StripeEvent, ledger: &TransferLedger, judged: &Judged, now: Time) -> Look {
    let payout = payout_of(ledger);
    if judged.matched && judged.found.is_empty() {
        return Look::Settled(applied(event, payout, "the table says the same"));
    }
    let nobody = ledger.holders.is_empty() && ledger.named.is_none();
    if nobody && !event.has_waited(now) {
        let words = "no payout holds it, and it names none that is known";
        return Look::Settled(waits(event, None, words));
    }
    let busy = entries(ledger).any(|entry| entry.busy);
    if busy && judged.found.is_empty() {
        return Look::Settled(waits(event, payout, "a run is at work on its payout"));
    }
    Look::Closer
}

fn entries(ledger: &TransferLedger) -> impl Iterator<Item = &LedgerEntry> {
    ledger.holders.iter().chain(&ledger.named)
}

fn payout_of(ledger: &TransferLedger) -> Option<PayoutId> {
    entries(ledger).next().map(|entry| entry.id.clone())
}

fn of_kind(found: &[Discrepancy], kind: FindingKind) -> Option<Discrepancy> {
    found.iter().find(|found| found.kind == kind).cloned()
}

fn key_of(transfer: &Transfer) -> TransferKey {
    TransferKey {
        id: transfer.id.clone(),
        named: transfer.payout_named().map(PayoutId::new),
        destination: transfer.destination.clone(),
    }
}

fn is_of_a_transfer(event: &StripeEvent) -> bool {
    let id = event.object_id.as_deref();
    id.is_some_and(|id| id.starts_with(TRANSFER_PREFIX))
}

/// Whether a text can be the id of an account: it becomes part of an address.
fn is_account_id(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.strip_prefix("acct_")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(word))
}

/// The transfer as it was then; none where the event carries none that can be read.
fn snapshot_of(event: &StripeEvent) -> Option<Transfer> {
    let snapshot = event.snapshot.as_ref()?;
    let transfer = Transfer::read(snapshot.as_bytes()).ok()?;
    (event.object_id.as_ref() == Some(&transfer.id)).then_some(transfer)
}

fn account_said(event: &StripeEvent, now: Time) -> Option<Settled> {
    let snapshot = event.snapshot.as_ref()?;
    let capability = Capability::read(snapshot.as_bytes()).ok()?;
    Some(account_is(event, capability, now))
}

fn account_is(event: &StripeEvent, capability: Capability, now: Time) -> Settled {
    let state = AccountState {
        stripe_account: event.object_id.clone().unwrap_or_default(),
        livemode: event.livemode,
        transfers: capability.transfers,
        disabled_reason: capability.disabled_reason,
        as_of: event.created_at,
        event_id: event.event_id.clone(),
        seen_at: now,
    };
    (applied(event, None, state.in_words()), Some(state))
}

/// Whether the database refuses this one thing, and would take another.
fn holds_up_one(error: &StoreError) -> bool {
    error.is_refusal() || matches!(error, StoreError::Corrupt(_))
}

fn outcome(
    event: &StripeEvent,
    state: EventState,
    payout_id: Option<PayoutId>,
    words: impl Into<String>,
) -> EventOutcome {
    EventOutcome {
        event_id: event.event_id.clone(),
        state,
        payout_id,
        words: words.into(),
    }
}

fn applied(
    event: &StripeEvent,
    payout: Option<PayoutId>,
    words: impl Into<String>,
) -> EventOutcome {
    outcome(event, EventState::Applied, payout, words)
}

fn reported(event: &StripeEvent, payout: Option<PayoutId>, words: String) -> EventOutcome {
    outcome(event, EventState::Reported, payout, words)
}

fn waits(event: &StripeEvent, payout: Option<PayoutId>, words: impl Into<String>) -> EventOutcome {
    outcome(event, EventState::Pending, payout, words)
}

fn ignored(event: &StripeEvent, words: &str) -> EventOutcome {
    outcome(event, EventState::Ignored, None, words)
}
