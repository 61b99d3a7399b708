//! An SQLite database that cannot be written: a full disk, a file that may not grow, a file or folder
//! that is read-only. The message says what is wrong and what to do, nothing is paid twice, and the
//! next run that can write completes.

#![expect(clippy::print_stdout, reason = "a seed that was drawn must be told")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use fastrand::Rng;

use crate::common::db::TestDb;
use crate::common::env::Run;
use crate::common::outside_number;
use crate::common::shop::Shop;

/// Moments at which the space is gone, in each test.
const MOMENTS: usize = 8;
const PAYOUTS: usize = 40;
/// About as much as a run that pays so many writes.
const WRITTEN_BYTES: u64 = 1_200_000;
const LEASE_OVER: Duration = Duration::from_secs(121);

/// Payouts that are due; `out_of_space` runs the program with so many bytes to spare. In the end all
/// is paid, and once.
fn at_random_moments(out_of_space: impl Fn(&mut Shop, u64) -> Run) {
    let seed = outside_number("PAYOUTS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut stopped = 0;
    for _ in 0..MOMENTS {
        let mut shop = Shop::open(TestDb::sqlite_in_memory_file_system());
        // Many small transactions, and as many moments before the first as behind it.
        shop.env.set("PAYOUTS_CONCURRENCY", "2");
        shop.payouts(PAYOUTS);
        let most = WRITTEN_BYTES >> random.u32(..6);
        let bytes = random.u64(..most);
        let run = out_of_space(&mut shop, bytes);
        if run.code != 0 {
            stopped += 1;
            assert_told(&run, bytes);
        }
        shop.pass(LEASE_OVER);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert_eq!(
            shop.transfers().len(),
            PAYOUTS,
            "{bytes} bytes to spare: {run}"
        );
    }
    assert!(stopped > 0, "there was always space");
}

/// What a run that had no space must say.
fn assert_told(run: &Run, bytes: u64) {
    let unresolved = run.stderr.contains("unresolved: ");
    assert_eq!(
        run.code,
        if unresolved { 5 } else { 3 },
        "{bytes} bytes to spare: {run}"
    );
    let cause = ["database or disk is full", "disk I/O error"];
    let caused = cause.iter().any(|words| run.stderr.contains(words));
    let told = run
        .stderr
        .contains("hint: check free space and the permissions of the database file");
    assert!(caused && told, "{bytes} bytes to spare: {run}");
}

// Everybody may set this limit: a write beyond it fails, as on a disk with a fault.
#[test]
fn a_file_that_may_not_grow_costs_no_payment() {
    // Where the signal is ignored the write fails, instead of ending the process.
    let script = r#"trap "" XFSZ; exec prlimit --fsize="$0" "$@""#;
    at_random_moments(|shop, bytes| {
        let limited = ["sh", "-c", script, &bytes.to_string()];
        shop.env.run_under(&limited, &["process"])
    });
}

#[test]
fn a_full_disk_costs_no_payment() {
    at_random_moments(|shop, bytes| {
        let file = shop.db.file();
        let size = fs::metadata(&file).expect("it is there").len();
        let folder = shop.env.path("disk");
        fs::create_dir(&folder).expect("a folder is made");
        let disk = Disk::of(size + bytes, &folder);
        let name = file.file_name().expect("it has one");
        fs::copy(&file, disk.outside().join(name)).expect("there is space for it");
        shop.env.set(
            "DATABASE_URL",
            &format!("sqlite:{}", folder.join(name).display()),
        );
        let run = disk.run(shop, &["process"]);
        // What is on it goes back to where there is space.
        for entry in fs::read_dir(disk.outside()).expect("it can be listed") {
            let entry = entry.expect("it is there");
            fs::copy(entry.path(), file.with_file_name(entry.file_name())).expect("it is copied");
        }
        shop.env.use_database(&shop.db);
        run
    });
}

/// A disk of a given size, seen by those who are told of it alone, and gone with its test.
struct Disk {
    folder: PathBuf,
    holder: Child,
    /// The holder ends when this is closed, also when the test is killed.
    _open: Option<ChildStdin>,
}

impl Disk {
    fn of(bytes: u64, folder: &Path) -> Self {
        let mount = r#"mount -t tmpfs -o size="$0" tmpfs "$1" && echo mounted && exec cat"#;
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount])
            .arg(bytes.to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("it was piped");
        BufReader::new(stdout)
            .read_line(&mut said)
            .expect("it says something");
        assert_eq!(said, "mounted\n", "this needs user namespaces");
        Self {
            folder: folder.to_owned(),
            _open: holder.stdin.take(),
            holder,
        }
    }

    /// Where others find what lies on it.
    fn outside(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(self.folder.strip_prefix("/").expect("it is absolute"))
    }

    fn run(&self, shop: &Shop, args: &[&str]) -> Run {
        let holder = self.holder.id().to_string();
        let inside = [
            "nsenter",
            "--target",
            &holder,
            "--user",
            "--mount",
            "--preserve-credentials",
        ];
        shop.env.run_under(&inside, args)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Root obeys permissions, too, once it has lost the right not to.
const OBEDIENT: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

#[test]
fn what_may_only_be_read_is_shown_and_nothing_is_sent_from_it() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    let file = shop.db.file();
    let folder = file.parent().expect("it lies in one").to_owned();
    for (path, read_only, usual) in [(&file, 0o400, 0o600), (&folder, 0o500, 0o700)] {
        let allow =
            |mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is mine");
        allow(read_only);
        let run = |args: &[&str]| shop.env.run_under(&OBEDIENT, args);
        let refused = run(&["process"]).expect_code(3);
        assert_eq!(
            refused.stderr,
            "error: the database cannot be written\n  \
               1: attempt to write a readonly database\n\
             hint: check free space and the permissions of the database file\n"
        );
        let list = run(&["list"]).expect_code(0);
        assert!(list.stdout.contains("1 PENDING 10.00"), "{list}");
        let shown = run(&["show", "cp0"]).expect_code(0);
        assert!(
            shown
                .stdout
                .contains("Due: the next `payouts process` sends it."),
            "{shown}"
        );
        allow(usual);
    }
    assert_eq!(shop.sends(), 0);
    shop.process(&[]).expect_code(0);
    shop.assert_paid_exactly_once();
    assert_eq!(shop.transfers().len(), 1);
}
