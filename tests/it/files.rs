//! Files that the program makes are their owner's alone, whatever the umask says, and are never made
//! through a link that somebody has put in their place.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::commands;
use crate::common::db::TestDb;
use crate::common::env::TestEnv;
use crate::common::shop::Shop;

/// The most that umask leaves.
const UMASK_NOTHING: [&str; 4] = ["sh", "-c", "umask 000; exec \"$@\"", "sh"];

/// Command lines that make a file: what it is, the line, and the file. They succeed in the shop of
/// `commands`, which makes further files by the lines of `commands` itself.
const MAKE: [(&str, &str, &str); 9] = [
    (
        "a report",
        "report --period 2026-11 -o html --to report.html",
        "report.html",
    ),
    (
        "a mail",
        "notify --preview --kind paid --html mail.html",
        "mail.html",
    ),
    (
        "figures for a monitor",
        "stats -o prometheus --to payouts.prom",
        "payouts.prom",
    ),
    (
        "a receipt",
        "receipt cp_paid --out receipt.html",
        "receipt.html",
    ),
    (
        "a receipt, again",
        "receipt cp_paid --out receipt.html --force",
        "receipt.html",
    ),
    ("a backup", "backup copy.db", "copy.db"),
    (
        "bad rows",
        "create --file bad.csv --errors errors.csv",
        "errors.csv",
    ),
    (
        "a database",
        "--database-url sqlite:new/folder/x.db init",
        "new/folder/x.db",
    ),
    (
        "another database",
        "--database-url sqlite:y.db init",
        "y.db",
    ),
];

/// Files that others are meant to read, and why.
const FOR_OTHERS: [(&str, u32); 1] = [("payouts.prom", 0o644)]; // a collector runs as another user

fn shop() -> Shop {
    let shop = commands::shop(TestDb::sqlite());
    shop.env.write("bad.csv", "creator,amount\nnobody,5.00\n");
    shop
}

/// Every file and folder below, with its mode.
fn modes(folder: &Path, into: &mut Vec<(PathBuf, u32)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        into.push((path.clone(), about.permissions().mode() & 0o777));
        if about.is_dir() {
            modes(&path, into);
        }
    }
}

/// What is there beside what a test put there, and may be opened by others.
fn open_to_others(env: &TestEnv, put_there: &[(PathBuf, u32)]) -> Vec<String> {
    let mut there = Vec::new();
    modes(&env.path(""), &mut there);
    there.retain(|(path, mode)| {
        let known = put_there.iter().any(|(known, _)| known == path);
        let meant = FOR_OTHERS
            .iter()
            .any(|(name, meant)| path.ends_with(name) && mode == meant);
        !known && !meant && mode & 0o077 != 0
    });
    there
        .iter()
        .map(|(path, mode)| format!("{} {mode:o}", path.display()))
        .collect()
}

#[test]
fn what_is_made_is_its_owners_alone() {
    let shop = shop();
    let mut put_there = Vec::new();
    modes(&shop.env.path(""), &mut put_there);
    for (what, line, file) in MAKE {
        let args: Vec<&str> = line.split(' ').collect();
        let run = shop.env.run_under(&UMASK_NOTHING, &args);
        assert!(shop.env.path(file).is_file(), "{what}: {run}");
        assert_eq!(open_to_others(&shop.env, &put_there), [""; 0], "{what}");
    }
    // Whatever else a command makes where nothing is said of a file.
    for command in commands::all().0 {
        if !commands::is_in(&commands::GO_ON, &command) {
            shop.env
                .run_under(&UMASK_NOTHING, &commands::line(&command));
            assert_eq!(open_to_others(&shop.env, &put_there), [""; 0], "{command}");
        }
    }
    // The database itself, and what lies beside it while somebody reads.
    let session = shop.db.session();
    let mut there = Vec::new();
    modes(shop.db.file().parent().unwrap(), &mut there);
    drop(session);
    assert!(there.iter().all(|(_, mode)| *mode == 0o600), "{there:?}");
}

/// A folder that others may write to, such as `/tmp`: they know the name beforehand, and put a link
/// there which leads to a file of ours, or to where there is none yet.
#[test]
fn nothing_is_made_through_a_link() {
    for (what, line, file) in MAKE {
        for leads_somewhere in [true, false] {
            let shop = shop();
            let target = shop.env.path("victim");
            if leads_somewhere {
                fs::write(&target, "mine").unwrap();
            }
            let link = shop.env.path(file);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&target, &link).unwrap();
            let args: Vec<&str> = line.split(' ').collect();
            let run = shop.env.run_under(&UMASK_NOTHING, &args);
            assert_ne!(run.code, 0, "{what}: {run}");
            match fs::read(&target) {
                Ok(bytes) => assert!(leads_somewhere && bytes == b"mine", "{what}: {run}"),
                Err(_) => assert!(!leads_somewhere, "{what}: {run}"),
            }
            assert!(link.is_symlink(), "{what}");
        }
    }
}

/// The write-ahead log has a name that everybody can guess.
#[test]
fn a_database_beside_a_link_is_not_opened_through_it() {
    for beside in ["-wal", "-shm", "-journal"] {
        let env = TestEnv::new();
        let target = env.path("victim");
        fs::write(&target, "mine").unwrap();
        symlink(&target, env.path(&format!("x.db{beside}"))).unwrap();
        env.run_under(&UMASK_NOTHING, &["--database-url", "sqlite:x.db", "init"]);
        assert_eq!(fs::read(&target).unwrap(), b"mine", "{beside}");
    }
}
