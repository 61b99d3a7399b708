//! What a person names on the command line, held against what there is: whatever
//! does not exist ends the command before anything is done.

use std::collections::HashSet;

use crate::cli::batches::no_such_batch;
use crate::cli::creators;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::model::ids::{BatchId, CreatorId, PayoutId};
use crate::output::text::brief;
use crate::store::Store;

/// Characters that a reason may have: it stands in tables and in histories.
const REASON_CHARS_MAX: usize = 500;

/// The payouts with these ids, each once, in their order.
pub(super) fn payouts(store: &mut Store, ids: &[String]) -> Result<Vec<PayoutId>, CliError> {
    let mut seen = HashSet::new();
    let named: Vec<PayoutId> = ids
        .iter()
        .map(|id| id.trim())
        .filter(|id| seen.insert(*id))
        .map(PayoutId::new)
        .collect();
    let missing = store.payouts_missing(&named)?;
    if missing.is_empty() {
        return Ok(named);
    }
    let missing: Vec<&str> = missing.iter().map(PayoutId::as_str).collect();
    let told = format!(
        "there is no payout {}; nothing was done",
        brief(&missing.join(", "), 160)
    );
    Err(CliError::new(Exit::Attention, told).hint("find it with `payouts list`"))
}

/// The batch with this id, if one was named.
pub(super) fn batch(store: &mut Store, id: Option<&str>) -> Result<Option<BatchId>, CliError> {
    let Some(id) = id else { return Ok(None) };
    let id = BatchId::new(id.trim());
    if store.batch_exists(&id)? {
        Ok(Some(id))
    } else {
        Err(no_such_batch(&id))
    }
}

/// The royalty run with this id, if one was named.
pub(super) fn royalty_run(store: &mut Store, id: Option<&str>) -> Result<Option<String>, CliError> {
    let Some(id) = id.map(str::trim) else {
        return Ok(None);
    };
    if store.royalty_run_exists(id)? {
        return Ok(Some(id.to_owned()));
    }
    let told = format!("there is no royalty run {}", brief(id, 60));
    Err(CliError::new(Exit::Attention, told)
        .hint("`payouts statements list` shows the run of each statement"))
}

/// The creator that a text names, if one was named: id, e-mail or Stripe account.
pub(super) fn creator(
    store: &mut Store,
    text: Option<&str>,
) -> Result<Option<CreatorId>, CliError> {
    match text {
        None => Ok(None),
        Some(text) => Ok(Some(creators::named(store, text)?.id)),
    }
}

/// Reads a reason: some words, and not too many.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why".to_owned());
    }
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(format!("at most {REASON_CHARS_MAX} characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_not_too_much() {
        assert_eq!(reason(" wrong amount\n"), Ok("wrong amount".to_owned()));
        assert!(reason(" \t").is_err());
        assert!(reason(&"é".repeat(REASON_CHARS_MAX)).is_ok());
        assert!(reason(&"é".repeat(REASON_CHARS_MAX + 1)).is_err());
    }
}
