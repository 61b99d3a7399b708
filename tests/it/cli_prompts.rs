//! What `payouts` asks a person at a terminal: a payout to create, refused ones to tick, the total
//! to pay. Whatever is pressed, the terminal is afterwards as it was, and every question has its
//! flag.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::common::db::{TestDb, on_both};
use crate::common::shop::Shop;

const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const CTRL_C: &str = "\x03";
const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";

/// A shop where Stripe refused three payouts.
fn shop_with_refused(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    for (number, name) in ["ann_closed", "ben_closed", "cyd_closed"]
        .iter()
        .enumerate()
    {
        shop.creator(name);
        shop.payout(
            &format!("p{number}"),
            name,
            1000 * (i64::try_from(number).unwrap() + 1),
        );
    }
    shop.process(&[]).expect_code(1);
    shop
}

fn pending(shop: &Shop) -> String {
    let rows = shop
        .db
        .query_strings("SELECT id FROM payouts WHERE status = 'PENDING' ORDER BY id");
    rows.into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The terminal shows what is typed, hands out lines, knows Ctrl-C, and has its cursor.
fn assert_left_as_it_was(shop: &Shop, args: &[&str], dialogue: &[(&str, &str)], ends: &str) {
    let run = shop.env.run_in_terminal_and_look_at_it(args, dialogue);
    assert!(run.stdout.contains(ends), "{run}");
    assert!(run.stdout.contains("echo icanon icrnl isig"), "{run}");
    assert!(!run.cursor_hidden, "{run}");
}

on_both! {
    fn refused_payouts_are_ticked(db: TestDb) {
        let shop = shop_with_refused(db);
        let run = |dialogue: &[(&str, &str)]| shop.env.run_in_terminal(140, &["retry"], dialogue);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&[("esc leaves", ESC)]).transcript(), @r"
            $ payouts retry
            error: declined; nothing was changed
            --- stderr
            --- exit 4
            ");
            insta::assert_snapshot!(run(&[("esc leaves", ENTER)]).transcript(), @r"
            $ payouts retry
            Retry: 0 payouts ticked, 0.00 USD
            error: nothing was ticked; nothing was changed
            --- stderr
            --- exit 4
            ");
        }
        assert_eq!(pending(&shop), "");
        // A search leaves one; what is ticked stays so while another is searched.
        let ticking = [
            ("esc leaves", "CYD"),
            ("Retry: CYD", " "),
            ("1 payout ticked, 30.00 USD", "\x7f\x7f\x7f"),
            ("ann_closed", DOWN),
            ("> [ ] ben", " "),
            ("2 payouts ticked, 50.00 USD", ENTER),
        ];
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&ticking).transcript(), @r"
            $ payouts retry
            Retry: 2 payouts ticked, 50.00 USD
            Payout  Creator           Amount  Code              Result
            p1      cr_ben_closed  20.00 USD  resource_missing  put back to PENDING
            p2      cr_cyd_closed  30.00 USD  resource_missing  put back to PENDING
            put back to PENDING: 2 payouts, 50.00 USD
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(pending(&shop), "p1 p2");
        // Only what may be retried is offered; when nothing may, nothing is asked.
        let one = shop.env.run_in_terminal(140, &["retry", "--dry-run"], &[("esc leaves", RIGHT), ("1 payout ticked", ENTER)]);
        assert!(one.expect_code(0).stdout.contains("would be put back to PENDING: 1 payout, 10.00 USD"));
        run(&[("esc leaves", " "), ("1 payout ticked", ENTER)]).expect_code(0);
        assert_eq!(pending(&shop), "p0 p1 p2");
        assert!(run(&[]).expect_code(0).stdout.contains("nothing to retry"));
    }

    fn a_payout_is_created_by_answering(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["ann", "ben", "dee"] {
            shop.creator(name);
        }
        shop.db.execute(r#"UPDATE creators SET "deletedAt" = '2026-11-01 00:00:00' WHERE id = 'cr_dee'"#);
        shop.statement("st_oct", "ann", 4200);
        let run = |dialogue: &[(&str, &str)]| shop.env.run_in_terminal(140, &["create"], dialogue);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&[
                ("esc leaves", "BEN@exa"),
                ("Creator: BEN@exa", ENTER),
                ("such as 500.00", "0.50\r"),
                ("it must be from", "\x1520.00\r"),
                ("Reference", "INV-7\r"),
                ("Create this payout?", "y"),
            ]).transcript(), @r"
            $ payouts create
            Creator: ben  ben@example.org  cr_ben
            Amount in USD, such as 500.00: 0.50
            it must be from 1.00 USD to 10,000.00 USD
            Amount in USD, such as 500.00: 20.00
            Reference, your own name for the payment (enter for none): INV-7
            Creator    ben (cr_ben)
            Amount     20.00 USD
            Reference  INV-7
            Create this payout? yes
            Payout     c000000000000000000000001
            State      PENDING: created
            Amount     20.00 USD
            Creator    ben (cr_ben)
            Reference  INV-7
            Next       payouts process
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.one("SELECT creator_id FROM payouts WHERE amount_cents = 2000"), "cr_ben");
        // A creator with a payable statement is asked which, and Enter pays all of it.
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&[
                ("esc leaves", ENTER),
                ("settles no statement", DOWN),
                ("> st_oct", ENTER),
                ("Reference", ENTER),
                ("Create this payout?", "y"),
            ]).transcript(), @r"
            $ payouts create
            Creator: ann  ann@example.org  cr_ann
            Statement: st_oct  42.00 USD left  2026-11-01 to 2026-11-01
            Reference, your own name for the payment (enter for none):
            Creator    ann (cr_ann)
            Amount     42.00 USD
            Statement  st_oct
            Create this payout? yes
            Payout     c000000000000000000000002
            State      PENDING: created
            Amount     42.00 USD
            Creator    ann (cr_ann)
            Statement  st_oct
            Next       payouts process
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.one("SELECT royalty_statement_id FROM payouts WHERE amount_cents = 4200"), "st_oct");
        // Less than all of it only when that was said before.
        shop.statement("st_nov", "ben", 5000);
        shop.env.run_in_terminal(140, &["create", "--partial", "--dry-run"], &[
            ("esc leaves", "ben\r"), ("settles no statement", "nov"), ("> st_nov", ENTER),
            ("enter for 50.00", "20.00\r"), ("Reference", ENTER),
        ]).expect_code(0);
        shop.db.execute("UPDATE royalty_statements SET status = 'DISPUTED' WHERE id = 'st_nov'");
        // Nobody is found, and nothing is created without a yes.
        run(&[("esc leaves", "dee"), ("nothing is found", ESC)]).expect_code(4);
        run(&[
            ("esc leaves", "ben\r"), ("such as 500.00", "20.00\r"), ("Reference", ENTER), ("Create this payout?", "n"),
        ]).expect_code(4);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "2");
        // What is said is not asked.
        shop.env.run_in_terminal(140, &["create", "--creator", "cr_ben"], &[
            ("such as 500.00", "7.00\r"), ("Create this payout?", "y"),
        ]).expect_code(0);
        shop.env.run_in_terminal(140, &["create", "--creator", "cr_ben", "--amount", "8.00"], &[]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "4");
    }

    fn without_a_terminal_or_with_yes_nothing_is_asked(db: TestDb) {
        let shop = shop_with_refused(db);
        for args in [&["retry"][..], &["create"]] {
            assert!(shop.env.run(args).expect_code(2).stderr.contains("required arguments"));
            let args = [args, &["--yes"]].concat();
            let run = shop.env.run_in_terminal(140, &args, &[]).expect_code(2);
            assert!(run.stdout.contains("required arguments"), "{run}");
        }
    }

    /// Ctrl-C at any question ends the command with 130, and the terminal is sane; so it is after Esc.
    fn ctrl_c_leaves_the_terminal_as_it_was(db: TestDb) {
        let shop = shop_with_refused(db);
        shop.payout("due", "ann_closed", 1000);
        shop.creator("zoe");
        shop.statement("st_zoe", "zoe", 4200);
        let look = |args: &[&str], dialogue: &[(&str, &str)], ends| assert_left_as_it_was(&shop, args, dialogue, ends);
        look(&["retry"], &[("esc leaves", CTRL_C)], "exit 130");
        look(&["retry"], &[("esc leaves", ESC)], "exit 4");
        look(&["create"], &[("esc leaves", CTRL_C)], "exit 130");
        look(&["create"], &[("esc leaves", "zoe\r"), ("settles no statement", CTRL_C)], "exit 130");
        look(&["create"], &[("esc leaves", "ben\r"), ("such as 500.00", CTRL_C)], "exit 130");
        look(&["create"], &[("esc leaves", "ben\r"), ("such as 500.00", "5.00\r"), ("Reference", CTRL_C)], "exit 130");
        look(
            &["create"],
            &[("esc leaves", "ben\r"), ("such as 500.00", "5.00\r"), ("Reference", ENTER), ("Create this payout?", CTRL_C)],
            "exit 130",
        );
        look(&["cancel", "p0", "p1", "p2", "due", "--reason", "x"], &[("[y/N]", CTRL_C)], "exit 130");
        look(&["process"], &[("[y/N]", CTRL_C)], "exit 130");
        look(&["process"], &[("[y/N]", ESC)], "exit 4");
        assert_eq!(pending(&shop), "due");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "4");
    }

    /// Real money goes out once the total was typed, and only then.
    fn the_total_is_typed(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.env.set("STRIPE_SECRET_KEY", "sk_live_shop");
        shop.env.set("PAYOUTS_LIVE", "1");
        let base = format!("live+{}", shop.stripe.base_url());
        shop.env.set("STRIPE_API_BASE", &base);
        let look = |typed: &str, ends| assert_left_as_it_was(&shop, &["process"], &[("Type the total", typed)], ends);
        look("2.00\r", "exit 4");
        look(CTRL_C, "exit 130");
        assert!(shop.transfers().is_empty());
        look("20.00\r", "exit 0");
        assert_eq!(shop.transfers().len(), 2);
    }
}
