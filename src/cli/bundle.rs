//! What `ovn-vip support` makes: a folder, or one archive (tar), also to standard output: an image without tar or a shell can hand
//! it out all the same. Whatever goes in is cleaned first (`redacted`).

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::redacted;

/// The bundle under construction.
pub struct Bundle {
    target: Target,
    /// What is missing in it, and why.
    pub missing: String,
}

enum Target {
    Folder(PathBuf),
    /// The name within, and what is in it so far.
    Archive(PathBuf, String, Box<tar::Builder<Vec<u8>>>),
}

impl Bundle {
    /// A folder, or an archive where the name ends in `.tar` or is `-`, standard output.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let to_output = path == Path::new("-");
        let target = if to_output || path.extension().is_some_and(|ending| ending == "tar") {
            anyhow::ensure!(
                to_output || !path.exists(),
                "{} is there already: give another name",
                path.display()
            );
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let name = stem.filter(|_| !to_output).unwrap_or_else(|| "ovn-vip-support".to_owned());
            Target::Archive(path.to_owned(), name, Box::new(tar::Builder::new(Vec::new())))
        } else {
            fs::create_dir(path).with_context(|| {
                format!("cannot make the folder {}: give one that is not there yet", path.display())
            })?;
            Target::Folder(path.to_owned())
        };
        Ok(Self { target, missing: String::new() })
    }

    /// Puts a text in.
    pub fn put(&mut self, name: &str, words: &str) -> anyhow::Result<()> {
        let words = redacted::text(words);
        match &mut self.target {
            Target::Folder(folder) => {
                let path = folder.join(name);
                fs::write(&path, words).with_context(|| format!("cannot write {}", path.display()))
            }
            Target::Archive(_, within, archive) => {
                let mut header = tar::Header::new_gnu();
                header.set_size(u64::try_from(words.len())?);
                header.set_mode(0o644);
                let path = format!("{within}/{name}");
                archive.append_data(&mut header, path, words.as_bytes()).with_context(|| name.to_owned())
            }
        }
    }

    /// Puts an object or a row in.
    pub fn put_json(&mut self, name: &str, value: Value) -> anyhow::Result<()> {
        self.put(name, &format!("{:#}\n", redacted::json(value)))
    }

    /// Puts in what was found, or notes why it was not.
    pub fn found(&mut self, name: &str, found: anyhow::Result<String>) -> anyhow::Result<()> {
        match found {
            Ok(words) => self.put(name, &words),
            Err(error) => {
                self.lacks(format_args!("{name}: {error:#}"));
                Ok(())
            }
        }
    }

    /// Notes what is missing.
    pub fn lacks(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.missing, "{what}");
    }

    /// Ends it; what to say of it.
    pub fn finish(mut self) -> anyhow::Result<String> {
        let missing = std::mem::take(&mut self.missing);
        let missing = if missing.is_empty() { "nothing\n".to_owned() } else { missing };
        self.put("missing.txt", &missing)?;
        Ok(match self.target {
            Target::Folder(path) => {
                let path = path.display();
                format!(
                    "{path} has what could be gathered, and missing.txt what could not. Look at it, then: tar -czf {path}.tar.gz {path}"
                )
            }
            Target::Archive(path, within, archive) => {
                let bytes = archive.into_inner().context("the archive")?;
                if path == Path::new("-") {
                    io::stdout().write_all(&bytes).context("cannot write the archive to standard output")?;
                    return Ok(String::new());
                }
                fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
                let path = path.display();
                format!(
                    "{path} has what could be gathered, and {within}/missing.txt in it what could not. Look at it first: tar -tf {path}"
                )
            }
        })
    }
}
