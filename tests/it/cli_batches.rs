//! `payouts batches`: what was loaded, by whom, and how far it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::fmt::Write as _;

use crate::common::db::{TestDb, on_both};
use crate::common::shop::Shop;

/// A shop with a batch that is paid but for a refused and a held payout, and one that is held.
fn shop_with_batches(db: TestDb) -> Shop {
    let mut shop = Shop::open(db);
    for name in ["ann", "ben", "cyd_closed", "dee"] {
        shop.creator(name);
    }
    shop.env.write(
        "october.csv",
        "creator,amount,reference\ncr_ann,10.00,O-1\ncr_ben,20.00,O-2\ncr_cyd_closed,30.00,O-3\ncr_dee,40.00,O-4\n",
    );
    shop.env.write(
        "november.csv",
        "creator,amount,reference\ncr_ann,50.00,N-1\n",
    );
    let run = |args: &[&str], code| drop(shop.env.run(args).expect_code(code));
    run(&["create", "--file", "october.csv", "--release"], 0);
    run(
        &["hold", "--creator", "cr_dee", "--reason", "moved banks"],
        0,
    );
    run(&["process", "--batch", &id(&shop, "october.csv")], 1);
    shop.env.set_now("2026-11-02T10:30:00.000Z");
    shop.env
        .run(&["create", "--file", "november.csv"])
        .expect_code(0);
    shop
}

fn id(shop: &Shop, source: &str) -> String {
    shop.one(&format!(
        "SELECT id FROM payout_batches WHERE source = '{source}'"
    ))
}

on_both! {
    fn a_list_says_how_far_each_is(db: TestDb) {
        let shop = shop_with_batches(db);
        let run = |args: &[&str]| shop.env.run(args).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["batches", "list"]).transcript(), @r"
            $ payouts batches list
            Batch                      Loaded            By      Source        Payouts       Total  Progress                  State
            c000000000000000000000001  2026-11-02 10:30  tester  november.csv        1   50.00 USD  1 open                    held
            c000000000000000000000002  2026-11-02 09:30  tester  october.csv         4  100.00 USD  2 paid, 1 open, 1 failed  released
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["batches", "show", &id(&shop, "october.csv")]).transcript(), @r"
            $ payouts batches show c000000000000000000000002
            Batch      c000000000000000000000002
            Source     october.csv
            SHA-256    eafb1e940160eb125dfa1a28269317eacb2e3aeedd9ffa95132328bde799f061
            Loaded     by tester on 2026-11-02 09:30 UTC
            Payouts    4 payouts, 100.00 USD
            Progress   2 paid (30.00 USD), 1 open (40.00 USD), 1 failed (30.00 USD)
            State      released by tester on 2026-11-02 09:30 UTC
            PENDING    40.00 USD, 1 payout
            COMPLETED  30.00 USD, 2 payouts
            FAILED     30.00 USD, 1 payout
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["batches", "list", "-o", "csv"]).transcript(), @r"
            $ payouts batches list -o csv
            id,source,sha256,payout_count,total_cents,currency,paid_count,paid_cents,open_count,open_cents,failed_count,failed_cents,held,actor,run_id,created_at,reversed_count,reversed_cents
            c000000000000000000000001,november.csv,9f5c3067c659f9364bf0143408a2153ab11c5b1ae0a2ee2cc9effcce9e7eb238,1,5000,usd,0,0,1,5000,0,0,true,tester,c000000000000000000000003,2026-11-02T10:30:00.000Z,0,0
            c000000000000000000000002,october.csv,eafb1e940160eb125dfa1a28269317eacb2e3aeedd9ffa95132328bde799f061,4,10000,usd,2,3000,1,4000,1,3000,false,tester,c000000000000000000000004,2026-11-02T09:30:00.000Z,0,0
            --- stderr
            --- exit 0
            ");
        }
        let answer: Value = serde_json::from_str(&run(&["batches", "list", "-o", "json"]).stdout).unwrap();
        let october = &answer["batches"][1];
        let numbers = ["paid_count", "paid_cents", "open_count", "open_cents", "failed_count", "failed_cents"]
            .map(|field| october[field].as_i64().unwrap());
        assert_eq!(numbers, [2, 3000, 1, 4000, 1, 3000]);
        assert_eq!(october["total_cents"], 10_000);
        assert_eq!(run(&["list", "--batch", &id(&shop, "november.csv"), "-o", "ndjson"]).stdout.lines().count(), 1);
    }

    // Scenario 41: the same file is known by its hash, before its rows are even looked at.
    fn the_same_file_is_known_by_its_hash_before_its_rows(db: TestDb) {
        let shop = shop_with_batches(db);
        let october = id(&shop, "october.csv");
        // Its rows are wrong by now: Ann is gone, and yet nothing is wrong with the file.
        shop.db.execute(r#"UPDATE creators SET "deletedAt" = '2026-11-02 00:00:00' WHERE id = 'cr_ann'"#);
        let bytes = std::fs::read(shop.env.path("october.csv")).unwrap();
        shop.env.write("renamed.csv", bytes);
        let again = shop.env.run(&["create", "--file", "renamed.csv"]).expect_code(0);
        assert!(again.stdout.contains(&october), "{again}");
        assert!(again.stdout.contains("4 payouts: this file was loaded by tester on 2026-11-02 09:30 UTC"), "{again}");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_batches"), "2");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "5");
    }

    /// A page of a thousand batches costs one look at their payouts.
    fn a_thousand_batches_are_listed_with_their_progress(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        let stamp = "'2026-11-01 00:00:00'";
        let mut sql = format!(
            "INSERT INTO payout_runs (id, command, arguments, actor, host, version, started_at, seen_at)
             VALUES ('run', 'create', '', 'ann', 'host', '1', {stamp}, {stamp});"
        );
        for batch in 0..1000 {
            let _ = write!(sql,
                "INSERT INTO payout_batches VALUES ('b{batch:04}', 'f{batch}.csv', 'hash{batch}', 2, 2000, 'ann', 'run', {stamp});"
            );
            for (number, status) in ["COMPLETED", "PENDING"].iter().enumerate() {
                let _ = write!(sql,
                    "INSERT INTO payouts (id, creator_id, amount_cents, status, created_at, updated_at)
                     VALUES ('p{batch}_{number}', 'cr_ann', 1000, '{status}', {stamp}, {stamp});
                     INSERT INTO payout_batch_items (payout_id, batch_id) VALUES ('p{batch}_{number}', 'b{batch:04}');"
                );
            }
        }
        shop.db.session().execute(&format!("BEGIN; {sql} COMMIT"));
        let listed = shop.env.run(&["batches", "list", "--limit", "1000", "-o", "ndjson"]).expect_code(0);
        assert_eq!(listed.stdout.lines().count(), 1000);
        for line in listed.stdout.lines() {
            let batch: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&batch["paid_cents"], &batch["open_count"]), (&1000.into(), &1.into()), "{line}");
        }
    }
}
