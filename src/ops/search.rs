//! Looking for what may have paid a payout in doubt: all pages of its group, and
//! of all that went to its account since, for what names it. Only ever reads.
//!
//! An error while looking is never "nothing there": [`Found::Nothing`] means that
//! every list was read to its end.

use std::collections::{BTreeMap, HashSet};

use crate::model::attempt::{Attempt, group_of};
use crate::model::payout::Payout;
use crate::model::time::Time;
use crate::ops::adopt::expected_of;
use crate::ops::run_error::RunError;
use crate::ops::transfers::{OVERLAP, TransferReader, foreign_since};
use crate::store::thread::StoreThread;
use crate::stripe::Transfer;
use crate::stripe::api::{ReadError, TransferQuery};
use crate::stripe::object::{OddEntry, TransferPage};

/// Pages of 100 that one list may have.
pub(super) const PAGES_MAX: usize = 500;

/// What to do about an entry of a list that cannot be read as a transfer.
#[derive(Debug, Clone, Copy)]
pub(super) enum OddEntries {
    /// It may be what is looked for.
    Refuse,
    /// A person has looked at it and accepted it.
    PassAccepted,
}

/// What a look-up found.
pub(super) enum Found {
    /// The one transfer, which fits.
    Transfer(Box<Transfer>),
    /// No transfer: no proof of anything.
    Nothing,
    /// It could not be found out.
    Doubt(String),
    /// Something that does not fit, or several.
    Misfit(String),
}

/// With what, and where, one run looks.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) db: StoreThread,
    pub(super) reader: TransferReader,
    /// The key's account.
    pub(super) account: String,
    /// The key's mode.
    pub(super) livemode: bool,
}

/// Either what was read whole, or why it was not.
pub(super) type Read = Result<BTreeMap<String, Transfer>, String>;

impl Search {
    /// What Stripe holds that may have paid the attempt's payout, `seen` among it.
    pub(super) async fn of_attempt(
        &self,
        attempt: &Attempt,
        seen: impl Iterator<Item = &Transfer>,
    ) -> Result<Found, RunError> {
        if attempt.stripe_account != self.account || attempt.livemode != self.livemode {
            let account = &attempt.stripe_account;
            return Ok(Found::Doubt(format!("it was sent from account {account}")));
        }
        let mut found = match self.all_of_attempt(attempt).await? {
            Ok(found) => found,
            Err(doubt) => return Ok(Found::Doubt(doubt)),
        };
        found.extend(seen.map(|transfer| (transfer.id.clone(), transfer.clone())));
        Ok(the_one(found, |transfer| {
            expected_of(attempt).mismatch(transfer)
        }))
    }

    /// All that may have been paid under an attempt, or why not all of it was read.
    pub(super) async fn all_of_attempt(&self, attempt: &Attempt) -> Result<Read, RunError> {
        let mine = |transfer: &Transfer| may_have_paid(transfer, attempt);
        self.lists(&lists_for(attempt), mine).await
    }

    /// What Stripe holds that may have paid a row which other software may have
    /// sent. `destination` is where its creator is paid now.
    pub(super) async fn of_row(
        &self,
        payout: &Payout,
        destination: Option<&str>,
        now: Time,
        fits: impl Fn(&Transfer) -> bool,
    ) -> Result<Found, RunError> {
        let mut lists = Vec::new();
        lists.extend(group_of(&payout.id).map(|group| TransferQuery {
            group: Some(group.to_owned()),
            ..TransferQuery::default()
        }));
        lists.extend(destination.map(|destination| TransferQuery {
            destination: Some(destination.to_owned()),
            created_from: Some(foreign_since(payout.created_at, now)),
            ..TransferQuery::default()
        }));
        self.naming(payout, &lists, fits).await
    }

    /// What Stripe holds that names a row which bears no mark of a send: like
    /// `process`, of all that was made since, wherever it went.
    pub(super) async fn of_untouched(
        &self,
        payout: &Payout,
        now: Time,
        fits: impl Fn(&Transfer) -> bool,
    ) -> Result<Found, RunError> {
        let all = TransferQuery {
            created_from: Some(foreign_since(payout.created_at, now)),
            ..TransferQuery::default()
        };
        self.naming(payout, &[all], fits).await
    }

    /// The one transfer of these lists that names a row.
    async fn naming(
        &self,
        payout: &Payout,
        lists: &[TransferQuery],
        fits: impl Fn(&Transfer) -> bool,
    ) -> Result<Found, RunError> {
        let id = payout.id.as_str();
        let mine = |transfer: &Transfer| transfer.payouts_named().any(|name| name == id);
        Ok(match self.lists(lists, mine).await? {
            Ok(found) => the_one(found, |transfer| {
                let misfit = !fits(transfer);
                misfit.then(|| "amount, currency, account or mode are not the row's".to_owned())
            }),
            Err(doubt) => Found::Doubt(doubt),
        })
    }

    /// Reads lists to their ends and keeps of them what is `mine`.
    async fn lists(
        &self,
        lists: &[TransferQuery],
        mine: impl Fn(&Transfer) -> bool,
    ) -> Result<Read, RunError> {
        let mut found = BTreeMap::new();
        for query in lists {
            let complete = self
                .pages(query, OddEntries::Refuse, async |transfers| {
                    let mine = transfers.into_iter().filter(|transfer| mine(transfer));
                    found.extend(mine.map(|transfer| (transfer.id.clone(), transfer)));
                    Ok(())
                })
                .await;
            match complete {
                Ok(true) => {}
                Ok(false) => {
                    return Ok(Err(
                        "too many transfers may be its own to look through".to_owned()
                    ));
                }
                // An error while looking is not "nothing there".
                Err(RunError::Stripe { source, .. }) if !source.is_key_refused() => {
                    return Ok(Err(format!("it could not be looked up: {source}")));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(found))
    }

    /// Reads a list to its last page. False when it is longer than [`PAGES_MAX`].
    pub(super) async fn pages(
        &self,
        query: &TransferQuery,
        odd: OddEntries,
        each: impl AsyncFnMut(Vec<Transfer>) -> Result<(), RunError>,
    ) -> Result<bool, RunError> {
        self.pages_at_most(PAGES_MAX, query, odd, each).await
    }

    /// Reads a list to its last page, however long it is.
    pub(super) async fn all_pages(
        &self,
        query: &TransferQuery,
        odd: OddEntries,
        each: impl AsyncFnMut(Vec<Transfer>) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let read = self.pages_at_most(usize::MAX, query, odd, each);
        read.await.map(drop)
    }

    async fn pages_at_most(
        &self,
        pages_max: usize,
        query: &TransferQuery,
        odd: OddEntries,
        mut each: impl AsyncFnMut(Vec<Transfer>) -> Result<(), RunError>,
    ) -> Result<bool, RunError> {
        self.reader
            .pages(query, pages_max, async |page: TransferPage| {
                let accepted = match odd {
                    OddEntries::PassAccepted => self.accepted_among(&page.odd).await?,
                    OddEntries::Refuse => HashSet::new(),
                };
                let unknown =
                    |odd: &&OddEntry| !odd.id.as_ref().is_some_and(|id| accepted.contains(id));
                // Before money moves nothing may be overlooked.
                if let Some(odd) = page.odd.iter().find(unknown) {
                    return Err(RunError::Stripe {
                        doing: "list transfers",
                        source: ReadError::Unreadable(odd.error.clone()),
                    });
                }
                each(page.entries).await
            })
            .await
    }

    async fn accepted_among(&self, odd: &[OddEntry]) -> Result<HashSet<String>, RunError> {
        let ids: Vec<String> = odd.iter().filter_map(|odd| odd.id.clone()).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self
            .db
            .call(move |store| store.transfers_accepted(&ids))
            .await?)
    }
}

/// The lists that show whatever may have paid an attempt: its group, and all that
/// went to its account since, because a person who pays by hand in the dashboard
/// names the payout in the metadata at best. Of both only what
/// [`may_have_paid`] says is meant.
pub(super) fn lists_for(attempt: &Attempt) -> [TransferQuery; 2] {
    [
        TransferQuery {
            group: Some(attempt.transfer_group.clone()),
            ..TransferQuery::default()
        },
        TransferQuery {
            destination: Some(attempt.destination.clone()),
            created_from: Some(attempt.first_sent_at.minus(OVERLAP)),
            ..TransferQuery::default()
        },
    ]
}

/// Whether a transfer bears the attempt's group, or says that it pays its payout.
pub(super) fn may_have_paid(transfer: &Transfer, attempt: &Attempt) -> bool {
    let mine = |name| name == attempt.payout_id.as_str() || name == attempt.transfer_group;
    transfer.payouts_named().any(mine)
}

/// Judges what may have paid one payout: one transfer, without a mismatch.
fn the_one(
    mut found: BTreeMap<String, Transfer>,
    mismatch: impl Fn(&Transfer) -> Option<String>,
) -> Found {
    if found.len() > 1 {
        let ids: Vec<String> = found.into_keys().collect();
        return Found::Misfit(format!(
            "Stripe holds several transfers for it: {}",
            ids.join(", ")
        ));
    }
    let Some((id, transfer)) = found.pop_first() else {
        return Found::Nothing;
    };
    match mismatch(&transfer) {
        None => Found::Transfer(Box::new(transfer)),
        Some(what) => Found::Misfit(format!("transfer {id} does not fit: {what}")),
    }
}
