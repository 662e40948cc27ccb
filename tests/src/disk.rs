//! A disk that is small enough to fill: a file system in memory, mounted over a folder. It needs the right to
//! mount, as root has it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::mail::skipped;

/// A mounted file system; its end unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of this size over a folder that is made; `None` where this may not be done here.
    pub fn mount(folder: &Path, megabytes: u32) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let size = format!("size={megabytes}m");
        let mounting = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        match mounting {
            Ok(output) if output.status.success() => Ok(Some(Self { folder: folder.to_path_buf() })),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                skipped(&format!("a small disk cannot be mounted here: {}", why.trim()));
                Ok(None)
            }
            Err(error) => {
                skipped(&format!("a small disk cannot be mounted here: {error}"));
                Ok(None)
            }
        }
    }

    /// Writes a file until nothing more fits.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filler = std::fs::File::create(self.filler()).context("fill the disk")?;
        // Large pieces, then small ones for what is left.
        for piece in [vec![0; 1 << 16], vec![0; 1 << 8]] {
            while filler.write_all(&piece).is_ok() {}
        }
        Ok(())
    }

    /// Removes that file.
    pub fn make_room(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.filler()).context("make room on the disk")
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that was killed a moment ago may still hold a file.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
