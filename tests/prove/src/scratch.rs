//! Directories for what a proof writes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

/// One directory, removed when dropped.
pub struct Scratch {
    dir: PathBuf,
    kept: bool,
}

impl Scratch {
    pub fn new(name: &str) -> Result<Self, String> {
        let dir = env::temp_dir().join(format!("wspipe-prove-{}-{name}", process::id()));
        create(&dir)?;
        Ok(Self { dir, kept: false })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A directory in it, for one of many at work.
    pub fn slot(&self, slot: usize) -> Result<PathBuf, String> {
        let dir = self.dir.join(slot.to_string());
        create(&dir)?;
        Ok(dir)
    }

    /// After a failure: the files stay, and the text says where.
    pub fn keep(mut self, error: &str) -> String {
        self.kept = true;
        format!("{error} (see {})", self.dir.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn create(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))
}
