//! What Stripe and the table say about one transfer or one payout, and how the
//! two differ: decisions without any side effect.
//!
//! A transfer belongs to the payout that holds its id, else to the one that its
//! metadata or its group names. An amount never decides whose it is: two
//! creators are often paid the same.

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::ids::{CreatorId, PayoutId, StatementId};
use crate::model::mode::mode;
use crate::model::money::{Currency, with_currency};
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::{Discrepancy, FindingKind};
use crate::ops::adopt::{attempt_said, proven};
use crate::store::ledger::{LedgerEntry, PlainlyHeld, TransferLedger};
use crate::store::restore::LostPayout;
use crate::stripe::Transfer;

/// What every transfer of this database has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its one currency.
    pub currency: Currency,
    /// Real money.
    pub livemode: bool,
    /// Its own id, sent along as metadata.
    pub database_id: String,
}

/// What is to be said of one transfer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// The table holds it on the payout it paid, and as it is.
    pub matched: bool,
    /// How the two sides differ.
    pub found: Vec<Discrepancy>,
}

impl Judged {
    /// Whether Stripe paid what the table does not know as paid, and nothing
    /// else is wrong: the one case in which the transfer may be adopted.
    pub fn may_be_adopted(&self) -> bool {
        self.has(FindingKind::StatusBehind)
            && self.found.iter().all(|found| {
                matches!(
                    found.kind,
                    FindingKind::StatusBehind
                        | FindingKind::ReversedFully
                        | FindingKind::ReversedPartly
                        | FindingKind::MetadataDiffers
                )
            })
    }

    /// Whether this is among what was found.
    pub fn has(&self, kind: FindingKind) -> bool {
        self.found.iter().any(|found| found.kind == kind)
    }
}

/// Whose word a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Stripe's own: what it does not say is not there.
    Stripe,
    /// A report's: what it does not say is not known. An account that it does not name
    /// may be any.
    Report,
}

/// Judges a transfer against what the table holds of it.
pub fn judge(transfer: &Transfer, ledger: &TransferLedger, terms: &Terms) -> Judged {
    judge_told(transfer, ledger, terms, Word::Stripe)
}

/// The same of one that is only as this word has it.
pub fn judge_told(
    transfer: &Transfer,
    ledger: &TransferLedger,
    terms: &Terms,
    word: Word,
) -> Judged {
    let seen = Seen {
        transfer,
        terms,
        word,
        paid_to: ledger.paid_to.as_ref(),
    };
    let found = match (ledger.holders.as_slice(), &ledger.named) {
        ([], None) => vec![seen.of_nobody()],
        ([], Some(entry)) => seen.unrecorded(entry, ledger.reversed_cents),
        ([entry], _) => seen.recorded(entry, ledger.reversed_cents),
        (several, _) => several
            .iter()
            .map(|entry| {
                let others: Vec<&str> = several.iter().map(|e| e.id.as_str()).collect();
                seen.found(
                    FindingKind::TwoPayouts,
                    entry,
                    Some("one payout".to_owned()),
                    others.join(", "),
                )
            })
            .collect(),
    };
    let aside = [
        FindingKind::ReversedFully,
        FindingKind::ReversedPartly,
        FindingKind::MetadataDiffers,
    ];
    Judged {
        matched: ledger.holders.len() == 1 && found.iter().all(|f| aside.contains(&f.kind)),
        found,
    }
}

/// Whether a transfer is what the payout that holds it plainly says, and nothing of it
/// was taken back: then [`judge_told`] finds it matched, and nothing else.
pub fn agrees(transfer: &Transfer, held: &PlainlyHeld, word: Word) -> bool {
    let destination = transfer.destination.as_deref();
    let metadata = &transfer.metadata;
    let named = metadata
        .get("payout_id")
        .or_else(|| metadata.get("payoutId"));
    transfer.amount == i64::from(held.amount_cents)
        && transfer.amount == i64::from(held.attempt_cents)
        && transfer.amount_reversed == 0
        && transfer.currency == held.currency.as_str()
        && transfer.livemode == held.livemode
        && (destination == Some(held.destination.as_str())
            || (destination.is_none() && word == Word::Report))
        && named.is_none_or(|named| named == held.payout_id.as_str())
}

/// Judges a payout that may have been paid although it bears no transfer's id,
/// after Stripe listed no transfer in its group. That it has none is said only
/// where the group was read whole.
pub fn judge_without_transfer(entry: &LedgerEntry, whole: bool) -> Option<Discrepancy> {
    if entry.busy {
        return None;
    }
    let nothing = if whole {
        "no transfer in its group"
    } else {
        "its group cannot be read whole"
    };
    let about = |kind, attempt: Option<&Attempt>, expected: String| {
        Some(Discrepancy {
            kind,
            payout_id: Some(entry.id.clone()),
            attempt: attempt.map(|a| a.attempt),
            transfer_id: None,
            subject: None,
            at_stake_cents: Some(owed_cents(entry, attempt)),
            expected: Some(expected),
            found: nothing.to_owned(),
        })
    };
    if let Some(open) = open_attempt(entry) {
        let expected = format!("attempt {} is {}", open.attempt, open.outcome);
        return about(FindingKind::Unresolved, Some(open), expected);
    }
    let row = entry.payout.as_ref()?;
    match row.status {
        PayoutStatus::Processing => about(
            FindingKind::Unresolved,
            None,
            "PROCESSING without an open attempt".to_owned(),
        ),
        PayoutStatus::Completed if row.stripe_transfer_id.is_none() && whole => {
            let known = entry.attempts.iter().any(|a| a.transfer_id.is_some());
            if known {
                return None;
            }
            about(
                FindingKind::MissingAtStripe,
                None,
                "COMPLETED without a transfer id".to_owned(),
            )
        }
        _ => None,
    }
}

/// Whether a text can be the id of a transfer. Columns that other software
/// writes hold what people typed, and an id becomes part of an address.
pub fn is_transfer_id(text: &str) -> bool {
    is_id_of("tr_", text)
}

/// The same of a line of the balance.
pub fn is_balance_transaction_id(text: &str) -> bool {
    is_id_of("txn_", text)
}

fn is_id_of(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Whether nothing is left of a transfer.
pub fn is_taken_back(transfer: &Transfer) -> bool {
    transfer.amount_reversed >= transfer.amount
}

/// A transfer that a payout holds and that Stripe does not know. It is about the row where
/// that holds it, else about the attempt that does.
pub fn missing(holder: &LedgerEntry, transfer: &str) -> Discrepancy {
    let row = holder.payout.as_ref();
    let of_row = row.and_then(|row| row.stripe_transfer_id.as_deref());
    let holds = |attempt: &&Attempt| attempt.transfer_id.as_deref() == Some(transfer);
    let held_by = holder.attempts.iter().find(holds);
    let held_by = held_by.filter(|_| of_row != Some(transfer));
    Discrepancy {
        kind: FindingKind::MissingAtStripe,
        payout_id: Some(holder.id.clone()),
        attempt: held_by.map(|attempt| attempt.attempt),
        transfer_id: Some(transfer.to_owned()),
        subject: None,
        at_stake_cents: Some(owed_cents(holder, held_by)),
        expected: Some(format!("paid with {transfer}")),
        found: "no such transfer".to_owned(),
    }
}

/// What a transfer proves of a payout whose row this database has lost.
///
/// # Errors
/// What it does not prove.
pub fn lost_payout(transfer: &Transfer, terms: &Terms) -> Result<LostPayout, String> {
    let said = |key: &str| transfer.metadata.get(key).filter(|text| !text.is_empty());
    let named = |key: &str| said(key).ok_or_else(|| format!("its metadata has no {key}"));
    let id = PayoutId::new(named("payout_id")?);
    let creator_id = CreatorId::new(named("creator_id")?);
    if said("database") != Some(&terms.database_id) {
        return Err("its metadata names another database".to_owned());
    }
    if transfer.livemode != terms.livemode {
        return Err("it is of the other mode".to_owned());
    }
    if transfer.currency != terms.currency.as_str() {
        return Err(format!("it is in {}", transfer.currency));
    }
    Ok(LostPayout {
        id,
        creator_id,
        statement_id: said("royalty_statement_id").map(StatementId::new),
        reference: said("reference").cloned(),
        transfer: proven(transfer)?,
    })
}

/// What an attempt was to pay, or else its payout; minor units.
fn owed_cents(entry: &LedgerEntry, attempt: Option<&Attempt>) -> i64 {
    let of_row = entry.payout.as_ref().map(|row| row.amount_cents);
    let of_last = entry.attempts.last().map(|attempt| attempt.amount_cents);
    let cents = attempt.map(|a| a.amount_cents).or(of_row).or(of_last);
    cents.map_or(0, i64::from)
}

/// The attempt of a payout nobody knows the outcome of.
pub fn open_attempt(entry: &LedgerEntry) -> Option<&Attempt> {
    entry.attempts.iter().find(|a| a.outcome.is_unresolved())
}

/// A transfer under judgement.
struct Seen<'a> {
    transfer: &'a Transfer,
    terms: &'a Terms,
    word: Word,
    /// Whose account it paid, where no attempt says it.
    paid_to: Option<&'a CreatorId>,
}

impl Seen<'_> {
    fn found(
        &self,
        kind: FindingKind,
        entry: &LedgerEntry,
        expected: Option<String>,
        found: String,
    ) -> Discrepancy {
        Discrepancy {
            kind,
            payout_id: Some(entry.id.clone()),
            attempt: self.attempt_of(entry).map(|a| a.attempt),
            transfer_id: Some(self.transfer.id.clone()),
            subject: None,
            at_stake_cents: self.in_currency(self.transfer.amount),
            expected,
            found,
        }
    }

    /// Cents of the database's currency; none when the transfer is in another.
    fn in_currency(&self, cents: i64) -> Option<i64> {
        (self.transfer.currency == self.terms.currency.as_str()).then_some(cents)
    }

    /// The attempt that made it: the one that holds it, the one that its
    /// metadata names, the open one, the last one. None when it names a later one
    /// than this database knows: that was forgotten, and an earlier one proves
    /// nothing about it.
    fn attempt_of<'e>(&self, entry: &'e LedgerEntry) -> Option<&'e Attempt> {
        let said = attempt_said(self.transfer);
        let by = |test: &dyn Fn(&Attempt) -> bool| entry.attempts.iter().find(|a| test(a));
        by(&|a| a.transfer_id.as_ref() == Some(&self.transfer.id))
            .or_else(|| by(&|a| Some(a.attempt) == said))
            .or_else(|| open_attempt(entry))
            .or_else(|| {
                let last = entry.attempts.last()?;
                said.is_none_or(|said| said <= last.attempt).then_some(last)
            })
    }

    /// No payout holds it, and it names none that is known.
    fn of_nobody(&self) -> Discrepancy {
        let transfer = self.transfer;
        let ours = transfer.metadata.get("database") == Some(&self.terms.database_id);
        let named = transfer.payout_named();
        let to = transfer.destination.as_deref().unwrap_or(match self.word {
            Word::Stripe => "nobody",
            Word::Report => "an account that the file does not name",
        });
        let sum = format!("{} to {to}", self.money(transfer.amount));
        Discrepancy {
            kind: if ours {
                FindingKind::ForgottenPayout
            } else {
                FindingKind::UnknownTransfer
            },
            payout_id: named.filter(|_| ours).map(PayoutId::new),
            attempt: None,
            transfer_id: Some(transfer.id.clone()),
            subject: None,
            at_stake_cents: self.in_currency(transfer.amount),
            expected: None,
            found: match named {
                Some(named) if !ours => format!("{sum}, for {named}"),
                _ => sum,
            },
        }
    }

    /// It names this payout, which does not hold it.
    fn unrecorded(&self, entry: &LedgerEntry, kept_cents: i64) -> Vec<Discrepancy> {
        let id = &self.transfer.id;
        let other = transfers_of(entry).find(|held| *held != id);
        // What was taken back whole is no longer too many.
        if other.is_some() && is_taken_back(self.transfer) {
            return Vec::new();
        }
        if let Some(other) = other {
            return vec![self.found(
                FindingKind::TwoTransfers,
                entry,
                Some(other.to_owned()),
                self.with_what_is_left(),
            )];
        }
        let mut found = self.differences(entry, true);
        if !found.is_empty() {
            return found;
        }
        if entry.payout.is_none() {
            return vec![self.deleted(entry)];
        }
        // A live run is at work on it and will record it by itself.
        if entry.busy {
            return Vec::new();
        }
        found.push(self.behind(entry));
        found.extend(self.reversed(entry, kept_cents));
        found
    }

    /// This payout holds it.
    fn recorded(&self, entry: &LedgerEntry, kept_cents: i64) -> Vec<Discrepancy> {
        let transfer = self.transfer;
        let surplus = entry.attempts.iter().any(|a| {
            a.outcome == AttemptOutcome::Surplus && a.transfer_id.as_ref() == Some(&transfer.id)
        });
        // What is too many altogether is not held against what was owed.
        let mut found = if surplus {
            Vec::new()
        } else {
            self.differences(entry, false)
        };
        let row = entry.payout.as_ref();
        // Where the row holds this one, another on an attempt is the one too many.
        let of_row = row.and_then(|row| row.stripe_transfer_id.as_deref());
        let other = match of_row {
            Some(held) if held == transfer.id => None,
            _ => transfers_of(entry).find(|held| *held != transfer.id),
        };
        if surplus || other.is_some() {
            if !is_taken_back(transfer) {
                let first = other.map(str::to_owned);
                found.push(self.found(
                    FindingKind::TwoTransfers,
                    entry,
                    first,
                    self.with_what_is_left(),
                ));
            }
            // It counts on the payout's statement, and so does what was taken back of it.
            if surplus {
                found.extend(self.reversed(entry, kept_cents));
            }
            return found;
        }
        match row {
            None => found.push(self.deleted(entry)),
            Some(row) => {
                let behind = row.status != PayoutStatus::Completed
                    || row.stripe_transfer_id.is_none()
                    || open_attempt(entry).is_some();
                if behind && !entry.busy {
                    found.push(self.behind(entry));
                }
                found.extend(self.reversed(entry, kept_cents));
            }
        }
        found.extend(self.names_another(entry));
        found
    }

    fn deleted(&self, entry: &LedgerEntry) -> Discrepancy {
        self.found(
            FindingKind::PayoutDeleted,
            entry,
            Some("no row".to_owned()),
            self.money(self.transfer.amount),
        )
    }

    fn behind(&self, entry: &LedgerEntry) -> Discrepancy {
        let status = match &entry.payout {
            None => "no row".to_owned(),
            Some(row) if row.status == PayoutStatus::Completed => {
                "COMPLETED, but not by this transfer".to_owned()
            }
            Some(row) => row.status.to_string(),
        };
        let found = format!("paid {}", self.money(self.transfer.amount));
        self.found(FindingKind::StatusBehind, entry, Some(status), found)
    }

    /// Where the transfer is not what the payout or its attempt says. The account
    /// that a creator has now is compared only for what was not recorded yet: it
    /// may have changed since. That of another creator differs all the same.
    fn differences(&self, entry: &LedgerEntry, unrecorded: bool) -> Vec<Discrepancy> {
        let (transfer, terms) = (self.transfer, self.terms);
        let attempt = self.attempt_of(entry);
        let mut found = Vec::new();
        let livemode = attempt.map_or(terms.livemode, |a| a.livemode);
        if transfer.livemode != livemode {
            found.push(self.found(
                FindingKind::ModeDiffers,
                entry,
                Some(mode(livemode).to_owned()),
                mode(transfer.livemode).to_owned(),
            ));
        }
        let currency = attempt.map_or(terms.currency, |a| a.currency);
        if transfer.currency != currency.as_str() {
            found.push(self.found(
                FindingKind::CurrencyDiffers,
                entry,
                Some(currency.as_str().to_owned()),
                transfer.currency.clone(),
            ));
        }
        let of_row = entry.payout.as_ref().map(|row| row.amount_cents);
        let amounts = [of_row, attempt.map(|a| a.amount_cents)];
        let other = amounts
            .into_iter()
            .flatten()
            .find(|cents| i64::from(*cents) != transfer.amount);
        if let Some(cents) = other {
            let beyond = transfer
                .amount
                .saturating_sub(cents.into())
                .saturating_abs();
            found.push(Discrepancy {
                at_stake_cents: self.in_currency(beyond),
                ..self.found(
                    FindingKind::AmountDiffers,
                    entry,
                    Some(with_currency(cents.into(), currency)),
                    self.money(transfer.amount),
                )
            });
        }
        let account = match attempt {
            _ if self.word == Word::Report && transfer.destination.is_none() => None,
            Some(attempt) => Some(attempt.destination.as_str()),
            None if unrecorded || self.paid_somebody_else(entry) => {
                Some(entry.destination.as_deref().unwrap_or("none"))
            }
            None => None,
        };
        if let Some(account) = account
            && transfer.destination.as_deref() != Some(account)
        {
            let found_account = transfer.destination.as_deref().unwrap_or("none");
            found.push(self.found(
                FindingKind::DestinationDiffers,
                entry,
                Some(account.to_owned()),
                found_account.to_owned(),
            ));
        }
        found
    }

    /// Whether the account that was paid is another creator's.
    fn paid_somebody_else(&self, entry: &LedgerEntry) -> bool {
        let row = entry.payout.as_ref();
        row.zip(self.paid_to)
            .is_some_and(|(row, paid_to)| row.creator_id != *paid_to)
    }

    /// More was taken back than is kept.
    fn reversed(&self, entry: &LedgerEntry, kept_cents: i64) -> Option<Discrepancy> {
        let transfer = self.transfer;
        if transfer.amount_reversed <= kept_cents {
            return None;
        }
        let kind = if is_taken_back(transfer) {
            FindingKind::ReversedFully
        } else {
            FindingKind::ReversedPartly
        };
        let expected = if kept_cents > 0 {
            format!("{} taken back", self.money(kept_cents))
        } else {
            "nothing taken back".to_owned()
        };
        let found = format!("{} taken back", self.money(transfer.amount_reversed));
        Some(Discrepancy {
            at_stake_cents: self.in_currency(transfer.amount_reversed.saturating_sub(kept_cents)),
            ..self.found(kind, entry, Some(expected), found)
        })
    }

    /// Metadata can be edited in the dashboard; a group cannot.
    fn names_another(&self, entry: &LedgerEntry) -> Option<Discrepancy> {
        let metadata = &self.transfer.metadata;
        let named = metadata
            .get("payout_id")
            .or_else(|| metadata.get("payoutId"))?;
        (named != entry.id.as_str()).then(|| {
            self.found(
                FindingKind::MetadataDiffers,
                entry,
                Some(entry.id.to_string()),
                named.clone(),
            )
        })
    }

    fn with_what_is_left(&self) -> String {
        let transfer = self.transfer;
        let reversed = match transfer.amount_reversed {
            0 => String::new(),
            cents => format!(", {} of it taken back", self.money(cents)),
        };
        format!(
            "{} over {}{reversed}",
            transfer.id,
            self.money(transfer.amount)
        )
    }

    /// An amount in the transfer's own currency.
    fn money(&self, cents: i64) -> String {
        match self.transfer.currency.parse::<Currency>() {
            Ok(currency) => with_currency(cents, currency),
            Err(_) => format!("{cents} {}", self.transfer.currency),
        }
    }
}

/// The transfers a payout holds, on its row and its attempts.
fn transfers_of(entry: &LedgerEntry) -> impl Iterator<Item = &str> {
    let of_row = entry
        .payout
        .as_ref()
        .and_then(|row| row.stripe_transfer_id.as_deref());
    let of_attempts = entry
        .attempts
        .iter()
        .filter_map(|attempt| attempt.transfer_id.as_deref());
    of_row.into_iter().chain(of_attempts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::RunId;
    use crate::model::payout::Payout;
    use crate::model::time::Time;
    use proptest::prelude::*;

    const DATABASE: &str = "db1";

    fn terms() -> Terms {
        Terms {
            currency: Currency::USD,
            livemode: false,
            database_id: DATABASE.to_owned(),
        }
    }

    /// `tr_1`, over 10.00 USD to `acct_ann`, which names nobody.
    fn transfer() -> Transfer {
        Transfer {
            id: "tr_1".to_owned(),
            amount: 1000,
            amount_reversed: 0,
            currency: "usd".to_owned(),
            destination: Some("acct_ann".to_owned()),
            created: Time::from_millis(0),
            livemode: false,
            metadata: std::collections::BTreeMap::new(),
            transfer_group: None,
            reversals: Vec::new(),
        }
    }

    fn saying(pairs: &[(&str, &str)]) -> Transfer {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Transfer {
            metadata: pairs.iter().map(pair).collect(),
            ..transfer()
        }
    }

    /// Payout `p1` over 10.00 USD to ann, without an attempt.
    fn entry(status: PayoutStatus, transfer: Option<&str>) -> LedgerEntry {
        let now = Time::from_millis(0);
        LedgerEntry {
            id: PayoutId::new("p1"),
            payout: Some(Payout {
                id: PayoutId::new("p1"),
                creator_id: CreatorId::new("ann"),
                royalty_statement_id: None,
                amount_cents: 1000,
                stripe_transfer_id: transfer.map(str::to_owned),
                status,
                processed_at: None,
                failed_reason: None,
                retry_count: 0,
                last_retry_at: None,
                created_at: now,
                updated_at: now,
            }),
            destination: Some("acct_ann".to_owned()),
            attempts: Vec::new(),
            busy: false,
        }
    }

    fn attempt(number: i32, outcome: AttemptOutcome, transfer: Option<&str>) -> Attempt {
        let now = Time::from_millis(0);
        Attempt {
            payout_id: PayoutId::new("p1"),
            attempt: number,
            idempotency_key: format!("payout_p1_{number}"),
            body: String::new(),
            amount_cents: 1000,
            currency: Currency::USD,
            destination: "acct_ann".to_owned(),
            transfer_group: "p1".to_owned(),
            royalty_statement_id: None,
            stripe_account: "acct_0".to_owned(),
            livemode: false,
            api_version: String::new(),
            run_id: RunId::new("r"),
            outcome,
            created_at: now,
            first_sent_at: now,
            last_sent_at: None,
            send_count: 1,
            stored_error: false,
            settled_at: None,
            http_status: None,
            error_type: None,
            error_code: None,
            error_message: None,
            request_id: None,
            replayed: false,
            transfer_id: transfer.map(str::to_owned),
        }
    }

    fn held(entry: LedgerEntry) -> TransferLedger {
        TransferLedger {
            holders: vec![entry],
            ..TransferLedger::default()
        }
    }

    fn named(entry: LedgerEntry) -> TransferLedger {
        TransferLedger {
            named: Some(entry),
            ..TransferLedger::default()
        }
    }

    /// The kinds that are found, and whether it may be adopted.
    fn kinds(transfer: &Transfer, ledger: &TransferLedger) -> (Vec<&'static str>, bool) {
        let judged = judge(transfer, ledger, &terms());
        let kinds = judged.found.iter().map(|f| f.kind.as_str()).collect();
        (kinds, judged.may_be_adopted())
    }

    use AttemptOutcome as O;
    use PayoutStatus::{Completed, Failed, Pending, Processing};

    #[test]
    fn what_the_table_holds_as_it_is_is_matched() {
        let mut entry = entry(Completed, Some("tr_1"));
        let judged = judge(&transfer(), &held(entry.clone()), &terms());
        assert!(judged.matched && judged.found.is_empty());
        // The creator has another account since.
        entry.destination = Some("acct_new".to_owned());
        assert!(judge(&transfer(), &held(entry.clone()), &terms()).matched);
        entry.attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
        assert!(judge(&transfer(), &held(entry), &terms()).matched);
    }

    #[test]
    fn what_stripe_paid_and_the_table_does_not_say_is_behind() {
        for status in [Pending, Processing, Failed, Completed] {
            let behind = (vec!["status_behind"], true);
            assert_eq!(kinds(&transfer(), &named(entry(status, None))), behind);
        }
        // Whatever its attempt says: declined for certain, given back, released.
        for outcome in [O::Sending, O::Unknown, O::Declined, O::NotSent, O::Released] {
            let mut entry = entry(Failed, None);
            entry.attempts = vec![attempt(1, outcome, None)];
            assert_eq!(
                kinds(&transfer(), &named(entry)),
                (vec!["status_behind"], true)
            );
        }
        // Set back behind our back, although the attempt holds the transfer.
        let mut set_back = entry(Pending, None);
        set_back.attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
        assert_eq!(
            kinds(&transfer(), &held(set_back)),
            (vec!["status_behind"], true)
        );
    }

    #[test]
    fn what_a_live_run_is_at_work_on_is_no_finding() {
        let mut entry = entry(Processing, None);
        entry.attempts = vec![attempt(1, O::Sending, None)];
        entry.busy = true;
        assert_eq!(kinds(&transfer(), &named(entry.clone())), (vec![], false));
        assert_eq!(judge_without_transfer(&entry, true), None);
        // A transfer that differs is one all the same.
        let other = Transfer {
            amount: 999,
            ..transfer()
        };
        assert_eq!(
            kinds(&other, &named(entry)),
            (vec!["amount_differs"], false)
        );
    }

    #[test]
    fn every_difference_is_named_and_forbids_adoption() {
        let wrong = Transfer {
            amount: 1001,
            currency: "eur".to_owned(),
            destination: None,
            livemode: true,
            ..transfer()
        };
        let all = vec![
            "mode_differs",
            "currency_differs",
            "amount_differs",
            "destination_differs",
        ];
        assert_eq!(
            kinds(&wrong, &named(entry(Pending, None))),
            (all.clone(), false)
        );
        let mut sent = entry(Processing, None);
        sent.attempts = vec![attempt(1, O::Unknown, None)];
        assert_eq!(kinds(&wrong, &named(sent)), (all, false));
        // The row was changed after it was sent.
        let mut changed = entry(Processing, None);
        changed.attempts = vec![attempt(1, O::Unknown, None)];
        if let Some(row) = &mut changed.payout {
            row.amount_cents = 900;
        }
        assert_eq!(
            kinds(&transfer(), &named(changed)),
            (vec!["amount_differs"], false)
        );
    }

    #[test]
    fn a_second_transfer_is_one_however_the_first_is_held() {
        let two = (vec!["two_transfers"], false);
        assert_eq!(
            kinds(&transfer(), &named(entry(Completed, Some("tr_0")))),
            two
        );
        let mut by_attempt = entry(Pending, None);
        by_attempt.attempts = vec![attempt(1, O::Paid, Some("tr_0"))];
        assert_eq!(kinds(&transfer(), &named(by_attempt)), two);
        let mut surplus = entry(Completed, Some("tr_0"));
        surplus.attempts = vec![attempt(2, O::Surplus, Some("tr_1"))];
        assert_eq!(kinds(&transfer(), &held(surplus.clone())), two);
        // Taken back whole, it is no longer too many.
        let reversed = Transfer {
            amount_reversed: 1000,
            ..transfer()
        };
        let taken_back = (vec!["reversed_fully"], false);
        assert_eq!(kinds(&reversed, &held(surplus.clone())), taken_back);
        let kept = TransferLedger {
            reversed_cents: 1000,
            ..held(surplus)
        };
        assert_eq!(kinds(&reversed, &kept), (vec![], false));
        let unrecorded = named(entry(Completed, Some("tr_0")));
        assert_eq!(kinds(&reversed, &unrecorded), (vec![], false));
        let both = TransferLedger {
            holders: vec![
                entry(Completed, Some("tr_1")),
                entry(Completed, Some("tr_1")),
            ],
            ..TransferLedger::default()
        };
        assert_eq!(kinds(&transfer(), &both).0, ["two_payouts", "two_payouts"]);
    }

    #[test]
    fn a_row_that_holds_what_another_creator_was_paid_differs() {
        let paid_to = |creator| TransferLedger {
            paid_to: Some(CreatorId::new(creator)),
            ..held(LedgerEntry {
                destination: Some("acct_new".to_owned()),
                ..entry(Completed, Some("tr_1"))
            })
        };
        // Her account was another one then.
        assert_eq!(kinds(&transfer(), &paid_to("ann")).0, [""; 0]);
        let to_bob = judge(&transfer(), &paid_to("bob"), &terms());
        assert!(!to_bob.matched && to_bob.has(FindingKind::DestinationDiffers));
        // What an attempt sent, it says itself.
        let mut sent = paid_to("bob");
        sent.holders[0].attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
        assert_eq!(kinds(&transfer(), &sent).0, [""; 0]);
    }

    #[test]
    fn what_is_known_of_a_reversal_is_told_once() {
        let reversed = |cents| Transfer {
            amount_reversed: cents,
            ..transfer()
        };
        let kept = |cents| TransferLedger {
            reversed_cents: cents,
            ..held(entry(Completed, Some("tr_1")))
        };
        assert_eq!(kinds(&reversed(300), &kept(0)).0, ["reversed_partly"]);
        assert_eq!(kinds(&reversed(300), &kept(300)).0, [""; 0]);
        assert_eq!(kinds(&reversed(400), &kept(300)).0, ["reversed_partly"]);
        assert_eq!(kinds(&reversed(1000), &kept(300)).0, ["reversed_fully"]);
        assert!(judge(&reversed(300), &kept(0), &terms()).matched);
    }

    #[test]
    fn what_nobody_knows_is_forgotten_only_when_this_database_made_it() {
        let nobody = TransferLedger::default();
        assert_eq!(
            kinds(&transfer(), &nobody),
            (vec!["unknown_transfer"], false)
        );
        let other = saying(&[("database", "db2"), ("payout_id", "p1")]);
        assert_eq!(kinds(&other, &nobody).0, ["unknown_transfer"]);
        let ours = saying(&[("database", DATABASE), ("payout_id", "p1")]);
        let judged = judge(&ours, &nobody, &terms());
        assert_eq!(judged.found[0].kind, FindingKind::ForgottenPayout);
        assert_eq!(judged.found[0].payout_id, Some(PayoutId::new("p1")));
        let mut deleted = entry(Completed, None);
        deleted.payout = None;
        deleted.attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
        assert_eq!(
            kinds(&transfer(), &held(deleted)),
            (vec!["payout_deleted"], false)
        );
    }

    #[test]
    fn edited_metadata_does_not_outweigh_the_ledger() {
        let edited = saying(&[("payout_id", "p2")]);
        let ledger = held(entry(Completed, Some("tr_1")));
        assert_eq!(kinds(&edited, &ledger).0, ["metadata_differs"]);
        // A group of other software is none of our business.
        let grouped = Transfer {
            transfer_group: Some("OCTOBER".to_owned()),
            ..transfer()
        };
        assert_eq!(kinds(&grouped, &ledger).0, [""; 0]);
    }

    #[test]
    fn rows_in_doubt_without_a_transfer() {
        let said = |entry: &LedgerEntry| {
            judge_without_transfer(entry, true).map(|f| (f.kind.as_str(), f.attempt))
        };
        let mut open = entry(Processing, None);
        open.attempts = vec![attempt(1, O::Declined, None), attempt(2, O::Unknown, None)];
        assert_eq!(said(&open), Some(("unresolved", Some(2))));
        open.payout = None;
        assert_eq!(said(&open), Some(("unresolved", Some(2))));
        assert_eq!(said(&entry(Processing, None)), Some(("unresolved", None)));
        assert_eq!(
            said(&entry(Completed, None)),
            Some(("missing_at_stripe", None))
        );
        assert_eq!(said(&entry(Completed, Some("tr_1"))), None);
        assert_eq!(said(&entry(Failed, None)), None);
        // A group that was not read whole proves nothing missing, and clears nothing either.
        assert_eq!(judge_without_transfer(&entry(Completed, None), false), None);
        assert!(judge_without_transfer(&open, false).is_some());
    }

    #[test]
    fn a_lost_payout_is_what_its_transfer_proves_and_nothing_less() {
        let whole = [
            ("payout_id", "p1"),
            ("creator_id", "ann"),
            ("database", DATABASE),
            ("reference", "OCT-1"),
            ("royalty_statement_id", "st1"),
        ];
        let lost = lost_payout(&saying(&whole), &terms()).unwrap();
        assert_eq!((lost.transfer.amount_cents, lost.id.as_str()), (1000, "p1"));
        assert_eq!(lost.reference.as_deref(), Some("OCT-1"));
        for missing in ["payout_id", "creator_id", "database"] {
            let rest: Vec<_> = whole
                .into_iter()
                .filter(|(key, _)| *key != missing)
                .collect();
            assert!(lost_payout(&saying(&rest), &terms()).is_err(), "{missing}");
        }
        for change in [
            |t: &mut Transfer| t.livemode = true,
            |t: &mut Transfer| t.currency = "eur".to_owned(),
            |t: &mut Transfer| t.amount = 0,
            |t: &mut Transfer| t.amount = i64::from(i32::MAX) + 1,
        ] {
            let mut changed = saying(&whole);
            change(&mut changed);
            assert!(lost_payout(&changed, &terms()).is_err());
        }
    }

    #[test]
    fn an_id_is_what_stripe_may_have_made() {
        for id in ["tr_1", "tr_1Mx_z"] {
            assert!(is_transfer_id(id), "{id}");
        }
        for text in [
            "",
            "tr_",
            "tr_1 ",
            "po_1",
            "paid by wire",
            "tr_1/../x",
            "tr_é",
            "tr_1?a",
        ] {
            assert!(!is_transfer_id(text), "{text}");
        }
    }

    fn any_status() -> impl Strategy<Value = PayoutStatus> {
        prop::sample::select(PayoutStatus::ALL)
    }

    fn any_id() -> impl Strategy<Value = Option<&'static str>> {
        prop::sample::select(vec![None, Some("tr_1"), Some("tr_2")])
    }

    fn any_entry() -> impl Strategy<Value = LedgerEntry> {
        let row = (any_status(), any_id(), 999..1002_i32, any::<bool>());
        let outcomes = prop::collection::vec(
            (
                prop::sample::select(AttemptOutcome::ALL),
                any_id(),
                999..1002_i32,
            ),
            0..3,
        );
        (row, outcomes, any::<bool>()).prop_map(|((status, held, cents, gone), tries, busy)| {
            let mut entry = entry(status, held);
            if let Some(row) = &mut entry.payout {
                row.amount_cents = cents;
            }
            if gone {
                entry.payout = None;
            }
            let numbered = (1..).zip(tries);
            entry.attempts = numbered
                .map(|(number, (outcome, held, cents))| Attempt {
                    amount_cents: cents,
                    ..attempt(number, outcome, held)
                })
                .collect();
            entry.busy = busy;
            entry
        })
    }

    fn any_transfer() -> impl Strategy<Value = Transfer> {
        let metadata = prop::sample::select(vec![
            vec![],
            vec![("payout_id", "p1")],
            vec![("payout_id", "p1"), ("attempt", "2")],
            vec![("payoutId", "p2"), ("database", DATABASE)],
        ]);
        (metadata, 999..1002_i64, 0..1002_i64, any::<bool>()).prop_map(
            |(metadata, amount, reversed, euros)| Transfer {
                amount,
                amount_reversed: reversed.min(amount),
                currency: if euros { "eur" } else { "usd" }.to_owned(),
                ..saying(&metadata)
            },
        )
    }

    proptest! {
        /// What is adopted is the payout's only transfer, over its amount, in its currency.
        #[test]
        fn only_what_fits_is_adopted(transfer in any_transfer(), entry in any_entry(), holds in any::<bool>()) {
            let ledger = if holds { held(entry.clone()) } else { named(entry.clone()) };
            let judged = judge(&transfer, &ledger, &terms());
            if judged.may_be_adopted() {
                let row = entry.payout.as_ref().expect("a row");
                prop_assert_eq!(transfer.amount, i64::from(row.amount_cents));
                prop_assert_eq!(&transfer.currency, "usd");
                prop_assert!(!entry.busy);
                let holds_this = row.stripe_transfer_id.as_deref() == Some(&transfer.id);
                prop_assert!(holds_this || transfers_of(&entry).all(|id| id == transfer.id));
            }
        }

        /// A glance that agrees says what looking at everything says.
        #[test]
        fn a_glance_agrees_only_where_all_agrees(
            transfer in any_transfer(), cents in 999..1002_i32, of_attempt in 999..1002_i32, live in any::<bool>(),
        ) {
            let mut whole = entry(Completed, Some("tr_1"));
            let paid = Attempt { amount_cents: of_attempt, livemode: live, ..attempt(1, O::Paid, Some("tr_1")) };
            let row = whole.payout.as_mut().expect("a row");
            row.amount_cents = cents;
            let plain = PlainlyHeld {
                payout_id: whole.id.clone(),
                amount_cents: cents,
                paid_at: row.created_at,
                attempt: 1,
                attempt_cents: of_attempt,
                currency: paid.currency,
                destination: paid.destination.clone(),
                livemode: live,
                first_sent_at: paid.first_sent_at,
            };
            whole.attempts = vec![paid];
            let judged = judge(&transfer, &held(whole.clone()), &terms());
            let nothing_found = judged.matched && judged.found.is_empty();
            prop_assert_eq!(agrees(&transfer, &plain, Word::Stripe), nothing_found && transfer.amount_reversed == 0);
            let judged = judge_told(&transfer, &held(whole), &terms(), Word::Report);
            let nothing_found = judged.matched && judged.found.is_empty();
            prop_assert_eq!(agrees(&transfer, &plain, Word::Report), nothing_found && transfer.amount_reversed == 0);
        }

        /// Silence means that the table holds the transfer on a COMPLETED payout over its
        /// amount, that a live run is at work on it, or that it was too many and is taken back.
        #[test]
        fn silence_means_agreement(transfer in any_transfer(), entry in any_entry(), holds in any::<bool>()) {
            let ledger = if holds { held(entry.clone()) } else { named(entry.clone()) };
            let judged = judge(&transfer, &ledger, &terms());
            if judged.found.is_empty() && !entry.busy && transfer.amount_reversed < transfer.amount {
                let row = entry.payout.as_ref().expect("a row");
                prop_assert!(holds && judged.matched);
                prop_assert_eq!(row.status, Completed);
                prop_assert_eq!(row.stripe_transfer_id.as_deref(), Some(transfer.id.as_str()));
                prop_assert_eq!(i64::from(row.amount_cents), transfer.amount);
            }
        }

        /// A transfer that names nobody and that nobody holds pays nobody, whatever its amount.
        #[test]
        fn an_amount_alone_never_matches(amount in any::<i64>(), to in prop::option::of("acct_[a-z]{3}")) {
            let alone = Transfer { amount, destination: to, ..transfer() };
            let judged = judge(&alone, &TransferLedger::default(), &terms());
            prop_assert!(!judged.matched && !judged.may_be_adopted());
            prop_assert_eq!(judged.found.len(), 1);
        }
    }
}
