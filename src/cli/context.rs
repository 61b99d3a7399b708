//! What a command works with, opened only when it is asked for, so that help
//! needs nothing.

use std::path::Path;

use crate::cli::Global;
use crate::cli::error::CliError;
use crate::config::{Config, Environment, Flags, Origin};
use crate::model::money::Currency;
use crate::model::time::Clock;
use crate::output::Format;
use crate::output::ui::Ui;
use crate::store::{Open, Store};

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
}

impl Context {
    /// Resolves the settings. An error comes with the streams to print it on.
    pub(crate) fn new(global: &Global) -> Result<Self, (Ui, CliError)> {
        let env = Environment::read(Path::new("."));
        let plain = env.as_ref().is_ok_and(Environment::asks_for_plain_output);
        let ui = Ui::detect(global.color, plain, global.quiet);
        let flags = Flags {
            database_url: global.database_url.clone(),
            live: global.live,
        };
        let resolved = env.and_then(|env| Ok((Config::resolve(&flags, &env)?, clock(&env)?)));
        match resolved {
            Ok((config, clock)) => Ok(Self {
                config,
                ui,
                format: global.output,
                yes: global.yes,
                clock,
            }),
            Err(error) => Err((ui, error.into())),
        }
    }

    /// The database, which must exist and have this version's schema.
    pub(crate) fn store(&self) -> Result<Store, CliError> {
        let mut store = self.open(Open::Existing)?;
        store.require_current_schema()?;
        Ok(store)
    }

    /// The currency of the amounts in a database: what it was stamped with, else
    /// what the settings say, else US dollars.
    pub(crate) fn shown_currency(&self, store: &mut Store) -> Result<Currency, CliError> {
        let stamped = store.currency()?;
        Ok(stamped.or(self.config.currency).unwrap_or(Currency::USD))
    }

    /// The database, in whatever state it is.
    pub(crate) fn open(&self, how: Open) -> Result<Store, CliError> {
        if self.config.database_origin == Origin::Default {
            self.ui.note(&format!(
                "using {} (DATABASE_URL is not set)",
                self.config.database
            ));
        }
        Ok(Store::open(
            &self.config.database,
            how,
            self.config.pooled,
            self.clock.clone(),
        )?)
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
