//! Four eyes: nothing above the threshold is sent before a second person approved exactly that, on
//! whatever path it comes.

use std::time::Duration;

use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;

/// A shop in which somebody else than the maker approves what is $100.00 and more.
fn shop(db: TestDb) -> Shop {
    let mut shop = Shop::open(db);
    shop.env.set("PAYOUTS_APPROVAL_THRESHOLD_CENTS", "10000");
    for name in ["ann", "ben", "cat"] {
        shop.creator(name);
    }
    shop
}

/// Runs a command as somebody.
fn as_actor(shop: &mut Shop, actor: &str, args: &[&str]) -> Run {
    shop.env.set("PAYOUTS_ACTOR", actor);
    let run = shop.env.run(args);
    shop.env.unset("PAYOUTS_ACTOR");
    run
}

/// A batch that mia made: $99.99 twice to ann, $250.00 to ben, $50.00 to cat.
fn batch(shop: &mut Shop) -> String {
    shop.env.write(
        "batch.csv",
        "creator,amount,reference\ncr_ann,99.99,A1\ncr_ann,99.99,A2\ncr_ben,250.00,B1\ncr_cat,50.00,C1\n",
    );
    as_actor(shop, "mia", &["create", "--file", "batch.csv", "--release"]).expect_code(0);
    shop.one("SELECT id FROM payout_batches")
}

fn id_of(shop: &Shop, reference: &str) -> String {
    shop.one(&format!(
        "SELECT payout_id FROM payout_batch_items WHERE reference = '{reference}'"
    ))
}

fn paid(shop: &Shop) -> Vec<String> {
    let rows = shop.db.query_strings(
        "SELECT reference FROM payout_batch_items JOIN payouts ON id = payout_id
         WHERE status = 'COMPLETED' ORDER BY reference",
    );
    rows.into_iter().flatten().flatten().collect()
}

on_both! {
    fn scenario_34_splitting_and_other_paths_do_not_go_around_an_approval(db: TestDb) {
        let mut shop = shop(db);
        let batch = batch(&mut shop);
        let ben = id_of(&shop, "B1");
        // As a queue, as a batch, by id; two of $99.99 are more than $100.00 to one creator.
        for more in [&[][..], &["--batch", &batch], &[&ben]] {
            let run = shop.process(more).expect_code(1);
            assert!(run.stdout.contains("needs the approval of a second person"), "{run}");
        }
        assert_eq!(paid(&shop), ["C1"]);
        let run = shop.process(&["--dry-run", "-o", "json"]);
        assert!(run.stdout.contains("\"not_approved\""), "{run}");
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_ben_closed' WHERE id = 'cr_ben'"#);
        as_actor(&mut shop, "zoe", &["approve", &batch]).expect_code(0);
        shop.process(&[]).expect_code(1);
        assert_eq!(paid(&shop), ["A1", "A2", "C1"]);
        assert_eq!(shop.outcomes(&ben), ["declined"]);
        // A retry carries the approval with it, and not past a change.
        shop.env.run(&["retry", &ben]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 26000 WHERE status = 'PENDING'");
        shop.process(&[]).expect_code(1);
        assert_eq!((shop.status(&ben).as_str(), shop.outcomes(&ben).len()), ("PENDING", 1));
        shop.db.execute("UPDATE payouts SET amount_cents = 25000 WHERE status = 'PENDING'");
        shop.process(&[]).expect_code(1);
        assert_eq!(shop.outcomes(&ben), ["declined", "declined"]);
        shop.assert_paid_exactly_once();
    }

    fn scenario_35_an_approval_is_bound_to_what_was_approved(db: TestDb) {
        let mut shop = shop(db);
        let batch = batch(&mut shop);
        as_actor(&mut shop, "zoe", &["approve", &batch]).expect_code(0);
        let ben = id_of(&shop, "B1");
        let edits = [
            ("UPDATE payouts SET amount_cents = 25001 WHERE id = 'BEN'", "UPDATE payouts SET amount_cents = 25000 WHERE id = 'BEN'"),
            (r#"UPDATE creators SET "stripeAccountId" = 'acct_thief' WHERE id = 'cr_ben'"#, r#"UPDATE creators SET "stripeAccountId" = 'acct_ben' WHERE id = 'cr_ben'"#),
            ("UPDATE payouts SET creator_id = 'cr_cat' WHERE id = 'BEN'", "UPDATE payouts SET creator_id = 'cr_ben' WHERE id = 'BEN'"),
        ];
        for (edit, back) in edits {
            shop.db.execute(&edit.replace("BEN", &ben));
            let run = shop.process(&[&ben]).expect_code(1);
            assert!(run.stdout.contains("needs the approval"), "{edit}: {run}");
            let run = shop.env.run(&["show", &ben]).expect_code(0);
            assert!(run.stdout.contains("given for something else than the payout is now"), "{run}");
            shop.db.execute(&back.replace("BEN", &ben));
        }
        // What changed is approved again as it is now.
        shop.db.execute(&edits[0].0.replace("BEN", &ben));
        let run = as_actor(&mut shop, "zoe", &["approve", &ben, "--reason", "agreed by phone"]).expect_code(0);
        assert!(run.stdout.contains("250.01"), "{run}");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().iter().filter(|t| t.amount == 25_001).count(), 1);
        let told = shop.env.run(&["show", &ben]).expect_code(0);
        assert!(told.stdout.contains("agreed by phone"), "{told}");
        shop.assert_paid_exactly_once();
    }

    fn scenario_36_who_made_a_payout_does_not_approve_it(db: TestDb) {
        let mut shop = shop(db);
        let batch = batch(&mut shop);
        let run = as_actor(&mut shop, "mia", &["approve", &batch]).expect_code(4);
        assert!(run.stdout.contains("you made it; somebody else has to approve it"), "{run}");
        // However she types her name.
        for name in [" mia", "MIA ", "m i a"] {
            as_actor(&mut shop, name, &["approve", &batch]).expect_code(4);
        }
        as_actor(&mut shop, "mia\nzoe", &["approve", &batch]).expect_code(3);
        // Not even when somebody writes the row for her.
        let ben = id_of(&shop, "B1");
        let run_id = shop.one("SELECT id FROM payout_runs WHERE command = 'create'");
        shop.db.execute(&format!(
            "INSERT INTO payout_approvals VALUES ('{ben}', 'mia', 'cr_ben', 25000, 'acct_ben', NULL, '{run_id}', '2026-11-02 09:30:00')"
        ));
        shop.process(&[&ben]).expect_code(1);
        assert_eq!(shop.status(&ben), "PENDING");
        // One of her own and one of somebody else's: the other one is approved.
        let own = as_actor(&mut shop, "zoe", &["create", "--creator", "cr_cat", "--amount", "200"]).expect_code(0);
        let own = own.stdout.split_whitespace().nth(1).unwrap_or_default().to_owned();
        as_actor(&mut shop, "zoe", &["approve", &own, &ben]).expect_code(1);
        shop.process(&[&own]).expect_code(1);
        shop.process(&[&ben]).expect_code(0);
        assert_eq!((shop.status(&own).as_str(), shop.status(&ben).as_str()), ("PENDING", "COMPLETED"));
    }

    fn an_approval_can_be_taken_back_and_is_needed_again(db: TestDb) {
        let mut shop = shop(db);
        let batch = batch(&mut shop);
        let approve = |shop: &mut Shop, more: &[&str]| as_actor(shop, "zoe", &[&["approve", &batch], more].concat());
        let run = approve(&mut shop, &["--dry-run"]).expect_code(0);
        assert!(run.stdout.contains("would be approved: 4 payouts, 499.98 USD"), "{run}");
        approve(&mut shop, &[]).expect_code(0);
        let run = approve(&mut shop, &[]).expect_code(0);
        assert!(run.stderr.contains("4 payouts approved by you before"), "{run}");
        let run = as_actor(&mut shop, "mia", &["approve", &batch, "--withdraw", "--reason", "wrong month"]).expect_code(0);
        assert!(run.stdout.contains("not approved any more: 4 payouts"), "{run}");
        shop.process(&[]).expect_code(1);
        assert_eq!(paid(&shop), ["C1"]);
        let events = shop.db.query_strings(&format!(
            "SELECT event FROM payout_history WHERE payout_id = '{}' ORDER BY seq", id_of(&shop, "B1")
        ));
        let events: Vec<String> = events.into_iter().flatten().flatten().collect();
        assert_eq!(events, ["created", "approved", "approval_withdrawn"]);
        // What is being sent, or may be sent again, is not called back.
        shop.db.execute(&format!("UPDATE payouts SET status = 'PROCESSING' WHERE id = '{}'", id_of(&shop, "A1")));
        let sent = id_of(&shop, "A1");
        as_actor(&mut shop, "zoe", &["approve", &sent]).expect_code(0);
        as_actor(&mut shop, "zoe", &["approve", &sent, "--withdraw"]).expect_code(4);
        as_actor(&mut shop, "zoe", &["approve", &batch, "--withdraw"]).expect_code(4);
        shop.env.run(&["approve", &id_of(&shop, "B1"), "--withdraw"]).expect_code(4);
    }

    // Its approval is asked for again: the rule may be newer than the attempt.
    fn an_attempt_that_nobody_knows_of_is_not_sent_again_without_an_approval(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        let made = as_actor(&mut shop, "mia", &["create", "--creator", "cr_ann", "--amount", "200"]).expect_code(0);
        let id = made.stdout.split_whitespace().nth(1).unwrap_or_default().to_owned();
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "send.before=kill");
        let killed = shop.env.command(&["process"]).output().expect("it runs");
        assert_eq!(killed.status.code(), None, "{killed:?}");
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        shop.pass(Duration::from_secs(121));
        shop.env.set("PAYOUTS_APPROVAL_THRESHOLD_CENTS", "0");
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("needs the approval of a second person"), "{run}");
        as_actor(&mut shop, "zoe", &["approve", &id]).expect_code(0);
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status(&id).as_str(), shop.transfers().len()), ("COMPLETED", 1));
    }

    fn the_actor_is_the_role_of_the_database_where_that_is_asked_for(db: TestDb) {
        let sqlite = db.backend() == crate::common::db::Backend::Sqlite;
        let mut shop = shop(db);
        let batch = batch(&mut shop);
        shop.env.set("PAYOUTS_ACTOR_FROM_ROLE", "1");
        let run = as_actor(&mut shop, "zoe", &["approve", &batch]);
        if sqlite {
            run.expect_code(3);
            return;
        }
        // Whatever a variable says; and mia made it under a name that anybody can take, so that nobody
        // approves it in vain.
        let run = run.expect_code(4);
        assert!(run.stdout.contains("who made it is no role of the database"), "{run}");
        shop.env.set("LOGNAME", "role:zoe");
        let run = as_actor(&mut shop, "", &["approve", &batch]).expect_code(3);
        assert!(run.stderr.contains("are those of database roles"), "{run}");
        shop.env.unset("LOGNAME");
        shop.process(&[]).expect_code(1);
        assert_eq!(paid(&shop), ["C1"]);
        // Made by one role and approved by another.
        let id = id_of(&shop, "B1");
        shop.db.execute(&format!(
            "ALTER TABLE payout_history DISABLE TRIGGER USER;
             UPDATE payout_history SET actor = 'role:mia' WHERE payout_id = '{id}' AND seq = 1;
             ALTER TABLE payout_history ENABLE TRIGGER USER"
        ));
        shop.process(&[&id]).expect_code(1);
        as_actor(&mut shop, "zoe", &["approve", &id]).expect_code(0);
        let approver = shop.one("SELECT DISTINCT actor FROM payout_approvals");
        assert!(approver.starts_with("role:"), "{approver}");
        shop.process(&[&id]).expect_code(0);
        assert_eq!(shop.status(&id), "COMPLETED");
    }
}
