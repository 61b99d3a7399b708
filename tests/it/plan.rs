//! The plan as an agreement: its hash, what it warns of, and what creators get in all.

use serde_json::Value;

use crate::common::db::{Backend, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

fn plan(shop: &Shop) -> Value {
    json(&shop.process(&["--dry-run", "-o", "json"]))
}

fn hash(shop: &Shop) -> String {
    plan(shop)["plan_hash"].as_str().expect("a hash").to_owned()
}

fn kinds(plan: &Value) -> Vec<String> {
    let groups = plan["warnings"].as_array().expect("warnings");
    groups
        .iter()
        .map(|group| {
            format!(
                "{} {}",
                group["kind"].as_str().unwrap_or_default(),
                group["payouts"]
            )
        })
        .collect()
}

on_both! {
    fn a_plan_is_paid_by_its_hash_as_long_as_nothing_changed(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        let agreed = hash(&shop);
        assert_eq!((agreed.len(), &agreed), (32, &hash(&shop)));
        let edits = [
            ("UPDATE payouts SET amount_cents = 1001 WHERE id = 'cp1'", "UPDATE payouts SET amount_cents = 1000 WHERE id = 'cp1'"),
            (r#"UPDATE creators SET "stripeAccountId" = 'acct_other' WHERE id = 'cr_c1'"#, r#"UPDATE creators SET "stripeAccountId" = 'acct_c1' WHERE id = 'cr_c1'"#),
            ("UPDATE payouts SET creator_id = 'cr_c0' WHERE id = 'cp1'", "UPDATE payouts SET creator_id = 'cr_c1' WHERE id = 'cp1'"),
            ("UPDATE payouts SET status = 'FAILED' WHERE id = 'cp2'", "UPDATE payouts SET status = 'PENDING' WHERE id = 'cp2'"),
        ];
        for (edit, back) in edits {
            shop.db.execute(edit);
            let run = shop.process(&["--plan", &agreed]).expect_code(4);
            assert!(run.stderr.contains(&format!("the plan is not {agreed} any more; now it is {}", hash(&shop))), "{run}");
            shop.db.execute(back);
        }
        shop.payout("cp_new", "c0", 700);
        shop.process(&["--plan", &agreed]).expect_code(4);
        assert_eq!(shop.transfers().len(), 0);
        shop.process(&["--plan", &hash(&shop)]).expect_code(0);
        assert_eq!(shop.transfers().len(), 4);
        shop.assert_paid_exactly_once();
    }

    fn what_is_conspicuous_is_told_and_refuses_where_that_is_asked_for(db: TestDb) {
        let mut shop = Shop::open(db);
        for name in ["ann", "ben", "cat"] {
            shop.creator(name);
        }
        shop.payout("p_first", "ann", 5000);
        shop.payout("p_ben", "ben", 5000);
        assert_eq!(kinds(&plan(&shop)), Vec::<String>::new());
        shop.process(&[]).expect_code(0);
        // The same again, and to an account that was not paid before.
        shop.payout("q_again", "ann", 5000);
        shop.payout("q_other", "ann", 4000);
        shop.payout("q_moved", "ben", 7000);
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_ben2' WHERE id = 'cr_ben'"#);
        let told = plan(&shop);
        assert_eq!(kinds(&told), ["same_amount 1", "destination_changed 1"]);
        assert_eq!(told["warnings"][0]["examples"][0]["other"], "p_first");
        assert_eq!(told["warnings"][1]["examples"][0]["other"], "acct_ben");
        assert_eq!((&told["creators"][0]["creator_id"], &told["creators"][0]["amount_cents"]), (&"cr_ann".into(), &9000.into()));
        let run = shop.process(&["--dry-run"]);
        assert!(run.stdout.contains("Warning       1 payout, 50.00 USD: same creator and amount as another payout within 7 days: q_again (p_first)"), "{run}");
        shop.env.set("PAYOUTS_WARNINGS", "refuse");
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("1 payout to another account than the creator's last payment"), "{run}");
        shop.process(&["--confirm-total", "160"]).expect_code(4);
        assert_eq!(shop.transfers().len(), 2);
        shop.process(&["--accept-warnings"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 5);
        // Nothing to warn of needs no word.
        shop.payout("r_1", "cat", 1100);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    fn an_amount_far_from_the_usual_is_told(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        for (number, cents) in [1000, 1100, 900, 1050, 950].into_iter().enumerate() {
            shop.payout(&format!("old{number}"), "ann", cents);
        }
        shop.process(&[]).expect_code(0);
        shop.payout("usual", "ann", 1200);
        assert_eq!(kinds(&plan(&shop)), [""; 0]);
        shop.payout("slip", "ann", 50_000);
        assert_eq!(kinds(&plan(&shop)), ["unusual_amount 1"]);
        let run = shop.process(&["--dry-run"]);
        assert!(run.stdout.contains("Warning       1 payout, 500.00 USD: far from what the creator is usually paid: slip (500.00 USD beside 10.00 USD)"), "{run}");
        shop.env.set("PAYOUTS_CHECK_UNUSUAL_TIMES", "1000");
        assert_eq!(kinds(&plan(&shop)), [""; 0]);
    }

    // A payment that failed is made anew, and then the old one is retried.
    fn a_retry_beside_its_own_reissue_is_told(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("PAYOUTS_WARNINGS", "refuse");
        shop.creator("ann");
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_ann_closed' WHERE id = 'cr_ann'"#);
        shop.payout("old", "ann", 30_000);
        shop.process(&[]).expect_code(1);
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_ann' WHERE id = 'cr_ann'"#);
        shop.payout("reissue", "ann", 30_000);
        shop.process(&[]).expect_code(0);
        shop.env.run(&["retry", "old"]).expect_code(0);
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("same creator and amount"), "{run}");
        assert_eq!(shop.transfers().len(), 1);
    }

    fn one_account_under_two_creators_is_told(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.creator("ben");
        // A platform's table may know no such rule.
        shop.db.execute(match shop.db.backend() {
            Backend::Postgres => r#"ALTER TABLE creators DROP CONSTRAINT "creators_stripeAccountId_key""#,
            Backend::Sqlite => {
                r#"PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;
                   ALTER TABLE creators RENAME TO before;
                   CREATE TABLE creators (id TEXT NOT NULL PRIMARY KEY, "userId" TEXT NOT NULL, "stageName" TEXT NOT NULL,
                       "stripeAccountId" TEXT, "onboardingStatus" TEXT NOT NULL, "verificationStatus" TEXT NOT NULL,
                       "deletedAt" TEXT, "createdAt" TEXT NOT NULL, "updatedAt" TEXT NOT NULL) STRICT;
                   INSERT INTO creators SELECT * FROM before;
                   DROP TABLE before"#
            }
        });
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_both'"#);
        shop.payout("p1", "ann", 5000);
        let told = plan(&shop);
        assert_eq!(kinds(&told), ["shared_account 1"]);
        assert_eq!(told["warnings"][0]["examples"][0]["other"], "cr_ben");
    }
}
