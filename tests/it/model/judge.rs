//! The judge: after every step it holds the database against Stripe's own books.

use std::collections::{BTreeMap, BTreeSet};

use payouts::model::history::chain_hash;
use payouts::model::ids::PayoutId;
use payouts::sandbox::{Fault, TransferReport};

use super::schedule::{Foreign, Op};
use super::world::{CAREFUL, Ended, Finished, LEASE, World};
use crate::common::db::TextRow;

/// Which promise was broken, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) promise: &'static str,
    pub(crate) how: String,
}

type Verdict = Result<(), Violation>;

fn broken(promise: &'static str, how: impl Into<String>) -> Verdict {
    Err(Violation {
        promise,
        how: how.into(),
    })
}

/// How the last run of a schedule ended.
#[derive(Default)]
pub(crate) struct LastRun {
    pub(crate) code: u8,
    /// Payouts that it called unresolved.
    unresolved: BTreeSet<String>,
}

impl LastRun {
    pub(crate) fn of(ended: &Ended) -> Self {
        let told = ended.report.iter().flat_map(|report| &report.unresolved);
        Self {
            code: ended.code,
            unresolved: told.map(|one| one.payout_id.as_str().to_owned()).collect(),
        }
    }
}

/// A row of `payouts`.
struct Row {
    status: String,
    cents: i64,
    transfer: Option<String>,
}

/// A row of the attempt ledger, and of the run that holds it.
struct Attempt {
    payout: String,
    number: i64,
    outcome: String,
    transfer: Option<String>,
    error_type: Option<String>,
    stored_error: bool,
    first_sent: String,
    run: String,
    run_ended: bool,
    run_seen: String,
    /// Empty where other software sent it.
    body: String,
}

impl Attempt {
    fn key(&self) -> String {
        format!("payout_{}_{}", self.payout, self.number)
    }
}

/// A lookup that a person lets go on: so long after the last send, and after the one before.
const AN_HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * AN_HOUR;
/// From then on nothing is sent under a key.
const KEY_AGE_MAX: i64 = 23 * AN_HOUR;
/// How much earlier a moment may be than its rule says: a look-up takes its time, and begins before
/// Stripe is asked.
const SLACK: i64 = 120_000;

/// What Stripe's log says, whoever asked.
#[derive(Default)]
struct Books {
    /// How many lines of it were read.
    read: usize,
    /// For each key, when requests under it came.
    sends: BTreeMap<String, Vec<i64>>,
    /// Keys under which an error is stored.
    stored_errors: BTreeSet<String>,
    /// When the transfers of a group were listed.
    groups_listed: BTreeMap<String, Vec<i64>>,
    /// When the transfers to an account were listed.
    accounts_listed: BTreeMap<String, Vec<i64>>,
}

impl Books {
    fn read(&mut self, world: &World) {
        let lines = world.stripe.requests();
        for line in lines.iter().skip(self.read) {
            if let Some(key) = &line.idempotency_key {
                self.sends
                    .entry(key.clone())
                    .or_default()
                    .push(line.arrived_ms);
                let executed = matches!(
                    line.fault,
                    Some(Fault::Error500Before | Fault::Error500After)
                );
                if line.status == 500 && (line.replayed || executed) {
                    self.stored_errors.insert(key.clone());
                }
            }
            if line.endpoint != "transfers.list" || line.status != 200 || line.fault.is_some() {
                continue;
            }
            let listed = [
                (&mut self.groups_listed, &line.transfer_group),
                (&mut self.accounts_listed, &line.destination),
            ];
            for (lists, name) in listed {
                if let Some(name) = name {
                    lists.entry(name.clone()).or_default().push(line.arrived_ms);
                }
            }
        }
        self.read = lines.len();
    }
}

/// What it remembers from step to step.
#[derive(Default)]
pub(crate) struct Judge {
    books: Books,
    /// For each key, when it was claimed, and which runs have had it in hand.
    claims: BTreeMap<String, (i64, BTreeSet<String>)>,
    /// Keys that a person has let go of, by the rule.
    let_go: BTreeSet<String>,
    /// How many times each history says so.
    closed: BTreeMap<String, i64>,
    /// Payouts that were COMPLETED, and by which transfer.
    completed: BTreeMap<String, String>,
    completed_in_backup: BTreeMap<String, String>,
    /// For each key, when a request under it may first have been executed.
    first_sent: BTreeMap<String, i64>,
    /// How many lines of Stripe's log were read.
    log_read: usize,
    step_began: i64,
    /// The same by the wall clock.
    step_began_wall: i64,
    /// Payouts on hold, and how long their histories were.
    held: BTreeMap<String, i64>,
    /// What of holds stands: kind and target.
    standing: BTreeSet<(String, String)>,
    /// Transfers that a restored database does not know, until it does.
    forgotten: BTreeSet<String>,
    /// Keys that a restored database may not know to have been sent, and that nothing had been
    /// made under when it was restored: Stripe may execute such a request later.
    forgotten_sends: BTreeSet<String>,
    /// Those of them that Stripe may not have listed either for days: nothing and nobody could
    /// tell the restored database.
    unseen: BTreeSet<String>,
    /// Transfers in full view that this database neither holds nor expects, when the step began.
    unknown: Vec<String>,
    /// What was taken back when the step began, by transfer.
    reversed: BTreeMap<String, i64>,
    /// Some transfer is not listed yet.
    pub(crate) late: bool,
}

fn is_ours(transfer: &TransferReport) -> bool {
    transfer
        .idempotency_key
        .as_deref()
        .is_some_and(|key| key.starts_with("payout_"))
}

fn payout_of(transfer: &TransferReport) -> Option<String> {
    transfer.metadata.get("payout_id")
}

impl Judge {
    /// Looks round before a step.
    pub(crate) fn before(&mut self, world: &mut World, op: &Op) {
        self.step_began = world.now();
        world.lost_on_the_wire = self.is_lost_on_the_wire(world);
        self.step_began_wall = world.clock.now().millis();
        let transfers = world.transfers();
        self.reversed = transfers
            .iter()
            .map(|transfer| (transfer.id.clone(), transfer.amount_reversed))
            .collect();
        if let Op::Fault(misfortune) = op {
            self.late |= misfortune.late_seconds.is_some();
        }
        self.unknown.clear();
        if matches!(op, Op::Process(_)) && !self.late && world.asleep.is_empty() {
            let attempts = attempts(world);
            let accepted: BTreeSet<String> = world
                .rows("SELECT transfer_id FROM payout_findings WHERE state = 'accepted'")
                .into_iter()
                .filter_map(|row| row.into_iter().next().flatten())
                .collect();
            self.unknown = transfers
                .iter()
                .filter(|transfer| is_ours(transfer) && transfer.amount_reversed < transfer.amount)
                .filter(|transfer| !accepted.contains(&transfer.id))
                .filter(|transfer| {
                    !attempts.iter().any(|attempt| {
                        attempt.transfer.as_ref() == Some(&transfer.id)
                            || Some(&attempt.payout) == payout_of(transfer).as_ref()
                                && is_open(&attempt.outcome)
                    })
                })
                .map(|transfer| transfer.id.clone())
                .collect();
        }
    }

    /// Judges a step.
    pub(crate) fn after(&mut self, world: &mut World, op: &Op, finished: &[Finished]) -> Verdict {
        let transfers = world.transfers();
        let rows = payouts(world);
        let attempts = attempts(world);
        if let Op::Backup = op {
            self.completed_in_backup = self.completed.clone();
        }
        if matches!(op, Op::Restore) && world.backup.is_some() {
            self.completed = self.completed_in_backup.clone();
            let recorded: BTreeSet<&String> = attempts
                .iter()
                .filter_map(|a| a.transfer.as_ref())
                .collect();
            self.forgotten = transfers
                .iter()
                .filter(|transfer| !recorded.contains(&transfer.id))
                .map(|transfer| transfer.id.clone())
                .collect();
            if self.late {
                self.unseen.extend(self.forgotten.iter().cloned());
            }
            self.held.clear();
            self.standing.clear();
            self.closed = closed(world);
            // What it has never heard of it cannot know to be old.
            let known: BTreeSet<String> = attempts.iter().map(Attempt::key).collect();
            self.first_sent.retain(|key, _| known.contains(key));
        }
        for attempt in &attempts {
            if let Some(transfer) = &attempt.transfer {
                self.forgotten.remove(transfer);
            }
        }
        self.books.read(world);
        if matches!(op, Op::Restore) && world.backup.is_some() {
            let made: BTreeSet<&str> = transfers
                .iter()
                .filter_map(|transfer| transfer.idempotency_key.as_deref())
                .collect();
            let sent = self.books.sends.keys();
            self.forgotten_sends = sent
                .filter(|key| !made.contains(key.as_str()))
                .cloned()
                .collect();
        }
        self.note_claims(&attempts);
        self.let_go_by_the_rule(world, &transfers, &attempts)?;
        self.one_transfer(world, &transfers)?;
        self.completed_is_paid(world, &transfers, &rows)?;
        self.attempts_tell_the_truth(&transfers, &attempts)?;
        self.statements(world, &transfers)?;
        self.keys_are_young(world)?;
        self.holds(world, op, finished)?;
        what_needs_approval_has_it(world)?;
        what_is_cancelled_stays_so(world)?;
        for one in finished {
            self.run(world, one, &attempts, &rows)?;
            self.paid_twice_is_told(world, one, &transfers, &attempts)?;
            self.what_stripe_says_is_heard(world, one, &transfers, &attempts, &rows)?;
            decided(one, &attempts)?;
            retried(world, one, &attempts, &rows)?;
        }
        Ok(())
    }

    /// Whether the request that wakes next would come under a key that is a day old, without anybody
    /// having let go of it: no client could keep that from being a second transfer.
    fn is_lost_on_the_wire(&self, world: &World) -> bool {
        let Some(run) = world.asleep.front().and_then(|asleep| asleep.run()) else {
            return false;
        };
        self.claims.iter().any(|(key, (_, holders))| {
            let first = self.books.sends.get(key).and_then(|sends| sends.first());
            holders.contains(run)
                && !self.let_go.contains(key)
                && first.is_some_and(|first| world.now() - first >= DAY)
        })
    }

    /// Whether its payout has another transfer, because a person let go of an attempt.
    fn is_one_of_several(&self, transfer: &TransferReport, all: &[TransferReport]) -> bool {
        let payout = payout_of(transfer);
        let mut made = all
            .iter()
            .filter(|other| is_ours(other) && payout_of(other) == payout);
        let let_go = |made: &TransferReport| {
            let key = made.idempotency_key.as_deref();
            key.is_some_and(|key| self.let_go.contains(key))
        };
        made.clone().count() > 1 && made.any(let_go)
    }

    fn note_claims(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            let claim = self
                .claims
                .entry(attempt.key())
                .or_insert_with(|| (self.step_began, BTreeSet::new()));
            claim.1.insert(attempt.run.clone());
        }
    }

    /// What a person has let go of could be let go of: by Stripe's log and this world's clock.
    fn let_go_by_the_rule(
        &mut self,
        world: &mut World,
        transfers: &[TransferReport],
        attempts: &[Attempt],
    ) -> Verdict {
        let now_closed = closed(world);
        let fresh = now_closed
            .iter()
            .filter(|(key, times)| self.closed.get(*key).is_none_or(|before| before < *times))
            .map(|(key, _)| key.clone());
        let fresh: Vec<String> = fresh.collect();
        self.closed = now_closed;
        for key in fresh {
            let Some(attempt) = attempts.iter().find(|attempt| attempt.key() == key) else {
                continue;
            };
            let against =
                |what: String| broken("let go of only by the rule", format!("{key}: {what}"));
            if !self.late
                && let Some(made) = transfers.iter().find(|made| {
                    payout_of(made).as_ref() == Some(&attempt.payout)
                        && made.created * 1000 < self.step_began
                })
            {
                return against(format!("Stripe lists {}", made.id));
            }
            self.ripe(world, attempt).or_else(against)?;
            self.let_go.insert(key);
        }
        Ok(())
    }

    /// Whether an attempt may be let go of at this moment, and what stands against it.
    fn ripe(&self, world: &World, attempt: &Attempt) -> Result<(), String> {
        let key = attempt.key();
        let now = world.now();
        let off = world.clock.now().millis() - now;
        let slack = SLACK + off.abs();
        let known = world.known(&attempt.payout);
        let (claimed, holders) = match self.claims.get(&key) {
            // Other software sent it, if anybody did.
            _ if attempt.body.is_empty() => (known.map_or(0, |known| known.created), None),
            Some((claimed, holders)) => (*claimed, Some(holders)),
            None => return Err("nobody has claimed it".to_owned()),
        };
        if !self.books.stored_errors.contains(&key) && now + slack < claimed + KEY_AGE_MAX {
            let hours = (now - claimed) / AN_HOUR;
            return Err(format!(
                "it may be sent again, {hours} h after it was claimed"
            ));
        }
        let mut last_sent = claimed;
        let sends = self.books.sends.get(&key).into_iter().flatten();
        last_sent = sends.fold(last_sent, |last, sent| last.max(*sent));
        for asleep in &world.asleep {
            let Some(run) = asleep.run() else { continue };
            if holders.is_some_and(|holders| holders.contains(run))
                && let Some(since) = asleep.on_the_wire_since()
            {
                last_sent = last_sent.max(since);
            }
            let silent = (now + off - millis(&attempt.run_seen)).abs();
            let lease = i64::try_from(LEASE.as_millis()).expect("short");
            // Without a body nothing of it was sent from here: the run is the one that let go.
            let sender = run == attempt.run && !attempt.body.is_empty();
            if sender && !attempt.run_ended && silent + 5_000 < lease {
                return Err(format!("run {run} has it in hand, seen {silent} ms ago"));
            }
        }
        let account = format!("acct_{}", known.map_or("?", |known| known.creator));
        for (what, listed) in [
            ("its group", self.books.groups_listed.get(&attempt.payout)),
            ("its account", self.books.accounts_listed.get(&account)),
        ] {
            let mut counting = listed
                .into_iter()
                .flatten()
                .filter(|at| **at + slack >= last_sent + AN_HOUR);
            let first = counting.next();
            let second = first
                .and_then(|first| counting.rfind(|second| **second + slack >= first + AN_HOUR));
            if second.is_none() {
                let ago = (now - last_sent) / 60_000;
                return Err(format!(
                    "{what} was not listed twice, an hour apart, since an hour after its last send {ago} min ago"
                ));
            }
        }
        Ok(())
    }

    /// At most one transfer for each payout but for those that a person let go of, and none for what
    /// others paid before.
    fn one_transfer(&self, world: &World, transfers: &[TransferReport]) -> Verdict {
        let mut made: BTreeMap<String, Vec<&TransferReport>> = BTreeMap::new();
        for transfer in transfers.iter().filter(|transfer| is_ours(transfer)) {
            made.entry(payout_of(transfer).unwrap_or_default())
                .or_default()
                .push(transfer);
        }
        for (payout, made) in made {
            let kept = made.iter().filter(|transfer| {
                let key = transfer.idempotency_key.as_deref();
                !key.is_some_and(|key| self.let_go.contains(key))
                    && !self.unseen.contains(&transfer.id)
            });
            if kept.count() > 1 {
                let ids: Vec<&str> = made.iter().map(|transfer| transfer.id.as_str()).collect();
                return broken("paid at most once", format!("payout {payout}: {ids:?}"));
            }
            let Some(known) = world.known(&payout) else {
                return broken("paid at most once", format!("nobody asked for {payout}"));
            };
            let let_go = self.let_go.contains(&format!("payout_{payout}_1"));
            let others = known.paid_by_others
                || matches!(known.foreign, Some(Foreign::Dirty | Foreign::Processing)) && !let_go;
            if others {
                return broken(
                    "what others may have paid is not paid",
                    format!("payout {payout}: {}", made[0].id),
                );
            }
            if made.iter().any(|transfer| transfer.amount != known.cents) {
                return broken("paid as asked", format!("payout {payout}: {made:?}"));
            }
        }
        Ok(())
    }

    /// For each statement, what was paid less what was taken back is not more than it owes. One of
    /// which a person let go of a payout is that person's.
    fn statements(&self, world: &World, transfers: &[TransferReport]) -> Verdict {
        for (statement, owed) in &world.statements {
            let of = |transfer: &TransferReport| {
                let known = payout_of(transfer).and_then(|id| world.known(&id).cloned());
                known.and_then(|known| known.statement).as_ref() == Some(statement)
            };
            let let_go = transfers
                .iter()
                .filter(|transfer| of(transfer))
                .any(|transfer| {
                    let key = transfer.idempotency_key.as_deref();
                    key.is_some_and(|key| self.let_go.contains(key))
                });
            let paid: i64 = transfers
                .iter()
                .filter(|transfer| of(transfer))
                .map(|transfer| transfer.amount - transfer.amount_reversed)
                .sum();
            if paid > *owed && !let_go {
                return broken(
                    "a statement is not overpaid",
                    format!("{statement} owes {owed}, paid {paid}"),
                );
            }
        }
        Ok(())
    }

    /// A second transfer of what a person let go of is told by every run that sees it, until somebody
    /// takes one back or accepts it.
    /// After a comparison that repairs, and after events were pulled, what was taken back of a
    /// payout is kept; and every transfer that Stripe told of is stored as such.
    fn what_stripe_says_is_heard(
        &self,
        world: &mut World,
        finished: &Finished,
        transfers: &[TransferReport],
        attempts: &[Attempt],
        rows: &BTreeMap<String, Row>,
    ) -> Verdict {
        let (Op::Reconcile(_) | Op::Pull(_), Some(ended)) = (&finished.op, &finished.ended) else {
            return Ok(());
        };
        if finished.slept || self.late || ended.error.is_some() {
            return Ok(());
        }
        let listed = |transfer: &&TransferReport| {
            let made = transfer.created * 1000;
            made <= self.step_began && made > world.now() - 29 * DAY
        };
        let listed: Vec<&TransferReport> = transfers.iter().filter(listed).collect();
        if let Op::Pull(_) = finished.op {
            for transfer in &listed {
                let id = &transfer.id;
                let query = format!("SELECT 1 FROM payout_stripe_events WHERE object_id = '{id}'");
                if world.rows(&query).is_empty() {
                    let how = format!("no event of {id} is stored");
                    return broken("what Stripe says is heard", how);
                }
            }
        }
        for transfer in listed {
            let back = self.reversed.get(&transfer.id).copied().unwrap_or(0);
            let holder = rows
                .iter()
                .find(|(_, row)| row.transfer.as_ref() == Some(&transfer.id));
            let Some((payout, _)) = holder.filter(|_| back > 0) else {
                continue;
            };
            // What a run has in hand is recorded by that.
            if attempts
                .iter()
                .any(|a| a.payout == *payout && is_open(&a.outcome))
            {
                continue;
            }
            let kept = world.rows(&format!(
                "SELECT 1 FROM payout_reversals WHERE transfer_id = '{}' AND amount_reversed_cents >= {back}",
                transfer.id
            ));
            if kept.is_empty() {
                let how =
                    format!("{back} cents of payout {payout} were taken back, and are not kept");
                return broken("what Stripe says is heard", how);
            }
        }
        Ok(())
    }

    fn paid_twice_is_told(
        &self,
        world: &mut World,
        finished: &Finished,
        transfers: &[TransferReport],
        attempts: &[Attempt],
    ) -> Verdict {
        let (Op::Process(_) | Op::Reconcile(_), Some(ended)) = (&finished.op, &finished.ended)
        else {
            return Ok(());
        };
        if finished.slept || self.late || ended.error.is_some() {
            return Ok(());
        }
        let mut standing: BTreeMap<String, Vec<&TransferReport>> = BTreeMap::new();
        for transfer in transfers.iter().filter(|transfer| {
            is_ours(transfer)
                && transfer.amount_reversed < transfer.amount
                && transfer.created * 1000 < self.step_began
        }) {
            standing
                .entry(payout_of(transfer).unwrap_or_default())
                .or_default()
                .push(transfer);
        }
        // What is in the hands of a run that may be alive is told by that, or after its lease.
        let in_hand = |payout: &str| {
            let mut of_payout = attempts.iter().filter(|attempt| attempt.payout == payout);
            of_payout.any(|attempt| is_open(&attempt.outcome))
        };
        let twice = |made: &(&String, &Vec<&TransferReport>)| made.1.len() > 1 && !in_hand(made.0);
        for (payout, twice) in standing.iter().filter(twice) {
            let said = |state: &str| {
                format!(
                    "SELECT 1 FROM payout_findings WHERE payout_id = '{payout}' AND kind = 'two_transfers' AND {state}"
                )
            };
            let accepted = !world.rows(&said("state = 'accepted'")).is_empty();
            let told = match finished.op {
                Op::Reconcile(_) => !world.rows(&said("state <> 'fixed'")).is_empty(),
                _ => ended.code != 0,
            };
            if !told && !accepted {
                let ids: Vec<&str> = twice.iter().map(|made| made.id.as_str()).collect();
                return broken(
                    "what was paid twice is told",
                    format!(
                        "payout {payout}: {ids:?}, the run ended with {}",
                        ended.code
                    ),
                );
            }
        }
        Ok(())
    }

    /// COMPLETED means a transfer with the row's amount and destination, for good.
    fn completed_is_paid(
        &mut self,
        world: &World,
        transfers: &[TransferReport],
        rows: &BTreeMap<String, Row>,
    ) -> Verdict {
        for (id, row) in rows {
            if row.status != "COMPLETED" {
                if let Some(transfer) = self.completed.get(id) {
                    return broken(
                        "COMPLETED is final",
                        format!("payout {id}, paid by {transfer}, is {}", row.status),
                    );
                }
                continue;
            }
            let held = row.transfer.clone().unwrap_or_default();
            let Some(transfer) = transfers.iter().find(|transfer| transfer.id == held) else {
                return broken(
                    "COMPLETED means paid",
                    format!("payout {id} holds {held:?}, which Stripe does not know"),
                );
            };
            let creator = world.known(id).map_or("?", |known| known.creator);
            if transfer.amount != row.cents
                || transfer.currency != "usd"
                || *transfer.destination != *format!("acct_{creator}")
            {
                return broken(
                    "COMPLETED means paid",
                    format!("payout {id} holds {held}, which differs: {transfer:?}"),
                );
            }
            if let Some(before) = self.completed.insert(id.clone(), held.clone())
                && before != held
            {
                return broken(
                    "COMPLETED is final",
                    format!("payout {id} held {before} and now {held}"),
                );
            }
        }
        Ok(())
    }

    /// What was declared not to have happened has not happened.
    fn attempts_tell_the_truth(
        &self,
        transfers: &[TransferReport],
        attempts: &[Attempt],
    ) -> Verdict {
        for attempt in attempts {
            let key = attempt.key();
            let made = transfers
                .iter()
                .find(|transfer| transfer.idempotency_key.as_deref() == Some(&key));
            if let (Some(made), "declined" | "not_sent") = (made, attempt.outcome.as_str())
                && !self.forgotten.contains(&made.id)
                && !self.forgotten_sends.contains(&key)
            {
                return broken(
                    "a definite no is one",
                    format!("attempt {key} is {} and made {}", attempt.outcome, made.id),
                );
            }
            if attempt.error_type.as_deref() == Some("idempotency_error") {
                return broken(
                    "a resend repeats the bytes",
                    format!("of {key}, Stripe says no"),
                );
            }
            if let Some(made) = made
                && (payout_of(made).as_ref() != Some(&attempt.payout)
                    || made.transfer_group.as_deref() != Some(&attempt.payout)
                    || made.metadata.get("attempt") != Some(attempt.number.to_string()))
            {
                return broken("a resend repeats the bytes", format!("{key} made {made:?}"));
            }
        }
        Ok(())
    }

    /// Nothing is sent under a key that Stripe may have forgotten.
    fn keys_are_young(&mut self, world: &World) -> Verdict {
        let lines = world.stripe.requests();
        for line in &lines[self.log_read.min(lines.len())..] {
            let Some(key) = line
                .idempotency_key
                .clone()
                .filter(|key| key.starts_with("payout_"))
            else {
                continue;
            };
            // What was held is in the log when it ended, not when it came.
            let held = matches!(
                line.fault,
                Some(Fault::ExecuteLate | Fault::HangBefore | Fault::HangAfter)
            );
            // What left in time, and came when a person had let go of it, is told, see `paid_twice_is_told`.
            let let_go = self.let_go.contains(&key);
            if let (Some(first), false) = (self.first_sent.get(&key), held || let_go) {
                let age = self.step_began.saturating_sub(*first);
                if age >= DAY {
                    let hours = age / 3_600_000;
                    return broken("no key is used after a day", format!("{key}, {hours} h"));
                }
            }
            // A definite no made no transfer, and the same key makes none either.
            let refused = (400..500).contains(&line.status) && !matches!(line.status, 409 | 424);
            if !refused {
                self.first_sent.entry(key).or_insert_with(|| world.now());
            }
        }
        self.log_read = lines.len();
        Ok(())
    }

    /// What is held is not claimed.
    fn holds(&mut self, world: &mut World, op: &Op, finished: &[Finished]) -> Verdict {
        let claimed: BTreeMap<String, i64> = numbers(
            world,
            "SELECT payout_id, max(seq) FROM payout_history WHERE event = 'claimed' GROUP BY payout_id",
        );
        for (payout, length) in &self.held {
            if let Some(seq) = claimed.get(payout)
                && seq > length
            {
                return broken("what is held is not sent", format!("payout {payout}"));
            }
        }
        let changed = matches!(op, Op::Hold { .. } | Op::Unhold | Op::Restore)
            || finished
                .iter()
                .any(|one| matches!(one.op, Op::Hold { .. } | Op::Unhold));
        let lifted = |one: &Finished| {
            matches!(one.op, Op::UnholdOne) && one.ended.as_ref().is_some_and(|it| it.code == 0)
        };
        let lifted_one = finished.iter().any(lifted);
        if changed {
            let rows = world.rows("SELECT kind, target FROM payout_holds");
            let cells = |row: TextRow| {
                let mut cells = row.into_iter().flatten();
                Some((cells.next()?, cells.next().unwrap_or_default()))
            };
            self.standing = rows.into_iter().filter_map(cells).collect();
        } else if lifted_one {
            // Not what the table says: lifting one lifts no other.
            self.standing.pop_first();
        }
        if changed || lifted_one {
            let lengths = numbers(
                world,
                "SELECT payout_id, max(seq) FROM payout_history GROUP BY payout_id",
            );
            let everything = self.standing.iter().any(|(kind, _)| kind == "all");
            let is_held = |id: &String| {
                everything || self.standing.contains(&("payout".to_owned(), id.clone()))
            };
            let ids = world.rows("SELECT id FROM payouts");
            self.held = ids
                .into_iter()
                .filter_map(|row| row.into_iter().next().flatten())
                .filter(is_held)
                .map(|id| (id.clone(), lengths.get(&id).copied().unwrap_or(0)))
                .collect();
        }
        Ok(())
    }

    /// A run kept to what it was told, and told what it left.
    fn run(
        &self,
        world: &mut World,
        finished: &Finished,
        attempts: &[Attempt],
        rows: &BTreeMap<String, Row>,
    ) -> Verdict {
        let (Op::Process(asked), Some(ended)) = (&finished.op, &finished.ended) else {
            return Ok(());
        };
        let Some(run) = &ended.run else {
            return Ok(());
        };
        let claimed: BTreeSet<String> = world
            .rows(&format!(
                "SELECT payout_id FROM payout_history WHERE event = 'claimed' AND run_id = '{run}'"
            ))
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten())
            .collect();
        // What it claimed without being told so it did not send.
        let sent = claimed_and_sent(world, run);
        if let Some(limit) = asked.limit
            && sent > limit
        {
            return broken(
                "a run keeps its limit",
                format!("it sent {sent} of {claimed:?}, and {limit} was said"),
            );
        }
        if !claimed.is_empty() && !self.unknown.is_empty() && !finished.slept {
            return broken(
                "nothing is sent from a database that forgot payments",
                format!("{claimed:?} were claimed, {:?} is not known", self.unknown),
            );
        }
        if let Some(stop) = ended
            .report
            .as_ref()
            .and_then(|report| report.stop.as_ref())
            && format!("{stop:?}").starts_with("Bug")
        {
            return broken("no panic", format!("{stop:?}"));
        }
        if ended.code == 0 {
            for attempt in attempts.iter().filter(|attempt| is_open(&attempt.outcome)) {
                // Of what others left, it tells what they had left when it began.
                let left = attempt.run_ended || self.was_silent(&attempt.run_seen);
                let over = attempt.run == *run || left && !finished.slept;
                if over {
                    return broken(
                        "what is open is told",
                        format!(
                            "attempt {} of {} is {}, and the run ended with 0",
                            attempt.number, attempt.payout, attempt.outcome
                        ),
                    );
                }
            }
        }
        // What was taken back before it was recorded is recorded with it.
        if !finished.slept || matches!(asked.trap, Some(trap) if trap.at == "send.before") {
            for (id, row) in rows {
                let taken_back = row
                    .transfer
                    .as_ref()
                    .and_then(|t| self.reversed.get(t))
                    .copied();
                let recorded_here = attempts
                    .iter()
                    .any(|a| a.payout == *id && a.run == *run && a.transfer == row.transfer);
                if let (Some(cents @ 1..), true) = (taken_back, recorded_here) {
                    let kept = world.rows(&format!(
                        "SELECT 1 FROM payout_reversals WHERE payout_id = '{id}'"
                    ));
                    if kept.is_empty() {
                        return broken(
                            "a replay is not believed",
                            format!(
                                "{cents} cents of payout {id} were taken back before it was recorded"
                            ),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a run's last sign of life was older than the lease when the step began.
    fn was_silent(&self, seen: &str) -> bool {
        let lease = i64::try_from(LEASE.as_millis()).expect("short");
        (self.step_began_wall - millis(seen)).abs() > lease
    }

    /// Judges the end, when everything had time to settle.
    pub(crate) fn at_the_end(&self, world: &mut World, last: &LastRun) -> Verdict {
        let code = last.code;
        let transfers = world.transfers();
        let rows = payouts(world);
        let attempts = attempts(world);
        for transfer in transfers.iter().filter(|transfer| is_ours(transfer)) {
            let Some(id) = payout_of(transfer) else {
                continue;
            };
            match rows.get(&id) {
                Some(row) if row.status == "COMPLETED" => {}
                // Which of two paid it is for a person to say, and every run asks.
                Some(_) if code != 0 && self.is_one_of_several(transfer, &transfers) => {}
                Some(row) => {
                    return broken(
                        "what is paid becomes COMPLETED",
                        format!(
                            "payout {id} was paid by {} and is {}",
                            transfer.id, row.status
                        ),
                    );
                }
                // Without its statement it cannot be made again.
                None if world
                    .known(&id)
                    .is_some_and(|known| known.statement.is_some()) => {}
                None => {
                    return broken(
                        "what is paid becomes COMPLETED",
                        format!("payout {id} was paid by {} and is lost", transfer.id),
                    );
                }
            }
        }
        for attempt in attempts.iter().filter(|attempt| is_open(&attempt.outcome)) {
            let age = world.clock.now().millis() - millis(&attempt.first_sent);
            // Which of two paid it is for a person to say, and every run asks by its name.
            let asked = || {
                last.unresolved.contains(&attempt.payout)
                    && transfers.iter().any(|transfer| {
                        payout_of(transfer).as_ref() == Some(&attempt.payout)
                            && self.is_one_of_several(transfer, &transfers)
                    })
            };
            let justified = attempt.stored_error || age.abs() >= 22 * 3_600_000 || asked();
            if !justified {
                return broken(
                    "nothing stays unresolved without a reason",
                    format!(
                        "attempt {} of {} is {} after {} min, the last run ended with {code}",
                        attempt.number,
                        attempt.payout,
                        attempt.outcome,
                        age / 60_000
                    ),
                );
            }
        }
        for (id, row) in rows.iter().filter(|(_, row)| row.status == "PENDING") {
            let last = attempts
                .iter()
                .filter(|attempt| attempt.payout == *id)
                .max_by_key(|attempt| attempt.number);
            let statement = world
                .known(id)
                .is_some_and(|known| known.statement.is_some());
            let found = world.rows(&format!(
                "SELECT 1 FROM payout_findings WHERE payout_id = '{id}'
                 UNION ALL SELECT 1 FROM payout_reversals WHERE payout_id = '{id}'
                 UNION ALL SELECT 1 FROM payout_history WHERE payout_id = '{id}' AND event = 'cancelled'"
            ));
            let waits =
                last.is_some_and(|last| last.outcome == "released") && row.transfer.is_none();
            if waits && !statement && found.is_empty() && !matches!(code, 3 | 4) {
                return broken(
                    "what was let go of is sent again",
                    format!("payout {id} is PENDING, and the last run ended with {code}"),
                );
            }
        }
        if code == 0 {
            let left = rows
                .iter()
                .find(|(_, row)| matches!(row.status.as_str(), "PENDING" | "PROCESSING"));
            if let Some((id, row)) = left {
                return broken(
                    "nothing stays without being told",
                    format!(
                        "payout {id} is {} and the last run ended with 0",
                        row.status
                    ),
                );
            }
        }
        histories(world)
    }
}

/// What was let go of, by its key, and how often.
fn closed(world: &mut World) -> BTreeMap<String, i64> {
    let said = world.rows("SELECT payout_id, reason FROM payout_history WHERE event = 'closed'");
    let mut closed = BTreeMap::new();
    for row in said {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        let reason = text(1);
        let number = reason.split(' ').nth(1).unwrap_or_default();
        *closed
            .entry(format!("payout_{}_{number}", text(0)))
            .or_default() += 1;
    }
    closed
}

/// Where `resolve` ends with 0, nothing is open of what it looked at.
fn decided(finished: &Finished, attempts: &[Attempt]) -> Verdict {
    let Some(ended) = finished.ended.as_ref().filter(|ended| ended.code == 0) else {
        return Ok(());
    };
    for looked in &ended.looked {
        let open = attempts.iter().find(|attempt| {
            attempt.payout == looked.payout_id.as_str() && is_open(&attempt.outcome)
        });
        if let (Some(open), false) = (open, finished.slept) {
            return broken(
                "what is open is told",
                format!(
                    "attempt {} of {} is {}, and resolve said {}",
                    open.number, open.payout, open.outcome, looked.outcome
                ),
            );
        }
    }
    Ok(())
}

/// A definite no may be tried again by whoever names it, also after a person let go of an earlier
/// attempt.
fn retried(
    world: &mut World,
    finished: &Finished,
    attempts: &[Attempt],
    rows: &BTreeMap<String, Row>,
) -> Verdict {
    let (Op::Retry(_), Some(ended)) = (&finished.op, &finished.ended) else {
        return Ok(());
    };
    if ended.code != 0 || finished.slept || !finished.process.sprung().is_empty() {
        return Ok(());
    }
    // The store of a run that sleeps may record a refusal when the names were read already.
    let failed = finished.named.iter().filter_map(|id| {
        let (id, row) = rows.get_key_value(id.as_str())?;
        (row.status == "FAILED").then_some((id, row))
    });
    for (id, row) in failed {
        let of_payout = || attempts.iter().filter(|attempt| attempt.payout == *id);
        let refused = of_payout().max_by_key(|attempt| attempt.number);
        let unpaid = of_payout().all(|attempt| {
            matches!(
                attempt.outcome.as_str(),
                "declined" | "not_sent" | "released"
            )
        });
        let statement = world
            .known(id)
            .is_some_and(|known| known.statement.is_some());
        let otherwise = world.rows(&format!(
            "SELECT 1 FROM payout_history WHERE payout_id = '{id}' AND event = 'cancelled'
             UNION ALL SELECT 1 FROM payout_findings WHERE payout_id = '{id}'
             UNION ALL SELECT 1 FROM payout_reversals WHERE payout_id = '{id}'"
        ));
        if refused.is_some_and(|attempt| attempt.outcome == "declined")
            && unpaid
            && !statement
            && row.transfer.is_none()
            && otherwise.is_empty()
        {
            return broken(
                "a definite no may be tried again",
                format!("payout {id} is FAILED after a retry that named it"),
            );
        }
    }
    Ok(())
}

/// How many payouts a run claimed and sent.
fn claimed_and_sent(world: &mut World, run: &str) -> u64 {
    let counted = world.rows(&format!(
        "SELECT count(DISTINCT payout_id) FROM payout_history h
         WHERE event = 'claimed' AND run_id = '{run}'
             AND EXISTS (SELECT 1 FROM payout_answers a WHERE a.payout_id = h.payout_id)"
    ));
    let cell = counted.into_iter().flatten().flatten().next();
    cell.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Every chain holds, link by link.
fn histories(world: &mut World) -> Verdict {
    let taken = world.sessions.take(&world.clock);
    let mut store = taken.expect("the database opens");
    for known in &world.payouts {
        let chain = store
            .history_of(&PayoutId::new(known.id.as_str()))
            .expect("the history can be read");
        let mut before = String::new();
        for (place, row) in chain.iter().enumerate() {
            if row.seq != i32::try_from(place).expect("few") + 1
                || row.hash != chain_hash(&before, row)
            {
                return broken(
                    "the history is a chain",
                    format!("{} at {}", known.id, row.seq),
                );
            }
            before.clone_from(&row.hash);
        }
    }
    world.sessions.leave(store);
    Ok(())
}

fn is_open(outcome: &str) -> bool {
    matches!(outcome, "sending" | "unknown")
}

/// Of a time as the database shows it.
fn millis(text: &str) -> i64 {
    chrono::NaiveDateTime::parse_from_str(text, "%F %T%.f")
        .expect("a time")
        .and_utc()
        .timestamp_millis()
}

/// A run that asks for approvals sends nothing, and sends nothing again, without one that was given for
/// this amount to this account.
fn what_needs_approval_has_it(world: &mut World) -> Verdict {
    let sent = world.rows(&format!(
        "SELECT a.payout_id FROM payout_attempts a JOIN payout_runs r ON r.id = a.run_id
         WHERE r.actor = '{CAREFUL}' AND a.body <> '' AND NOT EXISTS (
             SELECT 1 FROM payout_approvals g WHERE g.payout_id = a.payout_id
                AND g.amount_cents = a.amount_cents AND g.destination = a.destination)"
    ));
    match sent.first() {
        Some(row) => broken("what needs approval has it", format!("payout {row:?}")),
        None => Ok(()),
    }
}

/// Nothing is claimed after it was cancelled, whatever other software makes of its row.
fn what_is_cancelled_stays_so(world: &mut World) -> Verdict {
    let claimed = world.rows(
        "SELECT c.payout_id FROM payout_history c JOIN payout_history x ON x.payout_id = c.payout_id
         WHERE x.event = 'cancelled' AND c.event = 'claimed' AND c.seq > x.seq",
    );
    match claimed.first() {
        Some(row) => broken("what is cancelled stays so", format!("payout {row:?}")),
        None => Ok(()),
    }
}

fn numbers(world: &mut World, sql: &str) -> BTreeMap<String, i64> {
    world
        .rows(sql)
        .into_iter()
        .filter_map(|row| {
            let mut cells = row.into_iter().flatten();
            Some((cells.next()?, cells.next()?.parse().ok()?))
        })
        .collect()
}

fn payouts(world: &mut World) -> BTreeMap<String, Row> {
    world
        .rows("SELECT id, status, amount_cents, stripe_transfer_id FROM payouts")
        .into_iter()
        .map(|row| {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let held = Row {
                status: text(1),
                cents: text(2).parse().unwrap_or(0),
                transfer: row[3].clone(),
            };
            (text(0), held)
        })
        .collect()
}

fn attempts(world: &mut World) -> Vec<Attempt> {
    world
        .rows(
            "SELECT a.payout_id, a.attempt, a.outcome, a.transfer_id, a.error_type, a.stored_error,
                 a.first_sent_at, a.run_id, r.ended_at, r.seen_at, a.body
             FROM payout_attempts a JOIN payout_runs r ON r.id = a.run_id",
        )
        .into_iter()
        .map(|row| {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            Attempt {
                payout: text(0),
                number: text(1).parse().unwrap_or(0),
                outcome: text(2),
                transfer: row[3].clone(),
                error_type: row[4].clone(),
                stored_error: text(5) == "1",
                first_sent: text(6),
                run: text(7),
                run_ended: row[8].is_some(),
                run_seen: text(9),
                body: text(10),
            }
        })
        .collect()
}
