//! A creator's receipt of one payout: what it says, and when there is one.
//!
//! A receipt is proof to somebody else, so there is none of what is not certain: only
//! a payout that its row, the ledger and every comparison with Stripe agree on has one.

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::ids::{PayoutId, StatementId};
use crate::model::listing::ListRules;
use crate::model::money::{Currency, with_currency};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::reconciliation::{Finding, FindingKind, FindingState};
use crate::model::record::{PaymentDoubt, PayoutRecord};
use crate::model::statement::{RoyaltyRun, Statement};
use crate::model::time::Time;
use crate::ops::next_step::{Circumstances, next_step};
use crate::store::statements::StatementPayouts;
use crate::store::{Store, StoreError};

/// Characters of an account that a receipt shows.
const ACCOUNT_TAIL: usize = 4;

/// Stands for the characters of an account that it does not show, however many.
const MASK: &str = "••••";

/// All that a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The payout.
    pub record: PayoutRecord,
    /// Of every amount.
    pub currency: Currency,
    /// Real money. Of what other software paid, whether this database is about real
    /// money; none where it has not been said yet.
    pub livemode: Option<bool>,
    /// The statement that it settles.
    pub statement: Option<ReceiptStatement>,
    /// When it was made.
    pub made_at: Time,
}

/// What a receipt says of a statement. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptStatement {
    /// The statement.
    pub statement: Statement,
    /// The run that calculated it, with the period.
    pub run: RoyaltyRun,
    /// Its other completed payouts to the same creator, oldest first.
    pub others: Vec<OtherPayment>,
    /// What was paid on it besides, by payouts whose rows no longer say so.
    pub unlisted_cents: i64,
    /// Of what is left, what is on its way.
    pub in_flight_cents: i64,
    /// What is owed and not paid; less than nothing when too much was paid.
    pub left_cents: i64,
}

/// Another payout of the same statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherPayment {
    /// Primary key.
    pub id: PayoutId,
    /// The transfer's own time.
    pub paid_at: Option<Time>,
    /// What it paid, minor units.
    pub amount_cents: i64,
    /// What was taken back of it, minor units.
    pub reversed_cents: i64,
}

impl OtherPayment {
    /// What it paid less what was taken back, minor units.
    pub fn net_cents(&self) -> i64 {
        self.amount_cents.saturating_sub(self.reversed_cents)
    }
}

/// How much of a payout its creator still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    All,
    /// Some was taken back.
    Some,
    /// All was taken back.
    Nothing,
}

impl Receipt {
    /// What was taken back, minor units.
    pub fn reversed_cents(&self) -> i64 {
        self.record.listed.reversed_cents
    }

    /// What was paid less what was taken back, minor units.
    pub fn net_cents(&self) -> i64 {
        i64::from(self.record.listed.payout.amount_cents)
            .saturating_sub(self.reversed_cents())
            .max(0)
    }

    /// How much of it is left.
    pub fn kept(&self) -> Kept {
        match (self.reversed_cents(), self.net_cents()) {
            (..=0, _) => Kept::All,
            (_, 1..) => Kept::Some,
            (_, _) => Kept::Nothing,
        }
    }

    /// The account that was paid, all but its last characters masked; none when the
    /// ledger does not know it, because other software paid.
    pub fn account_masked(&self) -> Option<String> {
        let paying = self.record.paying_attempt()?;
        Some(masked(&paying.destination)).filter(|_| !paying.destination.is_empty())
    }
}

/// An account with all but its last four characters masked.
pub(crate) fn masked(account: &str) -> String {
    let count = account.chars().count();
    // Of one that is no longer than what would be shown, nothing is.
    let hidden = if count > ACCOUNT_TAIL {
        count - ACCOUNT_TAIL
    } else {
        count
    };
    let shown: String = account.chars().skip(hidden).collect();
    format!("{MASK}{shown}")
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was not paid, or nobody knows.
    #[error("there is no receipt of payout {id}: {why}")]
    Refused {
        /// Which.
        id: PayoutId,
        /// Why, in words.
        why: String,
        /// What happens next with it and what a person can do, in sentences.
        next_step: String,
    },
}

/// Gathers what the receipt of a payout says.
///
/// # Errors
/// [`ReceiptError::Refused`] when it was not paid, or when the ledger or a comparison
/// with Stripe contradicts the row that says so.
pub fn gather(
    store: &mut Store,
    id: &PayoutId,
    rules: &ListRules,
    at: &Circumstances,
) -> Result<Receipt, ReceiptError> {
    let (record, statement) = store.payout_record_with_statement(id, rules)?;
    if let Some(why) = refusal(&record, at.currency) {
        return Err(ReceiptError::Refused {
            id: id.clone(),
            why,
            next_step: next_step(&record, at),
        });
    }
    let paid_in = record.paying_attempt().map(|attempt| attempt.livemode);
    let livemode = match paid_in {
        Some(livemode) => Some(livemode),
        None => store.stamp()?.map(|stamp| stamp.livemode),
    };
    Ok(Receipt {
        statement: statement.map(|statement| account_of(&record, statement)),
        livemode,
        currency: at.currency,
        made_at: at.now,
        record,
    })
}

/// Why there is no receipt of a payout, in words; none when there is one.
fn refusal(record: &PayoutRecord, currency: Currency) -> Option<String> {
    let payout = &record.listed.payout;
    if payout.status != PayoutStatus::Completed {
        let how = if record.listed.cancelled {
            "it was cancelled".to_owned()
        } else if record.listed.is_unresolved() {
            "nobody knows yet whether it was paid".to_owned()
        } else if record.attempt_with(AttemptOutcome::Paid).is_some() {
            format!(
                "a transfer was made for it, and its row says {}",
                payout.status
            )
        } else {
            format!("it is {}, and not paid", payout.status)
        };
        return Some(how);
    }
    if let Some(doubt) = record.payment_doubt() {
        return Some(in_words(payout, doubt));
    }
    let mut findings = record.findings.iter();
    if let Some(finding) = findings.find(|finding| contradicts_for_good(finding)) {
        return Some(of_finding(finding));
    }
    if let Some(paying) = record
        .paying_attempt()
        .filter(|paid| paid.currency != currency)
    {
        return Some(format!("it was paid in {}", paying.currency.upper()));
    }
    let owner = record
        .statement
        .as_ref()
        .map(|statement| &statement.creator_id);
    if owner.is_some_and(|owner| *owner != payout.creator_id) {
        return Some("its statement is owed to another creator".to_owned());
    }
    None
}

/// Whether an accepted finding says that what was paid is not what the row says: a
/// person who accepted that has not made it so.
fn contradicts_for_good(finding: &Finding) -> bool {
    let contradicts = finding.kind == FindingKind::MissingAtStripe
        || (finding.kind.is_alarm() && finding.kind != FindingKind::TwoTransfers);
    finding.state == FindingState::Accepted && contradicts
}

fn of_finding(finding: &Finding) -> String {
    format!(
        "a comparison with Stripe found that {} ({})",
        finding.kind.meaning(),
        finding.id
    )
}

fn in_words(payout: &Payout, doubt: PaymentDoubt<'_>) -> String {
    let transfer = |attempt: &Attempt| {
        attempt
            .transfer_id
            .clone()
            .unwrap_or_else(|| "no transfer".to_owned())
    };
    match doubt {
        PaymentDoubt::Finding(finding) => of_finding(finding),
        PaymentDoubt::SecondTransfer(second) => {
            format!("Stripe made a second transfer for it, {}", transfer(second))
        }
        PaymentDoubt::Unresolved(open) => {
            format!("nobody knows what became of its attempt {}", open.attempt)
        }
        PaymentDoubt::OtherTransfer(last) => format!(
            "its row says that it was paid with {}, and the last attempt on record is {} with {}",
            payout
                .stripe_transfer_id
                .as_deref()
                .unwrap_or("no transfer"),
            last.outcome,
            transfer(last)
        ),
        PaymentDoubt::OtherAmount(paying) => format!(
            "its row says {}, and its transfer was over {}",
            with_currency(payout.amount_cents.into(), paying.currency),
            with_currency(paying.amount_cents.into(), paying.currency)
        ),
        PaymentDoubt::OtherStatement(paying) => format!(
            "it was paid for statement {}, and its row names another",
            paying
                .royalty_statement_id
                .as_ref()
                .map_or("none", StatementId::as_str)
        ),
        PaymentDoubt::NoTransfer => {
            "other software marked it as paid, and left no transfer".to_owned()
        }
    }
}

/// What a statement's account says from the point of view of one of its payouts.
fn account_of(record: &PayoutRecord, of: StatementPayouts) -> ReceiptStatement {
    let StatementPayouts {
        line,
        payouts,
        reversed,
    } = of;
    let own = &record.listed;
    let account = line.account;
    let is_other = |payout: &&Payout| {
        payout.id != own.payout.id
            && payout.status == PayoutStatus::Completed
            // What was paid to somebody else settles nothing of this statement.
            && payout.creator_id == account.statement.creator_id
    };
    let mut others: Vec<OtherPayment> = payouts
        .iter()
        .filter(is_other)
        .map(|payout| OtherPayment {
            id: payout.id.clone(),
            paid_at: payout.processed_at,
            amount_cents: payout.amount_cents.into(),
            reversed_cents: reversed.get(&payout.id).copied().unwrap_or(0),
        })
        .collect();
    others.sort_by(|a, b| (a.paid_at, &a.id).cmp(&(b.paid_at, &b.id)));
    let own_cents = i64::from(own.payout.amount_cents).saturating_sub(own.reversed_cents);
    let listed_cents = others.iter().fold(own_cents, |sum, other| {
        sum.saturating_add(other.net_cents())
    });
    let paid_cents = account
        .completed_cents
        .saturating_sub(account.reversed_cents);
    ReceiptStatement {
        unlisted_cents: paid_cents.saturating_sub(listed_cents),
        in_flight_cents: account.in_flight_cents,
        left_cents: i64::from(account.statement.net_payable_cents).saturating_sub(paid_cents),
        statement: account.statement,
        run: line.run,
        others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_account_only_the_last_four_characters_are_shown() {
        assert_eq!(masked("acct_1Aurora"), "••••rora");
        assert_eq!(masked("acct_1Aurora2"), "••••ora2");
        assert_eq!(masked("12345"), "••••2345");
        // What would be shown whole is not shown.
        assert_eq!(masked("1234"), "••••");
        assert_eq!(masked("acct_ÄÖÜß"), "••••ÄÖÜß");
        assert_eq!(masked(""), "••••");
    }
}
