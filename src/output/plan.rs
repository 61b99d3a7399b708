//! A plan as a person reads it.

use std::fmt::Write as _;

use crate::model::money;
use crate::model::warning::WarningKind;
use crate::ops::process::{LimitReached, Plan};
use crate::output::table::{self, left, right};
use crate::output::text::{brief, clean, count, grouped, held};
use crate::output::ui::Ui;

/// Rows of a plan that are shown to a person.
const PLAN_ROWS_SHOWN: usize = 20;

/// The plan as a person reads it: who, how much, from where, what not.
pub fn render(ui: &Ui, plan: &Plan) -> String {
    let mut text = String::new();
    let amount = |cents: i64| money::with_currency(cents, plan.currency);
    if !plan.rows.is_empty() {
        let columns = [
            left("Payout"),
            left("Creator").shrinks_to(10),
            left("To").shrinks_to(12),
            right("Amount"),
            left("").shrinks_to(12),
        ];
        let rows = plan
            .rows
            .iter()
            .take(PLAN_ROWS_SHOWN)
            .map(|row| {
                vec![
                    row.payout_id.as_str().into(),
                    brief(row.creator_id.as_str(), 60).into(),
                    brief(&row.destination, 60).into(),
                    amount(i64::from(row.amount_cents)).into(),
                    if row.resend {
                        "sent before, sent again under its own key"
                    } else {
                        ""
                    }
                    .into(),
                ]
            })
            .collect();
        text.push_str(&table::render(ui, &columns, rows));
        let all = plan.due.saturating_add(plan.resends);
        if all > PLAN_ROWS_SHOWN as u64 {
            let more = grouped(all - PLAN_ROWS_SHOWN as u64);
            let _ = writeln!(text, "… and {more} more");
        }
        text.push('\n');
    }
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<14}{value}");
    };
    fact(
        "Mode",
        if plan.livemode {
            "LIVE: real money"
        } else {
            "test"
        }
        .to_owned(),
    );
    fact("Account", plan.account.clone());
    fact(
        "To send",
        count(plan.due.saturating_add(plan.resends), "payout"),
    );
    fact("Total", amount(plan.total_cents()));
    match (plan.balance_cents, plan.balance_after_cents()) {
        (Some(before), Some(after)) => {
            fact(
                "Balance",
                format!("{} before, {} after", amount(before), amount(after)),
            );
            if after < 0 {
                fact(
                    "Shortfall",
                    format!(
                        "{}: the run stops at the first payout that is not covered",
                        amount(-after)
                    ),
                );
            }
        }
        _ => fact("Balance", "not known: the key may not read it".to_owned()),
    }
    for one in &plan.creators {
        fact(
            "To one",
            format!(
                "{}, {}, to {}",
                count(one.payouts, "payout"),
                amount(one.amount_cents),
                brief(one.creator_id.as_str(), 60)
            ),
        );
    }
    if let Some(limit) = plan.limit {
        fact(
            "Limit",
            match limit {
                LimitReached::Run => {
                    "more is due than one run may pay (PAYOUTS_MAX_RUN_TOTAL_CENTS)"
                }
                LimitReached::Day => {
                    "more is due than may be paid today, UTC (PAYOUTS_MAX_DAY_TOTAL_CENTS)"
                }
            }
            .to_owned(),
        );
    }
    for group in &plan.warnings {
        let examples: Vec<String> = group
            .examples
            .iter()
            .map(|one| {
                let other = match one.other.parse() {
                    Ok(cents) if group.kind == WarningKind::UnusualAmount => {
                        format!(
                            "{} beside {}",
                            amount(one.amount_cents.into()),
                            amount(cents)
                        )
                    }
                    _ => brief(&one.other, 60),
                };
                format!("{} ({other})", clean(one.payout_id.as_str()))
            })
            .collect();
        fact(
            "Warning",
            format!(
                "{}, {}: {}: {}{}",
                count(group.payouts, "payout"),
                amount(group.amount_cents),
                group.kind.meaning(),
                examples.join(", "),
                if group.payouts > examples.len() as u64 {
                    ", …"
                } else {
                    ""
                }
            ),
        );
    }
    for group in &plan.skipped {
        fact(
            "Not sent",
            format!(
                "{}, {}: {} (such as {})",
                count(group.payouts, "payout"),
                amount(group.amount_cents),
                group.reason,
                clean(group.example.as_str())
            ),
        );
        if let Some(hold) = &group.hold {
            fact("", brief(&held(hold), 160));
        }
    }
    if !plan.is_empty() {
        fact("Plan", plan.hash.clone());
    }
    text
}
