//! A PostgreSQL URL as the platform's software writes it, made into one that
//! libpq reads.
//!
//! Prisma and libpq agree on the form of a URL but not on its parameters, and
//! libpq refuses a URL with a parameter it does not know. What says where the
//! tables are is understood; what tunes another program's connection pool is
//! dropped, and the caller tells the user so. Whatever asks for a safer
//! connection is never dropped.

use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but what a URL's parameter may hold as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_');

/// Parameters of Prisma that tune its own connection pool or engine.
/// Source: Prisma, "PostgreSQL database connector", connection URL.
const PRISMA_ONLY: &[&str] = &[
    "connection_limit",
    "max_idle_connection_lifetime",
    "pool_timeout",
    "single_use_connections",
    "socket_timeout",
    "sslidentity",
    "statement_cache_size",
];

/// A connection URL, and what it says beside the connection.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    given: String,
    base: String,
    parameters: Vec<(String, String)>,
    schema: Option<String>,
    pooled: bool,
    dropped: Vec<String>,
}

impl PostgresUrl {
    /// Reads a URL that begins with `postgres://` or `postgresql://`.
    pub(super) fn parse(text: &str) -> Self {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut url = Self {
            given: text.to_owned(),
            base: base.to_owned(),
            parameters: Vec::new(),
            schema: None,
            pooled: false,
            dropped: Vec::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            url.take(decoded(name), decoded(value));
        }
        url.name_the_root();
        url
    }

    /// What Prisma calls `sslcert` is the server's root certificate. In libpq it is
    /// the client's own, which goes with a key.
    fn name_the_root(&mut self) {
        let of_libpq = ["sslkey", "sslrootcert"];
        if of_libpq.iter().any(|name| self.parameter(name).is_some()) {
            return;
        }
        for (name, _) in self
            .parameters
            .iter_mut()
            .filter(|(name, _)| name == "sslcert")
        {
            "sslrootcert".clone_into(name);
        }
    }

    fn take(&mut self, name: String, value: String) {
        match (name.as_str(), value.as_str()) {
            ("schema", _) => self.schema = Some(value).filter(|schema| !schema.is_empty()),
            ("pgbouncer", _) => self.pooled = value == "true",
            // Prisma's word for a certificate that must be good and of this host.
            ("sslaccept", "strict") => {
                self.parameters.retain(|(name, _)| name != "sslmode");
                self.parameters
                    .push(("sslmode".to_owned(), "verify-full".to_owned()));
            }
            ("sslmode", _) if self.sslmode() == Some("verify-full") => {}
            ("sslaccept", _) => self.dropped.push(name),
            (known, _) if PRISMA_ONLY.contains(&known) => self.dropped.push(name),
            _ => self.parameters.push((name, value)),
        }
    }

    /// As it was given, with its password.
    pub(super) fn given(&self) -> &str {
        &self.given
    }

    /// The schema that holds the tables; none for the server's default.
    pub(super) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// A transaction pooler sits in front of the server.
    pub fn pooled(&self) -> bool {
        self.pooled
    }

    /// Parameters that mean nothing to this program, in the order given.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// The URL for libpq. `sslmode` holds where the URL has none. `roots` finds
    /// the root certificates of a connection whose server must prove who it is,
    /// and that names none itself.
    pub(super) fn libpq(
        &self,
        sslmode: Option<&str>,
        roots: impl FnOnce() -> Option<PathBuf>,
    ) -> String {
        let mut parameters = self.parameters.clone();
        let system = self.parameter("sslrootcert") == Some("system");
        let proven = self
            .sslmode()
            .or(sslmode)
            .is_some_and(|mode| mode.starts_with("verify-"));
        let unnamed = system || (proven && self.parameter("sslrootcert").is_none());
        if let Some(file) = unnamed.then(roots).flatten() {
            parameters.retain(|(name, _)| name != "sslrootcert");
            parameters.push(("sslrootcert".to_owned(), file.display().to_string()));
            if !proven {
                // What `system` stands for where libpq understands it.
                parameters.retain(|(name, _)| name != "sslmode");
                parameters.push(("sslmode".to_owned(), "verify-full".to_owned()));
            }
        }
        let query: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        match query.as_slice() {
            [] => self.base.clone(),
            query => format!("{}?{}", self.base, query.join("&")),
        }
    }

    /// The same with one more option for its sessions, beside those it names itself or else
    /// has from `outside`.
    pub(super) fn with_option(&self, outside: Option<&str>, option: &str) -> Self {
        let mut url = self.clone();
        let named = |(name, _): &&mut (String, String)| name == "options";
        if let Some((_, options)) = url.parameters.iter_mut().rfind(named) {
            *options = format!("{options} {option}");
        } else {
            let options = [outside, Some(option)].into_iter().flatten();
            let options = options.collect::<Vec<_>>().join(" ");
            url.parameters.push(("options".to_owned(), options));
        }
        url
    }

    fn sslmode(&self) -> Option<&str> {
        self.parameter("sslmode")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Bytes that are not UTF-8 stay escaped: libpq is the one to judge them.
fn decoded(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8()
        .map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libpq(text: &str) -> String {
        PostgresUrl::parse(text).libpq(None, || Some("/etc/ssl/roots.pem".into()))
    }

    #[test]
    fn the_root_certificate_of_prisma_is_one_for_libpq() {
        assert_eq!(
            libpq("postgresql://h/d?sslmode=require&sslcert=/etc/root.pem&sslaccept=strict"),
            "postgresql://h/d?sslrootcert=/etc/root.pem&sslmode=verify-full"
        );
        for clients in [
            "postgresql://h/d?sslcert=/etc/me.pem&sslkey=/etc/me.key",
            "postgresql://h/d?sslcert=/etc/me.pem&sslrootcert=/etc/root.pem",
        ] {
            assert_eq!(libpq(clients), clients);
        }
    }

    #[test]
    fn what_libpq_knows_stays_as_it_is() {
        for text in [
            "postgres://h/d",
            "postgresql://ann:p%40ss@h:5433/d?sslmode=require&connect_timeout=5",
            "postgresql:///d?host=/run/postgresql&user=ann",
            "postgresql://h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql://h/d?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem",
        ] {
            assert_eq!(libpq(text), text);
        }
    }

    #[test]
    fn an_option_stands_beside_those_that_are_there() {
        let with = |text: &str, outside: Option<&str>| {
            let url = PostgresUrl::parse(text).with_option(outside, "-c b=2");
            url.libpq(None, || None)
        };
        let none = "postgresql://h/d?options=-c%20b%3D2";
        let both = "postgresql://h/d?options=-ca%3D1%20-c%20b%3D2";
        assert_eq!(with("postgresql://h/d", None), none);
        assert_eq!(with("postgresql://h/d", Some("-ca=1")), both);
        let given = "postgresql://h/d?options=-ca%3D1";
        assert_eq!(with(given, None), both);
        // As libpq has it, the URL's own win.
        assert_eq!(with(given, Some("-cz=0")), both);
    }

    #[test]
    fn what_prisma_adds_is_understood_or_dropped_by_name() {
        let url = PostgresUrl::parse(
            "postgresql://h/d?schema=pay%22x&connection_limit=5&pool_timeout=10&pgbouncer=true\
             &sslaccept=accept_invalid_certs&application_name=payouts",
        );
        assert_eq!(url.schema(), Some("pay\"x"));
        assert!(url.pooled());
        assert_eq!(
            url.dropped(),
            ["connection_limit", "pool_timeout", "sslaccept"]
        );
        assert_eq!(
            url.libpq(None, || None),
            "postgresql://h/d?application_name=payouts"
        );
        assert!(!PostgresUrl::parse("postgresql://h/d?pgbouncer=false").pooled());
        assert_eq!(
            PostgresUrl::parse("postgresql://h/d?schema=").schema(),
            None
        );
    }

    #[test]
    fn a_strict_certificate_is_asked_for_in_libpqs_word_wherever_it_stands() {
        for text in [
            "postgresql://h/d?sslaccept=strict&sslmode=require",
            "postgresql://h/d?sslmode=require&sslaccept=strict",
            "postgresql://h/d?sslaccept=strict",
        ] {
            assert_eq!(
                libpq(text),
                "postgresql://h/d?sslmode=verify-full&sslrootcert=/etc/ssl/roots.pem"
            );
            assert!(PostgresUrl::parse(text).dropped().is_empty());
        }
    }

    #[test]
    fn a_server_that_must_prove_itself_is_held_against_the_systems_roots() {
        let with_roots = "&sslrootcert=/etc/ssl/roots.pem";
        for text in [
            "postgresql://h/d?sslmode=verify-full",
            "postgresql://h/d?sslmode=verify-ca",
        ] {
            assert_eq!(libpq(text), format!("{text}{with_roots}"));
        }
        // libpq takes a root certificate as a wish to verify: nobody asked for that here.
        assert_eq!(
            libpq("postgresql://h/d?sslmode=require"),
            "postgresql://h/d?sslmode=require"
        );
        assert_eq!(
            libpq("postgresql://h/d?sslrootcert=system"),
            "postgresql://h/d?sslrootcert=/etc/ssl/roots.pem&sslmode=verify-full"
        );
        assert_eq!(
            PostgresUrl::parse("postgresql://h/d?sslmode=verify-full").libpq(None, || None),
            "postgresql://h/d?sslmode=verify-full"
        );
        let from_outside = |text: &str| {
            PostgresUrl::parse(text).libpq(Some("verify-full"), || Some("/r.pem".into()))
        };
        assert_eq!(
            from_outside("postgresql://h/d"),
            "postgresql://h/d?sslrootcert=/r.pem"
        );
        assert_eq!(
            from_outside("postgresql://h/d?sslmode=disable"),
            "postgresql://h/d?sslmode=disable"
        );
    }
}
