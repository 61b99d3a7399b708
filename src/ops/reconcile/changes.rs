//! A comparison that has ended, read again: what it found, and how that differs from what
//! an earlier one had found.

use std::collections::HashSet;

use crate::model::ids::RunId;
use crate::model::reconciliation::{Finding, FindingKind, FindingState};
use crate::store::{Store, StoreError};

/// What a comparison left open and an earlier one had not, and the other way round.
#[derive(Debug)]
pub struct Changes {
    /// The earlier one.
    pub before: RunId,
    now: RunId,
    open_before: HashSet<String>,
    open_now: HashSet<String>,
}

impl Changes {
    /// Of two comparisons that ended.
    ///
    /// # Errors
    /// What the store reports.
    pub fn since(store: &mut Store, before: &RunId, now: &RunId) -> Result<Self, StoreError> {
        Ok(Self {
            before: before.clone(),
            now: now.clone(),
            open_before: store.reconciliation_open(before)?,
            open_now: store.reconciliation_open(now)?,
        })
    }

    /// Open now, and not then.
    pub fn is_new(&self, finding: &Finding) -> bool {
        self.open_now.contains(&finding.id) && !self.open_before.contains(&finding.id)
    }

    /// Open then, and not now.
    pub fn is_gone(&self, finding: &Finding) -> bool {
        self.open_before.contains(&finding.id) && !self.open_now.contains(&finding.id)
    }

    /// How many are open in both.
    pub fn same(&self) -> u64 {
        self.open_now.intersection(&self.open_before).count() as u64
    }

    /// Of the new ones of one kind at most so many, and how many there are.
    ///
    /// # Errors
    /// What the store reports.
    pub fn new_of(
        &self,
        store: &mut Store,
        kind: FindingKind,
        rows_max: usize,
    ) -> Result<(Vec<Finding>, u64), StoreError> {
        some_of(store, &self.now, kind, rows_max, |finding| {
            self.is_new(finding)
        })
    }

    /// Of those of one kind that are gone at most so many, and how many there are.
    ///
    /// # Errors
    /// What the store reports.
    pub fn gone_of(
        &self,
        store: &mut Store,
        kind: FindingKind,
        rows_max: usize,
    ) -> Result<(Vec<Finding>, u64), StoreError> {
        some_of(store, &self.before, kind, rows_max, |finding| {
            self.is_gone(finding)
        })
    }
}

fn some_of(
    store: &mut Store,
    run: &RunId,
    kind: FindingKind,
    rows_max: usize,
    wanted: impl Fn(&Finding) -> bool,
) -> Result<(Vec<Finding>, u64), StoreError> {
    let (mut shown, mut all) = (Vec::new(), 0);
    each_of_kind(
        store,
        run,
        kind,
        Some(FindingState::Open),
        &mut |finding: &Finding| {
            if wanted(finding) {
                all += 1;
                if shown.len() < rows_max {
                    shown.push(finding.clone());
                }
            }
            Ok::<(), StoreError>(())
        },
    )?;
    Ok((shown, all))
}

/// Every finding that a comparison kept, in one state where one is named: gravest kinds
/// first, a page at a time.
///
/// # Errors
/// What the store reports, and what it is handed on to.
pub fn each_finding<E: From<StoreError>>(
    store: &mut Store,
    run: &RunId,
    state: Option<FindingState>,
    mut each: impl FnMut(&Finding) -> Result<(), E>,
) -> Result<(), E> {
    for kind in FindingKind::ALL {
        each_of_kind(store, run, *kind, state, &mut each)?;
    }
    Ok(())
}

fn each_of_kind<E: From<StoreError>>(
    store: &mut Store,
    run: &RunId,
    kind: FindingKind,
    state: Option<FindingState>,
    each: &mut impl FnMut(&Finding) -> Result<(), E>,
) -> Result<(), E> {
    const PAGE: i64 = 1000;
    let mut after: Option<String> = None;
    loop {
        let page = store.reconciliation_findings(run, kind, state, after.as_deref(), PAGE)?;
        for finding in &page {
            each(finding)?;
        }
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.id.clone());
    }
}
