//! `payouts doctor --verify-history`: nobody changes the history without being found out, but who
//! rewrites all of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use payouts::model::history::{HistoryRow, chain_hash};
use payouts::model::ids::PayoutId;
use payouts::ops::verify_history::{Flaw, Verified, verify};
use payouts::store::Store;
use std::fmt::Write as _;

use crate::common::catalog::words;
use crate::common::db::{Backend, TestDb, on_both};
use crate::common::outside_number;
use crate::common::shop::Shop;

/// How many random edits are tried on each database; `PAYOUTS_TEST_HISTORY_EDITS` says more.
const EDITS: u64 = 400;

/// A shop whose payouts were created, held, released, refused, retried, paid, cancelled.
fn busy_shop(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    let run = |args: &[&str], code| drop(shop.env.run(args).expect_code(code));
    let mut csv = "creator,amount,reference\n".to_owned();
    for name in ["ann", "ben_closed", "cyd", "dee"] {
        shop.creator(name);
        let _ = write!(csv, "cr_{name},10.00,{name}-1\ncr_{name},20.00,{name}-2\n");
    }
    shop.env.write("batch.csv", csv);
    run(&["create", "--file", "batch.csv", "--release"], 0);
    let id = |reference: &str| {
        shop.one(&format!(
            "SELECT payout_id FROM payout_batch_items WHERE reference = '{reference}'"
        ))
    };
    run(&["hold", &id("dee-1"), "--reason", "looks odd"], 0);
    run(&["cancel", &id("dee-2"), "--reason", "typed twice"], 0);
    run(&["process"], 1);
    run(&["release", &id("dee-1")], 0);
    shop.db.execute(
        r#"UPDATE creators SET "stripeAccountId" = 'acct_ben' WHERE id = 'cr_ben_closed'"#,
    );
    run(&["retry", &id("ben_closed-1"), &id("ben_closed-2")], 0);
    run(&["process"], 0);
    run(&["create", "--creator", "cr_ann", "--amount", "30.00"], 0);
    shop
}

fn check(store: &mut Store) -> Verified {
    verify(store, &mut |_| {}).unwrap()
}

/// A text in SQL.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), text)
}

fn key(row: &HistoryRow) -> String {
    format!(
        "payout_id = {} AND seq = {}",
        text(row.payout_id.as_str()),
        row.seq
    )
}

/// Sets all of a row but its key.
fn set(row: &HistoryRow, as_in: &HistoryRow) -> String {
    format!(
        "UPDATE payout_history SET event = {}, from_status = {}, to_status = {}, at = '{}', actor = {},
             run_id = {}, reason = {}, hash = {} WHERE {}",
        text(as_in.event.as_str()),
        optional(as_in.from_status.as_deref()),
        text(&as_in.to_status),
        as_in.at.utc().format("%F %T%.f"),
        text(&as_in.actor),
        text(as_in.run_id.as_str()),
        optional(as_in.reason.as_deref()),
        text(&as_in.hash),
        key(row)
    )
}

fn set_head(payout: &PayoutId, end: &HistoryRow) -> String {
    format!(
        "UPDATE payout_history_heads SET seq = {}, hash = {} WHERE payout_id = {}",
        end.seq,
        text(&end.hash),
        text(payout.as_str())
    )
}

/// One way to change the history: the statements, and whom or which run the check must name.
struct Edit {
    what: String,
    sql: Vec<String>,
    names: Vec<String>,
}

/// Makes up an edit.
fn edit(random: &mut fastrand::Rng, chains: &[Vec<HistoryRow>]) -> Edit {
    let chain = &chains[random.usize(..chains.len())];
    let at = random.usize(..chain.len());
    let (row, last) = (&chain[at], &chain[chain.len() - 1]);
    let payout = row.payout_id.clone();
    let mut names = vec![payout.to_string()];
    let change = |what: &str| format!("UPDATE payout_history SET {what} WHERE {}", key(row));
    let (what, sql) = match random.u8(..9) {
        0 | 1 => {
            let column = random.choice([
                "event",
                "to_status",
                "actor",
                "run_id",
                "payout_id",
                "from_status",
                "reason",
            ]);
            let column = column.unwrap();
            (
                "a text changed",
                vec![change(&format!("{column} = COALESCE({column}, '') || 'x'"))],
            )
        }
        2 => (
            "a field changed",
            vec![change(
                random
                    .choice([
                        "seq = seq + 1000",
                        "seq = -seq",
                        "at = '2020-02-02 02:02:02.002'",
                        "hash = replace(replace(hash, 'a', 'b'), '1', '2')",
                        "hash = ''",
                        "actor = upper(actor)",
                    ])
                    .unwrap(),
            )],
        ),
        3 => (
            "a row deleted",
            vec![format!("DELETE FROM payout_history WHERE {}", key(row))],
        ),
        4 if chain.len() > 1 => {
            // The end is cut off, and so is what remembers it.
            let keep = random.usize(1..chain.len());
            names.extend(chain[keep..].iter().map(|row| row.run_id.to_string()));
            let id = text(payout.as_str());
            let end = &chain[keep - 1];
            (
                "the end cut off",
                vec![
                    format!(
                        "DELETE FROM payout_history WHERE payout_id = {id} AND seq > {}",
                        end.seq
                    ),
                    set_head(&payout, end),
                ],
            )
        }
        5 => {
            let id = text(payout.as_str());
            (
                "the whole history of a payout deleted",
                vec![
                    format!("DELETE FROM payout_history WHERE payout_id = {id}"),
                    format!("DELETE FROM payout_history_heads WHERE payout_id = {id}"),
                ],
            )
        }
        6 => {
            let other_chain = &chains[random.usize(..chains.len())];
            let other = &other_chain[random.usize(..other_chain.len())];
            if other == row {
                return edit(random, chains);
            }
            names.push(other.payout_id.to_string());
            ("two rows swapped", vec![set(row, other), set(other, row)])
        }
        7 => {
            // A row more, with a good hash, and the end moved to it.
            let mut more = last.clone();
            more.seq += 1;
            "somebody".clone_into(&mut more.actor);
            more.hash = chain_hash(&last.hash, &more);
            names.push(more.run_id.to_string());
            let insert = format!(
                "INSERT INTO payout_history SELECT payout_id, seq + 1, event, from_status, to_status, at, actor, run_id,
                     reason, hash FROM payout_history WHERE {}",
                key(last)
            );
            let mut sql = vec![insert, set(&more, &more)];
            if random.bool() {
                sql.push(set_head(&payout, &more));
            }
            ("a row added", sql)
        }
        _ => {
            // From one row on the whole chain is made anew, and its end with it.
            let mut forged = chain[at..].to_vec();
            forged[0].actor.push('x');
            let mut previous = at
                .checked_sub(1)
                .map_or("", |before| chain[before].hash.as_str())
                .to_owned();
            let mut sql = Vec::new();
            for row in &mut forged {
                row.hash = chain_hash(&previous, row);
                previous.clone_from(&row.hash);
                sql.push(set(row, row));
                names.push(row.run_id.to_string());
            }
            sql.push(set_head(&payout, forged.last().unwrap()));
            ("a chain made anew", sql)
        }
    };
    Edit {
        what: what.to_owned(),
        sql,
        names,
    }
}

on_both! {
    /// Each of hundreds of random edits, deletions, swaps and forgeries is found, and what it hit is
    /// named.
    fn whatever_is_done_to_the_history_is_found(db: TestDb) {
        let shop = busy_shop(db);
        let mut store = shop.db.store();
        let clean = check(&mut store);
        assert_eq!((clean.proofs, clean.notes, &clean.findings[..]), (0, 0, &[][..]));
        let payouts: Vec<String> = words_of(&shop.db, "SELECT payout_id FROM payout_history_heads ORDER BY payout_id");
        assert_eq!(clean.payouts, payouts.len() as u64);
        assert_eq!(clean.payouts, 9);
        assert_eq!((clean.runs, clean.runs_without_hash), (8, 0));
        let chains: Vec<Vec<HistoryRow>> = payouts
            .iter()
            .map(|payout| store.history_of(&PayoutId::new(payout)).unwrap())
            .collect();
        assert_eq!(clean.rows, chains.iter().map(|chain| chain.len() as u64).sum::<u64>());

        let mut session = shop.db.session();
        session.without_history_triggers();
        session.execute(
            "CREATE TABLE history_kept AS SELECT * FROM payout_history;
             CREATE TABLE heads_kept AS SELECT * FROM payout_history_heads",
        );
        let edits = outside_number("PAYOUTS_TEST_HISTORY_EDITS").unwrap_or(EDITS);
        let mut random = fastrand::Rng::with_seed(20_261_102);
        for number in 0..edits {
            let edit = edit(&mut random, &chains);
            for statement in &edit.sql {
                session.execute(statement);
            }
            let found = check(&mut store);
            let named = found.findings.iter().any(|finding| {
                let payout = finding.payout_id.as_ref().map(PayoutId::as_str);
                let run = finding.run_id.as_ref().map(AsRef::as_ref);
                finding.flaw.is_proof()
                    && [payout, run].into_iter().flatten().any(|name| edit.names.iter().any(|n| n == name))
            });
            assert!(named, "edit {number}, {}: {:#?}\n{:#?}", edit.what, edit.sql, found.findings);
            session.execute(
                "DELETE FROM payout_history; INSERT INTO payout_history SELECT * FROM history_kept;
                 DELETE FROM payout_history_heads; INSERT INTO payout_history_heads SELECT * FROM heads_kept",
            );
        }
        assert_eq!(check(&mut store), clean);
    }

    /// The payout, the row and what is wrong with it are told, in a table and in JSON.
    fn a_changed_row_is_named(db: TestDb) {
        let shop = busy_shop(db);
        let run = |args: &[&str]| shop.env.run(args);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["doctor", "--verify-history"]).expect_code(0).transcript(), @r"
            $ payouts doctor --verify-history
            history: 32 rows of 9 payouts checked; 8 runs held against the hash they left, 0 left none
            every chain is whole
            --- stderr
            --- exit 0
            ");
        }
        let payout = shop.one("SELECT payout_id FROM payout_batch_items WHERE reference = 'ben_closed-1'");
        let mut session = shop.db.session();
        session.without_history_triggers();
        session.execute(&format!("UPDATE payout_history SET actor = 'somebody' WHERE payout_id = '{payout}' AND seq = 2"));
        session.execute(&format!("UPDATE payouts SET status = 'PENDING' WHERE id = '{payout}'"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["doctor", "--verify-history"]).expect_code(1).transcript(), @r"
            $ payouts doctor --verify-history
            Payout / run               Row  Finding         Found
            c000000000000000000000001    2  row_changed     its hash is not that of what it says behind row 1
            c000000000000000000000001    6  status_differs  the payout is PENDING, and its history left it COMPLETED: other software moved it, or somebody by hand
            history: 32 rows of 9 payouts checked; 8 runs held against the hash they left, 0 left none
            the history was changed: 1 finding; restore a backup beside this database and compare
            --- stderr
            --- exit 1
            ");
            insta::assert_snapshot!(run(&["doctor", "--verify-history", "-o", "json"]).expect_code(1).transcript(), @r#"
            $ payouts doctor --verify-history -o json
            {
              "schema": 1,
              "findings": [
                {
                  "flaw": "row_changed",
                  "proof": true,
                  "payout_id": "c000000000000000000000001",
                  "seq": 2,
                  "run_id": null,
                  "found": "its hash is not that of what it says behind row 1"
                },
                {
                  "flaw": "status_differs",
                  "proof": false,
                  "payout_id": "c000000000000000000000001",
                  "seq": 6,
                  "run_id": null,
                  "found": "the payout is PENDING, and its history left it COMPLETED: other software moved it, or somebody by hand"
                }
              ],
              "intact": false,
              "rows": 32,
              "payouts": 9,
              "runs": 8,
              "runs_without_hash": 0,
              "proofs": 1,
              "notes": 1
            }
            --- stderr
            --- exit 1
            "#);
        }
    }

    /// Other software may move a payout: that is told, and no reason for alarm.
    fn a_status_that_other_software_changed_is_only_noted(db: TestDb) {
        let shop = busy_shop(db);
        shop.db.execute("UPDATE payouts SET status = 'FAILED' WHERE status = 'COMPLETED'");
        let found = check(&mut shop.db.store());
        assert_eq!(found.proofs, 0);
        assert!(found.notes > 0);
        assert!(found.findings.iter().all(|finding| finding.flaw == Flaw::StatusDiffers));
        shop.env.run(&["doctor", "--verify-history"]).expect_code(0);
    }

    /// What was never written by this tool is read all the same: a moment that is none, a number that
    /// is too large.
    fn a_row_that_makes_no_sense_is_a_finding(db: TestDb) {
        let shop = busy_shop(db);
        let mut session = shop.db.session();
        session.without_history_triggers();
        let never = match shop.db.backend() {
            Backend::Sqlite => "at = 'never', seq = 4294967297",
            Backend::Postgres => "at = 'infinity', seq = 2147483647",
        };
        session.execute(&format!("UPDATE payout_history SET {never} WHERE seq = 1"));
        let found = check(&mut shop.db.store());
        assert!(found.proofs >= 9, "{:#?}", found.findings);
        shop.env.run(&["doctor", "--verify-history"]).expect_code(1);
    }
}

fn words_of(db: &TestDb, query: &str) -> Vec<String> {
    db.query_strings(query)
        .iter()
        .map(|row| words(row).concat())
        .collect()
}
