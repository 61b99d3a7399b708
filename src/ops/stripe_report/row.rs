//! One row of a report: a transfer, a reversal, or something else.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::model::money::{AmountError, Currency, DecimalMark, parse_signed_with};
use crate::model::time::Time;
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::stripe_report::Entry;
use crate::ops::stripe_report::header::ReportHeader;
use crate::ops::stripe_report::moment::{Moment, Precision, moment};
use crate::ops::table_file::{MUST_NOT_BE_EMPTY, Row};

/// What a row says happened to the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Money left it for a connected account.
    Transfer,
    /// Some of a transfer, or all of it, came back.
    Reversal,
}

impl Kind {
    /// The reporting category that is so called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Reversal => "transfer_reversal",
        }
    }

    /// By the category of a report, or the type of a balance transaction.
    fn of_category(category: &str) -> Option<Self> {
        match category {
            "transfer" => Some(Self::Transfer),
            "transfer_reversal" | "transfer_refund" | "transfer_cancel" | "transfer_failure" => {
                Some(Self::Reversal)
            }
            _ => None,
        }
    }
}

/// What a report says of a transfer or a reversal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// The line it begins on, counted from 1.
    pub line: u64,
    /// What happened.
    pub kind: Kind,
    /// The object that Stripe made for it: of a transfer `tr_…`, of a reversal what the
    /// file says, which is `trr_…` as a rule.
    pub source: Option<String>,
    /// `tr_…` of the transfer it is about, where the file says it. Of a reversal it seldom
    /// does.
    pub transfer: Option<String>,
    /// `txn_…`. One of this, `source` and `transfer` is there.
    pub balance_transaction: Option<String>,
    /// When it was created: the first moment that the file may mean.
    pub created: Time,
    /// The first moment after all that it may mean.
    pub created_before: Time,
    /// How exactly it says so.
    pub precision: Precision,
    /// Of the amounts.
    pub currency: Currency,
    /// Minor units as Stripe signs them: negative for a transfer, positive for a reversal,
    /// never zero.
    pub gross: i64,
    /// Minor units, where the file says it.
    pub fee: Option<i64>,
    /// Minor units, where the file says it: `gross - fee`.
    pub net: Option<i64>,
    /// What it shows of the metadata that this tool gives a transfer, by Stripe's keys; no
    /// empty texts.
    pub metadata: BTreeMap<&'static str, String>,
    /// The transfer's group.
    pub transfer_group: Option<String>,
    /// `acct_…` of the connected account it went to or came back from.
    pub destination: Option<String>,
    /// `acct_…` of the connected account whose balance the file shows; none: the platform's.
    pub account: Option<String>,
}

/// Reads a row whose form has these faults.
pub(super) fn read_row(
    row: &Row<'_>,
    form: Vec<RowFault>,
    header: &ReportHeader,
    zone: &TimeZone,
) -> Entry {
    let mut reading = Reading {
        row,
        header,
        faults: Vec::new(),
    };
    // A row that is of another shape than the header says nothing at all.
    let mut shapeless = form.iter();
    if shapeless.any(|fault| fault.kind != FaultKind::Text) {
        return Entry::Faulty(form);
    }
    let kind = match reading.kind() {
        Said::Transfer(kind) => kind,
        // What else is in it is nobody's business here.
        Said::Other(category) => {
            return Entry::Passed {
                line: reading.line(),
                category,
            };
        }
        Said::Nothing => return Entry::Faulty(reading.faults),
    };
    if !form.is_empty() {
        return Entry::Faulty(
            form.into_iter()
                .map(|fault| reading.renamed(fault))
                .collect(),
        );
    }
    match reading.transfer(kind, zone) {
        Some(read) if reading.faults.is_empty() => Entry::Row(read),
        _ => Entry::Faulty(reading.faults),
    }
}

/// What a row says it is.
enum Said {
    Transfer(Kind),
    Other(String),
    /// A fault says so.
    Nothing,
}

/// A row that is being read, and what was found wrong with it so far.
struct Reading<'a> {
    row: &'a Row<'a>,
    header: &'a ReportHeader,
    faults: Vec<RowFault>,
}

impl Reading<'_> {
    fn line(&self) -> u64 {
        self.row.line.unwrap_or_default()
    }

    /// A fault names a column as the file calls it.
    fn renamed(&self, fault: RowFault) -> RowFault {
        let column = self.header.shown(&fault.column).to_owned();
        RowFault { column, ..fault }
    }

    fn refuse(&mut self, column: &'static str, kind: FaultKind, reason: impl Into<String>) {
        let fault = self.row.fault(column, kind, reason);
        self.faults.push(self.renamed(fault));
    }

    fn cell(&self, column: Option<&'static str>) -> Option<&str> {
        self.row.cell(column?)
    }

    fn owned(&self, column: Option<&'static str>) -> Option<String> {
        self.cell(column).map(str::to_owned)
    }

    /// Says of an empty cell that it must not be.
    fn required(&mut self, column: &'static str) -> Option<String> {
        let text = self.row.cell(column).map(str::to_owned);
        if text.is_none() {
            self.refuse(column, FaultKind::Missing, MUST_NOT_BE_EMPTY);
        }
        text
    }

    /// By its category; where the file has none, by the ids.
    fn kind(&mut self) -> Said {
        let Some(column) = self.header.category else {
            return self.kind_by_ids();
        };
        let Some(category) = self.required(column) else {
            return Said::Nothing;
        };
        let category = category.to_lowercase().replace(' ', "_");
        match Kind::of_category(&category) {
            Some(kind) => Said::Transfer(kind),
            None => Said::Other(category),
        }
    }

    fn kind_by_ids(&self) -> Said {
        let ids = [
            self.header.source,
            self.header.transfer,
            self.header.balance_transaction,
        ];
        let mut ids = ids.into_iter().filter_map(|column| self.cell(column));
        let mut other = None;
        ids.find_map(|id| {
            if is_of_a_reversal(id) {
                return Some(Said::Transfer(Kind::Reversal));
            }
            if is_of_a_transfer(id) {
                return Some(Said::Transfer(Kind::Transfer));
            }
            other.get_or_insert_with(|| match id.split_once('_') {
                Some((prefix, _)) => format!("{prefix}_…"),
                None => "without an id of Stripe's".to_owned(),
            });
            None
        })
        .unwrap_or_else(|| Said::Other(other.unwrap_or_else(|| "without an id".to_owned())))
    }

    /// All that a row about a transfer says.
    fn transfer(&mut self, kind: Kind, zone: &TimeZone) -> Option<ReportRow> {
        let ids = self.ids(kind);
        let created = self.created(zone);
        let amounts = self.amounts(kind);
        let (ids, created, amounts) = (ids?, created?, amounts?);
        let shown = self.header.metadata.iter();
        let metadata = shown.filter_map(|(key, column)| Some((*key, self.owned(Some(*column))?)));
        Some(ReportRow {
            line: self.line(),
            kind,
            source: ids.source,
            transfer: ids.transfer,
            balance_transaction: ids.balance_transaction,
            created: created.at,
            created_before: created.before,
            precision: created.precision,
            currency: amounts.currency,
            gross: amounts.gross,
            fee: amounts.fee,
            net: amounts.net,
            metadata: metadata.collect(),
            transfer_group: self.owned(self.header.transfer_group),
            destination: self.owned(self.header.destination),
            account: self.owned(self.header.account),
        })
    }

    fn ids(&mut self, kind: Kind) -> Option<Ids> {
        let header = self.header;
        let (mut source, mut transfer) = (self.owned(header.source), self.owned(header.transfer));
        // A column `id` is of the balance transaction in Stripe's export of the balance, and
        // of the transfer in a list of transfers.
        let mut balance_transaction = None;
        if let Some(id) = self.owned(header.balance_transaction) {
            if !is_of_a_transfer(&id) && !is_of_a_reversal(&id) {
                balance_transaction = Some(id);
            } else if source.is_none() {
                source = Some(id);
            }
        }
        if let (Some(id), Some(column)) = (&transfer, header.transfer)
            && !is_of_a_transfer(id)
        {
            self.refuse(column, FaultKind::Text, "a transfer's id begins with tr_");
            return None;
        }
        match kind {
            Kind::Transfer => {
                if let Some(id) = &source
                    && !is_of_a_transfer(id)
                {
                    let column = header.source.or(header.balance_transaction)?;
                    self.refuse(
                        column,
                        FaultKind::Text,
                        "the row is about a transfer, whose id begins with tr_",
                    );
                    return None;
                }
                if let (Some(one), Some(other), Some(column)) =
                    (&source, &transfer, header.transfer)
                    && one != other
                {
                    let reason = format!("the same row says it is about {one}");
                    self.refuse(column, FaultKind::Text, reason);
                    return None;
                }
                source = source.or_else(|| transfer.clone());
                transfer.clone_from(&source);
            }
            Kind::Reversal => {
                let of_source = source.as_ref().filter(|id| is_of_a_transfer(id));
                transfer = transfer.or_else(|| of_source.cloned());
            }
        }
        if source.is_none() && transfer.is_none() && balance_transaction.is_none() {
            let columns = [header.source, header.transfer, header.balance_transaction];
            let column = columns.into_iter().flatten().next()?;
            self.refuse(
                column,
                FaultKind::Missing,
                "nothing says which transfer the row is about",
            );
            return None;
        }
        Some(Ids {
            source,
            transfer,
            balance_transaction,
        })
    }

    fn created(&mut self, zone: &TimeZone) -> Option<Moment> {
        let created = self.header.created;
        let text = self.required(created.column)?;
        let zone = if created.is_utc { &TimeZone::UTC } else { zone };
        match moment(&text, zone) {
            Ok(moment) => Some(moment),
            Err(reason) => {
                self.refuse(created.column, FaultKind::Text, reason);
                None
            }
        }
    }

    fn amounts(&mut self, kind: Kind) -> Option<Amounts> {
        let header = self.header;
        let code = self.required(header.currency)?;
        let Ok(currency) = code.parse::<Currency>() else {
            let reason = "not a currency Stripe can transfer (a three-letter code such as usd)";
            self.refuse(header.currency, FaultKind::Text, reason);
            return None;
        };
        let gross = self.amount(Some(header.gross), currency);
        let fee = self.amount(header.fee, currency);
        let net = self.amount(header.net, currency);
        let (gross, fee, net) = (gross.ok()?, fee.ok()?, net.ok()?);
        let Some(mut gross) = gross else {
            self.refuse(header.gross, FaultKind::Missing, MUST_NOT_BE_EMPTY);
            return None;
        };
        // A list without categories is no balance: it says how much, not which way. What the
        // ids say happened goes one way only.
        let is_out = kind == Kind::Transfer;
        if header.category.is_none() && fee.is_none() && net.is_none() {
            gross = if is_out { -gross.abs() } else { gross.abs() };
        }
        if gross == 0 || is_out != (gross < 0) {
            let reason = if is_out {
                "a transfer leaves the balance: its amount is negative"
            } else {
                "a reversal comes back to the balance: its amount is positive"
            };
            self.refuse(header.gross, FaultKind::Amount, reason);
            return None;
        }
        if let (Some(fee), Some(net), Some(column)) = (fee, net, header.net)
            && gross.checked_sub(fee) != Some(net)
        {
            let shown = |column: &'static str| self.row.cell(column).unwrap_or_default();
            let reason = format!(
                "it is not the gross amount less the fee: {} and {}",
                shown(header.gross),
                header.fee.map(shown).unwrap_or_default(),
            );
            self.refuse(column, FaultKind::Amount, reason);
            return None;
        }
        Some(Amounts {
            currency,
            gross,
            fee,
            net,
        })
    }

    /// Minor units; none where nothing is said.
    fn amount(
        &mut self,
        column: Option<&'static str>,
        currency: Currency,
    ) -> Result<Option<i64>, ()> {
        let Some(column) = column else {
            return Ok(None);
        };
        let Some(text) = self.row.cell(column) else {
            return Ok(None);
        };
        match amount(text, currency, self.row.decimal()) {
            Ok(minor) => Ok(Some(minor)),
            Err(error) => {
                self.refuse(column, FaultKind::Amount, error.to_string());
                Err(())
            }
        }
    }
}

struct Ids {
    source: Option<String>,
    transfer: Option<String>,
    balance_transaction: Option<String>,
}

struct Amounts {
    currency: Currency,
    gross: i64,
    fee: Option<i64>,
    net: Option<i64>,
}

/// Minor units, exactly. A currency without decimals may be written with two zeros: three
/// could be thousands.
fn amount(text: &str, currency: Currency, mark: DecimalMark) -> Result<i64, AmountError> {
    let zeros = match mark {
        DecimalMark::Point => ".00",
        DecimalMark::Comma => ",00",
    };
    let whole = text
        .strip_suffix(zeros)
        .filter(|_| currency.decimals() == 0);
    parse_signed_with(whole.unwrap_or(text), currency, mark)
}

fn is_of_a_transfer(id: &str) -> bool {
    id.len() > 3 && id.starts_with("tr_")
}

fn is_of_a_reversal(id: &str) -> bool {
    id.len() > 4 && id.starts_with("trr_")
}
