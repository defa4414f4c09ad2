//! Disks and networks of a test's own, as far as the system lets us make some: for that one has to be root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program of the system; what it said if it failed.
pub fn tool(line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.map_err(|why| format!("`{line}` cannot be run: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{line}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A small disk in memory; gone when dropped.
pub struct Disk {
    pub path: PathBuf,
}

impl Disk {
    /// Makes one of so many KiB at `path`; or says why it cannot.
    pub fn mounted(path: &Path, kib: u32) -> Result<Self, String> {
        std::fs::create_dir_all(path).unwrap();
        tool(&format!("mount -t tmpfs -o size={kib}k,mode=700 tmpfs {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Makes it so large.
    pub fn resize(&self, kib: u32) {
        tool(&format!("mount -o remount,size={kib}k {}", self.path.display())).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(why) = tool(&format!("umount --lazy {}", self.path.display())) {
            eprintln!("a disk is left behind: {why}");
        }
    }
}
