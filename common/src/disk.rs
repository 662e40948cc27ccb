//! How much room a folder's file system has.

use std::path::Path;

/// Bytes that a program may still write there; `None` where that cannot be known.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|found| found.f_bavail * found.f_frsize);
    #[cfg(not(unix))]
    return None;
}

/// Bytes of the whole; `None` where that cannot be known.
pub fn size_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|found| found.f_blocks * found.f_frsize);
    #[cfg(not(unix))]
    return None;
}
