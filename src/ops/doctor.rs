//! Is everything there that a run needs, and is anything left that a person
//! must look at? Only reads; every finding says what to do.

use crate::model::hold::HoldKind;
use crate::model::mode::mode;
use crate::model::money::{Currency, with_currency};
use crate::model::time::Clock;
use crate::ops::account::SKEW_WARN_MILLIS;
use crate::store::health::OpenTotal;
use crate::store::{Stamp, Store, StoreError};
use crate::stripe::Stripe;

/// How a check came out; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and a person should look.
    Look,
    /// No run can work like this.
    Broken,
}

impl Verdict {
    /// The word in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Look => "attention",
            Self::Broken => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Good,
            found: found.into(),
            hint: None,
        }
    }

    /// A person should look.
    pub fn look(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Look,
            hint: Some(hint.into()),
            ..Self::good(name, found)
        }
    }

    /// No run can work.
    pub fn broken(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Broken,
            ..Self::look(name, found, hint)
        }
    }
}

/// Looks at an open database. What stands behind pending migrations cannot be read.
pub fn database(store: &mut Store, currency: Currency) -> Result<Vec<Check>, StoreError> {
    let server = store.server()?;
    let found = server.place.map_or_else(
        || server.version.clone(),
        |place| format!("{}, {place}", server.version),
    );
    let mut checks = vec![match server.exposed {
        None => Check::good("database", found),
        Some(exposed) => Check::look(
            "database",
            format!("{found}; {exposed}"),
            "let nobody else read who is paid what: chmod 600 the file, or connect with sslmode=verify-full",
        ),
    }];
    let states = store.migrations()?;
    let pending: Vec<&str> = states
        .iter()
        .filter(|state| !state.applied)
        .map(|state| state.migration.name)
        .collect();
    if !pending.is_empty() {
        checks.push(Check::broken(
            "schema",
            format!("pending: {}", pending.join(", ")),
            "run `payouts migrate`",
        ));
        return Ok(checks);
    }
    checks.push(Check::good("schema", "every migration has run"));
    checks.push(Check::good(
        "tables",
        if store.owns_table("payouts")? {
            "made by this tool"
        } else {
            "the platform's; imports of creators and statements are refused"
        },
    ));
    checks.push(stamp(store.stamp()?.as_ref()));
    checks.push(holds(store)?);
    checks.push(open(store.attempts_open()?, currency));
    Ok(checks)
}

fn stamp(stamp: Option<&Stamp>) -> Check {
    Check::good(
        "stamp",
        stamp.map_or_else(
            || "no run has sent from this database yet".to_owned(),
            |stamp| {
                let mode = mode(stamp.livemode);
                format!("pays from Stripe account {} in {mode} mode", stamp.account)
            },
        ),
    )
}

fn holds(store: &mut Store) -> Result<Check, StoreError> {
    let holds = store.holds()?;
    if let Some(switch) = holds.iter().find(|hold| hold.kind == HoldKind::All) {
        return Ok(Check::look(
            "holds",
            format!(
                "everything is held by {} since {}{}: {}",
                switch.actor,
                switch.created_at,
                switch
                    .ends_at
                    .map_or_else(String::new, |end| format!(" until {end}")),
                switch.reason
            ),
            "nothing is sent until `payouts release --all`",
        ));
    }
    Ok(Check::good(
        "holds",
        match holds.len() {
            0 => "none".to_owned(),
            1 => "1 hold".to_owned(),
            n => format!("{n} holds"),
        },
    ))
}

fn open(open: OpenTotal, currency: Currency) -> Check {
    if open.count == 0 {
        return Check::good("unresolved", "none");
    }
    Check::look(
        "unresolved",
        format!(
            "{} on the way or with an unknown outcome, {}",
            open.count,
            with_currency(open.amount_cents, currency)
        ),
        "the next `payouts process` looks them up; `payouts list --status PROCESSING` shows them",
    )
}

/// Asks Stripe whose key it is, what time it is, and what there is to pay with.
pub async fn stripe(
    stripe: &Stripe,
    clock: &Clock,
    stamp: Option<&Stamp>,
    currency: Currency,
) -> Vec<Check> {
    let (account, date) = match stripe.account().await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Check::broken(
                "stripe",
                error.to_string(),
                if error.is_key_refused() {
                    "check the key, and its right to read the account"
                } else {
                    "check the network, and STRIPE_API_BASE if it is set"
                },
            )];
        }
    };
    let mode = mode(stripe.livemode());
    let mut checks = vec![match stamp {
        Some(stamp) if stamp.account != account || stamp.livemode != stripe.livemode() => {
            Check::broken(
                "stripe",
                format!(
                    "the key belongs to account {account} in {mode} mode, the database to another"
                ),
                "use the key the database was first paid with, or another database",
            )
        }
        _ => Check::good("stripe", format!("account {account} in {mode} mode")),
    }];
    if let Some(date) = date {
        let ahead = date.millis_since(clock.now());
        let seconds = ahead.abs() / 1000;
        checks.push(if ahead.abs() >= SKEW_WARN_MILLIS {
            Check::look(
                "clock",
                format!("{seconds} seconds away from Stripe's"),
                "set this machine's clock; from 30 minutes on nothing is sent",
            )
        } else {
            Check::good("clock", "agrees with Stripe's")
        });
    }
    checks.push(match stripe.balance(currency).await {
        Ok(balance) => Check::good(
            "balance",
            format!(
                "{} available",
                with_currency(balance.available_cents, currency)
            ),
        ),
        Err(error) => Check::look(
            "balance",
            error.to_string(),
            "give the key the right to read the balance",
        ),
    });
    checks
}
