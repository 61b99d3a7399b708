//! Which column of a report says what.
//!
//! A column is known by its name alone, in any order and any case. Each thing a row
//! says can go by several names, that of the reports first; what a person names with
//! `--map` goes before all of them.

use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::Header;

/// Every known name, in lower case: that of the reports, that of the dashboard's export.
pub(super) const KNOWN: &[&str] = &[
    "balance_transaction_id",
    "id",
    "source_id",
    "source",
    "transfer_id",
    "created_utc",
    "created (utc)",
    "created",
    "currency",
    "gross",
    "amount",
    "fee",
    "net",
    "reporting_category",
    "type",
    "transfer_group",
    "transfer group",
    "destination",
    "connected_account_id",
    "connected_account",
    "transfer_metadata[payout_id]",
    "payout_id (metadata)",
    "transfer_metadata[payoutid]",
    "payoutid (metadata)",
    "transfer_metadata[attempt]",
    "attempt (metadata)",
    "transfer_metadata[creator_id]",
    "creator_id (metadata)",
    "transfer_metadata[database]",
    "database (metadata)",
    "transfer_metadata[royalty_statement_id]",
    "royalty_statement_id (metadata)",
    "transfer_metadata[reference]",
    "reference (metadata)",
];

/// The metadata that this tool gives a transfer, as Stripe keeps the keys, each with the
/// columns that show it. Names of columns are compared in lower case.
const METADATA: [(&str, [&str; 2]); 7] = [
    (
        "payout_id",
        ["transfer_metadata[payout_id]", "payout_id (metadata)"],
    ),
    (
        "payoutId",
        ["transfer_metadata[payoutid]", "payoutid (metadata)"],
    ),
    (
        "attempt",
        ["transfer_metadata[attempt]", "attempt (metadata)"],
    ),
    (
        "creator_id",
        ["transfer_metadata[creator_id]", "creator_id (metadata)"],
    ),
    (
        "database",
        ["transfer_metadata[database]", "database (metadata)"],
    ),
    (
        "royalty_statement_id",
        [
            "transfer_metadata[royalty_statement_id]",
            "royalty_statement_id (metadata)",
        ],
    ),
    (
        "reference",
        ["transfer_metadata[reference]", "reference (metadata)"],
    ),
];

/// What a person may name with `--map`, and the column that it then is. A `payout_id`
/// is known only when somebody says so: elsewhere in Stripe's files a column of that
/// name is a payout to a bank.
const MAPPABLE: [(&str, &str); 19] = [
    ("balance_transaction_id", "balance_transaction_id"),
    ("source_id", "source_id"),
    ("transfer_id", "transfer_id"),
    ("created", "created"),
    ("created_utc", "created_utc"),
    ("currency", "currency"),
    ("gross", "gross"),
    ("fee", "fee"),
    ("net", "net"),
    ("reporting_category", "reporting_category"),
    ("transfer_group", "transfer_group"),
    ("destination", "destination"),
    ("connected_account", "connected_account"),
    ("payout_id", "transfer_metadata[payout_id]"),
    ("attempt", "transfer_metadata[attempt]"),
    ("creator_id", "transfer_metadata[creator_id]"),
    ("database", "transfer_metadata[database]"),
    (
        "royalty_statement_id",
        "transfer_metadata[royalty_statement_id]",
    ),
    ("reference", "transfer_metadata[reference]"),
];

/// The optional columns that make a report of Stripe's say which transfer and which
/// payout each row is about.
pub const OPTIONAL_COLUMNS: [&str; 2] = ["source_id", "transfer_metadata[payout_id]"];

/// Reads what a person says a column is called: `transfer_id=MyColumn`. What comes
/// back is for [`Dialect::names`](crate::ops::table_file::Dialect::names).
///
/// # Errors
/// What is wrong with it, and which columns there are.
pub fn map_column(text: &str) -> Result<(String, String), String> {
    let (asked, name) = text
        .split_once('=')
        .ok_or("it takes the form COLUMN=NAME, such as transfer_id=MyColumn")?;
    let (asked, name) = (asked.trim().to_lowercase(), name.trim());
    let mut known = MAPPABLE.iter();
    let Some((_, column)) =
        known.find(|(word, column)| *word == asked.as_str() || *column == asked.as_str())
    else {
        let words: Vec<&str> = MAPPABLE.iter().map(|(word, _)| *word).collect();
        return Err(format!(
            "there is no column {asked:?}; known are {}",
            words.join(", ")
        ));
    };
    if name.is_empty() {
        return Err("the name of the file's column is empty".to_owned());
    }
    Ok(((*column).to_owned(), name.to_owned()))
}

/// What kind of file it is, as far as its header says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One of the platform's own itemized reports: of its balance, or of its payouts to
    /// the bank.
    Report,
    /// The same of connected accounts: the rows are of *their* balances. A transfer
    /// that the platform made is a charge there, and passed over; a transfer there
    /// is one that such an account made.
    ConnectedReport,
    /// The dashboard's export of the balance.
    Dashboard,
    /// Something else whose columns were recognised or named.
    Other,
}

impl Layout {
    /// For people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Report => "an itemized report of Stripe",
            Self::ConnectedReport => "an itemized report of connected accounts",
            Self::Dashboard => "the balance export of Stripe's dashboard",
            Self::Other => "a file of another layout",
        }
    }
}

/// When something was created, by which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CreatedColumn {
    pub(super) column: &'static str,
    /// A time there that says no zone is UTC, not of the report's zone.
    pub(super) is_utc: bool,
}

/// The columns of a file, by what they say. What every row must have is no option here.
#[derive(Debug)]
pub(super) struct ReportHeader {
    pub(super) layout: Layout,
    pub(super) balance_transaction: Option<&'static str>,
    pub(super) source: Option<&'static str>,
    pub(super) transfer: Option<&'static str>,
    pub(super) created: CreatedColumn,
    pub(super) currency: &'static str,
    pub(super) gross: &'static str,
    pub(super) fee: Option<&'static str>,
    pub(super) net: Option<&'static str>,
    /// None: the ids say what a row is.
    pub(super) category: Option<&'static str>,
    pub(super) transfer_group: Option<&'static str>,
    pub(super) destination: Option<&'static str>,
    pub(super) account: Option<&'static str>,
    /// Keys as Stripe keeps them.
    pub(super) metadata: Vec<(&'static str, &'static str)>,
    /// What the file calls its columns, for faults.
    shown: Vec<(&'static str, String)>,
}

impl ReportHeader {
    /// Finds what is needed. `mapped` are the columns that a person named.
    ///
    /// # Errors
    /// All that is missing, in one fault.
    pub(super) fn of(header: &Header, mapped: &[(String, String)]) -> Result<Self, RowFault> {
        let is_mapped = |column: &str| mapped.iter().any(|(name, _)| name == column);
        // A name that a person gave goes before those that are known anyhow.
        let find = |names: &[&'static str]| {
            let mut found = names.iter().copied().filter(|name| header.has(name));
            let first = found.next()?;
            let named = std::iter::once(first).chain(found);
            named
                .into_iter()
                .find(|name| is_mapped(name))
                .or(Some(first))
        };
        let created = find(&["created_utc", "created (utc)", "created"]);
        let currency = find(&["currency"]);
        let gross = find(&["gross", "amount"]);
        let category = find(&["reporting_category", "type"]);
        let balance_transaction = find(&["balance_transaction_id", "id"]);
        let source = find(&["source_id", "source"]);
        let transfer = find(&["transfer_id"]);

        let mut missing = Vec::new();
        let mut lacks = |there: bool, what: &'static str| {
            if !there {
                missing.push(what);
            }
        };
        let any_id = balance_transaction.or(source).or(transfer).is_some();
        lacks(any_id, "source_id or balance_transaction_id (Source or id)");
        // Where a row names a transfer, its id says what the row is.
        let says_kind = category.or(source).or(transfer).is_some();
        lacks(says_kind, "reporting_category (Type)");
        lacks(created.is_some(), "created or created_utc (Created (UTC))");
        lacks(currency.is_some(), "currency (Currency)");
        lacks(gross.is_some(), "gross (Amount)");
        let (Some(created), Some(currency), Some(gross), true) =
            (created, currency, gross, missing.is_empty())
        else {
            return Err(refusal(header, &missing));
        };

        let account = find(&["connected_account"]);
        let metadata = METADATA
            .iter()
            .filter_map(|(key, columns)| Some((*key, find(columns)?)));
        let shown = KNOWN
            .iter()
            .filter_map(|column| Some((*column, header.name_of(column)?.to_owned())));
        Ok(Self {
            layout: layout_of(header),
            balance_transaction,
            source,
            transfer,
            created: CreatedColumn {
                column: created,
                is_utc: created != "created",
            },
            currency,
            gross,
            fee: find(&["fee"]),
            net: find(&["net"]),
            category,
            transfer_group: find(&["transfer_group", "transfer group"]),
            destination: find(&["destination", "connected_account_id"]),
            account,
            metadata: metadata.collect(),
            shown: shown.collect(),
        })
    }

    /// What the file calls a column.
    pub(super) fn shown<'a>(&'a self, column: &'a str) -> &'a str {
        let mut shown = self.shown.iter();
        let name = shown.find(|(name, _)| *name == column);
        name.map_or(column, |(_, called)| called.as_str())
    }
}

fn layout_of(header: &Header) -> Layout {
    let has_all = |names: &[&str]| names.iter().all(|name| header.has(name));
    if has_all(&["balance_transaction_id", "reporting_category", "gross"]) {
        if header.has("connected_account") {
            Layout::ConnectedReport
        } else {
            Layout::Report
        }
    } else if has_all(&["id", "type", "amount"]) {
        Layout::Dashboard
    } else {
        Layout::Other
    }
}

/// Tells all that a header lacks.
fn refusal(header: &Header, missing: &[&str]) -> RowFault {
    let recognised = KNOWN.iter().filter_map(|column| header.name_of(column));
    let recognised: Vec<&str> = recognised.collect();
    let recognised = if recognised.is_empty() {
        "no column was recognised".to_owned()
    } else {
        format!("recognised are {}", recognised.join(", "))
    };
    let reason = format!(
        "the header lacks {}; {recognised}. Download the itemized report, with the optional columns {} ticked, \
         or name columns with --map, such as --map created=MyColumn",
        missing.join("; "),
        OPTIONAL_COLUMNS.join(" and "),
    );
    RowFault::new(Some(header.line), "", "", FaultKind::Header, reason)
}
