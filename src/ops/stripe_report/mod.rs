//! What finance downloads from Stripe: reading its report files row by row.
//!
//! A file is read as exactly as any other ([`table_file`](crate::ops::table_file)), with
//! two differences that come from it being somebody else's: columns that are not known
//! are read past, and rows about anything but transfers are counted and passed over.
//! Memory holds one row, and of a [`survey()`] some marks of a fixed number of ids.
//! Nothing here asks Stripe, or any database, for anything.
//!
//! ```text
//! header    which column says what, and what is missing
//! moment    when something was created, and how exactly the file says so
//! row       one row: a transfer, a reversal, or something else
//! survey    all rows once: counts, period, totals, faults, rows that are there twice
//! here      the rows, one after the other
//! ```
//!
//! # What is known of these files
//!
//! Said by Stripe's documentation ("Balance report type", "Connect report type", "Payout
//! reconciliation report type", "Reporting categories", "Balance transaction types"), as
//! it was read when this was written; no report was downloaded from an account to
//! check it against:
//!
//! - `balance_change_from_activity.itemized.*`, `payout_reconciliation.itemized.*` and
//!   their `connected_account_*` variants call their columns `balance_transaction_id`,
//!   `currency`, `gross`, `fee`, `net`, `reporting_category`, and optionally `source_id`,
//!   "the Stripe object to which this transaction is related". Amounts are in major
//!   units, yen for JPY.
//! - The time is `created_utc` in the older versions; newer ones have `created` too, in
//!   the zone that the report was asked for in, UTC when none was.
//! - The run parameter `decimal_separator` can make the amounts have a decimal comma.
//! - `transfer_metadata[key]` ("metadata associated with the related transfer object") and
//!   `connected_account_id` ("for Connect activity related to a connected account")
//!   are optional columns from version 2 on.
//! - `connected_account_*` variants add `connected_account`, "the Stripe account associated
//!   with this line": they show the balances of the connected accounts. What the
//!   platform sent there arrives as a `charge`; see [`Layout::ConnectedReport`].
//! - Category `transfer` is of the types `transfer` and `recipient_transfer`;
//!   `transfer_reversal` of `transfer_cancel`, `transfer_refund` (what somebody reversed),
//!   `transfer_failure` and the same of recipients.
//! - No column is listed there with the id of the transfer that a reversal takes back,
//!   nor one with the transfer's group.
//!
//! Seen in files that people published, some of them years old:
//!
//! - The dashboard's balance export has the header `id,Type,Source,Amount,Fee,…`, in older
//!   ones without the columns about the platform's fee and the transfer's group; outgoing
//!   amounts are negative, times are `2017-01-28 01:13` in UTC, a transfer's `Source` is
//!   `tr_…`, and `<key> (metadata)` columns follow. Its column `Transfer` is the payout to
//!   the bank that settled the row, whatever its name says, and is not read.
//! - Times of reports are `2026-10-05 13:04:11`.
//!
//! Known from neither, and read with care:
//!
//! - That the source of a reversal is `trr_…`: any id is taken as it stands, and only one
//!   of a transfer (`tr_…`) is taken for the transfer.
//! - How reports write amounts of currencies without decimals: `500` and `500.00` are read.
//! - That `<key> (metadata)` columns of the dashboard's export are filled for transfers.
//! - The header of the dashboard's list of transfers, which is published nowhere: its
//!   columns are named with `--map`.
//!
//! Exports from before 2017 call payouts to a bank transfers, `tr_…` and all.

mod header;
mod moment;
mod row;
mod survey;

use std::io::Read;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::ops::fault::RowFault;
use crate::ops::stripe_report::header::{KNOWN, ReportHeader};
use crate::ops::stripe_report::row::read_row;
use crate::ops::table_file::{Columns, Dialect, FileError, Limits, Refused, RowReader, TableFile};

pub use header::{Layout, OPTIONAL_COLUMNS, map_column};
pub use moment::Precision;
pub use row::{Kind, ReportRow};
pub use survey::{CATEGORIES_KEPT, Summary, Total, survey};

/// What of these files is looked at; which of it must be there is decided in `header`,
/// all at once.
const COLUMNS: Columns = Columns {
    known: KNOWN,
    required: &[],
};

/// The largest report that is read: a month of some ten million transfers.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 30,
    rows: 50_000_000,
};

/// Opens a report; what `dialect` says of its columns comes from [`map_column`].
///
/// # Errors
/// When it cannot be read, or is larger than [`LIMITS`].
pub fn open(path: &Path, dialect: Dialect) -> Result<TableFile, FileError> {
    TableFile::open_within(path, dialect, LIMITS)
}

/// The same of whatever `from` holds, to its end.
///
/// # Errors
/// As of [`open`], and when it cannot be copied to a temporary file.
pub fn read(
    name: impl Into<String>,
    from: impl Read,
    dialect: Dialect,
) -> Result<TableFile, FileError> {
    TableFile::read_within(name, from, dialect, LIMITS)
}

/// What a row of a file is.
#[expect(
    clippy::large_enum_variant,
    reason = "one is looked at after the other, and none is kept"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// About a transfer.
    Row(ReportRow),
    /// About something else.
    Passed {
        /// The line it begins on.
        line: u64,
        /// Its category, in lower case.
        category: String,
    },
    /// Nobody can say: what is wrong with it, at least one fault.
    Faulty(Vec<RowFault>),
}

/// The rows of a report, one after the other.
#[derive(Debug)]
pub struct ReportReader<'f> {
    rows: RowReader<'f>,
    header: ReportHeader,
    zone: TimeZone,
}

impl<'f> ReportReader<'f> {
    /// Begins to read a file. `zone` is that of the report, for times that say none.
    ///
    /// # Errors
    /// When it cannot be read, or its header lacks something: all that is missing
    /// in one fault.
    pub fn new(file: &'f TableFile, zone: &TimeZone) -> Result<Self, Refused> {
        let rows = file.reader_past_others(COLUMNS)?;
        let header = ReportHeader::of(rows.header(), &file.dialect().names)
            .map_err(|fault| Refused::Faults(vec![fault]))?;
        Ok(Self {
            rows,
            header,
            zone: zone.clone(),
        })
    }

    /// What kind of file it is, by its header.
    pub fn layout(&self) -> Layout {
        self.header.layout
    }

    /// Whether the file has a column that says which transfer a row is about.
    pub fn names_transfers(&self) -> bool {
        self.header.source.is_some() || self.header.transfer.is_some()
    }

    /// Whether the file has a column that says which payout a row is about.
    pub fn names_payouts(&self) -> bool {
        self.header
            .metadata
            .iter()
            .any(|(key, _)| matches!(*key, "payout_id" | "payoutId"))
    }

    /// Whether the file has a column that says which account was paid.
    pub fn names_accounts(&self) -> bool {
        self.header.destination.is_some()
    }

    /// The next row in which any cell says something.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what it was when it was opened.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, FileError> {
        let Some((row, faults)) = self.rows.next_row()? else {
            return Ok(None);
        };
        Ok(Some(read_row(&row, faults, &self.header, &self.zone)))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::model::money::DecimalMark;
    use crate::ops::fault::FaultKind;
    use crate::ops::period::zone;

    /// What a file says, a line each: what people would ask of it.
    fn read_as(text: impl AsRef<[u8]>, maps: &[&str], zone_name: &str) -> Vec<String> {
        let dialect = Dialect {
            names: maps.iter().map(|map| map_column(map).unwrap()).collect(),
            ..Dialect::default()
        };
        read_by(text, dialect, zone_name)
    }

    fn read_by(text: impl AsRef<[u8]>, dialect: Dialect, zone_name: &str) -> Vec<String> {
        let file = read("report.csv", text.as_ref(), dialect).unwrap();
        let mut reader = match ReportReader::new(&file, &zone(zone_name).unwrap()) {
            Ok(reader) => reader,
            Err(Refused::Faults(faults)) => return faults.iter().map(told).collect(),
            Err(Refused::File(error)) => panic!("{error}"),
        };
        let mut lines = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            match entry {
                Entry::Row(row) => lines.push(row_told(&row)),
                Entry::Passed { line, category } => lines.push(format!("{line} passed {category}")),
                Entry::Faulty(faults) => lines.extend(faults.iter().map(told)),
            }
        }
        lines
    }

    fn told(fault: &RowFault) -> String {
        let RowFault {
            column,
            value,
            reason,
            ..
        } = fault;
        format!("{} {column} {value:?}: {reason}", fault.line.unwrap())
    }

    fn row_told(row: &ReportRow) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let number = |number: Option<i64>| number.map_or("-".to_owned(), |n| n.to_string());
        let mut line = format!(
            "{} {} source {} transfer {} txn {} at {} ({}) {} {} fee {} net {}",
            row.line,
            row.kind.as_str(),
            text(&row.source),
            text(&row.transfer),
            text(&row.balance_transaction),
            row.created,
            row.precision,
            row.gross,
            row.currency,
            number(row.fee),
            number(row.net),
        );
        for (key, value) in &row.metadata {
            let _ = write!(line, " {key}={value}");
        }
        for (what, said) in [
            ("group", &row.transfer_group),
            ("to", &row.destination),
            ("of", &row.account),
        ] {
            if let Some(said) = said {
                let _ = write!(line, " {what} {said}");
            }
        }
        line
    }

    fn read_plain(text: impl AsRef<[u8]>) -> Vec<String> {
        read_as(text, &[], "UTC")
    }

    #[test]
    fn a_report_as_it_comes() {
        let text = "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,description\n\
            txn_1QxA,2026-10-05 13:04:11,2026-10-05 13:04:11,usd,-824.08,0.00,-824.08,transfer,\n\
            txn_1QxB,2026-10-05 14:00:00,2026-10-07 00:00:00,usd,120.00,3.78,116.22,charge,\"Order 7,\nin two lines\"\n\
            txn_1QxC,2026-10-06 09:30:02,2026-10-06 09:30:02,usd,24.08,0.00,24.08,transfer_reversal,REFUND FOR TRANSFER\n";
        assert_eq!(
            read_plain(text),
            [
                "2 transfer source - transfer - txn txn_1QxA at 2026-10-05T13:04:11.000Z (second) -82408 usd fee 0 net -82408",
                "3 passed charge",
                "5 transfer_reversal source - transfer - txn txn_1QxC at 2026-10-06T09:30:02.000Z (second) 2408 usd fee 0 net 2408",
            ]
        );
    }

    #[test]
    fn a_report_with_the_columns_that_were_ticked() {
        let text = "\u{feff}source_id,net,fee,gross,transfer_metadata[payout_id],transfer_metadata[attempt],created_utc,created,\
            currency,reporting_category,balance_transaction_id,connected_account_id,trace_id,payment_metadata[payout_id]\r\n\
            tr_1QxA,-1500,0,-1500,p1,2,2026-10-05 13:04:11,2026-10-05 22:04:11,jpy,transfer,txn_1QxA,acct_1Ann,,\r\n\
            trr_1QxB,1.234,0.000,1.234,p1,,2026-10-06 13:04:11,2026-10-06 22:04:11,kwd,transfer_reversal,txn_1QxB,acct_1Ann,,p9\r\n";
        assert_eq!(
            read_as(text, &[], "Asia/Tokyo"),
            [
                "2 transfer source tr_1QxA transfer tr_1QxA txn txn_1QxA at 2026-10-05T13:04:11.000Z (second) -1500 jpy fee 0 net -1500 attempt=2 payout_id=p1 to acct_1Ann",
                "3 transfer_reversal source trr_1QxB transfer - txn txn_1QxB at 2026-10-06T13:04:11.000Z (second) 1234 kwd fee 0 net 1234 payout_id=p1 to acct_1Ann",
            ]
        );
    }

    #[test]
    fn a_payout_reconciliation_in_the_zone_of_the_report() {
        let text = "automatic_payout_id,automatic_payout_effective_at,balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,description\n\
            po_1,2026-10-07 00:00:00,txn_1,2026-10-05 15:04:11,2026-10-05 15:04:11,eur,-824.08,0.00,-824.08,transfer,\n\
            po_1,2026-10-07 00:00:00,txn_2,2026-10-25 02:30:00,2026-10-25 02:30:00,eur,-1.00,0.00,-1.00,transfer,\n";
        let rows = read_as(text, &[], "Europe/Berlin");
        assert!(
            rows[0].contains("at 2026-10-05T13:04:11.000Z (second) -82408 eur"),
            "{rows:?}"
        );
        assert!(
            rows[1].contains("at 2026-10-25T00:30:00.000Z (repeated_hour) -100 eur"),
            "{rows:?}"
        );
    }

    #[test]
    fn a_report_of_connected_accounts_is_of_their_balances() {
        let text = "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,description,connected_account\n\
            txn_1,2026-10-05 13:04:11,2026-10-05 13:04:11,usd,824.08,0.00,824.08,charge,,acct_1Ann\n\
            txn_2,2026-10-05 13:04:11,2026-10-05 13:04:11,usd,-8.00,0.00,-8.00,transfer,,acct_1Ann\n";
        assert_eq!(
            read_plain(text),
            [
                "2 passed charge",
                "3 transfer source - transfer - txn txn_2 at 2026-10-05T13:04:11.000Z (second) -800 usd fee 0 net -800 of acct_1Ann",
            ]
        );
        let file = TableFile::read("report.csv", text.as_bytes()).unwrap();
        let reader = ReportReader::new(&file, &TimeZone::UTC).unwrap();
        assert_eq!(reader.layout(), Layout::ConnectedReport);
        assert!(!reader.names_transfers() && !reader.names_payouts());
    }

    #[test]
    fn the_dashboard_s_export_of_today_and_of_old() {
        let today = "id,Type,Source,Amount,Fee,Destination Platform Fee,Destination Platform Fee Currency,Net,Currency,Created (UTC),\
            Available On (UTC),Description,Customer Facing Amount,Customer Facing Currency,Transfer,Transfer Date (UTC),Transfer Group,\
            payout_id (metadata),payoutId (metadata),colour (metadata)\n\
            txn_1,transfer,tr_1,-824.08,0.00,,,-824.08,usd,2026-10-05 13:04,2026-10-05 13:04,,,,po_9,2026-10-07 00:00,p1,p1,,red\n\
            txn_2,transfer_refund,trr_1,24.08,0.00,,,24.08,usd,2026-10-06 13:04,2026-10-06 13:04,,,,po_9,2026-10-07 00:00,,,p1,\n\
            txn_3,transfer_failure,tr_1,800.00,0.00,,,800.00,usd,2026-10-06 13:05,2026-10-06 13:05,,,,,,,,,\n\
            txn_4,stripe_fee,,-2.00,0.00,,,-2.00,usd,2026-10-06 13:04,2026-10-06 13:04,Radar,,,,,,,,\n";
        assert_eq!(
            read_as(today, &[], "Asia/Tokyo"),
            [
                "2 transfer source tr_1 transfer tr_1 txn txn_1 at 2026-10-05T13:04:00.000Z (minute) -82408 usd fee 0 net -82408 payout_id=p1 group p1",
                "3 transfer_reversal source trr_1 transfer - txn txn_2 at 2026-10-06T13:04:00.000Z (minute) 2408 usd fee 0 net 2408 payoutId=p1",
                "4 transfer_reversal source tr_1 transfer tr_1 txn txn_3 at 2026-10-06T13:05:00.000Z (minute) 80000 usd fee 0 net 80000",
                "5 passed stripe_fee",
            ]
        );
        let old = "\"ID\",\"Type\",\"Source\",\"Amount\",\"Fee\",\"Net\",\"Currency\",\"Created (UTC)\",\"Available On (UTC)\"\n\
            \"txn_1\",\"Transfer\",\"tr_1\",\"-29.00\",\"0.00\",\"-29.00\",\"aud\",\"2026-01-21 07:21\",\"2026-01-27 00:00\"\n";
        assert_eq!(
            read_plain(old),
            [
                "2 transfer source tr_1 transfer tr_1 txn txn_1 at 2026-01-21T07:21:00.000Z (minute) -2900 aud fee 0 net -2900"
            ]
        );
    }

    #[test]
    fn another_file_s_columns_are_named() {
        let text = "Überweisung;Zeit;Währung;Betrag;Konto;Auszahlung\n\
            tr_1;2026-10-05T13:04:11Z;EUR;824,08;acct_1Ann;p1\n\
            trr_1;2026-10-05T13:04:11Z;EUR;1.000,00;acct_1Ann;\n\
            ;2026-10-05T13:04:11Z;EUR;1,00;;\n\
            po_1;2026-10-05T13:04:11Z;EUR;1,00;;\n";
        let maps = [
            "source_id=Überweisung",
            "created=Zeit",
            "currency=Währung",
            "gross=Betrag",
            "destination=Konto",
            "payout_id=Auszahlung",
        ];
        let dialect = Dialect {
            names: maps.iter().map(|map| map_column(map).unwrap()).collect(),
            decimal: DecimalMark::Comma,
            ..Dialect::default()
        };
        assert_eq!(
            read_by(text, dialect, "UTC"),
            [
                "2 transfer source tr_1 transfer tr_1 txn - at 2026-10-05T13:04:11.000Z (second) -82408 eur fee - net - payout_id=p1 to acct_1Ann",
                "3 transfer_reversal source trr_1 transfer - txn - at 2026-10-05T13:04:11.000Z (second) 100000 eur fee - net - to acct_1Ann",
                "4 passed without an id",
                "5 passed po_…",
            ]
        );
        // A name that somebody gave goes before those that are known.
        let both = "source_id,created_utc,Local,currency,gross,Amount\n\
            tr_1,2026-10-05 13:04:11,2026-10-05 13:04:12,usd,-9.00,-8.00\n";
        let rows = read_as(both, &["created=Local"], "Asia/Tokyo");
        assert!(rows[0].contains("at 2026-10-05T04:04:12.000Z"), "{rows:?}");
        let unmapped =
            "payout_id,id,created,currency,amount\np1,tr_1,2026-10-05 13:04:11,usd,9.00\n";
        let rows = read_as(unmapped, &["transfer_id=id"], "UTC");
        assert_eq!(
            rows,
            [
                "2 transfer source tr_1 transfer tr_1 txn - at 2026-10-05T13:04:11.000Z (second) -900 usd fee - net -"
            ]
        );
    }

    #[test]
    fn a_header_is_told_all_that_it_lacks() {
        let refused = read_plain("\n\nBalance,Currency,Net\n1,usd,2\n");
        assert_eq!(refused.len(), 1, "{refused:?}");
        for said in [
            "3  \"\": the header lacks source_id or balance_transaction_id (Source or id)",
            "reporting_category (Type)",
            "created or created_utc (Created (UTC))",
            "gross (Amount)",
            "recognised are Currency, Net",
            "source_id and transfer_metadata[payout_id] ticked",
            "--map created=MyColumn",
        ] {
            assert!(refused[0].contains(said), "{said}: {refused:?}");
        }
        assert!(!refused[0].contains("currency (Currency)"), "{refused:?}");
        assert!(
            read_plain("a,b\n")
                .join("")
                .contains("no column was recognised")
        );
        assert!(read_plain("").join("").contains("the file is empty"));
        let gone = read_as("created,currency,gross,source_id\n", &["net=Netto"], "UTC");
        assert_eq!(
            gone,
            ["1 Netto \"Netto\": the file has no column of this name, which is to be net"]
        );
        for (map, said) in [
            ("net", "COLUMN=NAME"),
            (
                "brutto=Betrag",
                "there is no column \"brutto\"; known are balance_transaction_id",
            ),
            ("net= ", "is empty"),
        ] {
            let error = map_column(map).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_read_exactly_is_refused_where_it_stands() {
        let only = |row: &str| {
            let header = "balance_transaction_id,created,currency,gross,fee,net,reporting_category,source_id,transfer_metadata[payout_id]";
            read_plain(format!("{header}\n{row}\n")).join(" + ")
        };
        let with = |at: usize, text: &str| {
            let mut cells = [
                "txn_1",
                "2026-10-05 13:04:11",
                "usd",
                "-5.00",
                "0.00",
                "-5.00",
                "transfer",
                "tr_1",
                "p1",
            ];
            cells[at] = text;
            only(&cells.join(","))
        };
        assert!(with(0, "txn_1").starts_with("2 transfer source tr_1"));
        for (at, text, said) in [
            (1, "", "2 created \"\": must not be empty"),
            (
                1,
                "10/5/2026 13:04",
                "2 created \"10/5/2026 13:04\": not a time; was the file saved again",
            ),
            (2, "usdt", "2 currency \"usdt\": not a currency"),
            (3, "", "2 gross \"\": must not be empty"),
            (3, "-5.001", "2 gross \"-5.001\": USD has 2 decimals, not 3"),
            (3, "\"-1,005.00\"", "2 gross \"-1,005.00\": a comma can be"),
            (3, "$-5.00", "2 gross \"$-5.00\": '$' has no place"),
            (3, "(5.00)", "2 gross \"(5.00)\": '(' has no place"),
            (3, "5.00", "2 gross \"5.00\": a transfer leaves the balance"),
            (3, "0.00", "2 gross \"0.00\": a transfer leaves the balance"),
            (3, "-99999999999999999999", "2 gross"),
            (
                4,
                "0.01",
                "2 net \"-5.00\": it is not the gross amount less the fee: -5.00 and 0.01",
            ),
            (5, "-5.01", "2 net \"-5.01\": it is not the gross amount"),
            (6, "", "2 reporting_category \"\": must not be empty"),
            (
                6,
                "transfer_reversal",
                "2 gross \"-5.00\": a reversal comes back",
            ),
            (
                7,
                "ch_1",
                "2 source_id \"ch_1\": the row is about a transfer, whose id begins with tr_",
            ),
            (7, "tr_", "2 source_id \"tr_\": the row is about a transfer"),
            (
                8,
                "p\u{7}1",
                "2 transfer_metadata[payout_id] \"p\\u{7}1\": a control character",
            ),
        ] {
            let found = with(at, text);
            assert!(found.starts_with(said), "{text}: {found}");
        }
        // What somebody else wrote about a charge is nobody's business here.
        assert_eq!(
            only("txn_1,2026,xxx,1e9,,,charge,ch_1,\"a\nb\""),
            "2 passed charge"
        );
        assert!(
            only("txn_1,2026-10-05")
                .starts_with("2  \"txn_1,2026-10-05\": 2 cells, but the header has 9")
        );
        assert!(
            only(",2026-10-05 13:04:11,usd,-5.00,,,transfer,,")
                .contains("nothing says which transfer")
        );
        // A currency without decimals, with the two that a program gives everything.
        let yen = |amount: &str| {
            only(&format!(
                "txn_1,2026-10-05 13:04:11,jpy,{amount},,,transfer,tr_1,"
            ))
        };
        assert!(yen("-500").contains(" -500 jpy"), "{}", yen("-500"));
        assert!(yen("-500.00").contains(" -500 jpy"), "{}", yen("-500.00"));
        for amount in ["-500.000", "-500.10", "-500.0", "-.00", ".00", "-500.00.00"] {
            assert!(yen(amount).starts_with("2 gross"), "{}", yen(amount));
        }
    }

    #[test]
    fn a_survey_says_what_a_file_comes_to() {
        let text = "id,Type,Source,Amount,Fee,Net,Currency,Created (UTC),payout_id (metadata)\n\
            txn_1,transfer,tr_1,-5.00,0.00,-5.00,usd,2026-10-05 13:04,p1\n\
            txn_2,transfer,tr_2,-6.00,0.25,-6.25,usd,2026-10-04 13:04,\n\
            txn_3,transfer,tr_3,-700,0,-700,jpy,2026-10-06 13:04,p3\n\
            txn_4,transfer_refund,trr_1,5.00,0.00,5.00,usd,2026-10-07 13:04,p1\n\
            txn_5,charge,ch_1,5.00,0.00,5.00,usd,2026-10-09 13:04,\n\
            txn_6,charge,ch_2,5.00,0.00,5.00,usd,2026-10-09 13:04,\n\
            txn_7,transfer,tr_4,6.00,0.00,6.00,usd,2026-10-09 13:04,\n";
        let file = TableFile::read("balance.csv", text.as_bytes()).unwrap();
        let summary = survey(&file, &TimeZone::UTC).unwrap();
        assert_eq!(summary.layout, Layout::Dashboard);
        assert_eq!(summary.rows, 7);
        let totals = summary.totals.iter();
        let totals: Vec<_> = totals
            .map(|t| (t.kind, t.currency.as_str(), t.count, t.gross, t.fee))
            .collect();
        assert_eq!(
            totals,
            [
                (Kind::Transfer, "usd", 2, -1100, 25),
                (Kind::Transfer, "jpy", 1, -700, 0),
                (Kind::Reversal, "usd", 1, 500, 0),
            ]
        );
        assert_eq!(summary.count(Kind::Transfer), 3);
        assert_eq!(
            summary.passed.into_iter().collect::<Vec<_>>(),
            [("charge".to_owned(), 2)]
        );
        let period = summary.period.unwrap();
        assert_eq!(
            (
                period.from.unwrap().to_string(),
                period.until.unwrap().to_string()
            ),
            (
                "2026-10-04T13:04:00.000Z".to_owned(),
                "2026-10-07T13:05:00.000Z".to_owned()
            )
        );
        assert_eq!((summary.without_transfer, summary.without_payout), (1, 1));
        assert_eq!((summary.to_the_minute, summary.in_a_repeated_hour), (4, 0));
        assert_eq!(
            (
                summary.faults.rows,
                summary.faults.any(FaultKind::Amount, "")
            ),
            (1, true)
        );
        assert_eq!(summary.faults.first[0].column, "Amount");
    }
}
