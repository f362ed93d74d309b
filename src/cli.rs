//! Commands for people.

pub mod crd;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::config::Config;

/// Delivers every alert to every healthy target.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator: in a cluster, with a kubeconfig, or with --manifests without Kubernetes.
    Run(Box<Config>),
    /// Print the custom resource definitions.
    Crd(Crd),
    /// Print the version.
    Version,
}

/// Print the custom resource definitions.
#[derive(Args, Debug)]
pub struct Crd {
    /// Write one file per definition into this directory instead of printing.
    #[arg(long)]
    pub output_dir: Option<PathBuf>,
}

// === impl Crd ===

impl Crd {
    /// Prints or writes the definitions.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let done = match &self.output_dir {
            Some(directory) => crd::write(directory),
            None => crd::print(std::io::stdout().lock()),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                report(&error);
                ExitCode::FAILURE
            }
        }
    }
}

/// Prints the version, as `--version` does.
#[must_use]
pub fn version() -> ExitCode {
    match writeln!(std::io::stdout(), "fanfare {}", env!("CARGO_PKG_VERSION")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Tells a person what failed, with every cause.
#[expect(clippy::print_stderr, reason = "this is how a command talks")]
pub fn report(error: &dyn std::error::Error) {
    let mut text = format!("fanfare: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    eprintln!("{text}");
}
