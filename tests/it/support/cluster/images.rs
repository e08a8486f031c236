//! Images for the real node.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use super::{Cluster, kubectl::complete, start::devcluster};

impl Cluster {
    /// Gives the real node an image that consists of programs of this machine and the libraries that
    /// they need, and runs the first. Pods use it with `imagePullPolicy: Never`.
    pub fn load_image(&self, name: &str, programs: &[&Path]) -> Result<()> {
        self.load_image_with(name, "/", programs)
    }

    /// [`Cluster::load_image`] with the programs in this folder, which begins and ends with a slash.
    pub fn load_image_with(&self, name: &str, folder: &str, programs: &[&Path]) -> Result<()> {
        let scratch = tempfile::tempdir().context("a scratch folder")?;
        let archive = scratch.path().join("image.tar");
        let mut image = Command::new(devcluster()?);
        image.args(["image", "--name", name, "--output"]).arg(&archive);
        for program in programs {
            let target = program.file_name().context("a program has a name")?;
            let mut binary = program.as_os_str().to_owned();
            binary.push("=");
            binary.push(folder);
            binary.push(target);
            image.arg("--binary").arg(binary);
        }
        complete(&mut image)?;
        self.load_archive(&archive)
    }

    /// Gives the real node the image in this archive.
    pub(super) fn load_archive(&self, archive: &Path) -> Result<()> {
        let dir = self.dir.as_deref().context("only a cluster of ours is given images")?;
        let mut load = Command::new(devcluster()?);
        complete(load.args(["load", "--dir"]).arg(dir).arg(archive))
    }
}
