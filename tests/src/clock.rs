//! A program under another clock: libfaketime, whose offset a file says and a test changes.
//!
//! `EARSHOT_TEST_FAKETIME` names the library where it is elsewhere than Debian's package `libfaketime` has it. Without it
//! a test does not run, and says so.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::mail::skipped;
use crate::node::Node;

/// A clock that is so many seconds ahead of the machine's.
#[derive(Clone, Debug)]
pub struct FakeClock {
    library: PathBuf,
    file: PathBuf,
}

impl FakeClock {
    /// A clock as the machine's, kept in a folder; `None` where the library is missing.
    pub fn find(folder: &Path) -> anyhow::Result<Option<Self>> {
        let named = std::env::var_os("EARSHOT_TEST_FAKETIME").map(PathBuf::from);
        let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
        let debian = || Path::new("/usr/lib").join(architecture).join("faketime/libfaketimeMT.so.1");
        let library = named.unwrap_or_else(debian);
        if !library.exists() {
            let library = library.display();
            skipped(&format!(
                "there is no {library}: install libfaketime, or name it in EARSHOT_TEST_FAKETIME"
            ));
            return Ok(None);
        }
        let clock = Self { library, file: folder.join("clock") };
        clock.set_ahead(0)?;
        Ok(Some(clock))
    }

    /// Sets it so many seconds ahead of the machine's clock, or behind it; programs see that at once.
    pub fn set_ahead(&self, seconds: i64) -> anyhow::Result<()> {
        std::fs::write(&self.file, format!("{seconds:+}")).context("set the clock")
    }

    /// Starts `earshot up` under it, as [`Node::up`] does.
    pub async fn up(&self, binary: &str, folder: &Path) -> anyhow::Result<Node> {
        let environment = [
            format!("LD_PRELOAD={}", self.library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        let mut arguments: Vec<&str> = environment.iter().map(String::as_str).collect();
        arguments.extend([binary, "up", "--listen", "127.0.0.1:0"]);
        Node::start(Path::new("env"), folder, &arguments).await
    }
}
