//! Facts there is one of: the stamp, the watermark, the database's own id.

use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::attempt::AttemptOutcome;
use crate::model::ids::IdMaker;
use crate::model::mode::mode;
use crate::model::money::Currency;
use crate::model::schema::{payout_attempts, payout_runs, payout_settings as settings};
use crate::model::text_enum;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{on_each, sum_attempts_cents};
use crate::store::{Store, StoreError};

text_enum! {
    /// The keys of `payout_settings`.
    pub enum Setting {
        /// Made by the first migration; sent along as `metadata[database]`.
        DatabaseId = "database_id",
        /// The platform's `acct_…`, stamped by the first run that sends.
        StripeAccount = "stripe_account",
        /// `live` or `test`, stamped with the account.
        StripeMode = "stripe_mode",
        /// Stamped by the first command that writes an amount.
        Currency = "currency",
        /// RFC 3339: up to here the rollback guard has seen every transfer.
        Watermark = "watermark",
        /// RFC 3339: up to here a guard found nothing forgotten. Runs that send nothing go on
        /// from here, and no other.
        GuardCleanUntil = "guard_clean_until",
        /// `2026-10-05 12345`: a UTC day, and what was claimed on it, minor units. Kept only
        /// where a limit asks for it.
        DayTotal = "day_total",
    }
}

/// Twice the skew with which a run still sends.
const BIRTH_MARGIN: Duration = Duration::from_secs(60 * 60);

/// 2010-01-01: no transfer is older.
const STRIPE_BEGAN_MILLIS: i64 = 1_262_304_000_000;

/// The Stripe account and mode this database belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `acct_…` of the platform.
    pub account: String,
    /// Real money.
    pub livemode: bool,
}

impl Store {
    /// The value of a setting and when it was written.
    pub fn setting(&mut self, key: Setting) -> Result<Option<(String, Time)>, StoreError> {
        self.read(|conn| read(conn, key))
    }

    /// Gives a database its own id, once, when it is first migrated.
    pub(super) fn database_id_once(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = IdMaker::new(now).next_id()?;
        self.write(|conn| insert_once(conn, Setting::DatabaseId, &id, now))
    }

    /// The database's own id, and when it was made.
    pub fn database_id(&mut self) -> Result<(String, Time), StoreError> {
        self.setting(Setting::DatabaseId)?
            .ok_or_else(|| StoreError::Corrupt("payout_settings has no database_id".to_owned()))
    }

    /// The account and mode the database was stamped with, if it was.
    pub fn stamp(&mut self) -> Result<Option<Stamp>, StoreError> {
        self.read(stamp_in_tx)
    }

    /// Stamps the database with an account, a mode and a currency, once. Returns
    /// the account and mode it is stamped with, which are another's if somebody
    /// was faster.
    ///
    /// # Errors
    /// A conflict when it is stamped with another currency.
    pub fn stamp_once(&mut self, stamp: &Stamp, currency: Currency) -> Result<Stamp, StoreError> {
        let now = self.clock.now();
        let mode = mode(stamp.livemode);
        self.write(|conn| {
            insert_once(conn, Setting::StripeAccount, &stamp.account, now)?;
            insert_once(conn, Setting::StripeMode, mode, now)?;
            currency_once_in_tx(conn, currency, now)?;
            failpoint!("stamp.writing");
            Ok(())
        })?;
        failpoint!("stamp.committed");
        self.stamp()?
            .ok_or_else(|| StoreError::Corrupt("the stamp vanished".to_owned()))
    }

    /// Whether any fact was recorded beside the id that the migration made.
    pub(super) fn was_stamped(&mut self) -> Result<bool, StoreError> {
        let recorded = settings::table.filter(settings::key.ne(Setting::DatabaseId.as_str()));
        self.read(|conn| Ok(diesel::select(diesel::dsl::exists(recorded)).get_result(conn)?))
    }

    /// The currency the database was stamped with, if it was.
    pub fn currency(&mut self) -> Result<Option<Currency>, StoreError> {
        self.read(currency_in_tx)
    }

    /// Up to when the rollback guard has seen every transfer: the watermark, or for
    /// a database that never recorded one an hour before it was made. That moment is
    /// this machine's, whose clock may then have been as fast as a run would still
    /// accept. Where it was faster, so that something was recorded before the database
    /// was made, that counts; and where it was made in the future, nobody knows when.
    pub fn watermark(&mut self) -> Result<Time, StoreError> {
        if let Some(watermark) = self.moment(Setting::Watermark)? {
            return Ok(watermark);
        }
        let made_at = self.database_id()?.1;
        if made_at.minus(BIRTH_MARGIN) > self.clock.now() {
            return Ok(Time::from_millis(STRIPE_BEGAN_MILLIS));
        }
        let first_run: Option<Time> = self.read(|conn| {
            Ok(payout_runs::table
                .select(diesel::dsl::min(payout_runs::started_at))
                .first(conn)?)
        })?;
        let born_at = first_run.map_or(made_at, |first| first.min(made_at));
        Ok(born_at.minus(BIRTH_MARGIN))
    }

    /// Moves the watermark forward; never back.
    pub fn watermark_advance(&mut self, to: Time) -> Result<(), StoreError> {
        self.moment_advance(Setting::Watermark, to)?;
        failpoint!("watermark.committed");
        Ok(())
    }

    /// Up to when a guard found nothing forgotten; none where none was kept.
    pub fn guard_clean_until(&mut self) -> Result<Option<Time>, StoreError> {
        self.moment(Setting::GuardCleanUntil)
    }

    /// Moves that forward; never back.
    pub fn guard_clean_advance(&mut self, to: Time) -> Result<(), StoreError> {
        self.moment_advance(Setting::GuardCleanUntil, to)
    }

    fn moment(&mut self, key: Setting) -> Result<Option<Time>, StoreError> {
        let Some((text, _)) = self.setting(key)? else {
            return Ok(None);
        };
        let unreadable = || StoreError::Corrupt(format!("unreadable {key} {text:?}"));
        text.parse().map(Some).map_err(|_| unreadable())
    }

    fn moment_advance(&mut self, key: Setting, to: Time) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            insert_once(conn, key, &to.to_string(), now)?;
            // RFC 3339 in one fixed width sorts as text.
            diesel::update(
                settings::table
                    .filter(settings::key.eq(key.as_str()))
                    .filter(settings::value.lt(to.to_string())),
            )
            .set((
                settings::value.eq(to.to_string()),
                settings::updated_at.eq(now),
            ))
            .execute(conn)?;
            failpoint!("watermark.writing");
            Ok(())
        })
    }
}

impl Store {
    /// What was sent, or may have been, since the UTC day of `now` began, minor units.
    /// `now` is Stripe's time, which attempts bear.
    pub fn day_spent(&mut self, now: Time) -> Result<i64, StoreError> {
        self.read(|conn| spent_since(conn, now.day_start()))
    }
}

/// What may still be claimed on the UTC day of `now`, which is Stripe's time, minor
/// units. Whoever asks keeps all
/// others waiting until its transaction ends, so that two runs do not both take what is
/// left. What was claimed is counted beside the attempts, which are added up only when
/// the day is new or `anew` is asked for: what Stripe refused counts no more then.
pub(super) fn day_room_in_tx(
    conn: &mut AnyConnection,
    now: Time,
    limit_cents: i64,
    anew: bool,
) -> Result<i64, StoreError> {
    insert_once(conn, Setting::DayTotal, "", now)?;
    let this = settings::table.filter(settings::key.eq(Setting::DayTotal.as_str()));
    // The lock.
    diesel::update(this)
        .set(settings::updated_at.eq(now))
        .execute(conn)?;
    let counted = read(conn, Setting::DayTotal)?.and_then(|(value, _)| {
        let (day, cents) = value.split_once(' ')?;
        (day == now.day()).then(|| cents.parse::<i64>().ok())?
    });
    let spent = match counted {
        Some(cents) if !anew => cents,
        _ => spent_since(conn, now.day_start())?,
    };
    day_total_write(conn, now, spent)?;
    Ok(limit_cents.saturating_sub(spent))
}

/// Counts what was claimed, in the transaction that asked [`day_room_in_tx`].
pub(super) fn day_claimed_in_tx(
    conn: &mut AnyConnection,
    now: Time,
    limit_cents: i64,
    room_cents: i64,
    claimed_cents: i64,
) -> Result<(), StoreError> {
    let spent = limit_cents.saturating_sub(room_cents);
    day_total_write(conn, now, spent.saturating_add(claimed_cents))
}

fn day_total_write(conn: &mut AnyConnection, now: Time, cents: i64) -> Result<(), StoreError> {
    let this = settings::table.filter(settings::key.eq(Setting::DayTotal.as_str()));
    diesel::update(this)
        .set(settings::value.eq(format!("{} {cents}", now.day())))
        .execute(conn)?;
    Ok(())
}

fn spent_since(conn: &mut AnyConnection, since: Time) -> Result<i64, StoreError> {
    use payout_attempts as a;
    Ok(a::table
        // What goes out again counts for the day on which it does.
        .filter(
            a::first_sent_at
                .ge(since)
                .or(a::last_sent_at.assume_not_null().ge(since)),
        )
        .filter(a::outcome.ne_all([AttemptOutcome::Declined, AttemptOutcome::NotSent]))
        .select(sum_attempts_cents())
        .first(conn)?)
}

/// Stamps the database with its currency as part of the caller's transaction, so
/// that a command which fails leaves no stamp.
///
/// # Errors
/// A conflict when it is stamped with another.
pub(crate) fn currency_once_in_tx(
    conn: &mut AnyConnection,
    currency: Currency,
    now: Time,
) -> Result<(), StoreError> {
    insert_once(conn, Setting::Currency, currency.as_str(), now)?;
    match read(conn, Setting::Currency)? {
        Some((code, _)) if code != currency.as_str() => Err(StoreError::Conflict(format!(
            "this database pays in {code}, not in {currency}"
        ))),
        _ => Ok(()),
    }
}

/// The currency the database was stamped with, if it was.
pub(super) fn currency_in_tx(conn: &mut AnyConnection) -> Result<Option<Currency>, StoreError> {
    match read(conn, Setting::Currency)? {
        None => Ok(None),
        Some((code, _)) => code.parse().map(Some).map_err(|_| {
            StoreError::Corrupt(format!("unknown currency {code:?} in payout_settings"))
        }),
    }
}

/// The account and mode the database was stamped with, if it was.
pub(super) fn stamp_in_tx(conn: &mut AnyConnection) -> Result<Option<Stamp>, StoreError> {
    let account = read(conn, Setting::StripeAccount)?;
    let mode = read(conn, Setting::StripeMode)?;
    Ok(match (account, mode) {
        (Some((account, _)), Some((mode, _))) => Some(Stamp {
            account,
            livemode: mode == "live",
        }),
        _ => None,
    })
}

fn read(conn: &mut AnyConnection, key: Setting) -> Result<Option<(String, Time)>, StoreError> {
    Ok(settings::table
        .filter(settings::key.eq(key.as_str()))
        .select((settings::value, settings::updated_at))
        .first(conn)
        .optional()?)
}

fn insert_once(
    conn: &mut AnyConnection,
    key: Setting,
    value: &str,
    now: Time,
) -> Result<(), StoreError> {
    let row = (
        settings::key.eq(key.as_str()),
        settings::value.eq(value),
        settings::updated_at.eq(now),
    );
    on_each!(conn, c => diesel::insert_into(settings::table).values(row).on_conflict_do_nothing().execute(c))?;
    Ok(())
}
