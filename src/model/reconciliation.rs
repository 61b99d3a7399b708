//! What comparing the table with Stripe finds, and what is kept of it.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::model::history::hex;
use crate::model::ids::{PayoutId, RunId};
use crate::model::schema::{
    payout_findings, payout_reconciliation_progress, payout_reconciliations, payout_reversals,
};
use crate::model::time::{Span, Time};
use crate::model::{text_column, text_enum};

text_enum! {
    /// How Stripe and the table differ. The gravest come first.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum FindingKind {
        /// Stripe holds a second transfer for one payout.
        TwoTransfers = "two_transfers",
        /// One transfer is recorded for two payouts.
        TwoPayouts = "two_payouts",
        /// Test money where real money was meant, or the other way round.
        ModeDiffers = "mode_differs",
        /// The transfer is in another currency.
        CurrencyDiffers = "currency_differs",
        /// The transfer is over another amount.
        AmountDiffers = "amount_differs",
        /// The transfer went to another account.
        DestinationDiffers = "destination_differs",
        /// Nobody knows whether it was paid.
        Unresolved = "unresolved",
        /// This database made the transfer and no longer knows the payout.
        ForgottenPayout = "forgotten_payout",
        /// Stripe paid it, and the table says otherwise.
        StatusBehind = "status_behind",
        /// The table says paid, and Stripe has no such transfer.
        MissingAtStripe = "missing_at_stripe",
        /// It was paid, and somebody deleted its row.
        PayoutDeleted = "payout_deleted",
        /// The transfer's metadata names another payout than the one it paid.
        MetadataDiffers = "metadata_differs",
        /// All of the transfer was taken back.
        ReversedFully = "reversed_fully",
        /// Some of the transfer was taken back.
        ReversedPartly = "reversed_partly",
        /// The balance moved by another sum than the transfers and reversals of a day.
        BalanceDiffers = "balance_differs",
        /// Completed payouts cover the statement, and it is not marked PAID.
        StatementNotMarked = "statement_not_marked",
        /// The statement is marked PAID, and what paid it was taken back.
        StatementReversed = "statement_reversed",
        /// The transfer names no payout of this database.
        UnknownTransfer = "unknown_transfer",
        /// Stripe lists something that cannot be read as a transfer.
        OddEntry = "odd_entry",
    }
}
text_column!(FindingKind);

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Money may have moved twice, wrongly, or without anybody knowing.
    Critical,
    /// The books say something that did not happen, or not what did.
    Error,
    /// A person should know.
    Warning,
}

impl Severity {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl FindingKind {
    /// How grave it is.
    pub fn severity(self) -> Severity {
        match self {
            _ if self.is_alarm() => Severity::Critical,
            Self::ForgottenPayout
            | Self::StatusBehind
            | Self::MissingAtStripe
            | Self::PayoutDeleted
            | Self::BalanceDiffers => Severity::Error,
            _ => Severity::Warning,
        }
    }

    /// Whether money may have moved twice, wrongly, or without anybody knowing:
    /// exit code 5 rather than 1.
    pub fn is_alarm(self) -> bool {
        matches!(
            self,
            Self::TwoTransfers
                | Self::TwoPayouts
                | Self::ModeDiffers
                | Self::CurrencyDiffers
                | Self::AmountDiffers
                | Self::DestinationDiffers
                | Self::Unresolved
        )
    }

    /// Whether the rollback guard of `process` may refuse because of it.
    pub fn keeps_from_sending(self) -> bool {
        match self {
            Self::TwoTransfers
            | Self::ModeDiffers
            | Self::CurrencyDiffers
            | Self::AmountDiffers
            | Self::DestinationDiffers
            | Self::ForgottenPayout
            | Self::StatusBehind
            | Self::PayoutDeleted
            | Self::OddEntry => true,
            Self::TwoPayouts
            | Self::Unresolved
            | Self::MissingAtStripe
            | Self::MetadataDiffers
            | Self::ReversedFully
            | Self::ReversedPartly
            | Self::BalanceDiffers
            | Self::StatementNotMarked
            | Self::StatementReversed
            | Self::UnknownTransfer => false,
        }
    }

    /// Whether it says of a transfer that it paid, or may have paid, a payout:
    /// such a payout is not sent, whether or not a person accepted the finding.
    pub fn may_be_a_payment(self) -> bool {
        match self {
            Self::TwoTransfers
            | Self::TwoPayouts
            | Self::ModeDiffers
            | Self::CurrencyDiffers
            | Self::AmountDiffers
            | Self::DestinationDiffers
            | Self::ForgottenPayout
            | Self::StatusBehind
            | Self::PayoutDeleted
            | Self::MetadataDiffers
            | Self::ReversedFully
            | Self::ReversedPartly => true,
            Self::Unresolved
            | Self::MissingAtStripe
            | Self::BalanceDiffers
            | Self::StatementNotMarked
            | Self::StatementReversed
            | Self::UnknownTransfer
            | Self::OddEntry => false,
        }
    }

    /// Whether `reconcile --fix` knows a repair for it.
    pub fn has_a_repair(self) -> bool {
        matches!(
            self,
            Self::ForgottenPayout
                | Self::StatusBehind
                | Self::ReversedFully
                | Self::ReversedPartly
                | Self::StatementNotMarked
        )
    }

    /// Whether a person may accept it as it is. What is in doubt is looked up
    /// instead, and what the table lags behind in is repaired instead.
    pub fn may_be_accepted(self) -> bool {
        !matches!(
            self,
            Self::Unresolved | Self::StatusBehind | Self::ReversedFully | Self::ReversedPartly
        )
    }

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::TwoTransfers => "Stripe holds more than one transfer for a payout",
            Self::TwoPayouts => "one transfer is recorded for two payouts",
            Self::ModeDiffers => "the transfer is of the other mode",
            Self::CurrencyDiffers => "the transfer is in another currency",
            Self::AmountDiffers => "the transfer is over another amount",
            Self::DestinationDiffers => "the transfer went to another account",
            Self::Unresolved => "nobody knows whether it was paid",
            Self::ForgottenPayout => "this database paid it, and has forgotten it",
            Self::StatusBehind => "Stripe paid it, and the table says otherwise",
            Self::MissingAtStripe => "the table says paid, and Stripe has no such transfer",
            Self::PayoutDeleted => "it was paid, and its row was deleted",
            Self::MetadataDiffers => "the transfer's metadata names another payout",
            Self::ReversedFully => "all of the transfer was taken back",
            Self::ReversedPartly => "some of the transfer was taken back",
            Self::BalanceDiffers => {
                "the balance moved by another sum than the transfers and reversals of the day"
            }
            Self::StatementNotMarked => "its statement is covered, and not marked PAID",
            Self::StatementReversed => {
                "its statement is marked PAID, and what paid it was taken back"
            }
            Self::UnknownTransfer => "the transfer pays no payout of this database",
            Self::OddEntry => "Stripe lists an entry that cannot be read",
        }
    }

    /// What a person does about it.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::TwoTransfers => {
                "compare them in Stripe's dashboard and reverse the one that is too many; then run this again"
            }
            Self::TwoPayouts => {
                "find out which of the two was paid with it; the other one was not paid"
            }
            Self::ModeDiffers
            | Self::CurrencyDiffers
            | Self::AmountDiffers
            | Self::DestinationDiffers => {
                "find out which side is right; correct the row, or reverse the transfer at Stripe, \
                 or accept it: `payouts reconcile --accept FINDING --reason TEXT`"
            }
            Self::Unresolved => {
                "`payouts process` looks it up again; what this tool sent goes out again only under its own key, what \
                 other software took never does; `payouts show ID` says more"
            }
            Self::ForgottenPayout => {
                "`payouts reconcile --fix` makes the row again from its transfer; what it cannot make again \
                 is accepted with `--accept FINDING --reason TEXT`"
            }
            Self::StatusBehind => "`payouts reconcile --fix` records the transfer",
            Self::MissingAtStripe => {
                "look for the transfer in Stripe's dashboard; nothing is sent again by itself"
            }
            Self::PayoutDeleted => {
                "restore the row, or accept it: `payouts reconcile --accept FINDING --reason TEXT`"
            }
            Self::MetadataDiffers => {
                "the table names the payout that was paid, the metadata another: if that one is not owed any more, \
                 cancel it first; then correct the metadata in Stripe's dashboard, or accept it: \
                 `payouts reconcile --accept FINDING --reason TEXT`"
            }
            Self::ReversedFully | Self::ReversedPartly => {
                "`payouts reconcile --fix` keeps the amount; the payout stays COMPLETED and is never sent again"
            }
            Self::BalanceDiffers => {
                "compare the day in Stripe's dashboard, under Balance; run this again an hour later, since entries \
                 can appear late"
            }
            Self::StatementNotMarked => "`payouts reconcile --fix` marks it",
            Self::StatementReversed => {
                "if it is owed again, `payouts create --from-statements --repay --reason TEXT`; if not, accept it: \
                 `payouts reconcile --accept FINDING --reason TEXT`. The statement itself is not changed"
            }
            Self::UnknownTransfer => {
                "if other software made it on purpose, accept it: `payouts reconcile --accept FINDING --reason TEXT`"
            }
            Self::OddEntry => "look at it in Stripe's dashboard; report it if it is a transfer",
        }
    }
}

text_enum! {
    /// Where a finding stands.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum FindingState {
        /// Somebody should look.
        Open = "open",
        /// Repaired, or gone by itself.
        Fixed = "fixed",
        /// A person said why it stays as it is.
        Accepted = "accepted",
    }
}
text_column!(FindingState);

/// One discrepancy, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// What is wrong.
    pub kind: FindingKind,
    /// The payout it is about, as far as one is known.
    pub payout_id: Option<PayoutId>,
    /// Its attempt, where one is meant.
    pub attempt: Option<i32>,
    /// `tr_…`, where there is one.
    pub transfer_id: Option<String>,
    /// What else it is about: a statement's id, a day.
    pub subject: Option<String>,
    /// Money that may be lost, owed or paid twice, minor units of the database's
    /// currency; none where it is in another, or not known.
    pub at_stake_cents: Option<i64>,
    /// What the table says.
    pub expected: Option<String>,
    /// What Stripe says.
    pub found: String,
}

/// Hexadecimal digits of a finding's id behind the `f`.
const ID_DIGITS: usize = 16;

impl Discrepancy {
    /// The same for the same kind about the same payout, attempt, transfer and
    /// subject, in whichever run it is seen.
    pub fn id(&self) -> String {
        let attempt = self.attempt.map(|n| n.to_string());
        let mut hasher = Sha256::new();
        for field in [
            Some(self.kind.as_str()),
            self.payout_id.as_ref().map(PayoutId::as_str),
            attempt.as_deref(),
            self.transfer_id.as_deref(),
        ] {
            let field = field.unwrap_or_default();
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        // Most have none, and keep the id they had before there was one.
        if let Some(subject) = &self.subject {
            hasher.update(subject.as_bytes());
        }
        let digits = hex(&hasher.finalize());
        format!("f{}", digits.get(..ID_DIGITS).unwrap_or_default())
    }
}

/// A row of `payout_findings`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_findings, treat_none_as_default_value = false)]
pub struct Finding {
    /// See [`Discrepancy::id`].
    pub id: String,
    /// What is wrong.
    pub kind: FindingKind,
    /// The payout it is about.
    pub payout_id: Option<PayoutId>,
    /// Its attempt.
    pub attempt: Option<i32>,
    /// `tr_…`.
    pub transfer_id: Option<String>,
    /// What else it is about.
    pub subject: Option<String>,
    /// See [`Discrepancy::at_stake_cents`].
    pub at_stake_cents: Option<i64>,
    /// What the table says.
    pub expected: Option<String>,
    /// What Stripe says.
    pub found: String,
    /// Where it stands.
    pub state: FindingState,
    /// When it was first seen.
    pub first_seen_at: Time,
    /// When it was last seen.
    pub seen_at: Time,
    /// The last run that saw it.
    pub run_id: RunId,
    /// When it was repaired, went away, or was accepted.
    pub settled_at: Option<Time>,
    /// Who did that.
    pub actor: Option<String>,
    /// Why it stays as it is, or what was done.
    pub reason: Option<String>,
}

impl Finding {
    /// What a person does about it, as [`FindingKind::next_step`], with the payouts named.
    pub fn next_step(&self) -> Cow<'static, str> {
        match (self.kind, &self.payout_id) {
            (FindingKind::MetadataDiffers, Some(paid)) => format!(
                "it paid {paid}, and its metadata names {named}. If {named} is not owed any more, cancel that first: \
                 `payouts cancel {named} --reason TEXT`; once the metadata says {paid} again, nothing at Stripe speaks \
                 of {named}. Then correct the metadata in Stripe's dashboard, or accept it: \
                 `payouts reconcile --accept {} --reason TEXT`",
                self.id,
                named = self.found,
            )
            .into(),
            (FindingKind::Unresolved, _) if self.attempt.is_none() => {
                "other software took it, under a key that is not known here: `payouts process` looks for its transfer \
                 and never sends it; that software, or a person, says what became of it"
                    .into()
            }
            _ => self.kind.next_step().into(),
        }
    }

    /// What was seen, without what became of it.
    pub fn discrepancy(&self) -> Discrepancy {
        Discrepancy {
            kind: self.kind,
            payout_id: self.payout_id.clone(),
            attempt: self.attempt,
            transfer_id: self.transfer_id.clone(),
            subject: self.subject.clone(),
            at_stake_cents: self.at_stake_cents,
            expected: self.expected.clone(),
            found: self.found.clone(),
        }
    }
}

/// A row of `payout_reconciliations`: what one comparison came to.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_reconciliations, treat_none_as_default_value = false)]
pub struct Reconciliation {
    /// The run that compared.
    pub run_id: RunId,
    /// The first moment of the period.
    pub period_from: Option<Time>,
    /// The first moment after it.
    pub period_until: Option<Time>,
    /// Transfers that Stripe lists in the period.
    pub transfer_count: i64,
    /// Their sum in minor units of the database's currency; those in others are left out.
    pub transfer_cents: i64,
    /// Of them, those that the table holds.
    pub matched_count: i64,
    /// Of the sum, what was taken back.
    pub reversed_cents: i64,
    /// Payouts recorded as paid in the period.
    pub payout_count: i64,
    /// Their sum in minor units.
    pub payout_cents: i64,
    /// Findings that somebody should look at.
    pub open_count: i64,
    /// Findings that this run repaired.
    pub fixed_count: i64,
    /// Findings seen that a person has accepted.
    pub accepted_count: i64,
    /// Nothing is open, and no other run was at work on a payout.
    pub clean: bool,
    /// When it was done.
    pub finished_at: Time,
    /// What the table was compared with.
    pub source: Source,
    /// The file's name, when it was one.
    pub file: Option<String>,
    /// What left the balance for transfers in the period, minor units; none where
    /// the balance was not read.
    pub balance_transfer_cents: Option<i64>,
    /// What came back of them in the period, minor units.
    pub balance_reversed_cents: Option<i64>,
    /// Of the open findings, those that were found before this comparison began.
    pub open_before_count: i64,
}

text_enum! {
    /// What a table is compared with.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum Source {
        /// Stripe itself.
        Stripe = "stripe",
        /// A report that Stripe wrote.
        File = "file",
    }
}
text_column!(Source);

impl Reconciliation {
    /// A comparison of this period that has seen nothing yet.
    pub fn begun(run_id: RunId, period: Span, now: Time) -> Self {
        Self {
            run_id,
            period_from: period.from,
            period_until: period.until,
            transfer_count: 0,
            transfer_cents: 0,
            matched_count: 0,
            reversed_cents: 0,
            payout_count: 0,
            payout_cents: 0,
            open_count: 0,
            fixed_count: 0,
            accepted_count: 0,
            clean: false,
            finished_at: now,
            source: Source::Stripe,
            file: None,
            balance_transfer_cents: None,
            balance_reversed_cents: None,
            open_before_count: 0,
        }
    }

    /// What Stripe sent in the period beyond what the table says was paid, minor
    /// units. A summary only: two errors may cancel out in it.
    pub fn difference_cents(&self) -> i64 {
        self.transfer_cents.saturating_sub(self.payout_cents)
    }
}

/// A row of `payout_reconciliation_progress`: how far a comparison got that has not
/// ended.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
    diesel::prelude::AsChangeset,
)]
#[diesel(table_name = payout_reconciliation_progress, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct ReconciliationProgress {
    /// The run that compared.
    pub run_id: RunId,
    /// The first moment of the period.
    pub period_from: Option<Time>,
    /// The first moment after it.
    pub period_until: Option<Time>,
    /// When this was kept.
    pub saved_at: Time,
    /// What was read and counted, as whoever compares writes it.
    pub progress: String,
    /// Which transfers were seen, added up.
    pub seen: Vec<u8>,
}

/// A row of `payout_reversals`: what was taken back of a transfer.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_reversals, treat_none_as_default_value = false)]
pub struct Reversal {
    /// `tr_…`.
    pub transfer_id: String,
    /// The payout it paid.
    pub payout_id: PayoutId,
    /// Minor units, positive; it only grows.
    pub amount_reversed_cents: i64,
    /// When that was seen.
    pub seen_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: FindingKind, transfer: &str, found: &str) -> Discrepancy {
        Discrepancy {
            kind,
            payout_id: Some(PayoutId::new("p1")),
            attempt: None,
            transfer_id: Some(transfer.to_owned()),
            subject: None,
            at_stake_cents: None,
            expected: None,
            found: found.to_owned(),
        }
    }

    #[test]
    fn a_finding_is_known_again_by_what_it_is_about() {
        let first = seen(FindingKind::AmountDiffers, "tr_1", "5.00 USD");
        assert_eq!(first.id().len(), 17);
        assert_eq!(
            first.id(),
            seen(FindingKind::AmountDiffers, "tr_1", "6.00 USD").id()
        );
        assert_ne!(
            first.id(),
            seen(FindingKind::AmountDiffers, "tr_2", "5.00 USD").id()
        );
        assert_ne!(
            first.id(),
            seen(FindingKind::StatusBehind, "tr_1", "5.00 USD").id()
        );
    }

    #[test]
    fn what_may_still_be_sent_or_is_repaired_is_never_accepted() {
        let never: Vec<FindingKind> = FindingKind::ALL
            .iter()
            .copied()
            .filter(|kind| !kind.may_be_accepted())
            .collect();
        assert_eq!(
            never,
            [
                FindingKind::Unresolved,
                FindingKind::StatusBehind,
                FindingKind::ReversedFully,
                FindingKind::ReversedPartly
            ]
        );
    }
}
