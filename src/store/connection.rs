//! Opening a database: the URL decides which, and every session is set up the
//! same way before anything is asked of it.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place that connects, after the URL's scheme has chosen the variant"
)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::store::error::StoreError;
use crate::store::health::Disk;
use crate::store::postgres_url::PostgresUrl;
use crate::store::{Open, dialect};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub(crate) enum AnyConnection {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Production, shared with the platform.
    Postgres,
    /// The embedded default.
    Sqlite,
}

impl Backend {
    /// The name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// Where the database is. Printing it never shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A server.
    Postgres(PostgresUrl),
    /// A file.
    Sqlite(PathBuf),
}

/// Why a text is not a database URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither PostgreSQL nor SQLite.
    #[error("unknown database URL scheme {0:?}; use postgres://…, postgresql://… or sqlite:PATH")]
    Scheme(String),
    /// Not even a scheme.
    #[error("it is no database URL; use postgres://…, postgresql://… or sqlite:PATH")]
    NoScheme,
    /// Nothing after `sqlite:`, or a database that would vanish.
    #[error("sqlite: needs the path of a file, such as sqlite:payouts.db")]
    NoFile,
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(PostgresUrl::parse(text)));
        }
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path == ":memory:" || path.starts_with("file:") {
                return Err(UrlError::NoFile);
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        // Only a scheme is shown: anything else may be a password.
        match text.split_once("://") {
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(UrlError::Scheme(scheme.chars().take(20).collect()))
            }
            _ => Err(UrlError::NoScheme),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url.given())),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Replaces the password in a URL's authority and drops its parameters, one of
/// which may be a password too.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return "postgres://…".to_owned();
    };
    // A password may hold an unescaped `@` or `/`: everything up to the last `@` is credentials.
    match rest.rsplit_once('@') {
        None => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            match host.rsplit_once(':') {
                // What stands where a port should may be a password whose host was forgotten.
                Some((name, port))
                    if !port.bytes().all(|byte| byte.is_ascii_digit()) && !port.ends_with(']') =>
                {
                    format!("{scheme}://{name}:…")
                }
                _ => format!("{scheme}://{host}{path}"),
            }
        }
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{host}")
        }
    }
}

/// Why PostgreSQL could not be reached, in words of our own.
///
/// libpq quotes what it cannot read, and a password with a character that should
/// have been escaped is taken for a port or a host: none of its text is shown.
fn harmless_reason(libpq: &str) -> &'static str {
    /// What libpq or the server says somewhere in its text, and what that means.
    const KNOWN: &[(&[&str], &str)] = &[
        (
            &["could not translate host name"],
            "could not translate host name",
        ),
        (
            &["authentication failed for user"],
            "authentication failed for user",
        ),
        (&["no password supplied"], "the server wants a password"),
        (
            &["database ", " does not exist"],
            "the database does not exist",
        ),
        (&["role ", " does not exist"], "the role does not exist"),
        (
            &["no pg_hba.conf entry"],
            "the server does not let this client in (pg_hba.conf)",
        ),
        (&["too many"], "the server has no connection left"),
        (
            &["the database system is"],
            "the server is starting or stopping",
        ),
        (
            &["certificate verify failed"],
            "the server's certificate is not signed by a root certificate of this system; name the right one with sslrootcert",
        ),
        (
            &["root certificate file"],
            "no root certificate was found to check the server's with; name one with sslrootcert",
        ),
        (
            &["server certificate", "does not match host name"],
            "the server's certificate is for another host",
        ),
        (
            &["does not support SSL"],
            "the server does not speak TLS, which sslmode demands",
        ),
        (
            &["invalid URI query parameter"],
            "the URL has a parameter that PostgreSQL does not know",
        ),
        (
            &[POOLER_REFUSES],
            "a pooler sits in front and refuses a parameter of the URL",
        ),
        (&["Connection refused"], "connection refused"),
        (&["timeout expired"], "timeout"),
        (&["timed out"], "timeout"),
        (&["No such file or directory"], "no such file or directory"),
        (&["could not connect"], "could not connect"),
        (&["connection to server "], "could not connect"),
    ];
    KNOWN
        .iter()
        .find(|(said, _)| said.iter().all(|part| libpq.contains(part)))
        .map_or("the URL cannot be read", |(_, meaning)| meaning)
}

/// Which database a connection leads to.
pub(crate) fn backend_of(conn: &AnyConnection) -> Backend {
    match conn {
        AnyConnection::Postgres(_) => Backend::Postgres,
        AnyConnection::Sqlite(_) => Backend::Sqlite,
    }
}

/// Connects to the database the URL names and sets the session up.
pub(crate) fn open(
    url: &DatabaseUrl,
    how: Open,
    pooled: bool,
) -> Result<AnyConnection, StoreError> {
    match url {
        DatabaseUrl::Postgres(server) => open_postgres(url, server, pooled),
        DatabaseUrl::Sqlite(path) => open_sqlite(url, path, how),
    }
}

fn open_postgres(
    url: &DatabaseUrl,
    server: &PostgresUrl,
    pooled: bool,
) -> Result<AnyConnection, StoreError> {
    let connected = PgConnection::establish(&for_libpq(server, pooled));
    let mut conn = connected.map_err(|source| match source.to_string() {
        said if !pooled && said.contains(POOLER_REFUSES) => StoreError::Pooler,
        said => StoreError::Unreachable {
            url: url.to_string(),
            reason: harmless_reason(&said).to_owned(),
        },
    })?;
    if pooled {
        // The pooler gives each transaction another server session: a statement
        // prepared in one is missing in the next.
        Connection::set_prepared_statement_cache_size(
            &mut conn,
            diesel::connection::CacheSize::Disabled,
        );
    } else {
        // What a session sets behind a pooler, others would get.
        if !dialect::has_option(&mut conn, OWN_SESSION)? {
            return Err(StoreError::Pooler);
        }
        conn.batch_execute(&dialect::postgres_session("SESSION", server.schema()))?;
    }
    Ok(AnyConnection::Postgres(conn))
}

/// Every session of our own bears this setting from its start on. A pooler hands
/// out sessions that it has begun itself: it refuses the setting, or drops it.
///
/// Behind a pooler that nobody announced a run would think itself alive by a lock
/// that belongs to whoever gets the session next, and leave its settings and
/// prepared statements to the platform's own software.
const OWN_SESSION: &str = "payouts.own_session";

/// How a pooler refuses it.
const POOLER_REFUSES: &str = "unsupported startup parameter";

/// The URL, completed where libpq itself would look: in its own variables and
/// in the user's folder.
fn for_libpq(server: &PostgresUrl, pooled: bool) -> String {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let marked;
    let server = if pooled {
        server
    } else {
        marked = server.with_option(
            said("PGOPTIONS").as_deref(),
            &format!("-c {OWN_SESSION}=on"),
        );
        &marked
    };
    server.libpq(said("PGSSLMODE").as_deref(), || {
        let own = dirs::home_dir().map(|home| home.join(".postgresql/root.crt"));
        if said("PGSSLROOTCERT").is_some() || own.is_some_and(|file| file.exists()) {
            return None;
        }
        // The OpenSSL that is built in looks where no system keeps them.
        openssl_probe::probe().cert_file
    })
}

fn open_sqlite(url: &DatabaseUrl, path: &Path, how: Open) -> Result<AnyConnection, StoreError> {
    let unreachable = |reason: String| StoreError::Unreachable {
        url: url.to_string(),
        reason,
    };
    let exists = path.try_exists().map_err(|e| unreachable(e.to_string()))?;
    if !exists {
        match how {
            Open::Existing => {
                return Err(StoreError::Missing {
                    path: path.to_owned(),
                });
            }
            Open::CreateIfMissing => {
                create_private(path).map_err(|e| unreachable(e.to_string()))?;
            }
        }
    }
    refuse_network_file_system(path).map_err(unreachable)?;
    let file = path
        .to_str()
        .ok_or_else(|| unreachable("the path is not UTF-8".to_owned()))?;
    let connected = SqliteConnection::establish(file);
    let mut conn = connected.map_err(|e| unreachable(e.to_string()))?;
    dialect::sqlite_session(&mut conn).map_err(|e| match StoreError::from(e) {
        // Such as a file that is not a database.
        StoreError::Database { source } => unreachable(source.to_string()),
        other => other,
    })?;
    Ok(AnyConnection::Sqlite(conn))
}

/// Opens a copy of an embedded database that nobody writes to, without changing it and
/// without leaving anything beside it.
pub(crate) fn open_copy(path: &Path) -> Result<AnyConnection, StoreError> {
    let unreachable = |reason: String| StoreError::Unreachable {
        url: format!("sqlite:{}", path.display()),
        reason,
    };
    let absolute = std::path::absolute(path).map_err(|e| unreachable(e.to_string()))?;
    let name = absolute
        .to_str()
        .ok_or_else(|| unreachable("the path is not UTF-8".to_owned()))?;
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    SqliteConnection::establish(&format!("file:{name}?mode=ro&immutable=1"))
        .map(AnyConnection::Sqlite)
        .map_err(|e| unreachable(e.to_string()))
}

/// A database in memory that every migration was just run in: what a schema should be.
pub(super) fn in_memory() -> Result<AnyConnection, StoreError> {
    let connected = SqliteConnection::establish(":memory:");
    let mut conn = connected.map_err(|e| StoreError::Unreachable {
        url: ":memory:".to_owned(),
        reason: e.to_string(),
    })?;
    for migration in crate::store::migrations::all(Backend::Sqlite) {
        conn.batch_execute(migration.up)?;
    }
    Ok(AnyConnection::Sqlite(conn))
}

/// Makes an empty file that only its owner can read, and the folders above it.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        // A link, which somebody else may have put there, would have the file made elsewhere
        // and for everybody to read.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_symlink() => Err(
            std::io::Error::other("a symbolic link that leads nowhere is in its place"),
        ),
        // Another process was faster, with the same mode.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// The files of an embedded database: the database, its write-ahead log and the index of
/// that.
fn files_of(url: &DatabaseUrl) -> Vec<PathBuf> {
    let DatabaseUrl::Sqlite(path) = url else {
        return Vec::new();
    };
    let beside = |end: &str| {
        let mut name = path.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    vec![path.clone(), beside("-wal"), beside("-shm")]
}

/// Whether others on this machine may read a file of an embedded database.
pub(crate) fn open_to_others(url: &DatabaseUrl) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    files_of(url).iter().find_map(|path| {
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (mode & 0o077 != 0)
            .then(|| format!("others on this machine may open {name} (mode {mode:03o})"))
    })
}

/// What an embedded database takes of its disk, and what is left there. None on
/// PostgreSQL, whose disk is another machine's.
pub(crate) fn disk(url: &DatabaseUrl) -> Option<Disk> {
    let [database, wal, _] = files_of(url).try_into().ok()?;
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let there = rustix::fs::statvfs(&database).ok()?;
    Some(Disk {
        database_bytes: bytes(&database),
        wal_bytes: bytes(&wal),
        free_bytes: there.f_bavail.saturating_mul(there.f_frsize),
    })
}

/// File locks do not hold on these, and a write-ahead log is corrupted without them.
/// Numbers from statfs(2).
fn refuse_network_file_system(path: &Path) -> Result<(), String> {
    const NETWORK: &[(i64, &str)] = &[
        (0x6969, "NFS"),
        (0x517B, "SMB"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x5346_414F, "AFS"),
        (0x0102_1997, "9P"),
    ];
    let kind = rustix::fs::statfs(path).map_err(|e| e.to_string())?.f_type;
    match NETWORK.iter().find(|(number, _)| *number == kind) {
        None => Ok(()),
        Some((_, name)) => Err(format!(
            "the file lies on a network file system ({name}), where SQLite's locks do not hold; \
             use a local disk, or PostgreSQL"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_a_database_that_others_may_open_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("p.db");
        let url = DatabaseUrl::Sqlite(database.clone());
        create_private(&database).unwrap();
        assert_eq!(open_to_others(&url), None);
        for end in ["-shm", "-wal", ""] {
            let file = folder.path().join(format!("p.db{end}"));
            std::fs::write(&file, "12345").unwrap();
            let mode = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(&file, mode).unwrap();
            let told = format!("others on this machine may open p.db{end} (mode 640)");
            assert_eq!(open_to_others(&url), Some(told));
        }
        let disk = disk(&url).unwrap();
        assert_eq!((disk.database_bytes, disk.wal_bytes), (5, 5));
        assert!(disk.free_bytes > 0);
    }

    #[test]
    fn the_scheme_decides_and_unknown_ones_are_refused() {
        assert_eq!(
            "sqlite:a.db".parse(),
            Ok(DatabaseUrl::Sqlite("a.db".into()))
        );
        assert_eq!(
            "sqlite:///a/b.db".parse(),
            Ok(DatabaseUrl::Sqlite("/a/b.db".into()))
        );
        assert!(matches!(
            "postgresql://h/d".parse(),
            Ok(DatabaseUrl::Postgres(_))
        ));
        for wrong in [
            "mysql://x",
            "postgresql:x",
            "payouts.db",
            "",
            "sqlite",
            "file:x.db",
        ] {
            assert!(
                matches!(
                    wrong.parse::<DatabaseUrl>(),
                    Err(UrlError::Scheme(_) | UrlError::NoScheme)
                ),
                "{wrong}"
            );
        }
        for wrong in ["sqlite:", "sqlite::memory:", "sqlite:file:x?mode=memory"] {
            assert_eq!(
                wrong.parse::<DatabaseUrl>(),
                Err(UrlError::NoFile),
                "{wrong}"
            );
        }
    }

    #[test]
    fn libpq_does_not_print_a_password_either() {
        for url in [
            "postgres://ann:s3cret/x@db/pay",
            "postgres://ann:%zzs3cret@db/pay",
        ] {
            let error = open(&url.parse().unwrap(), Open::Existing, false)
                .err()
                .unwrap()
                .to_string();
            assert!(error.ends_with(": the URL cannot be read"), "{error}");
            assert!(!error.contains("s3c"), "{error}");
        }
    }

    #[test]
    fn what_a_server_says_is_told_in_one_line() {
        for (said, told) in [
            (
                "connection to server at \"db\" (127.0.0.1), port 5432 failed: Connection refused\n\tIs the server running?",
                "connection refused",
            ),
            (
                "connection to server at \"db\" failed: FATAL:  password authentication failed for user \"ann\"\n",
                "authentication failed for user",
            ),
            (
                "connection to server at \"db\" failed: FATAL:  database \"pay\" does not exist",
                "the database does not exist",
            ),
            (
                "could not translate host name \"s3cret@db\" to address: Name or service not known",
                "could not translate host name",
            ),
            ("invalid integer value \"s3cret\"", "the URL cannot be read"),
        ] {
            assert_eq!(harmless_reason(said), told);
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        for url in [
            "postgres://ann:s3cret@db/pay",
            "postgres://ann:s3c/ret@x@db/pay",
            "postgres://db/pay?user=ann&password=s3cret",
            "postgres://ann:s3cret/pay",
            "postgres://ann:s3cret",
            "postgres://ann:s3c#ret@db/pay",
            "postgres://ann:s3c?ret@db/pay",
            "mysql:s3cret",
            "s3cret",
            "s3cret:x@db",
        ] {
            let shown = match url.parse::<DatabaseUrl>() {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => error.to_string(),
            };
            assert!(!shown.contains("s3c"), "{shown}");
        }
    }
}
