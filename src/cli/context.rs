//! What a command works with, opened only when it is asked for, so that help
//! needs nothing.

use secrecy::SecretString;

use crate::cli::Global;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::config::{Config, Environment, Flags, Origin};
use crate::model::approval::{ApprovalRule, ROLE_PREFIX};
use crate::model::hold::NamedBatch;
use crate::model::listing::ListRules;
use crate::model::money::Currency;
use crate::model::payout::SendRules;
use crate::model::standing::RetryRules;
use crate::model::time::Clock;
use crate::ops::retry;
use crate::output::log::LogFormat;
use crate::output::ui::Ui;
use crate::output::{Document, Format};
use crate::store::{DatabaseUrl, Open, RunDescription, Store};
use crate::stripe::Stripe;
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
    /// What this command alone writes, if that was asked for in place of a format.
    pub(crate) document: Option<Document>,
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
        (format, document): (Format, Option<Document>),
        arguments: String,
    ) -> Result<Self, CliError> {
        set_failpoints(env)?;
        // The log's clock is this one, unless it could not be read.
        clock(env)?;
        let flags = Flags {
            database_url: global.database_url.clone(),
            live: global.live,
            log_format: global.log_format.map(LogFormat::as_str),
        };
        Ok(Self {
            config: Config::resolve(&flags, env)?,
            clock: ui.log.clock.clone(),
            ui,
            format,
            document,
            yes: global.yes,
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

    /// The same database in a further session.
    pub(crate) fn another_store(&self) -> Result<Store, CliError> {
        Ok(Store::open(
            &self.config.database,
            Open::Existing,
            self.config.pooled,
            self.clock.clone(),
        )?)
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

    /// A connection to Stripe with that key.
    pub(crate) fn stripe(&self) -> Result<Stripe, CliError> {
        let (key, _) = self.stripe_key()?;
        let base = self.config.stripe_api_base.as_deref();
        Stripe::new(key, base, self.config.concurrency, self.timeouts).map_err(|e| {
            CliError::caused(
                Exit::CouldNotRun,
                "failed to set up the connection to Stripe",
                &e,
            )
            .hint("check STRIPE_API_BASE, or unset it to reach Stripe itself")
        })
    }

    /// Requests a second that are made of Stripe, unless configured: 20 with real
    /// money, 10 in its test mode, no limit on this machine.
    pub(crate) fn rate(&self, stripe: &Stripe) -> Option<u32> {
        let default = match (stripe.is_loopback(), stripe.livemode()) {
            (true, _) => None,
            (false, true) => Some(20),
            (false, false) => Some(10),
        };
        self.config.rate.or(default)
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
    pub(crate) fn run_description(
        &self,
        store: &mut Store,
        command: &str,
    ) -> Result<RunDescription, CliError> {
        Ok(RunDescription {
            command: command.to_owned(),
            arguments: self.arguments.clone(),
            actor: self.actor(store)?,
            host: self.config.host.clone(),
        })
    }

    /// Who is recorded: the configured name, or the database's role where that is asked
    /// for.
    pub(crate) fn actor(&self, store: &mut Store) -> Result<String, CliError> {
        if !self.config.actor_from_role {
            return Ok(self.config.actor.clone());
        }
        store
            .role()?
            .map(|role| format!("{ROLE_PREFIX}{role}"))
            .ok_or_else(|| {
                CliError::new(
                    Exit::CouldNotRun,
                    "PAYOUTS_ACTOR_FROM_ROLE is set, and SQLite has no roles",
                )
                .hint("unset it, and name the actor with PAYOUTS_ACTOR; or use PostgreSQL")
            })
    }

    /// The limits and permissions of a send.
    pub(crate) fn send_rules(&self, named_batch: Option<NamedBatch>) -> SendRules {
        SendRules {
            min_cents: self.config.min_cents,
            max_cents: self.config.max_cents,
            total_max_cents: [
                self.config.run_total_max_cents,
                self.config.day_total_max_cents,
            ]
            .into_iter()
            .flatten()
            .min(),
            approval: self
                .config
                .approval_threshold_cents
                .map(|threshold_cents| ApprovalRule {
                    threshold_cents,
                    roles_only: self.config.actor_from_role,
                }),
            named_batch,
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
        self.note_dropped_parameters();
        Ok(Store::open(
            &self.config.database,
            how,
            self.config.pooled,
            self.clock.clone(),
        )?)
    }

    /// Says which parameters of the URL are another program's.
    fn note_dropped_parameters(&self) {
        if let DatabaseUrl::Postgres(server) = &self.config.database
            && !server.dropped().is_empty()
        {
            self.ui.note(&format!(
                "DATABASE_URL: {} mean nothing here",
                server.dropped().join(", ")
            ));
        }
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
fn set_failpoints(_: &Environment) -> Result<(), crate::config::ConfigError> {
    Ok(())
}

/// Under the feature `testing` a run can be killed at a named place.
#[cfg(feature = "testing")]
fn set_failpoints(env: &Environment) -> Result<(), crate::config::ConfigError> {
    let Some((text, origin)) = env.test_failpoint() else {
        return Ok(());
    };
    crate::failpoint::install(text).map_err(|reason| crate::config::ConfigError::Value {
        name: crate::env_vars::TEST_FAILPOINT,
        origin,
        value: format!("{text:?}"),
        reason,
    })
}

#[cfg(not(feature = "testing"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "fallible under the feature `testing`"
)]
pub(super) fn clock(_: &Environment) -> Result<Clock, crate::config::ConfigError> {
    Ok(Clock::system())
}

/// Under the feature `testing` the clock can be set from outside, and stands still.
#[cfg(feature = "testing")]
pub(super) fn clock(env: &Environment) -> Result<Clock, crate::config::ConfigError> {
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
