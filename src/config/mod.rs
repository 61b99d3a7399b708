//! The settings of one execution, resolved once: flag, then environment, then
//! `.env` in the working directory, then default.
//!
//! `.env` is read into an overlay and never put into the process environment,
//! so that nothing started from here inherits it.

mod environment;
mod secret;
mod values;

pub use environment::{ConfigError, Environment, Origin};
pub use secret::LateSecret;
pub use values::duration;

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use self::secret::{secret_in, stripe_key};
use self::values::{durations, switch, whole};

use crate::env_vars::{self as vars, Variable};
use crate::model::alert::Thresholds;
use crate::model::approval::ROLE_PREFIX;
use crate::model::money::Currency;
use crate::store::DatabaseUrl;

/// What flags say, before the environment is asked.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--database-url`, which may hold a password.
    pub database_url: Option<SecretString>,
    /// `--live`.
    pub live: bool,
    /// `--log-format`, in a word.
    pub log_format: Option<&'static str>,
}

/// Every setting, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database is.
    pub database: DatabaseUrl,
    /// Who said so.
    pub database_origin: Origin,
    /// Whether a transaction pooler sits in front of PostgreSQL.
    pub pooled: bool,
    /// The secret key.
    pub stripe_key: Option<SecretString>,
    /// What Stripe signs events with.
    pub webhook_secret: LateSecret,
    /// The mail server, which may hold a password.
    pub smtp_url: LateSecret,
    /// From whom mails come.
    pub mail_from: Option<String>,
    /// The operators, as they are written.
    pub mail_to: Vec<String>,
    /// Templates in place of the built-in ones.
    pub mail_templates: Option<PathBuf>,
    /// Another address than Stripe's.
    pub stripe_api_base: Option<String>,
    /// Keys that move real money may be used.
    pub live: bool,
    /// The currency, if somebody said it.
    pub currency: Option<Currency>,
    /// Smallest payout, minor units.
    pub min_cents: i32,
    /// Largest payout, minor units.
    pub max_cents: i32,
    /// From this amount on a second person approves, minor units; none: never.
    pub approval_threshold_cents: Option<i64>,
    /// The most one run pays, minor units.
    pub run_total_max_cents: Option<i64>,
    /// The most that all runs of a UTC day pay, minor units.
    pub day_total_max_cents: Option<i64>,
    /// Without a terminal a plan that warns needs `--accept-warnings`.
    pub warnings_refuse: bool,
    /// The actor is the database's role.
    pub actor_from_role: bool,
    /// Failed attempts before a retry takes `--force`.
    pub retries_max: i32,
    /// The back-off after the first failure, the second, …; never empty.
    pub retry_delays: Vec<Duration>,
    /// From when on `payouts check` alerts.
    pub thresholds: Thresholds,
    /// Transfers in flight at once.
    pub concurrency: usize,
    /// Sends per second, if somebody said it.
    pub rate: Option<u32>,
    /// After this long without a sign of life a run counts as dead.
    pub lease: Duration,
    /// Who is recorded.
    pub actor: String,
    /// The machine's name.
    pub host: String,
    /// Every setting as it holds, for people.
    pub settings: Vec<Setting>,
}

/// A setting for people to read. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable that sets it.
    pub name: &'static str,
    /// What holds; a default in words, a secret as `(set)`.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

fn settings(flags: &Flags, env: &Environment, database: (&DatabaseUrl, Origin)) -> Vec<Setting> {
    vars::ALL
        .iter()
        .map(|variable| {
            let (value, origin) = match env.get(variable) {
                _ if variable.name == vars::DATABASE_URL.name => {
                    (database.0.to_string(), database.1)
                }
                _ if variable.name == vars::LIVE.name && flags.live => {
                    ("1".to_owned(), Origin::Flag)
                }
                _ if variable.name == vars::LOG_FORMAT.name
                    && let Some(format) = flags.log_format =>
                {
                    (format.to_owned(), Origin::Flag)
                }
                Some((_, origin)) if variable.secret => ("(set)".to_owned(), origin),
                Some((text, origin)) => (text.to_owned(), origin),
                None => (variable.default.to_owned(), Origin::Default),
            };
            Setting {
                name: variable.name,
                value,
                origin,
            }
        })
        .collect()
}

impl Config {
    /// Resolves everything.
    pub fn resolve(flags: &Flags, env: &Environment) -> Result<Self, ConfigError> {
        let (database, database_origin) = database(flags, env)?;
        let (min_cents, max_cents) = amount_bounds(env)?;
        let host = host();
        Ok(Self {
            pooled: env.value(&vars::PG_POOLER, pooled_by_url(&database), |t| match t {
                "transaction" => Ok(true),
                "none" => Ok(false),
                _ => Err("use `transaction` or `none`".to_owned()),
            })?,
            settings: settings(flags, env, (&database, database_origin)),
            database,
            database_origin,
            stripe_key: stripe_key(env)?,
            webhook_secret: LateSecret::of(
                env,
                &vars::STRIPE_WEBHOOK_SECRET,
                &vars::STRIPE_WEBHOOK_SECRET_FILE,
            ),
            smtp_url: LateSecret::of(env, &vars::SMTP_URL, &vars::SMTP_URL_FILE),
            mail_from: env.get(&vars::MAIL_FROM).map(|(text, _)| text.to_owned()),
            mail_to: env
                .get(&vars::MAIL_TO)
                .map(|(text, _)| text.split(',').map(|one| one.trim().to_owned()))
                .into_iter()
                .flatten()
                .filter(|one| !one.is_empty())
                .collect(),
            mail_templates: env
                .get(&vars::MAIL_TEMPLATES)
                .map(|(text, _)| PathBuf::from(text)),
            stripe_api_base: env.get(&vars::STRIPE_API_BASE).map(|(t, _)| t.to_owned()),
            live: flags.live || env.value(&vars::LIVE, false, switch)?,
            currency: env
                .parsed(&vars::CURRENCY, |t| {
                    t.parse()
                        .map_err(|e: crate::model::money::UnknownCurrency| e.to_string())
                })?
                .map(|(currency, _)| currency),
            min_cents,
            max_cents,
            approval_threshold_cents: env
                .parsed(&vars::APPROVAL_THRESHOLD_CENTS, |t| whole(t, 0, i64::MAX))?
                .map(|(cents, _)| cents),
            run_total_max_cents: env
                .parsed(&vars::MAX_RUN_TOTAL_CENTS, |t| whole(t, 1, i64::MAX))?
                .map(|(cents, _)| cents),
            day_total_max_cents: env
                .parsed(&vars::MAX_DAY_TOTAL_CENTS, |t| whole(t, 1, i64::MAX))?
                .map(|(cents, _)| cents),
            warnings_refuse: env.value(&vars::WARNINGS, false, |t| match t {
                "tell" => Ok(false),
                "refuse" => Ok(true),
                _ => Err("use `tell` or `refuse`".to_owned()),
            })?,
            actor_from_role: env.value(&vars::ACTOR_FROM_ROLE, false, switch)?,
            retries_max: env.value(&vars::MAX_RETRIES, 5, |t| whole(t, 0, 1000))?,
            retry_delays: match env.parsed(&vars::RETRY_DELAYS, durations)? {
                Some((delays, _)) => delays,
                None => durations(vars::RETRY_DELAYS.default).unwrap_or_default(),
            },
            thresholds: thresholds(env)?,
            concurrency: env.value(&vars::CONCURRENCY, 32, |t| whole(t, 1, 1000))?,
            rate: env
                .parsed(&vars::RATE, |t| whole(t, 1, 100_000))?
                .map(|(rate, _)| rate),
            lease: env.value(&vars::LEASE, Duration::from_secs(120), |t| {
                let lease = duration(t)?;
                if lease < Duration::from_secs(10) {
                    return Err(
                        "a lease shorter than 10s takes over runs that are alive".to_owned()
                    );
                }
                Ok(lease)
            })?,
            actor: actor(env, &host)?,
            host,
        })
    }
}

fn thresholds(env: &Environment) -> Result<Thresholds, ConfigError> {
    let time = |variable: &Variable| {
        env.value(
            variable,
            duration(variable.default).unwrap_or_default(),
            duration,
        )
    };
    Ok(Thresholds {
        failure_percent: env.value(&vars::CHECK_FAILURE_PERCENT, 5, |t| whole(t, 1, 100))?,
        failure_within: time(&vars::CHECK_FAILURE_WITHIN)?,
        failure_sample: env.value(&vars::CHECK_FAILURE_SAMPLE, 20, |t| whole(t, 1, 1_000_000))?,
        stuck_after: time(&vars::CHECK_STUCK_AFTER)?,
        failed_attempts: env.value(&vars::CHECK_FAILED_ATTEMPTS, 3, |t| whole(t, 0, 1000))?,
        failed_after: time(&vars::CHECK_FAILED_AFTER)?,
        unusual_times: env.value(&vars::CHECK_UNUSUAL_TIMES, 6, |t| whole(t, 1, 1000))?,
        forecast_over: time(&vars::CHECK_FORECAST)?,
        process_within: time(&vars::CHECK_PROCESS_WITHIN)?,
        reconcile_within: time(&vars::CHECK_RECONCILE_WITHIN)?,
    })
}

/// Who is recorded: whoever `PAYOUTS_ACTOR` names, else who is logged in. Neither may
/// look like a role of the database, whoever set which variable.
fn actor(env: &Environment, host: &str) -> Result<String, ConfigError> {
    let named = env.get(&vars::ACTOR);
    let origin = named.map_or(Origin::Environment, |(_, origin)| origin);
    let name = named.map_or_else(
        || format!("{}@{host}", login_name(env)),
        |(text, _)| text.trim().to_owned(),
    );
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ConfigError::Value {
            name: vars::ACTOR.name,
            origin,
            value: format!("{name:?}"),
            reason: "a name is one line of text".to_owned(),
        });
    }
    if name.trim_start().to_lowercase().starts_with(ROLE_PREFIX) {
        return Err(ConfigError::Value {
            name: vars::ACTOR.name,
            origin,
            value: format!("{name:?}"),
            reason: format!("names that begin with {ROLE_PREFIX} are those of database roles"),
        });
    }
    Ok(name)
}

/// The smallest and the largest payout, in minor units.
fn amount_bounds(env: &Environment) -> Result<(i32, i32), ConfigError> {
    let cents = |variable| env.parsed(variable, |text| whole(text, 1, i32::MAX));
    let (min, min_origin) = cents(&vars::MIN_AMOUNT_CENTS)?.unwrap_or((100, Origin::Default));
    let (max, max_origin) = cents(&vars::MAX_AMOUNT_CENTS)?.unwrap_or((1_000_000, Origin::Default));
    if min <= max {
        return Ok((min, max));
    }
    // A default is nobody's mistake: what somebody said is.
    Err(if min_origin == Origin::Default {
        ConfigError::Value {
            name: vars::MAX_AMOUNT_CENTS.name,
            origin: max_origin,
            value: max.to_string(),
            reason: format!("smaller than the minimum of {min}"),
        }
    } else {
        ConfigError::Value {
            name: vars::MIN_AMOUNT_CENTS.name,
            origin: min_origin,
            value: min.to_string(),
            reason: format!("larger than the maximum of {max}"),
        }
    })
}

fn pooled_by_url(database: &DatabaseUrl) -> bool {
    matches!(database, DatabaseUrl::Postgres(server) if server.pooled())
}

fn database(flags: &Flags, env: &Environment) -> Result<(DatabaseUrl, Origin), ConfigError> {
    let (value, file) = (&vars::DATABASE_URL, &vars::DATABASE_URL_FILE);
    let (name, text, origin) = match (&flags.database_url, env.get(value), env.get(file)) {
        (Some(text), ..) => (value.name, text.clone(), Origin::Flag),
        (None, Some(_), Some(_)) => {
            return Err(ConfigError::TwoSecrets(value.name, file.name));
        }
        (None, Some((text, origin)), None) => (value.name, SecretString::from(text), origin),
        (None, None, Some((path, origin))) => {
            (file.name, secret_in(file.name, Path::new(path))?, origin)
        }
        (None, None, None) => {
            let folder = dirs::data_dir().ok_or(ConfigError::NoDataDirectory)?;
            let file = folder.join("payouts").join("payouts.db");
            return Ok((DatabaseUrl::Sqlite(file), Origin::Default));
        }
    };
    let url = text
        .expose_secret()
        .parse()
        .map_err(|e: crate::store::UrlError| ConfigError::Value {
            name,
            origin,
            value: "(not shown, as it may hold a password)".to_owned(),
            reason: e.to_string(),
        })?;
    Ok((url, origin))
}

fn host() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        "unknown-host".to_owned()
    } else {
        name
    }
}

fn login_name(env: &Environment) -> String {
    ["LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| env.text(name))
        .map_or_else(
            || format!("uid-{}", rustix::process::getuid().as_raw()),
            |(name, _)| name.to_owned(),
        )
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::environment::readable;
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        Environment::of(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn live_is_never_taken_from_dotenv() {
        let mut env = env(&[]);
        env.dotenv.insert("PAYOUTS_LIVE".into(), "1".into());
        env.dotenv.insert("PAYOUTS_ACTOR".into(), "ann".into());
        let config = Config::resolve(
            &Flags {
                database_url: Some("sqlite:x.db".into()),
                live: false,
                log_format: None,
            },
            &env,
        )
        .unwrap();
        assert!(!config.live);
        assert_eq!(config.actor, "ann");
    }

    #[test]
    fn nobody_takes_the_name_of_a_role() {
        for variable in ["PAYOUTS_ACTOR", "LOGNAME"] {
            let taken = env(&[(variable, "role:ann"), ("USER", "role:ann")]);
            let error = Config::resolve(&Flags::default(), &taken).unwrap_err();
            assert!(error.to_string().contains("database roles"), "{error}");
        }
    }

    #[test]
    fn wrong_values_are_named_and_secrets_are_not_shown() {
        let say = |pairs: &[(&str, &str)]| {
            Config::resolve(&Flags::default(), &env(pairs))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            say(&[("DATABASE_URL", "sqlite:x"), ("PAYOUTS_CONCURRENCY", "0")]),
            "PAYOUTS_CONCURRENCY (from environment) is \"0\": use a whole number from 1 to 1000"
        );
        assert!(!say(&[("DATABASE_URL", "mysql://u:s3cret@h/d")]).contains("s3cret"));
        assert!(say(&[("DATABASE_URL", "sqlite:x"), ("PAYOUTS_LEASE", "5s")]).contains("alive"));
        assert!(
            say(&[
                ("STRIPE_SECRET_KEY", "a"),
                ("DATABASE_URL", "sqlite:x"),
                ("STRIPE_SECRET_KEY_FILE", "b")
            ])
            .contains("use one")
        );
    }

    #[test]
    fn the_database_may_be_named_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        let named = [("DATABASE_URL_FILE", path)];
        let resolve = |flags: &Flags, pairs: &[(&str, &str)]| {
            Config::resolve(flags, &env(pairs)).map_err(|error| error.to_string())
        };
        write("sqlite:/x.db\n");
        let config = resolve(&Flags::default(), &named).unwrap();
        assert_eq!(config.database.to_string(), "sqlite:/x.db");
        assert_eq!(config.database_origin, Origin::Environment);
        let flags = Flags {
            database_url: Some("sqlite:/y.db".into()),
            live: false,
            log_format: None,
        };
        let config = resolve(&flags, &named).unwrap();
        assert_eq!(config.database.to_string(), "sqlite:/y.db");
        let both = [named[0], ("DATABASE_URL", "sqlite:/z.db")];
        assert_eq!(
            resolve(&Flags::default(), &both).unwrap_err(),
            "both DATABASE_URL and DATABASE_URL_FILE are set; use one"
        );
        // Nothing of what is in it is told, and never is another database used instead.
        write("mysql://ann:s3cret@h/d");
        let error = resolve(&Flags::default(), &named).unwrap_err();
        assert!(
            error.starts_with("DATABASE_URL_FILE (from environment)"),
            "{error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
        write("");
        assert!(resolve(&Flags::default(), &named).is_err());
        let gone = resolve(&Flags::default(), &[("DATABASE_URL_FILE", "/nowhere/url")]);
        assert!(gone.unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn of_two_bounds_that_cross_the_one_that_was_set_is_named() {
        let say = |mut env: Environment, dotenv: &[(&str, &str)]| {
            env.process.insert("DATABASE_URL".into(), "sqlite:x".into());
            for (name, value) in dotenv {
                env.dotenv.insert((*name).into(), (*value).into());
            }
            Config::resolve(&Flags::default(), &env)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            say(env(&[("PAYOUTS_MAX_AMOUNT_CENTS", "50")]), &[]),
            "PAYOUTS_MAX_AMOUNT_CENTS (from environment) is 50: smaller than the minimum of 100"
        );
        assert_eq!(
            say(env(&[]), &[("PAYOUTS_MIN_AMOUNT_CENTS", "2000000")]),
            "PAYOUTS_MIN_AMOUNT_CENTS (from .env) is 2000000: larger than the maximum of 1000000"
        );
    }

    #[test]
    fn a_variable_of_ours_that_is_not_utf_8_is_refused_by_name() {
        use std::os::unix::ffi::OsStringExt;
        let broken = || OsString::from_vec(b"sqlite:\xff".to_vec());
        let error = readable([("DATABASE_URL".into(), broken())]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "DATABASE_URL (from environment) is not UTF-8"
        );
        assert!(
            readable([("LS_COLORS".into(), broken())])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn printing_settings_for_debugging_shows_no_secret() {
        let mut env = env(&[("STRIPE_SECRET_KEY", "sk_test_s3cret")]);
        env.dotenv
            .insert("DATABASE_URL".into(), "postgres://ann:s3cret@db/pay".into());
        let flags = Flags {
            database_url: Some("postgres://ann:s3cret@db/pay".into()),
            live: false,
            log_format: None,
        };
        let shown = format!("{env:?} {flags:?}");
        assert!(
            shown.contains("STRIPE_SECRET_KEY") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn the_back_off_is_read_in_order_and_its_default_is_the_documented_one() {
        let delays = |pairs: &[(&str, &str)]| {
            let mut env = env(pairs);
            env.process.insert("DATABASE_URL".into(), "sqlite:x".into());
            Config::resolve(&Flags::default(), &env).map(|config| {
                let seconds: Vec<u64> = config.retry_delays.iter().map(Duration::as_secs).collect();
                seconds
            })
        };
        assert_eq!(delays(&[]).unwrap(), [300, 600, 1800, 3600, 7200]);
        let name = "PAYOUTS_RETRY_DELAYS";
        assert_eq!(delays(&[(name, "90s, 1d,0s")]).unwrap(), [90, 86_400, 0]);
        for wrong in ["5", "5m,", ",", "5m;10m", "1h,-5m"] {
            let error = delays(&[(name, wrong)]).unwrap_err().to_string();
            assert!(error.contains("between commas"), "{wrong}: {error}");
        }
        assert!(delays(&[(name, &vec!["1s"; 101].join(","))]).is_err());
        assert!(delays(&[("PAYOUTS_MAX_RETRIES", "-1")]).is_err());
    }

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "5", "m", "-5m", "1.5h", "5é", "999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
