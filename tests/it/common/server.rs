//! Servers of a test's own, to be stopped, killed and started again: each in a temporary folder, on a
//! Unix socket only, gone with its test.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::pg::PgConnection;
use tempfile::TempDir;

use super::db::text_rows;
use super::temporary_folder;
use crate::process::signal;

/// A server that does not answer after this time has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder whose owner is not root, under whom no server runs.
pub(crate) struct OwnFolder {
    folder: TempDir,
    /// User and group; none when this is not root.
    owner: Option<(u32, u32)>,
}

impl OwnFolder {
    /// A folder of whoever owns another one.
    pub(crate) fn like(other: &Path) -> Self {
        let other = fs::metadata(other).expect("it is there");
        let folder = temporary_folder();
        let mine = fs::metadata(folder.path()).expect("it was made").uid();
        let owner = (mine != other.uid()).then(|| (other.uid(), other.gid()));
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).expect("root gives folders away");
        }
        Self { folder, owner }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program that its owner runs in it, and what it says goes into the file `log`.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join("log"))
            .expect("the log opens");
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, what: &str, so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !so() {
            assert!(begin.elapsed() < PATIENCE, "{what}: {}", self.log());
            std::thread::yield_now();
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

/// A PostgreSQL server.
pub(crate) struct Server {
    folder: OwnFolder,
    programs: PathBuf,
    postmaster: Option<Child>,
}

impl Server {
    /// A new one, with the programs and under the user of the one that is asked.
    pub(crate) fn start(other: &mut PgConnection) -> Self {
        let facts = "SELECT setting, current_setting('data_directory') FROM pg_config WHERE name = 'BINDIR'";
        let facts = text_rows(other, facts).swap_remove(0);
        let [programs, data] = [0, 1].map(|at| facts[at].clone().expect("not NULL"));
        let mut server = Self {
            folder: OwnFolder::like(Path::new(&data)),
            programs: PathBuf::from(programs),
            postmaster: None,
        };
        let made = server
            .folder
            .command(server.programs.join("initdb"))
            .args(["--pgdata=data", "--username=payouts_test", "--auth=trust"])
            .args(["--encoding=UTF8", "--locale=C", "--no-sync"])
            .status()
            .expect("initdb starts");
        assert!(made.success(), "{}", server.folder.log());
        server.begin();
        server
    }

    pub(crate) fn url(&self) -> String {
        let host = self.folder.path().display();
        format!("postgresql:///postgres?host={host}&user=payouts_test")
    }

    /// Starts it where it stands still, and waits until it takes sessions.
    pub(crate) fn begin(&mut self) {
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let postmaster = self
            .folder
            .command(self.programs.join("postgres"))
            .args(["-D", "data", "-c", &sockets, "-c", "listen_addresses="])
            // What is committed must survive the end of its processes, not that of the machine.
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .spawn()
            .expect("postgres starts");
        self.postmaster = Some(postmaster);
        self.folder
            .wait_until("it takes no sessions", || self.session().is_some());
    }

    /// Ends it at once, as a crash does: nobody is told, nothing is written out.
    pub(crate) fn end(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            signal(&postmaster, "QUIT");
            postmaster.wait().expect("it ends");
        }
    }

    /// Ends every session but the one that does so.
    pub(crate) fn terminate_sessions(&self) {
        let mut session = self.session().expect("it runs");
        let all = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        text_rows(&mut session, all);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test looks at the server without the code that is tested"
    )]
    fn session(&self) -> Option<PgConnection> {
        PgConnection::establish(&self.url()).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
