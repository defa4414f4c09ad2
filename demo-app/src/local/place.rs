//! Where the socket of a home is.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// How many bytes a socket's path may have on every Unix: 104 with the final zero on macOS and the BSDs.
const MAX_PATH: usize = 103;

/// Who we are.
pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The folders in which the socket may be, best first.
fn folders() -> Vec<PathBuf> {
    let user = user();
    let mut folders = Vec::new();
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").filter(|runtime| !runtime.is_empty()) {
        folders.push(Path::new(&runtime).join("tombolo"));
    }
    folders.push(format!("/run/user/{user}/tombolo").into());
    folders.push(format!("/tmp/tombolo-{user}").into());
    folders.dedup();
    folders
}

/// The name of the home's socket.
fn file_name(home: &Path) -> String {
    // A home that is not there has no node.
    let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    let hash = blake3::hash(home.as_os_str().as_encoded_bytes());
    format!("{}.sock", &hash.to_hex()[..24])
}

/// Whether a folder is ours, and nobody else can look in.
fn check(folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == user() && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    let why = format!("{} is not a folder that only this user can open; remove it", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Where the socket of a running node may be.
pub(super) fn candidates(home: &Path) -> Vec<PathBuf> {
    let name = file_name(home);
    let sound = folders().into_iter().filter(|folder| check(folder).is_ok());
    sound.map(|folder| folder.join(&name)).filter(|path| path.exists()).collect()
}

/// Where a node can put its socket; the folder is there, and is safe.
pub(super) fn choose(home: &Path) -> io::Result<PathBuf> {
    let name = file_name(home);
    let mut refusal = io::Error::other("no folder for the local socket");
    for folder in folders() {
        let path = folder.join(&name);
        if path.as_os_str().len() > MAX_PATH {
            continue;
        }
        match make(&folder) {
            Ok(()) => return Ok(path),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

/// Makes a folder of ours, whose parent is there.
fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => Err(why),
        _ => check(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_home_has_one_socket_by_whatever_path_it_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("h".repeat(200));
        fs::create_dir(&home).unwrap();
        let other = folder.path().join("link");
        symlink(&home, &other).unwrap();
        assert_eq!(file_name(&home), file_name(&other));
        assert_ne!(file_name(&home), file_name(folder.path()));
        assert!(file_name(&home).len() < 40);
    }

    #[test]
    fn a_folder_that_others_can_open_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("tombolo");
        make(&folder).unwrap();
        make(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(make(&folder).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        let link = parent.path().join("link");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&folder, &link).unwrap();
        assert_eq!(make(&link).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
