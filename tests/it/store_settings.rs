//! Facts there is one of: stamped once, whoever comes first, and a watermark that never goes back.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use payouts::model::money::Currency;
use payouts::model::time::{Clock, Time};
use payouts::store::{Setting, Stamp, Store, StoreError};

use crate::common::catalog::words;
use crate::common::db::{Backend, TestDb, on_both};

fn stamp(account: &str, livemode: bool) -> Stamp {
    Stamp {
        account: account.to_owned(),
        livemode,
    }
}

fn time(text: &str) -> Time {
    text.parse().expect("a time in RFC 3339")
}

fn currency(code: &str) -> Currency {
    code.parse().expect("a known currency")
}

/// Why it was refused.
fn conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Conflict(message)) => message,
        other => panic!("it was not refused: {other:?}"),
    }
}

/// Lets two stores do the same thing at the same moment.
fn race<T: Send>(db: &TestDb, act: impl Fn(usize, &mut Store) -> T + Sync) -> [T; 2] {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let runners = [0, 1].map(|runner| {
            let (start, act) = (&start, &act);
            let mut store = db.store();
            scope.spawn(move || {
                start.wait();
                act(runner, &mut store)
            })
        });
        runners.map(|runner| runner.join().expect("no runner panics"))
    })
}

on_both! {
    fn the_first_stamp_stays(db: TestDb) {
        let mut store = db.migrated();
        assert_eq!((store.stamp().unwrap(), store.currency().unwrap()), (None, None));
        let first = stamp("acct_first", false);
        let mut stamp_with = |stamp: &Stamp| store.stamp_once(stamp, Currency::USD).unwrap();
        assert_eq!(stamp_with(&first), first);
        assert_eq!(stamp_with(&stamp("acct_second", true)), first);
        // The same account in the other mode is another stamp, too.
        assert_eq!(stamp_with(&stamp("acct_first", true)), first);
        assert_eq!(db.store().stamp().unwrap(), Some(first));
    }

    fn a_live_stamp_reads_back_as_live(db: TestDb) {
        let mut store = db.migrated();
        let live = stamp("acct_live", true);
        assert_eq!(store.stamp_once(&live, Currency::USD).unwrap(), live);
        assert_eq!(store.stamp().unwrap(), Some(live));
    }

    fn of_two_that_stamp_at_once_one_wins(db: TestDb) {
        db.migrated();
        let [one, other] = race(&db, |runner, store| {
            let stamp = stamp(["acct_a", "acct_b"][runner], runner == 1);
            store.stamp_once(&stamp, Currency::USD).unwrap()
        });
        assert_eq!(one, other);
        // Never one's account with the other's mode.
        assert_eq!(one.livemode, one.account == "acct_b");
        assert_eq!(db.store().stamp().unwrap(), Some(one));
    }

    fn the_first_currency_stays_and_another_is_a_conflict(db: TestDb) {
        let mut store = db.migrated();
        let first = stamp("acct_first", false);
        store.stamp_once(&first, currency("eur")).unwrap();
        assert_eq!(store.currency().unwrap(), Some(currency("eur")));
        assert_eq!(store.stamp_once(&first, currency("eur")).unwrap(), first);
        assert_eq!(conflict(store.stamp_once(&first, Currency::USD)), "this database pays in eur, not in usd");
        assert_eq!(db.store().currency().unwrap(), Some(currency("eur")));
    }

    fn a_stamp_in_another_currency_leaves_no_account_behind(db: TestDb) {
        let mut store = db.migrated();
        db.execute("INSERT INTO payout_settings VALUES ('currency', 'eur', '2026-10-01 00:00:00')");
        let refused = conflict(store.stamp_once(&stamp("acct_first", false), Currency::USD));
        assert_eq!(refused, "this database pays in eur, not in usd");
        assert_eq!(store.stamp().unwrap(), None);
    }

    fn of_two_currencies_at_once_one_wins(db: TestDb) {
        db.migrated();
        let codes = ["eur", "gbp"];
        let stamped = race(&db, |runner, store| {
            store.stamp_once(&stamp("acct_a", false), currency(codes[runner])).is_ok()
        });
        let kept = db.store().currency().unwrap().expect("one of them stamped it");
        assert_eq!(stamped, codes.map(|code| currency(code) == kept));
    }

    fn the_watermark_goes_forward_only(db: TestDb) {
        let mut store = db.migrated();
        // Until it is set, before the database was made by whatever clock: nothing of it is older.
        let (_, made) = store.database_id().unwrap();
        assert_eq!(store.watermark().unwrap(), made.minus(Duration::from_secs(3600)));
        for (to, expected) in [
            ("2026-10-01T12:00:00.000Z", "2026-10-01T12:00:00.000Z"),
            ("2026-10-01T11:59:59.999Z", "2026-10-01T12:00:00.000Z"),
            ("2026-10-01T12:00:00.001Z", "2026-10-01T12:00:00.001Z"),
            ("2026-09-30T23:00:00.000Z", "2026-10-01T12:00:00.001Z"),
            ("2027-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
        ] {
            store.watermark_advance(time(to)).unwrap();
            assert_eq!(store.watermark().unwrap(), time(expected), "after {to}");
        }
    }

    fn of_two_watermarks_at_once_the_later_stays(db: TestDb) {
        db.migrated();
        let marks = ["2026-10-01T00:00:00.000Z", "2026-10-02T00:00:00.000Z"];
        race(&db, |runner, store| store.watermark_advance(time(marks[runner])).unwrap());
        assert_eq!(db.store().watermark().unwrap(), time(marks[1]));
    }

    fn a_setting_says_when_it_was_written(db: TestDb) {
        db.migrated();
        let clock = Clock::manual(time("2026-11-02T09:30:00.007Z"));
        let mut store = db.store_at(clock.clone());
        store.stamp_once(&stamp("acct_a", false), Currency::USD).unwrap();
        clock.advance(Duration::from_millis(5));
        store.stamp_once(&stamp("acct_a", false), Currency::USD).unwrap();
        assert_eq!(
            store.setting(Setting::Currency).unwrap(),
            Some(("usd".to_owned(), time("2026-11-02T09:30:00.007Z")))
        );
    }

    fn every_database_has_an_id_of_its_own_that_stays(db: TestDb) {
        let other = match db.backend() {
            Backend::Sqlite => TestDb::sqlite(),
            Backend::Postgres => TestDb::postgres(),
        };
        let (id, _) = db.migrated().database_id().unwrap();
        assert!(id.len() == 25 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
        assert_ne!(other.migrated().database_id().unwrap().0, id);
        assert_eq!(db.migrated().database_id().unwrap().0, id);
    }

    fn nonsense_in_the_settings_is_an_error_and_not_a_default(db: TestDb) {
        let mut store = db.migrated();
        db.execute(
            "INSERT INTO payout_settings VALUES ('currency', 'doubloons', '2026-10-01 00:00:00'),
                ('watermark', 'yesterday', '2026-10-01 00:00:00');
             DELETE FROM payout_settings WHERE key = 'database_id'",
        );
        for (error, expected) in [
            (store.currency().unwrap_err(), "unknown currency \"doubloons\" in payout_settings"),
            (store.watermark().unwrap_err(), "unreadable watermark \"yesterday\""),
            (store.database_id().unwrap_err(), "payout_settings has no database_id"),
        ] {
            assert!(matches!(&error, StoreError::Corrupt(text) if text == expected), "{error}");
        }
        assert_eq!(
            words(&db.query_strings("SELECT value FROM payout_settings WHERE key = 'currency'")[0]),
            ["doubloons"]
        );
    }
}
