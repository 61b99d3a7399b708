//! A comparison as it is kept, printed: after it has ended, and with `--show` again.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::model::ids::RunId;
use crate::model::money::Currency;
use crate::model::reconciliation::{FindingKind, FindingState, Reconciliation};
use crate::model::run::Holder;
use crate::ops::reconcile::changes::{Changes, each_finding};
use crate::output::Format;
use crate::output::reconcile::{
    FindingView, ReconcileMembers, SHOWN, open_group, settled_group, summary,
};
use crate::output::rows::{CsvRows, JsonRows, Lines, Row, RowStream};
use crate::output::text::held_by;
use crate::store::Store;

/// Prints a comparison as it is kept, or how it differs from an earlier one.
pub(super) fn print(
    cx: &Context,
    store: &mut Store,
    of: &Reconciliation,
    holders: &[Holder],
    before: Option<&RunId>,
    code: u8,
) -> Result<(), CliError> {
    let now = cx.clock.now();
    for holder in holders {
        cx.ui.line(&held_by(holder, now));
    }
    let currency = cx.currency(store)?;
    let changes = before
        .map(|before| Changes::since(store, before, &of.run_id))
        .transpose()?;
    let mut out = cx.ui.out();
    let mut stream = match cx.format {
        Format::Table => return print_table(cx, store, of, changes.as_ref(), currency),
        Format::Json => RowStream::Json(JsonRows::begin(&mut out, "findings")?),
        Format::Ndjson => RowStream::Ndjson(Lines::new(&mut out)),
        Format::Csv => RowStream::Csv(CsvRows::headed(&mut out, FindingView::FIELDS)?),
    };
    let open = changes.is_some().then_some(FindingState::Open);
    each_finding(store, &of.run_id, open, |finding| {
        let change = match &changes {
            None => None,
            Some(changes) if changes.is_new(finding) => Some("new"),
            Some(_) => return Ok::<(), CliError>(()),
        };
        Ok(stream.write(&FindingView::of(finding, currency, change))?)
    })?;
    if let Some(changes) = &changes {
        each_finding(store, &changes.before, open, |finding| {
            if changes.is_gone(finding) {
                stream.write(&FindingView::of(finding, currency, Some("gone")))?;
            }
            Ok::<(), CliError>(())
        })?;
    }
    Ok(stream.finish(&ReconcileMembers::of(of, holders, currency, code))?)
}

fn print_table(
    cx: &Context,
    store: &mut Store,
    of: &Reconciliation,
    changes: Option<&Changes>,
    currency: Currency,
) -> Result<(), CliError> {
    let mut text = String::new();
    let rows = i64::try_from(SHOWN).unwrap_or(i64::MAX);
    match changes {
        None => {
            for (kind, state, all) in store.reconciliation_counted(&of.run_id)? {
                let shown =
                    store.reconciliation_findings(&of.run_id, kind, Some(state), None, rows)?;
                let all = u64::try_from(all).unwrap_or(0);
                text.push_str(&match state {
                    FindingState::Open => open_group(&cx.ui, kind, &shown, all, currency),
                    FindingState::Fixed => {
                        settled_group(&cx.ui, (kind, "repaired"), &shown, all, currency)
                    }
                    FindingState::Accepted => continue,
                });
            }
        }
        Some(changes) => {
            let (mut new, mut gone) = (0, 0);
            for kind in FindingKind::ALL {
                let (shown, all) = changes.new_of(store, *kind, SHOWN)?;
                new += all;
                if all > 0 {
                    text.push_str(&open_group(&cx.ui, *kind, &shown, all, currency));
                }
            }
            for kind in FindingKind::ALL {
                let (shown, all) = changes.gone_of(store, *kind, SHOWN)?;
                gone += all;
                if all > 0 {
                    let group = (*kind, "gone since");
                    text.push_str(&settled_group(&cx.ui, group, &shown, all, currency));
                }
            }
            let same = changes.same();
            text.push_str(&crate::output::reconcile::changes(
                &changes.before,
                new,
                gone,
                same,
            ));
            text.push('\n');
        }
    }
    text.push_str(&summary(of, currency));
    Ok(cx.ui.answer(&text)?)
}
