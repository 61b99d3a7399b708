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
mod tests;
