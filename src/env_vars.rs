//! Every environment variable the program reads, each in one constant.

/// A variable, what it means, and what holds when it is not set.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub meaning: &'static str,
    /// What holds without it, in words.
    pub default: &'static str,
    /// Never shown.
    pub secret: bool,
}

macro_rules! variables {
    ($( $konst:ident = $name:literal, $meaning:literal, $default:literal $(, $secret:ident)?; )+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning)]
            pub const $konst: Variable = Variable {
                name: $name, meaning: $meaning, default: $default,
                secret: variables!(@ $($secret)?),
            };
        )+
        /// All of them, in the order they are documented.
        pub const ALL: &[Variable] = &[ $( $konst ),+ ];
    };
    (@) => { false };
    (@ secret) => { true };
}

variables! {
    DATABASE_URL = "DATABASE_URL", "postgres://…, postgresql://… or sqlite:PATH", "SQLite in the user's data directory", secret;
    DATABASE_URL_FILE = "DATABASE_URL_FILE", "a file that holds that URL, for systemd credentials", "none";
    STRIPE_SECRET_KEY = "STRIPE_SECRET_KEY", "sk_… or rk_…; never a flag", "none", secret;
    STRIPE_SECRET_KEY_FILE = "STRIPE_SECRET_KEY_FILE", "a file that holds the key, for systemd credentials", "none";
    STRIPE_API_BASE = "STRIPE_API_BASE", "another address than Stripe's, for the sandbox and tests", "https://api.stripe.com";
    STRIPE_WEBHOOK_SECRET = "STRIPE_WEBHOOK_SECRET", "whsec_…, with which Stripe signs events; up to four, with commas between them, of two endpoints and while one is replaced", "none", secret;
    STRIPE_WEBHOOK_SECRET_FILE = "STRIPE_WEBHOOK_SECRET_FILE", "a file that holds that secret", "none";
    SMTP_URL = "SMTP_URL", "the mail server: smtps://USER:PASSWORD@HOST:465, or smtp://USER:PASSWORD@HOST:587 for STARTTLS; `?tls=none` on this machine only", "none", secret;
    SMTP_URL_FILE = "SMTP_URL_FILE", "a file that holds that URL", "none";
    MAIL_FROM = "PAYOUTS_MAIL_FROM", "from whom mails come: a name and its address in angle brackets, or the address alone", "none";
    MAIL_TO = "PAYOUTS_MAIL_TO", "the operators who get digests and alerts, with commas between them", "none";
    MAIL_TEMPLATES = "PAYOUTS_MAIL_TEMPLATES", "a folder of templates that hold in place of the built-in ones", "built in";
    LIVE = "PAYOUTS_LIVE", "1 allows keys that move real money; not read from .env", "off";
    PG_POOLER = "PAYOUTS_PG_POOLER", "`transaction` behind a transaction pooler, else `none`", "none";
    CURRENCY = "PAYOUTS_CURRENCY", "three-letter code; one database pays one currency", "usd";
    MIN_AMOUNT_CENTS = "PAYOUTS_MIN_AMOUNT_CENTS", "smallest payout in minor units", "100";
    MAX_AMOUNT_CENTS = "PAYOUTS_MAX_AMOUNT_CENTS", "largest payout in minor units", "1000000";
    APPROVAL_THRESHOLD_CENTS = "PAYOUTS_APPROVAL_THRESHOLD_CENTS", "from this amount in minor units on a second person must approve; 0: every payout", "off";
    MAX_RUN_TOTAL_CENTS = "PAYOUTS_MAX_RUN_TOTAL_CENTS", "the most that one run may pay out, in minor units", "off";
    MAX_DAY_TOTAL_CENTS = "PAYOUTS_MAX_DAY_TOTAL_CENTS", "the most that all runs of a UTC day may pay out, in minor units", "off";
    WARNINGS = "PAYOUTS_WARNINGS", "`refuse`: without a terminal, what a plan warns of needs `--accept-warnings`; else `tell`", "tell";
    ACTOR_FROM_ROLE = "PAYOUTS_ACTOR_FROM_ROLE", "1 takes the actor from the PostgreSQL role, which no variable can pretend", "off";
    MAX_RETRIES = "PAYOUTS_MAX_RETRIES", "failed attempts before a retry takes `--force`", "5";
    RETRY_DELAYS = "PAYOUTS_RETRY_DELAYS", "back-off for `retry --due` after the first failure, the second, …; the last one repeats", "5m,10m,30m,1h,2h";
    CHECK_FAILURE_PERCENT = "PAYOUTS_CHECK_FAILURE_PERCENT", "`payouts check` is critical when more than this share of the decided payouts failed, per cent", "5";
    CHECK_FAILURE_WITHIN = "PAYOUTS_CHECK_FAILURE_WITHIN", "the time that share is taken of", "24h";
    CHECK_FAILURE_SAMPLE = "PAYOUTS_CHECK_FAILURE_SAMPLE", "fewer decided payouts than this make no share", "20";
    CHECK_STUCK_AFTER = "PAYOUTS_CHECK_STUCK_AFTER", "critical when a payout is on the way or of unknown outcome for longer", "1h";
    CHECK_FAILED_ATTEMPTS = "PAYOUTS_CHECK_FAILED_ATTEMPTS", "warns of payouts that failed more often", "3";
    CHECK_FAILED_AFTER = "PAYOUTS_CHECK_FAILED_AFTER", "warns of payouts that have been failed for longer", "24h";
    CHECK_UNUSUAL_TIMES = "PAYOUTS_CHECK_UNUSUAL_TIMES", "warns of new payouts further from the creator's median than this many times the usual spread", "6";
    CHECK_FORECAST = "PAYOUTS_CHECK_FORECAST", "warns when the balance does not cover what is usually paid in this time; 0s: no forecast", "7d";
    CHECK_PROCESS_WITHIN = "PAYOUTS_CHECK_PROCESS_WITHIN", "warns when `payouts process` has not run to its end for longer; 0s: it need not", "26h";
    CHECK_RECONCILE_WITHIN = "PAYOUTS_CHECK_RECONCILE_WITHIN", "warns when `payouts reconcile` has compared nothing that is younger; 0s: it need not", "50h";
    CONCURRENCY = "PAYOUTS_CONCURRENCY", "transfers in flight at once, 1 to 1000", "32";
    RATE = "PAYOUTS_RATE", "sends per second", "20 live, 10 test, unlimited on a loopback base";
    LEASE = "PAYOUTS_LEASE", "after this long without a sign of life a run's claims are taken over", "2m";
    ACTOR = "PAYOUTS_ACTOR", "who is recorded in the history", "login name @ host";
    LOG_FORMAT = "PAYOUTS_LOG_FORMAT", "how narration is written to stderr: `text`, or `json`, one object a line", "text";
}

/// Set by tests only; a release binary does not know it.
#[cfg(feature = "testing")]
pub const TEST_NOW: &str = "PAYOUTS_TEST_NOW";
/// How long a request to Stripe may take, in tests.
#[cfg(feature = "testing")]
pub const TEST_TIMEOUT: &str = "PAYOUTS_TEST_TIMEOUT";
/// What happens at which failpoint, in tests: `claim.committed=kill`.
#[cfg(feature = "testing")]
pub const TEST_FAILPOINT: &str = "PAYOUTS_TEST_FAILPOINT";
/// Leaves core files and `/proc` as they are, in tests.
#[cfg(feature = "testing")]
pub const TEST_DUMPABLE: &str = "PAYOUTS_TEST_DUMPABLE";
