//! A file that is there whole or not at all, and that nobody else may read, unless it is
//! made for others.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Names tried for the file beside the target before it is given up.
const NAMES_MAX: u32 = 100;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutFileError {
    /// Nothing is written over unasked.
    #[error("{} is there already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A folder, a device, a link: never replaced, asked or not.
    #[error("{} is no ordinary file", path.display())]
    NoFile {
        /// Where.
        path: PathBuf,
    },
    /// The system's reason.
    #[error("failed to write {}", path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone.
    Owner,
    /// Every program on the machine: for what is made for one that runs as somebody else.
    Everybody,
}

/// Writes a file for its owner alone: beside the target first, then all at once in its
/// place. One that is there is replaced only with `replace`.
///
/// # Errors
/// Then what was there before is there still, and nothing else.
pub fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<(), OutFileError> {
    write_for(Readers::Owner, path, bytes, replace)
}

/// The same for whoever may read it.
///
/// # Errors
/// Then what was there before is there still, and nothing else.
pub fn write_for(
    readers: Readers,
    path: &Path,
    bytes: &[u8],
    replace: bool,
) -> Result<(), OutFileError> {
    write_with(path, replace, |_, file| {
        file.write_all(bytes)
            .and_then(|()| match readers {
                Readers::Owner => Ok(()),
                // Whatever the umask says.
                Readers::Everybody => file.set_permissions(Permissions::from_mode(0o644)),
            })
            .map_err(|source| OutFileError::Failed {
                path: path.to_owned(),
                source,
            })
    })
}

/// The same for a file that something else makes, which is told where it lies until
/// then. What that returns is returned.
pub(super) fn write_with<T, E: From<OutFileError>>(
    path: &Path,
    replace: bool,
    make: impl FnOnce(&Path, &mut File) -> Result<T, E>,
) -> Result<T, E> {
    let failed = |source| OutFileError::Failed {
        path: path.to_owned(),
        source,
    };
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => {
            return Err(E::from(OutFileError::NoFile {
                path: path.to_owned(),
            }));
        }
        Ok(_) if !replace => {
            return Err(E::from(OutFileError::Exists {
                path: path.to_owned(),
            }));
        }
        _ => {}
    }
    let (beside, mut file) = file_beside(path).map_err(failed)?;
    let written = make(&beside, &mut file).and_then(|made| {
        file.sync_all()
            .and_then(|()| move_to(&beside, path, replace))
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => OutFileError::Exists {
                    path: path.to_owned(),
                },
                _ => failed(source),
            })?;
        Ok(made)
    });
    if written.is_err() {
        // What went wrong is worth more than that this is left behind.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Makes a new, hidden file in the folder of another.
fn file_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut number = 0;
    loop {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{number}{BESIDE}", std::process::id()));
        let beside = path.with_file_name(hidden);
        let made = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NAMES_MAX => {
                number += 1;
            }
            made => return Ok((beside, made?)),
        }
    }
}

/// How the name of a file beside its target ends.
const BESIDE: &str = ".tmp";

/// The name of the target that a hidden file was made for; none of any other name.
pub(super) fn target_of(hidden: &str) -> Option<&str> {
    let (target, made_by) = hidden
        .strip_prefix('.')?
        .strip_suffix(BESIDE)?
        .rsplit_once('.')?;
    let (process, number) = made_by.split_once('-')?;
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    (is_number(process) && is_number(number)).then_some(target)
}

/// Gives a file its name. A rename replaces whatever has appeared there meanwhile, a
/// link does not; where the file system has no links, somebody could slip in between.
fn move_to(beside: &Path, path: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return fs::rename(beside, path);
    }
    match fs::hard_link(beside, path) {
        Ok(()) => fs::remove_file(beside),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(beside, path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_whole_for_its_owner_and_replaced_only_when_that_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.html");
        write(&path, b"one", false).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = write(&path, b"two", false).unwrap_err();
        assert!(matches!(refused, OutFileError::Exists { .. }), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write(&path, b"two", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        write_for(Readers::Everybody, &path, b"three", true).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(names(folder.path()), ["a.html"]);
    }

    #[test]
    fn what_is_no_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, b"kept").unwrap();
        let link = folder.path().join("link");
        symlink(&target, &link).unwrap();
        for path in [folder.path(), &link, &folder.path().join("nowhere/a.html")] {
            for replace in [false, true] {
                write(path, b"new", replace).unwrap_err();
            }
        }
        assert_eq!(fs::read(&target).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["link", "target"]);
    }
}
