//! Does the history still say what was written into it? Every row's hash is made
//! again from the row and the one before, every chain is held against its end on
//! record, and every run against the hash it left over all it wrote.
//!
//! Only reads, a part at a time: memory does not grow with the history. What is
//! written meanwhile disturbs nothing, because each chain and its end are seen in
//! one state, and a run is held against its hash only if it had ended before.

use std::collections::HashMap;

use crate::model::history::{HeadsHash, StoredRow};
use crate::model::ids::{PayoutId, RunId};
use crate::model::payout::PayoutStatus;
use crate::model::text_enum;
use crate::ops::event::Event;
use crate::store::verify::{HistoryPart, StoredHead};
use crate::store::{Store, StoreError};

/// Rows that are read, and held in memory, at once.
const ROWS_AT_ONCE: i64 = 5_000;

/// Runs whose hashes are made in one reading of the history.
const RUNS_AT_ONCE: i64 = 200_000;

/// Findings that are kept; all are counted.
pub const FINDINGS_MAX: usize = 10_000;

text_enum! {
    /// What is wrong.
    pub enum Flaw {
        /// A row is not what was written, or the one before it is not.
        RowChanged = "row_changed",
        /// Rows are missing before this one.
        RowMissing = "row_missing",
        /// No chain has a row of this number.
        RowAdded = "row_added",
        /// The chain does not end where its end is on record.
        HeadDiffers = "head_differs",
        /// Where the chain ends is not on record.
        HeadMissing = "head_missing",
        /// There must be a history and is none.
        HistoryMissing = "history_missing",
        /// A run is named that is not on record.
        RunUnknown = "run_unknown",
        /// What a run wrote is not what is there of it.
        RunDiffers = "run_differs",
        /// The payout stands elsewhere than its history left it: other software may
        /// move it, so that this alone proves nothing.
        StatusDiffers = "status_differs",
    }
}

impl Flaw {
    /// Whether somebody must have changed the history. Else it is only worth knowing.
    pub fn is_proof(self) -> bool {
        self != Self::StatusDiffers
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub flaw: Flaw,
    /// Whose history; none of a run.
    pub payout_id: Option<PayoutId>,
    /// Which row.
    pub seq: Option<i64>,
    /// Which run, where it is one that does not fit.
    pub run_id: Option<RunId>,
    /// In words.
    pub found: String,
}

/// What a check looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Rows.
    pub rows: u64,
    /// Payouts with a history.
    pub payouts: u64,
    /// Runs held against the hash they left.
    pub runs: u64,
    /// Runs that left none: they still run, were killed, or lost the database.
    pub runs_without_hash: u64,
    /// At most [`FINDINGS_MAX`], in the order in which they were found.
    pub findings: Vec<Finding>,
    /// How many there are that prove a change.
    pub proofs: u64,
    /// How many there are that prove nothing.
    pub notes: u64,
}

impl Verified {
    fn add(&mut self, finding: Finding) {
        let count = if finding.flaw.is_proof() {
            &mut self.proofs
        } else {
            &mut self.notes
        };
        *count += 1;
        // What proves something is not pushed out by what does not.
        let room = if finding.flaw.is_proof() {
            FINDINGS_MAX
        } else {
            FINDINGS_MAX / 10
        };
        if self.findings.len() < room {
            self.findings.push(finding);
        }
    }

    fn about(&mut self, flaw: Flaw, payout: &PayoutId, seq: Option<i64>, found: String) {
        self.add(Finding {
            flaw,
            payout_id: Some(payout.clone()),
            seq,
            run_id: None,
            found,
        });
    }
}

/// Checks the whole history. `told` hears how far it is.
pub fn verify(store: &mut Store, told: &mut dyn FnMut(Event)) -> Result<Verified, StoreError> {
    let of = store.history_count()?;
    let mut verified = Verified {
        runs_without_hash: store.runs_unended()?,
        ..Verified::default()
    };
    let mut behind: Option<RunId> = None;
    let mut first_reading = true;
    loop {
        let runs = store.runs_ended(behind.as_ref(), RUNS_AT_ONCE)?;
        behind = runs.last().map(|run| run.id.clone());
        let more = i64::try_from(runs.len()).unwrap_or(i64::MAX) == RUNS_AT_ONCE;
        let mut wrote: HashMap<RunId, HeadsHash> = runs
            .iter()
            .filter(|run| run.heads_hash.is_some())
            .map(|run| (run.id.clone(), HeadsHash::default()))
            .collect();
        let mut chains = first_reading.then(Chains::default);
        let mut read = 0;
        each_part(store, |part, is_last| {
            for row in &part.rows {
                if let Some(hash) = wrote.get_mut(&row.run_id) {
                    hash.absorb(&row.payout_id, row.seq, &row.hash);
                }
            }
            if let Some(chains) = &mut chains {
                chains.follow(part, is_last, &mut verified);
            }
            read += part.rows.len() as u64;
            let findings = verified.proofs;
            told(Event::Verified { read, of, findings });
        })?;
        for run in runs {
            match (run.heads_hash, wrote.get(&run.id)) {
                (Some(left), Some(made)) => {
                    verified.runs += 1;
                    if left != made.to_hex() {
                        verified.add(Finding {
                            flaw: Flaw::RunDiffers,
                            payout_id: None,
                            seq: None,
                            run_id: Some(run.id),
                            found: "the rows that name this run are not those it wrote: some were changed, removed or added"
                                .to_owned(),
                        });
                    }
                }
                _ => verified.runs_without_hash += 1,
            }
        }
        first_reading = false;
        if !more {
            break;
        }
    }
    let findings_max = i64::try_from(FINDINGS_MAX).unwrap_or(i64::MAX);
    for payout in store.histories_missing(findings_max)? {
        let found = "this tool wrote a history for it, and nothing of it is there";
        verified.about(Flaw::HistoryMissing, &payout, None, found.to_owned());
    }
    for (payout, seq, run_id) in store.history_without_run(findings_max)? {
        verified.add(Finding {
            flaw: Flaw::RunUnknown,
            payout_id: Some(payout),
            seq: Some(seq),
            found: format!(
                "it says that run {run_id} wrote it, and there is no record of that run"
            ),
            run_id: Some(run_id),
        });
    }
    Ok(verified)
}

/// Reads the whole history, a part at a time; also says which part is the last.
fn each_part(store: &mut Store, mut see: impl FnMut(&HistoryPart, bool)) -> Result<(), StoreError> {
    let mut behind = None;
    loop {
        let part = store.history_part(behind.as_ref(), ROWS_AT_ONCE)?;
        let is_last = i64::try_from(part.rows.len()).unwrap_or(i64::MAX) < ROWS_AT_ONCE;
        see(&part, is_last);
        let Some(row) = part.rows.last().filter(|_| !is_last) else {
            return Ok(());
        };
        behind = Some((row.payout_id.clone(), row.seq));
    }
}

/// Follows one chain after the other.
#[derive(Default)]
struct Chains {
    /// The one that is being read, up to its last row that was seen.
    current: Option<Link>,
}

/// How far a chain was read.
struct Link {
    payout: PayoutId,
    seq: i64,
    hash: String,
    to_status: String,
}

impl Chains {
    fn follow(&mut self, part: &HistoryPart, is_last: bool, verified: &mut Verified) {
        for row in &part.rows {
            if self
                .current
                .as_ref()
                .is_none_or(|link| link.payout != row.payout_id)
            {
                self.end(part, verified);
                verified.payouts += 1;
            }
            verified.rows += 1;
            let (seq, hash) = self
                .current
                .as_ref()
                .map_or((0, ""), |link| (link.seq, link.hash.as_str()));
            check_row(row, seq, hash, verified);
            // A row that no chain can have says nothing about those behind it.
            let counts = row.seq > 0;
            self.current = Some(Link {
                payout: row.payout_id.clone(),
                seq: if counts { row.seq } else { 0 },
                hash: if counts {
                    row.hash.clone()
                } else {
                    String::new()
                },
                to_status: row.to_status.clone(),
            });
        }
        if is_last {
            self.end(part, verified);
        }
    }

    /// Holds a chain that has been read to its end against what is on record.
    fn end(&mut self, part: &HistoryPart, verified: &mut Verified) {
        let Some(link) = self.current.take() else {
            return;
        };
        check_end(&link, part.heads.get(&link.payout), verified);
        if let Some(status) = part.statuses.get(&link.payout) {
            check_status(&link, *status, verified);
        }
    }
}

/// Checks a row that comes behind one with this number and hash, or behind none.
fn check_row(row: &StoredRow, seq: i64, hash: &str, verified: &mut Verified) {
    let payout = &row.payout_id;
    if row.seq < 1 {
        let found = "the rows of a history are counted from 1".to_owned();
        return verified.about(Flaw::RowAdded, payout, Some(row.seq), found);
    }
    if row.seq.checked_sub(seq) != Some(1) {
        // What this row's hash was made from is gone, so nothing can be said of it.
        let (first, last) = (seq.saturating_add(1), row.seq.saturating_sub(1));
        let found = if first == last {
            format!("row {first} is missing")
        } else {
            format!("rows {first} to {last} are missing")
        };
        return verified.about(Flaw::RowMissing, payout, Some(first), found);
    }
    match row.hash_behind(hash) {
        None => verified.about(
            Flaw::RowChanged,
            payout,
            Some(row.seq),
            format!("its moment is none that this tool writes: {}", row.at),
        ),
        Some(made) if made != row.hash => verified.about(
            Flaw::RowChanged,
            payout,
            Some(row.seq),
            if seq == 0 {
                "its hash is not that of what it says".to_owned()
            } else {
                format!("its hash is not that of what it says behind row {seq}")
            },
        ),
        Some(_) => {}
    }
}

fn check_end(link: &Link, head: Option<&StoredHead>, verified: &mut Verified) {
    let Link {
        payout, seq, hash, ..
    } = link;
    match head {
        None => verified.about(
            Flaw::HeadMissing,
            payout,
            Some(*seq),
            "where this history ends is not on record any more".to_owned(),
        ),
        Some(head) if head.seq != *seq => verified.about(
            Flaw::HeadDiffers,
            payout,
            Some(*seq),
            format!(
                "the last row is {seq}, and on record is that it is {}",
                head.seq
            ),
        ),
        Some(head) if head.hash != *hash => verified.about(
            Flaw::HeadDiffers,
            payout,
            Some(*seq),
            "the last row has another hash than is on record".to_owned(),
        ),
        Some(_) => {}
    }
}

fn check_status(link: &Link, status: PayoutStatus, verified: &mut Verified) {
    if link.to_status != status.as_str() {
        let found = format!(
            "the payout is {status}, and its history left it {}: other software moved it, or somebody by hand",
            link.to_status
        );
        verified.about(Flaw::StatusDiffers, &link.payout, Some(link.seq), found);
    }
}
