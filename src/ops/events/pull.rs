//! Asking Stripe for its events: for whoever opens no port.

use std::sync::Arc;
use std::time::Duration;

use crate::model::event::{CameBy, StripeEvent};
use crate::model::money::Currency;
use crate::model::time::{Clock, Span, Time};
use crate::ops::account::account_of_this_database;
use crate::ops::event::Event;
use crate::ops::events::apply::apply_pending;
use crate::ops::events::{Applied, row_of};
use crate::ops::pace::Pace;
use crate::ops::reconcile::examine::Examiner;
use crate::ops::reconcile::judge::Terms;
use crate::ops::run_error::RunError;
use crate::ops::transfers::{OVERLAP, TransferReader};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Stamp, Store};
use crate::stripe::Stripe;
use crate::stripe::webhook::read::{EventPage, TYPES};

/// How long Stripe lists an event.
const LISTED: Duration = Duration::from_secs(30 * 86_400);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The database's one currency.
    pub currency: Currency,
    /// See `PAYOUTS_LEASE`.
    pub lease: Duration,
    /// Reads per second; none is unlimited.
    pub rate: Option<u32>,
}

/// What a pull came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The events between these moments are stored.
    pub period: Span,
    /// Events of this time may be missing: Stripe lists them no more.
    pub gap: Option<Span>,
    /// Events that were listed.
    pub listed: u64,
    /// Of these, the ones that had not come before.
    pub new: u64,
    /// Entries of the list that cannot be read.
    pub odd: u64,
    /// What became of all that waited.
    pub applied: Applied,
}

/// Stores every event since the last time and applies what waits. How far it got is
/// remembered only once all is stored.
///
/// # Errors
/// The database, a read at Stripe, or a key of another account or mode. What was
/// stored until then stays, and is asked for again.
pub async fn pull(
    db: StoreThread,
    stripe: Arc<Stripe>,
    clock: &Clock,
    request: Request,
    stamp: &RunStamp,
    events: &mut dyn FnMut(Event),
) -> Result<Pulled, RunError> {
    let livemode = stripe.livemode();
    let pace = Arc::new(Pace::new(clock, request.rate));
    let reader = TransferReader::new(stripe, pace);
    let (account, date) = account_of_this_database(&db, &reader, livemode).await?;
    let ours = Stamp { account, livemode };
    // By the slower of the two clocks: what happens meanwhile is asked for next time.
    let begun = date.map_or(clock.now(), |date| date.min(clock.now()));
    let of = ours.clone();
    let before = db.call(move |store| store.events_pulled_until(&of)).await?;
    let oldest = begun.minus(LISTED);
    let since = before.map_or(oldest, |before| before.minus(OVERLAP).max(oldest));
    let gap = before.filter(|before| *before < oldest).map(|before| Span {
        from: Some(before),
        until: Some(oldest),
    });
    let mut pulled = Pulled {
        period: Span {
            from: Some(since),
            until: Some(begun),
        },
        gap,
        listed: 0,
        new: 0,
        odd: 0,
        applied: Applied::default(),
    };
    reader
        .event_pages(&TYPES, since, async |page: EventPage| {
            keep_page(&db, clock.now(), &ours, page, &mut pulled, events).await
        })
        .await?;
    let (of, run) = (ours, stamp.clone());
    db.call(move |store| store.events_pulled(&run, &of, begun))
        .await?;
    let (database_id, _) = db.call(Store::database_id).await?;
    let terms = Terms {
        currency: request.currency,
        livemode,
        database_id,
    };
    let examiner = Examiner::new(db, Some(reader), terms, stamp.clone(), request.lease);
    pulled.applied = apply_pending(&examiner, events).await?;
    Ok(pulled)
}

async fn keep_page(
    db: &StoreThread,
    now: Time,
    ours: &Stamp,
    page: EventPage,
    pulled: &mut Pulled,
    events: &mut dyn FnMut(Event),
) -> Result<(), RunError> {
    for (id, error) in &page.odd {
        pulled.odd += 1;
        let id = id.as_deref().unwrap_or("without an id");
        events(Event::Warning(format!("event {id} is not stored: {error}")));
    }
    let rows: Vec<StripeEvent> = page
        .events
        .into_iter()
        .map(|event| row_of(event, CameBy::Pull, now, ours))
        .collect();
    pulled.listed += rows.len() as u64;
    let new = db.call(move |store| store.events_keep(&rows)).await?;
    pulled.new += new.len() as u64;
    events(Event::Pulled {
        events: pulled.listed,
    });
    Ok(())
}
