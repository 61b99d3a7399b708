//! `pgbouncer` in transaction mode, before the server that the tests use: each transaction gets
//! whichever of a few sessions is free.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use super::db::TestDb;
use super::outside;
use super::server::OwnFolder;
use crate::connection::Address;
use crate::process::signal;

/// Only names the socket; nothing listens on TCP.
const PORT: u16 = 6432;
/// Sessions that all clients share.
const SESSIONS: u16 = 3;

/// A pooler of a test's own.
pub(crate) struct Pooler {
    folder: OwnFolder,
    process: Child,
    behind: Address,
}

impl Pooler {
    /// One before a PostgreSQL database.
    pub(crate) fn before(db: &TestDb) -> Self {
        Self::that(db, false)
    }

    /// One that refuses the options of a session, as `pgbouncer` does unless it is told otherwise, or
    /// lets them pass and drops them.
    pub(crate) fn that(db: &TestDb, lets_options_pass: bool) -> Self {
        let behind = Address::of(db);
        let folder = OwnFolder::like(Path::new(&behind.host));
        let (host, user, database) = (&behind.host, &behind.user, &behind.database);
        let here = folder.path().display();
        let passed = if lets_options_pass {
            "ignore_startup_parameters = options"
        } else {
            ""
        };
        let settings = format!(
            "[databases]
            {database} = host={host} user={user}
            [pgbouncer]
            listen_addr =
            listen_port = {PORT}
            unix_socket_dir = {here}
            auth_type = any
            pool_mode = transaction
            default_pool_size = {SESSIONS}
            max_client_conn = 100
            {passed}
            "
        );
        fs::write(folder.path().join("pgbouncer.ini"), settings).expect("a file is written");
        let process = folder
            .command(program())
            .arg("pgbouncer.ini")
            .spawn()
            .expect("pgbouncer starts");
        let socket = folder.path().join(format!(".s.PGSQL.{PORT}"));
        folder.wait_until("it does not listen", || socket.exists());
        Self {
            folder,
            process,
            behind,
        }
    }

    /// The database through it, with more parameters.
    pub(crate) fn url(&self, more: &str) -> String {
        let Address {
            user,
            database,
            schema,
            ..
        } = &self.behind;
        let host = self.folder.path().display();
        format!(
            "postgresql:///{database}?host={host}&port={PORT}&user={user}&schema={schema}{more}"
        )
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        self.folder.log()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        signal(&self.process, "TERM");
        let ended = self.process.wait();
        assert!(std::thread::panicking() || ended.is_ok(), "it ends");
    }
}

/// Where `tests/run` looks for it.
fn program() -> PathBuf {
    let path = outside("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("pgbouncer"))
        .find(|file| file.exists());
    found.expect("pgbouncer is missing: run the tests with `tests/run`, which installs it")
}
