//! The least that compares nothing: lists and reads every transfer of a period, and every line of the balance, several
//! windows of it at a time. A baseline for `benches/reconcile`.
//!
//! `list_transfers [balance] BOUND BOUND …` lists, at once, what was made between each two bounds (Unix seconds, the
//! later one not included) in pages of 100 from the simulator at `STRIPE_API_BASE`, and prints how many pages and
//! entries there were. It keeps nothing of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a baseline: it stops at the first fault, reads its own variables, and prints"
)]

use payouts::model::time::Time;
use payouts::stripe::api::{BalanceLines, ReadError, Stripe, TransferQuery};
use payouts::stripe::object::Page;
use payouts::stripe::transport::Timeouts;

fn main() {
    let Ok(base) = std::env::var("STRIPE_API_BASE") else {
        // Run by `cargo bench` or `cargo test` itself.
        return;
    };
    let bounds: Vec<Time> = std::env::args()
        .skip(1)
        .filter_map(|bound| bound.parse().ok().map(Time::from_unix_seconds))
        .collect();
    let windows: Vec<(Time, Time)> = bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let key = "sk_test_sandbox".to_owned().into();
    let stripe = Stripe::new(&key, Some(&base), windows.len(), Timeouts::default()).unwrap();
    let stripe = std::sync::Arc::new(stripe);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let balance = std::env::args()
        .nth(1)
        .is_some_and(|first| first == "balance");
    let passes: &[bool] = if balance { &[false, true] } else { &[false] };
    let (mut pages, mut entries) = (0, 0);
    for of_balance in passes.iter().copied() {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for (from, until) in windows.clone() {
                let stripe = std::sync::Arc::clone(&stripe);
                tasks.spawn(async move { list(&stripe, (from, until), of_balance).await });
            }
            for (more_pages, more_entries) in tasks.join_all().await {
                pages += more_pages;
                entries += more_entries;
            }
        });
    }
    println!("{pages} pages {entries} entries");
}

/// How many pages a window has, and how many entries.
async fn list(stripe: &Stripe, window: (Time, Time), of_balance: bool) -> (usize, usize) {
    let (mut pages, mut entries) = (0, 0);
    let mut after: Option<String> = None;
    loop {
        let (many, more, last) = page(stripe, window, of_balance, after.as_deref())
            .await
            .unwrap();
        pages += 1;
        entries += many;
        if !more {
            return (pages, entries);
        }
        after = last;
    }
}

async fn page(
    stripe: &Stripe,
    (from, until): (Time, Time),
    of_balance: bool,
    after: Option<&str>,
) -> Result<(usize, bool, Option<String>), ReadError> {
    if of_balance {
        let window = (Some(from), Some(until));
        let lines = BalanceLines::Transfers;
        return Ok(told(stripe.balance_page(lines, window, after).await?));
    }
    let query = TransferQuery {
        created_from: Some(from),
        created_before: Some(until),
        ..TransferQuery::default()
    };
    Ok(told(stripe.transfer_page(&query, after).await?))
}

fn told<T>(page: Page<T>) -> (usize, bool, Option<String>) {
    let entries = page.entries.len() + page.odd.len();
    (entries, page.has_more, page.last_id)
}
