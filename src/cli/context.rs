//! What a command works with, opened only when it is asked for, so that help
//! needs nothing.

use secrecy::SecretString;

use crate::cli::Global;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::config::{Config, Environment, Flags, Origin};
use crate::model::listing::ListRules;
use crate::model::money::Currency;
use crate::model::standing::RetryRules;
use crate::model::time::Clock;
use crate::ops::retry;
use crate::output::Format;
use crate::output::ui::Ui;
use crate::store::{Open, RunDescription, Store};
use crate::stripe::transport::{Timeouts, key_livemode};

/// Settings, streams and the clock of one execution.
#[derive(Debug)]
pub(crate) struct Context {
    /// Every setting, resolved.
    pub(crate) config: Config,
    /// The streams.
    pub(crate) ui: Ui,
    /// How the answer is written.
    pub(crate) format: Format,
    /// Ask nothing.
    pub(crate) yes: bool,
    /// The one clock.
    pub(crate) clock: Clock,
    /// How long a request to Stripe may take.
    pub(crate) timeouts: Timeouts,
    /// The command line, for the record of runs.
    arguments: String,
}

impl Context {
    /// Resolves the settings.
    pub(crate) fn new(
        global: &Global,
        env: &Environment,
        ui: Ui,
        arguments: String,
    ) -> Result<Self, CliError> {
        let flags = Flags {
            database_url: global.database_url.clone(),
            live: global.live,
        };
        Ok(Self {
            config: Config::resolve(&flags, env)?,
            ui,
            format: global.output,
            yes: global.yes,
            clock: clock(env)?,
            timeouts: timeouts(env)?,
            arguments,
        })
    }

    /// The database, which must exist and have this version's schema.
    pub(crate) fn store(&self) -> Result<Store, CliError> {
        let mut store = self.open(Open::Existing)?;
        store.require_current_schema()?;
        Ok(store)
    }

    /// The Stripe key, and whether it moves real money; a live one only when allowed.
    pub(crate) fn stripe_key(&self) -> Result<(&SecretString, bool), CliError> {
        let key = self.config.stripe_key.as_ref().ok_or_else(|| {
            CliError::new(Exit::CouldNotRun, "there is no Stripe key")
                .hint("set STRIPE_SECRET_KEY or STRIPE_SECRET_KEY_FILE; to try it out, run `payouts sandbox` and use what it prints")
        })?;
        let livemode = key_livemode(key).map_err(|e| {
            CliError::new(Exit::CouldNotRun, e.to_string()).hint("check STRIPE_SECRET_KEY")
        })?;
        if livemode && !self.config.live {
            return Err(CliError::new(
                Exit::Refused,
                "the Stripe key moves real money, and that is not allowed here",
            )
            .hint("set PAYOUTS_LIVE=1 or give --live, if real money is meant"));
        }
        Ok((key, livemode))
    }

    /// The one currency of this database: what it is stamped with, else what is
    /// configured. Rows of a platform's table need it said explicitly.
    pub(crate) fn currency(&self, store: &mut Store) -> Result<Currency, CliError> {
        let configured = self.config.currency;
        match (store.currency()?, configured) {
            (Some(stamped), Some(asked)) if stamped != asked => Err(CliError::new(
                Exit::Refused,
                format!(
                    "this database pays in {}, not in {}",
                    stamped.upper(),
                    asked.upper()
                ),
            )
            .hint("unset PAYOUTS_CURRENCY, or use another database")),
            (Some(stamped), _) => Ok(stamped),
            (None, Some(asked)) => Ok(asked),
            (None, None) if store.owns_table("payouts")? => Ok(Currency::USD),
            (None, None) => Err(CliError::new(
                Exit::CouldNotRun,
                "the payouts table was there before this tool, and says no currency",
            )
            .hint("set PAYOUTS_CURRENCY to the currency its amounts are in")),
        }
    }

    /// This execution, as it is recorded with what it writes.
    pub(crate) fn run_description(&self, command: &str) -> RunDescription {
        RunDescription {
            command: command.to_owned(),
            arguments: self.arguments.clone(),
            actor: self.config.actor.clone(),
            host: self.config.host.clone(),
        }
    }

    /// What the settings say about retries.
    pub(crate) fn retry_rules(&self) -> RetryRules {
        retry::rules(self.config.retries_max, self.config.retry_delays.clone())
    }

    /// What lists judge their lines by.
    pub(crate) fn list_rules(&self) -> ListRules {
        ListRules {
            lease: self.config.lease,
            retry: self.retry_rules(),
        }
    }

    /// The database, in whatever state it is.
    pub(crate) fn open(&self, how: Open) -> Result<Store, CliError> {
        self.note_default_database();
        Ok(Store::open(
            &self.config.database,
            how,
            self.config.pooled,
            self.clock.clone(),
        )?)
    }

    /// Says which database is used when nobody said.
    pub(crate) fn note_default_database(&self) {
        if self.config.database_origin == Origin::Default {
            self.ui.note(&format!(
                "using {} (DATABASE_URL is not set)",
                self.config.database
            ));
        }
    }
}

#[cfg(not(feature = "testing"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "fallible under the feature `testing`"
)]
fn clock(_: &Environment) -> Result<Clock, crate::config::ConfigError> {
    Ok(Clock::system())
}

/// Under the feature `testing` the clock can be set from outside, and stands still.
#[cfg(feature = "testing")]
fn clock(env: &Environment) -> Result<Clock, crate::config::ConfigError> {
    Ok(env.test_now()?.map_or_else(Clock::system, Clock::manual))
}

#[cfg(not(feature = "testing"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "fallible under the feature `testing`"
)]
fn timeouts(_: &Environment) -> Result<Timeouts, crate::config::ConfigError> {
    Ok(Timeouts::default())
}

/// Under the feature `testing` a lost answer need not take 80 seconds.
#[cfg(feature = "testing")]
fn timeouts(env: &Environment) -> Result<Timeouts, crate::config::ConfigError> {
    let whole = env.test_timeout()?.unwrap_or(Timeouts::default().whole);
    Ok(Timeouts {
        whole,
        ..Timeouts::default()
    })
}
