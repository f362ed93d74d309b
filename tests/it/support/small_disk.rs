//! A small file system that outlives the programs which run on it, and that anybody can fill.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A file system in a mount namespace of its own, which goes with this value.
pub(crate) struct SmallDisk {
    /// Holds the namespace for as long as its standard input is open.
    keeper: Child,
    mount: PathBuf,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts one of this size at `mount`; `None`, with a loud word, where that is not allowed.
    pub(crate) fn mount(mount: &Path, size: &str) -> Option<Self> {
        let script = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && echo mounted && exec cat";
        let keeper = Command::new("unshare")
            .args(["--mount", "--map-root-user", "sh", "-c", script, "sh", size])
            .arg(mount)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mounted = keeper.ok().and_then(|mut keeper| {
            let mut line = String::new();
            BufReader::new(keeper.stdout.as_mut()?).read_line(&mut line).ok()?;
            let disk = Self { keeper, mount: mount.to_owned() };
            (line == "mounted\n" && disk.can_be_entered()).then_some(disk)
        });
        if mounted.is_none() {
            eprintln!("SKIP: no file system can be mounted here (unshare --mount, nsenter)");
        }
        mounted
    }

    /// The process whose namespaces programs must enter.
    pub(crate) fn keeper(&self) -> u32 {
        self.keeper.id()
    }

    /// Its root as seen from here.
    pub(crate) fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper()));
        root.join(self.mount.strip_prefix("/").expect("temporary directories are absolute"))
    }

    /// Takes every byte that is free; again and again if somebody gives some back.
    pub(crate) fn fill(&self) {
        let ballast = self.path().join("ballast");
        let mut file = File::options().create(true).append(true).open(ballast).unwrap();
        for size in [1 << 20, 1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    /// Gives back what [`Self::fill`] took.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }

    fn can_be_entered(&self) -> bool {
        let output = self.enter("true").output();
        output.is_ok_and(|output| output.status.success())
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(enter(self.keeper())).arg(program);
        command
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Arguments of `nsenter` for a program in the namespaces of this process.
pub(crate) fn enter(keeper: u32) -> [String; 4] {
    [
        "--user".into(),
        "--mount".into(),
        "--preserve-credentials".into(),
        format!("--target={keeper}"),
    ]
}
