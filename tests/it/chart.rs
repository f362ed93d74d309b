//! The Helm chart: what it renders, what it refuses, and that a real API server takes it.

mod documents;
mod install;
mod objects;
mod refusals;
mod rendering;
mod schemas;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::controlplane::ControlPlane;
use crate::support::program::stdout_of;

/// The value sets in `tests/chart/values`; every one is rendered, validated and sent to the server.
const SETS: [&str; 5] = ["default", "namespaced", "exposed-api", "no-volume", "everything"];

/// The namespace that the release is rendered for.
const NAMESPACE: &str = "monitoring";

/// The programs of the test bed, and an API server if the test needs one.
struct Bed {
    bin: PathBuf,
    plane: Option<&'static ControlPlane>,
}

// === impl Bed ===

impl Bed {
    /// The programs alone; without them the test says SKIP and ends.
    fn programs() -> Option<Self> {
        let bin = std::env::var_os("FANFARE_CONTROLPLANE_BIN").filter(|dir| !dir.is_empty());
        if bin.is_none() {
            say_skip();
        }
        let plane = None;
        bin.map(|bin| Self { bin: bin.into(), plane })
    }

    /// A command for one of the programs, from the root of the repository.
    fn tool(&self, name: &str) -> Command {
        if let Some(plane) = self.plane {
            return plane.tool(name);
        }
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(root()).env("KUBECONFIG", "/nonexistent");
        for dir in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(dir, std::env::temp_dir().join("fanfare-chart-helm"));
        }
        command
    }

    /// Runs helm.
    fn helm(&self, args: &[&str]) -> Output {
        self.tool("helm").args(args).output().expect("helm was built")
    }

    /// What `helm template` prints for a value set and further arguments.
    fn template(&self, set: &str, args: &[&str]) -> String {
        let values = values_file(set);
        let mut all = vec!["template", "fanfare", "charts/fanfare", "-n", NAMESPACE, "-f", &values];
        all.extend(args);
        stdout_of(&self.helm(&all))
    }

    /// The objects of a value set.
    fn render(&self, set: &str, args: &[&str]) -> Vec<Value> {
        parse(&self.template(set, args))
    }
}

/// Past the test harness, which swallows what a passing test prints.
fn say_skip() {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // In one write: tests run side by side.
    let line = format!("SKIP: {test}: needs helm of the test bed (run make test)\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn values_file(set: &str) -> String {
    format!("tests/chart/values/{set}.yaml")
}

fn parse(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// The only object of a kind.
fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "objects of kind {kind}");
    found[0]
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}
