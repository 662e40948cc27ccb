//! Names the code that decides, so that a snapshot is used only by a program that would have come to the same state.
//!
//! The name follows from the sources and from nothing else, no repository and no clock: it is the same wherever they
//! are built.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The fold and how its state is written, the contract, and the versions of what they are built on.
const DECIDING: [&str; 4] = ["src/fold", "src/snapshot.rs", "../common/src", "../Cargo.lock"];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for path in DECIDING {
        println!("cargo::rerun-if-changed={path}");
        collect(Path::new(path), &mut files)?;
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.as_os_str().as_encoded_bytes());
        hasher.update(blake3::hash(&fs::read(&file)?).as_bytes());
    }
    println!("cargo::rustc-env=EARSHOT_DECIDING_CODE={}", &hasher.finalize().to_hex()[..16]);
    Ok(())
}

/// The files of a folder and its folders, without tests.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if !path.ends_with("tests") {
            collect(&path, files)?;
        }
    }
    Ok(())
}
