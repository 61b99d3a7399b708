//! The least that pays from a table: claim, POST, record, and again. A baseline for `benches/throughput`.
//!
//! Each of `CONCURRENCY` threads has a connection to PostgreSQL (`DATABASE_URL`) and one to the simulator
//! (`STRIPE_API_BASE`). There is no ledger, no history, no check and no resolving: whoever stops it leaves rows of
//! which nobody knows what became.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a baseline: it stops at the first fault, and uses nothing of what is measured"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use diesel::sql_types::{Integer, Text};
use diesel::{Connection, OptionalExtension, PgConnection, QueryableByName, RunQueryDsl};

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Integer)]
    amount_cents: i32,
    #[diesel(sql_type = Text)]
    destination: String,
}

fn main() {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        // Run by `cargo bench` or `cargo test` itself.
        return;
    };
    let base = std::env::var("STRIPE_API_BASE").unwrap();
    let address = base.strip_prefix("http://").unwrap();
    let concurrency: usize = std::env::var("CONCURRENCY").unwrap().parse().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..concurrency {
            scope.spawn(|| work(&url, address));
        }
    });
}

fn work(url: &str, address: &str) {
    let mut database = PgConnection::establish(url).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stripe = BufReader::new(stream);
    while let Some(payout) = claim(&mut database) {
        let transfer = pay(&mut stripe, address, &payout);
        diesel::sql_query(
            "UPDATE payouts SET status = 'COMPLETED', stripe_transfer_id = $2, processed_at = now(), updated_at = now()
             WHERE id = $1",
        )
        .bind::<Text, _>(&payout.id)
        .bind::<Text, _>(&transfer)
        .execute(&mut database)
        .unwrap();
    }
}

fn claim(database: &mut PgConnection) -> Option<Claimed> {
    diesel::sql_query(
        r#"UPDATE payouts AS p SET status = 'PROCESSING', updated_at = now()
           FROM (SELECT id FROM payouts WHERE status = 'PENDING' ORDER BY created_at, id
                 LIMIT 1 FOR UPDATE SKIP LOCKED) AS next, creators AS c
           WHERE p.id = next.id AND c.id = p.creator_id
           RETURNING p.id, p.amount_cents, c."stripeAccountId" AS destination"#,
    )
    .get_result(database)
    .optional()
    .unwrap()
}

/// Posts a transfer and returns its id.
fn pay(stripe: &mut BufReader<TcpStream>, address: &str, payout: &Claimed) -> String {
    let Claimed {
        id,
        amount_cents,
        destination,
    } = payout;
    let body = format!(
        "amount={amount_cents}&currency=usd&destination={destination}&transfer_group={id}&metadata[payout_id]={id}"
    );
    write!(
        stripe.get_mut(),
        "POST /v1/transfers HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer sk_test_sandbox\r\n\
         Idempotency-Key: payout_{id}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        stripe.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut answer = vec![0; length];
    stripe.read_exact(&mut answer).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}
