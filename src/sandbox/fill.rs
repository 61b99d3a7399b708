//! Filling the books: transfers of the past, as many as a large platform makes in a month, at the
//! cost of making them and without a request for each.
//!
//! They are made where every other transfer is and cannot be told from transfers that a request
//! made then, except that no idempotency key is known of them and that the webhook hears of none.
//! What they moved was there then: the balance of today is not asked for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accounts::{Accounts, can_be_reversed};
use super::auth::{Account, Scope};
use super::control::{ControlError, Controls};
use super::error::ApiError;
use super::ids::Kind;
use super::ledger::{Ledger, Origin};
use super::reversals::NewReversal;
use super::state::State;
use super::transfers::NewTransfer;

/// How many are made under one lock.
const AT_ONCE: usize = 1000;

/// A test transfer of the platform that was made before the sandbox was asked for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastTransfer {
    /// When, in Unix seconds of simulated time: not before anything that is in the books, and not
    /// in the future.
    pub created: i64,
    /// Minor units.
    pub amount: i64,
    /// Three-letter code; `usd`, if not given.
    #[serde(default = "usd")]
    pub currency: String,
    /// The connected account that was paid, `acct_…`.
    pub destination: String,
    /// As sent.
    #[serde(default)]
    pub transfer_group: Option<String>,
    /// As sent.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// How much of it was taken back, in the same second, in minor units.
    #[serde(default)]
    pub reversed: i64,
    /// Whether Stripe shows it as something that no client knows: an object of another name.
    #[serde(default)]
    pub unreadable: bool,
}

fn usd() -> String {
    "usd".to_owned()
}

/// What filling made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filled {
    /// How many transfers.
    pub made: usize,
    /// The id of the first, `tr_…`. The others have the numbers behind it, in their order.
    pub first: Option<String>,
    /// The id of the last.
    pub last: Option<String>,
}

impl Controls {
    /// Makes transfers of the past, oldest first. Two sandboxes with the same
    /// [`seed`](super::Options::seed) that make the same ones give them the same ids.
    ///
    /// # Errors
    /// Which of them, counted from 1, cannot be made, and why: times that go back or lie ahead,
    /// or what Stripe refuses. Those before it are made.
    pub fn fill(
        &self,
        transfers: impl IntoIterator<Item = PastTransfer>,
    ) -> Result<Filled, ControlError> {
        let mut transfers = transfers.into_iter();
        let mut filled = Filled::default();
        loop {
            // Drawn without the lock: whoever makes them may turn other controls meanwhile.
            let some: Vec<PastTransfer> = transfers.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(filled);
            }
            let done = self.server.lock().fill(some, &mut filled);
            self.server.note_change();
            done?;
        }
    }
}

impl State {
    fn fill(
        &mut self,
        transfers: Vec<PastTransfer>,
        filled: &mut Filled,
    ) -> Result<(), ControlError> {
        let now_ms = self.clock.now_ms();
        for transfer in transfers {
            let origin = Origin {
                request: self.next_request(),
                key: None,
            };
            let (ledger, accounts) = self.books(Scope {
                account: Account::Platform,
                livemode: false,
            });
            let id = in_time(ledger, &transfer, now_ms).and_then(|created_ms| {
                // Whoever listens today was told long ago.
                let has_webhook = std::mem::replace(&mut ledger.has_webhook, false);
                let made = ledger.fill_one(transfer, accounts, origin, created_ms);
                ledger.has_webhook = has_webhook;
                made.map_err(|error| error.message)
            });
            match id {
                Ok(id) => {
                    filled.made += 1;
                    filled.first.get_or_insert_with(|| id.clone());
                    filled.last = Some(id);
                }
                Err(problem) => {
                    return Err(format!("transfer {}: {problem}", filled.made + 1).into());
                }
            }
        }
        Ok(())
    }
}

/// When the transfer was made, in milliseconds, if that is behind the books and not ahead of the
/// clock: lists find a time by binary search.
fn in_time(ledger: &Ledger, transfer: &PastTransfer, now_ms: i64) -> Result<i64, String> {
    let created_ms = transfer.created.saturating_mul(1000);
    let newest_ms = ledger.newest_ms();
    if created_ms < newest_ms {
        return Err(format!(
            "created {} lies before the newest entry of the books, of {}",
            transfer.created,
            newest_ms.div_euclid(1000)
        ));
    }
    if created_ms > now_ms {
        return Err(format!(
            "created {} lies in the future: it is {}",
            transfer.created,
            now_ms.div_euclid(1000)
        ));
    }
    Ok(created_ms)
}

impl Ledger {
    /// The id of the transfer that it makes.
    fn fill_one(
        &mut self,
        transfer: PastTransfer,
        accounts: &mut Accounts,
        origin: Origin,
        created_ms: i64,
    ) -> Result<String, ApiError> {
        let (reversed, unreadable) = (transfer.reversed, transfer.unreadable);
        // Found out before the money moves, so that nothing is made by halves.
        if reversed < 0 || reversed > transfer.amount {
            return Err(ApiError::integer(
                "reversed",
                format!(
                    "reversed {reversed} is not between nothing and {}.",
                    transfer.amount
                ),
            ));
        }
        if reversed > 0 && !can_be_reversed(&transfer.destination) {
            return Err(ApiError::integer(
                "reversed",
                format!("{} has nothing to give back.", transfer.destination),
            ));
        }
        let new = NewTransfer::of_the_past(transfer)?;
        let (currency, source_type, amount) = new.money();
        let before = *self.funds.of(currency, source_type);
        *self.funds.of(currency, source_type) = amount;
        let made = self.transfer_create(new, accounts, origin.clone(), created_ms, 0);
        *self.funds.of(currency, source_type) = before;
        let place = made?;
        if unreadable && let Some(transfer) = self.transfers.get_mut(place) {
            transfer.unreadable = true;
        }
        let id = self.id(Kind::Transfer, place).to_string();
        if reversed != 0 {
            self.reversal_create(NewReversal::by_hand(&id, reversed)?, origin, created_ms)?;
        }
        Ok(id)
    }
}
