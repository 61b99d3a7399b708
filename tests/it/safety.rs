//! Ways to pay twice, or to say what is not so, that lead past the usual course: a payment made by
//! hand, a file loaded again into a restored database, a payout ended while a transfer names it.

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::Fault;

use crate::common::db::on_both;
use crate::common::shop::Shop;

const LEASE_OVER: Duration = Duration::from_secs(121);

impl Shop {
    /// One payout, `cp0`, whose run was killed with its request on the way, and not executed.
    fn killed_while_sending(&self) {
        self.payouts(1);
        self.kill_while_sending();
    }

    /// Kills a run of `process` while its request for `c0` is on the way, and not executed.
    fn kill_while_sending(&self) {
        self.fault("c0", Fault::HangBefore, 1);
        let mut process = self.env.command(&["process"]);
        process.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = process.spawn().expect("it starts");
        assert!(self.stripe.wait_hanging(1, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        // The simulator drops what it held when it sees that nobody waits any more.
        while self.stripe.hanging() > 0 {
            std::thread::yield_now();
        }
    }
}

on_both! {
    // A person paid what hung, in the dashboard: without a group, but saying for which payout.
    fn what_was_paid_by_hand_is_found_by_its_metadata_before_anything_is_sent_again(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        let by_hand = shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
        assert_eq!((shop.status("cp0"), shop.transfer_of("cp0")), ("COMPLETED".into(), by_hand));
        assert_eq!(shop.outcomes("cp0"), ["paid"]);
    }

    // The watermark is far behind it: another run has passed the guard since.
    fn what_was_paid_by_hand_is_found_behind_the_watermark(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.db.execute("INSERT INTO payout_settings (key, value, updated_at) VALUES ('watermark', '2026-11-02T20:00:00.000Z', '2026-11-02 09:30:00')");
        shop.pass(Duration::from_secs(11 * 3600));
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "COMPLETED".into()));
    }

    // They paid another account of the creator's: no list by destination shows that.
    fn what_was_paid_by_hand_elsewhere_keeps_it_from_being_sent(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        let by_hand = shop.transfer("elsewhere", 1000, "&metadata[payoutId]=cp0");
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains(&by_hand), "{run}");
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "PROCESSING".into()));
    }

    fn a_comparison_looks_an_open_attempt_up_by_metadata_too(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.pass(Duration::from_secs(3 * 86_400));
        assert_eq!(shop.found(&["--period", "1d"]), (vec!["status_behind cp0".into()], 1));
        assert_eq!(shop.found(&["--period", "1d", "--fix"]), (vec![], 0));
        assert_eq!(shop.status("cp0"), "COMPLETED");
    }
}
