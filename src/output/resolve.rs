//! `payouts resolve` for people: what was found, what may be done next, and what
//! letting go of a payout risks.

use std::fmt::Write as _;

use crate::model::money::{Currency, with_currency};
use crate::model::time::Time;
use crate::ops::resolve::{Looked, Outcome};
use crate::output::table::{self, left, right};
use crate::output::text::{brief, clean};
use crate::output::ui::Ui;

/// Characters of what was found.
const FOUND_MAX: usize = 160;

/// The table of what was looked at, and below it what may be done about each that
/// stays open.
pub fn table(ui: &Ui, looked: &[Looked], currency: Currency) -> String {
    let rows = looked.iter().map(|one| {
        let number = one.open.as_ref().map(|open| open.number.to_string());
        vec![
            one.payout_id.as_str().into(),
            with_currency(one.amount_cents.into(), currency).into(),
            number.unwrap_or_else(|| "-".to_owned()).into(),
            one.outcome.as_str().replace('_', " ").into(),
            brief(&one.found, FOUND_MAX).into(),
        ]
    });
    let columns = [
        left("Payout"),
        right("Amount"),
        right("Attempt"),
        left("State"),
        left("Found"),
    ];
    let mut text = table::render(ui, &columns, rows.collect());
    let next = looked
        .iter()
        .filter(|one| one.outcome.is_open() || one.outcome == Outcome::Released);
    for (at, one) in next.enumerate() {
        let gap = if at == 0 { "\n" } else { "" };
        let step = clean(&one.next_step()).into_owned();
        let _ = writeln!(text, "{gap}{}: {step}.", one.payout_id);
    }
    text
}

/// What a person is asked to agree to.
pub fn plan(chosen: &[&Looked], currency: Currency) -> String {
    let mut text = String::new();
    for one in chosen {
        let amount = with_currency(one.amount_cents.into(), currency);
        let _ = writeln!(text, "{} {amount}", one.payout_id);
        if let Some(open) = &one.open {
            let _ = match &open.attempt {
                Some(attempt) => writeln!(
                    text,
                    "  attempt {} was sent to {} under key {}, first at {} by Stripe's clock, last at {} \
                     or before by this machine's",
                    attempt.attempt,
                    attempt.destination,
                    attempt.idempotency_key,
                    moment(attempt.first_sent_at),
                    moment(open.doubt.last_sent)
                ),
                None => writeln!(
                    text,
                    "  other software may have sent it, and last touched it at {}",
                    moment(open.doubt.last_sent)
                ),
            };
        }
        if let Some(Ok((first, second))) = &one.release {
            let _ = writeln!(
                text,
                "  Stripe was looked at from {} to {}: nothing was found",
                moment(*first),
                moment(*second)
            );
        }
    }
    text.push_str(
        "Letting go proves nothing: if Stripe completes such a request later, the creator is paid twice. The next \
         run would report that.\n",
    );
    text
}

/// `2026-10-01 09:30:00 UTC`
fn moment(time: Time) -> String {
    time.utc().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
