//! A creator's receipt of one payout: a page of HTML that stands alone, and the same
//! for machines.
//!
//! The page loads nothing and runs nothing, and says so to the browser. Every value in
//! it goes through [`escape`]. It is one page of paper, whatever it is about:
//! long texts are cut, and long lists are summed up.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::money::{Currency, with_currency};
use crate::model::record::ReversalStep;
use crate::ops::receipt::{Kept, OtherPayment, Receipt, ReceiptStatement};
use crate::output::html::{self, END, day, escape, foreign, moment};
use crate::output::json::ReversalView;
use crate::output::rows::Row;
use crate::output::text::{brief, count};
use crate::output::ui::Ui;
use crate::output::{Format, SCHEMA, record};

/// Characters of a name, a reference or an id: more would not fit on the page.
const TEXT_MAX: usize = 120;

/// Characters of a text in the title.
const TITLE_MAX: usize = 60;

/// Other payouts of a statement that have a line of their own, the newest ones.
const OTHERS_MAX: usize = 3;

/// Steps of a reversal that have a line of their own, the newest ones.
const STEPS_MAX: usize = 3;

/// Writes a receipt to stdout: for people the page.
pub fn print(format: Format, ui: &Ui, receipt: &Receipt) -> io::Result<()> {
    let shown = ReceiptShowView {
        schema: SCHEMA,
        receipt: ReceiptView::of(receipt),
    };
    record::print(
        format,
        ui,
        &shown,
        std::slice::from_ref(&shown.receipt),
        || page(receipt),
    )
}

/// The answer of `receipt`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReceiptShowView<'a> {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The receipt.
    pub receipt: ReceiptView<'a>,
}

/// A receipt. There is one only of what was paid.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReceiptView<'a> {
    /// The payout's primary key.
    pub payout_id: &'a str,
    /// `paid`, `partly_reversed` or `reversed`.
    pub state: &'static str,
    /// What was paid, minor units.
    pub amount_cents: i32,
    /// What of it was taken back at Stripe, minor units.
    pub reversed_cents: i64,
    /// What that leaves, minor units.
    pub net_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// Who was paid.
    pub creator_id: &'a str,
    /// Their name on stage; null when their row is gone.
    pub creator_name: Option<&'a str>,
    /// Their e-mail address.
    pub creator_email: Option<&'a str>,
    /// The account that was paid, all but its last four characters masked; null when
    /// other software paid.
    pub account_masked: Option<String>,
    /// `tr_…`.
    pub stripe_transfer_id: Option<&'a str>,
    /// The transfer's own time.
    pub processed_at: Option<String>,
    /// The reference it was loaded under.
    pub reference: Option<&'a str>,
    /// The statement it settles.
    pub royalty_statement_id: Option<&'a str>,
    /// Real money; null when other software paid and this tool has not sent yet.
    pub livemode: Option<bool>,
    /// When the receipt was made.
    pub made_at: String,
    /// What the statement owes and what was paid on it.
    pub statement: Option<ReceiptStatementView<'a>>,
    /// What was taken back, oldest first.
    pub reversals: Vec<ReversalView<'a>>,
}

/// The cells of a receipt that are one value each.
impl Row for ReceiptView<'_> {
    const FIELDS: &'static [&'static str] = &[
        "payout_id",
        "state",
        "amount_cents",
        "reversed_cents",
        "net_cents",
        "currency",
        "creator_id",
        "creator_name",
        "creator_email",
        "account_masked",
        "stripe_transfer_id",
        "processed_at",
        "reference",
        "royalty_statement_id",
        "livemode",
        "made_at",
    ];
}

/// The statement of a receipt. What is payable less all that was paid is what is left.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReceiptStatementView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// The first moment of its period.
    pub period_start: String,
    /// The last.
    pub period_end: String,
    /// Before the platform's fee, minor units.
    pub total_earnings_cents: i32,
    /// The platform's fee, minor units.
    pub platform_fee_cents: i32,
    /// What is owed, minor units.
    pub net_payable_cents: i32,
    /// Its other payouts that were paid, oldest first.
    pub others: Vec<OtherPaymentView<'a>>,
    /// What was paid on it besides, minor units: by payouts whose rows no longer say so.
    pub unlisted_cents: i64,
    /// What is owed and not paid, minor units; negative when too much was paid.
    pub left_cents: i64,
    /// Of what is left, what is on its way, minor units.
    pub in_flight_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

/// Another payout of the same statement.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OtherPaymentView<'a> {
    /// Primary key.
    pub payout_id: &'a str,
    /// The transfer's own time.
    pub processed_at: Option<String>,
    /// What it paid, minor units.
    pub amount_cents: i64,
    /// What of it was taken back, minor units.
    pub reversed_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

impl<'a> ReceiptView<'a> {
    /// Shows a receipt.
    pub fn of(receipt: &'a Receipt) -> Self {
        let record = &receipt.record;
        let payout = &record.listed.payout;
        let creator = record.creator.as_ref();
        Self {
            payout_id: payout.id.as_str(),
            state: match receipt.kept() {
                Kept::All => "paid",
                Kept::Some => "partly_reversed",
                Kept::Nothing => "reversed",
            },
            amount_cents: payout.amount_cents,
            reversed_cents: receipt.reversed_cents(),
            net_cents: receipt.net_cents(),
            currency: receipt.currency.as_str(),
            creator_id: payout.creator_id.as_str(),
            creator_name: creator.map(|creator| creator.name.as_str()),
            creator_email: creator.and_then(|creator| creator.email.as_deref()),
            account_masked: receipt.account_masked(),
            stripe_transfer_id: payout.stripe_transfer_id.as_deref(),
            processed_at: payout.processed_at.map(|time| time.to_string()),
            reference: record.listed.reference.as_deref(),
            royalty_statement_id: payout.royalty_statement_id.as_ref().map(AsRef::as_ref),
            livemode: receipt.livemode,
            made_at: receipt.made_at.to_string(),
            statement: receipt
                .statement
                .as_ref()
                .map(|statement| ReceiptStatementView::of(statement, receipt.currency)),
            reversals: own_steps(receipt)
                .map(|step| ReversalView::of(record, step, receipt.currency))
                .collect(),
        }
    }
}

impl<'a> ReceiptStatementView<'a> {
    fn of(of: &'a ReceiptStatement, currency: Currency) -> Self {
        Self {
            id: of.statement.id.as_str(),
            period_start: of.run.period_start.to_string(),
            period_end: of.run.period_end.to_string(),
            total_earnings_cents: of.statement.total_earnings_cents,
            platform_fee_cents: of.statement.platform_fee_cents,
            net_payable_cents: of.statement.net_payable_cents,
            others: of
                .others
                .iter()
                .map(|other| OtherPaymentView {
                    payout_id: other.id.as_str(),
                    processed_at: other.paid_at.map(|time| time.to_string()),
                    amount_cents: other.amount_cents,
                    reversed_cents: other.reversed_cents,
                    currency: currency.as_str(),
                })
                .collect(),
            unlisted_cents: of.unlisted_cents,
            left_cents: of.left_cents,
            in_flight_cents: of.in_flight_cents,
            currency: currency.as_str(),
        }
    }
}

/// The steps of the transfer that the receipt is about.
fn own_steps(receipt: &Receipt) -> impl Iterator<Item = &ReversalStep> {
    let transfer = receipt.record.listed.payout.stripe_transfer_id.as_ref();
    let steps = receipt.record.reversals.iter();
    steps.filter(move |step| Some(&step.transfer_id) == transfer)
}

/// The page.
pub fn page(receipt: &Receipt) -> String {
    let mut page = Page {
        currency: receipt.currency,
        html: String::new(),
    };
    page.head(receipt);
    page.banners(receipt);
    page.payment(receipt);
    page.reversals(receipt);
    if let Some(statement) = &receipt.statement {
        page.statement(receipt, statement);
    }
    page.foot(receipt);
    page.html
}

/// A page that grows. Whatever is put into it is HTML already.
struct Page {
    currency: Currency,
    html: String,
}

impl Page {
    fn line(&mut self, html: &str) {
        self.html.push_str(html);
        self.html.push('\n');
    }

    fn head(&mut self, receipt: &Receipt) {
        let listed = &receipt.record.listed;
        let name = listed
            .reference
            .as_deref()
            .unwrap_or(listed.payout.id.as_str());
        let title = escape(&brief(name, TITLE_MAX));
        let (state, tone) = match receipt.kept() {
            Kept::All => ("Paid", "good"),
            Kept::Some => ("Paid, part taken back", "part"),
            Kept::Nothing => ("Taken back", "gone"),
        };
        self.html = html::begin(&format!("Payout receipt {title}"), "");
        self.line(&format!(
            r#"<header><h1>Payout receipt</h1><p class="state {tone}">{state}</p></header>"#
        ));
    }

    /// What changes the meaning of all that follows comes first.
    fn banners(&mut self, receipt: &Receipt) {
        let amount = self.amount(receipt.record.listed.payout.amount_cents.into());
        match receipt.kept() {
            Kept::All => {}
            Kept::Some => {
                let taken = self.amount(receipt.reversed_cents());
                let left = self.amount(receipt.net_cents());
                self.banner(
                    "part",
                    "Part of this payout was taken back",
                    &format!("{taken} of the {amount} paid was taken back. {left} is left."),
                );
            }
            Kept::Nothing => self.banner(
                "gone",
                "This payout was taken back in full",
                &format!("All of the {amount} paid was taken back. Nothing of it is left."),
            ),
        }
        if receipt.livemode == Some(false) {
            self.banner(
                "note",
                "This is a test",
                "It was made in Stripe’s test mode: no money has moved.",
            );
        }
    }

    fn banner(&mut self, tone: &str, heading: &str, text: &str) {
        self.line(&format!(
            r#"<p class="banner {tone}"><strong>{heading}</strong> {text}</p>"#
        ));
    }

    fn payment(&mut self, receipt: &Receipt) {
        let record = &receipt.record;
        let payout = &record.listed.payout;
        let creator = record.creator.as_ref();
        let name = creator.map_or(payout.creator_id.as_str(), |creator| creator.name.as_str());
        let paid_at = payout.processed_at;
        self.line(&format!(
            r#"<p class="amount">{} <span>{}</span></p>"#,
            self.number(payout.amount_cents.into()),
            escape(&self.currency.upper())
        ));
        let on = paid_at.map_or_else(String::new, |at| format!(" on {}", day(at)));
        self.line(&format!(
            r#"<p class="to">Paid to {}{on}</p>"#,
            foreign(name, TEXT_MAX)
        ));
        if let Some(email) = creator.and_then(|creator| creator.email.as_deref()) {
            self.line(&format!(
                r#"<p class="soft">{}</p>"#,
                foreign(email, TEXT_MAX)
            ));
        }
        self.line("<section>\n<dl>");
        self.fact(
            "Paid on",
            &paid_at.map_or_else(|| "not on record".to_owned(), moment),
        );
        let account = receipt.account_masked();
        let account = account.map_or_else(
            || "not on record".to_owned(),
            |account| format!("Stripe account {}", id(&account)),
        );
        self.fact("Account", &account);
        self.fact(
            "Transfer",
            &id(payout.stripe_transfer_id.as_deref().unwrap_or_default()),
        );
        self.fact("Payout", &id(payout.id.as_str()));
        if let Some(reference) = &record.listed.reference {
            self.fact("Reference", &foreign(reference, TEXT_MAX));
        }
        self.line("</dl>\n</section>");
    }

    fn fact(&mut self, label: &str, html: &str) {
        self.line(&format!("<dt>{label}</dt><dd>{html}</dd>"));
    }

    fn reversals(&mut self, receipt: &Receipt) {
        let steps: Vec<&ReversalStep> = own_steps(receipt).collect();
        if receipt.kept() == Kept::All || steps.is_empty() {
            return;
        }
        self.line(
            "<section>\n<h2>Taken back</h2>\n<table>\n<thead><tr><th scope=\"col\">Seen on</th>\
             <th scope=\"col\">Taken back</th><th scope=\"col\">Left</th></tr></thead>\n<tbody>",
        );
        let earlier = steps.len().saturating_sub(STEPS_MAX);
        for (number, step) in steps.iter().enumerate().skip(earlier) {
            // The first line that is shown stands for those before it too.
            let (taken, before) = if number == earlier && earlier > 0 {
                (step.total_cents, " and before")
            } else {
                (step.taken_cents, "")
            };
            let left = receipt.record.left_after(step);
            self.line(&format!(
                "<tr><th scope=\"row\">{}{before}</th><td>{}</td><td>{}</td></tr>",
                moment(step.seen_at),
                self.number(taken.saturating_neg()),
                left.map_or_else(String::new, |left| self.number(left)),
            ));
        }
        self.line("</tbody>\n</table>\n</section>");
    }

    fn statement(&mut self, receipt: &Receipt, of: &ReceiptStatement) {
        let statement = &of.statement;
        let [total, fee, net] = [
            statement.total_earnings_cents,
            statement.platform_fee_cents,
            statement.net_payable_cents,
        ]
        .map(i64::from);
        self.line("<section>\n<h2>Royalty statement</h2>");
        self.line(&format!(
            r#"<p class="soft">{} to {}, statement {}</p>"#,
            day(of.run.period_start),
            day(of.run.period_end),
            id(statement.id.as_str())
        ));
        self.line("<table>\n<tbody>");
        self.row("Total earnings", total);
        self.row("Platform fee", fee.saturating_neg());
        let adjustments = net.saturating_sub(total.saturating_sub(fee));
        if adjustments != 0 {
            self.row("Adjustments", adjustments);
        }
        self.sum("Net payable", net, "");
        let paid = i64::from(receipt.record.listed.payout.amount_cents);
        self.row("This payout", paid.saturating_neg());
        if receipt.reversed_cents() > 0 {
            self.row("Taken back of this payout", receipt.reversed_cents());
        }
        let (earlier, others) = of
            .others
            .split_at(of.others.len().saturating_sub(OTHERS_MAX));
        if !earlier.is_empty() {
            let cents = earlier
                .iter()
                .fold(0_i64, |sum, other| sum.saturating_add(other.net_cents()));
            let label = count(u64::try_from(earlier.len()).unwrap_or(0), "other payout");
            self.row(&label, cents.saturating_neg());
        }
        for other in others {
            self.other(other);
        }
        if of.unlisted_cents != 0 {
            self.row("Other payments", of.unlisted_cents.saturating_neg());
        }
        if of.left_cents < 0 {
            self.sum("Paid beyond it", of.left_cents.saturating_neg(), "");
        } else {
            let on_its_way = if of.in_flight_cents > 0 && of.left_cents > 0 {
                format!(
                    "<small>of which {} on the way</small>",
                    self.number(of.in_flight_cents.min(of.left_cents))
                )
            } else {
                String::new()
            };
            self.sum("Left to be paid", of.left_cents, &on_its_way);
        }
        self.line("</tbody>\n</table>\n</section>");
    }

    /// What another payout of the statement paid, less what was taken back of it.
    fn other(&mut self, other: &OtherPayment) {
        let on = other
            .paid_at
            .map_or_else(String::new, |at| format!(" on {}", day(at)));
        let taken = if other.reversed_cents > 0 {
            format!(
                "<small>{} less {} taken back</small>",
                self.number(other.amount_cents),
                self.number(other.reversed_cents)
            )
        } else {
            String::new()
        };
        self.row(
            &format!("Other payout{on} {}{taken}", id(other.id.as_str())),
            other.net_cents().saturating_neg(),
        );
    }

    fn row(&mut self, label: &str, cents: i64) {
        self.line(&format!(
            "<tr><th scope=\"row\">{label}</th><td>{}</td></tr>",
            self.number(cents)
        ));
    }

    fn sum(&mut self, label: &str, cents: i64, more: &str) {
        self.line(&format!(
            "<tr class=\"sum\"><th scope=\"row\">{label}{more}</th><td>{}</td></tr>",
            self.number(cents)
        ));
    }

    fn foot(&mut self, receipt: &Receipt) {
        self.line(&format!(
            "<footer>All amounts are in {}. Times are UTC. A payout goes to the creator’s balance at Stripe, which \
             pays it on to their bank.<br>As on record {}.</footer>\n{END}",
            escape(&self.currency.upper()),
            moment(receipt.made_at)
        ));
    }

    /// `1,332.00`, with a minus sign that is one.
    fn number(&self, cents: i64) -> String {
        html::number(cents, self.currency)
    }

    /// `1,332.00 USD`
    fn amount(&self, cents: i64) -> String {
        escape(&with_currency(cents, self.currency))
    }
}

/// An id, which people copy.
fn id(text: &str) -> String {
    html::id(text, TEXT_MAX)
}
