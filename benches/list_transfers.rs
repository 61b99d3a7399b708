//! The least that compares nothing: lists and reads every transfer of a period, several windows of it at a time.
//! A baseline for `benches/reconcile`.
//!
//! `list_transfers BOUND BOUND …` lists, at once, what was made between each two bounds (Unix seconds, the later one
//! not included) in pages of 100 from the simulator at `STRIPE_API_BASE`, and prints how many pages and transfers
//! there were. It keeps nothing of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a baseline: it stops at the first fault, reads its own variables, and prints"
)]

use payouts::model::time::Time;
use payouts::stripe::api::{Stripe, TransferQuery};
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
    let (pages, transfers) = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (from, until) in windows {
            let stripe = std::sync::Arc::clone(&stripe);
            tasks.spawn(async move { list(&stripe, from, until).await });
        }
        let counts = tasks.join_all().await;
        counts
            .into_iter()
            .fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    });
    println!("{pages} pages {transfers} transfers");
}

/// How many pages a window has, and how many transfers.
async fn list(stripe: &Stripe, from: Time, until: Time) -> (usize, usize) {
    let query = TransferQuery {
        created_from: Some(from),
        created_before: Some(until),
        ..TransferQuery::default()
    };
    let (mut pages, mut transfers) = (0, 0);
    let mut after: Option<String> = None;
    loop {
        let page = stripe
            .transfer_page(&query, after.as_deref())
            .await
            .unwrap();
        pages += 1;
        transfers += page.transfers.len() + page.odd.len();
        if !page.has_more {
            return (pages, transfers);
        }
        after = page.last_id;
    }
}
