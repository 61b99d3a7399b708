//! Backups of an embedded database: of one moment, while runs go on paying; read back
//! before they bear their name; and as many kept as somebody wants.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::model::history::hex;
use crate::model::time::Time;
use crate::ops::out_file::{self, OutFileError};
use crate::store::backup::{self, Contents};
use crate::store::{Store, StoreError};

/// Bytes of a copy that are read at once.
const PIECE: usize = 1 << 16;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be made.
    #[error(transparent)]
    File(#[from] OutFileError),
    /// The database cannot be copied, or its copy is not whole.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy cannot be read back.
    #[error("failed to read the copy")]
    Unreadable(#[source] io::Error),
}

/// A backup that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// How large.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What is in it.
    pub contents: Contents,
}

/// Copies an embedded database into a new file for its owner alone.
///
/// # Errors
/// Then there is no file of that name, or the one that was there before.
pub fn write(store: &mut Store, path: &Path) -> Result<Backup, BackupError> {
    out_file::write_with(path, false, |beside, _| {
        let name = beside.to_str().ok_or_else(|| {
            BackupError::Unreadable(io::Error::new(
                io::ErrorKind::InvalidFilename,
                "the path is not UTF-8",
            ))
        })?;
        store.copy_into(name)?;
        let contents = backup::inspect(beside)?;
        let (bytes, sha256) = digest(beside).map_err(BackupError::Unreadable)?;
        Ok(Backup {
            path: path.to_owned(),
            bytes,
            sha256,
            contents,
        })
    })
}

/// The name of a backup that is made at a moment: names sort as their moments do.
pub fn name_at(now: Time) -> String {
    let digits: String = now
        .to_string()
        .chars()
        .take("2026-11-02T09:30:00".len())
        .filter(|char| !matches!(char, '-' | ':'))
        .collect();
    format!("{PREFIX}{digits}{SUFFIX}")
}

const PREFIX: &str = "payouts-";
const SUFFIX: &str = "Z.db";

/// Deletes the backups in a folder that [`name_at`] named, but for the one that was just
/// `made`, whatever its name says, and the newest others, so that `keep` are left. Returns
/// what was deleted, oldest first.
pub fn prune(folder: &Path, keep: usize, made: &Path) -> io::Result<Vec<PathBuf>> {
    let mut backups = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_made = made.file_name() == Some(&name);
        if entry.file_type()?.is_file() && name.to_str().is_some_and(is_name) && !is_made {
            backups.push(entry.path());
        }
    }
    backups.sort();
    backups.truncate((backups.len() + 1).saturating_sub(keep));
    for backup in &backups {
        fs::remove_file(backup)?;
    }
    Ok(backups)
}

/// Deletes what backups of such names left behind in a folder when they were killed, a day
/// ago or earlier: no copy takes as long as that.
pub fn sweep(folder: &Path, now: Time) -> io::Result<()> {
    let left_behind = now.minus(Duration::from_secs(86_400));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = name.to_str().and_then(out_file::target_of);
        if entry.file_type()?.is_file() && target.is_some_and(is_name) {
            let modified = entry.metadata()?.modified()?;
            if modified < SystemTime::from(left_behind) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// Whether [`name_at`] gives such a name: what a person called otherwise is theirs.
fn is_name(name: &str) -> bool {
    let moment = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    moment.is_some_and(|moment| {
        moment.len() == "20261102T093000".len()
            && moment.char_indices().all(|(at, char)| match at {
                8 => char == 'T',
                _ => char.is_ascii_digit(),
            })
    })
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut sha256 = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((bytes, hex(&sha256.finalize())));
        }
        sha256.update(&piece[..read]);
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_backup_left_behind_is_deleted_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            ".payouts-20261102T093000Z.db.123-0.tmp",
            ".payouts-20261102T093000Z.db.123-0",
            ".mine.db.123-0.tmp",
            "payouts-20261102T093000Z.db",
        ];
        let now: Time = "2026-11-04T09:30:00Z".parse().unwrap();
        let aged = |name: &str, hours: u64| {
            let file = File::create(folder.path().join(name)).unwrap();
            let modified = now.minus(Duration::from_secs(hours * 3600));
            file.set_modified(modified.into()).unwrap();
        };
        for name in names {
            aged(name, 25);
        }
        aged(".payouts-20261102T093000Z.db.123-1.tmp", 23);
        sweep(folder.path(), now).unwrap();
        let there = |name: &str| folder.path().join(name).exists();
        assert_eq!(names.map(there), [false, true, true, true]);
        assert!(there(".payouts-20261102T093000Z.db.123-1.tmp"));
    }

    #[test]
    fn the_oldest_go_and_nothing_that_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = [
            "payouts-before-upgrade.db",
            "payouts-20261101T093000Z.db.gz",
            "notes",
        ];
        let now = Time::from_unix_seconds(1_793_611_800);
        let ours = [now, now.plus(Duration::from_secs(86_400))].map(name_at);
        assert_eq!(ours[0], "payouts-20261102T093000Z.db");
        for name in theirs
            .iter()
            .copied()
            .chain(ours.iter().map(String::as_str))
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let newest = folder.path().join(&ours[1]);
        assert_eq!(
            prune(folder.path(), 2, &newest).unwrap(),
            [""; 0].map(PathBuf::from)
        );
        assert_eq!(
            prune(folder.path(), 1, &newest).unwrap(),
            [folder.path().join(&ours[0])]
        );
        // A name of the future does not make it older than what is there.
        let made = folder.path().join(&ours[0]);
        fs::write(&made, "").unwrap();
        assert_eq!(
            prune(folder.path(), 1, &made).unwrap(),
            std::slice::from_ref(&newest)
        );
        fs::remove_file(&made).unwrap();
        fs::write(&newest, "").unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "notes",
                "payouts-20261101T093000Z.db.gz",
                &ours[1],
                "payouts-before-upgrade.db"
            ]
        );
    }
}
