//! The `fanfare` program: parses arguments and calls `app` or a command.

use std::process::ExitCode;

use clap::Parser as _;
use fanfare::{
    app,
    cli::{self, Cli, Command},
};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(config) => app::main(*config),
        Command::Crd(command) => command.run(),
        Command::Version => cli::version(),
    }
}
