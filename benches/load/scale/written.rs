//! Who wrote which status how often, and when: from the API server's own audit log.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The audit log, from a position on.
pub(crate) struct Written {
    path: PathBuf,
    from: u64,
}

/// The status writes of a span of time.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Stored ones by object.
    pub(crate) stored: BTreeMap<String, u32>,
    /// Answered with something else than 200.
    pub(crate) refused: BTreeMap<u64, u32>,
    /// Nanoseconds since 1970 of the last stored one.
    pub(crate) last: u64,
}

// === impl Written ===

impl Written {
    /// From now on.
    pub(crate) fn since_now(dir: &Path) -> Self {
        let path = dir.join("audit.log");
        let from = std::fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, from }
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        for line in BufReader::new(file).lines() {
            let line = line.unwrap();
            if line.contains("\"subresource\":\"status\"")
                && let Ok(event) = serde_json::from_str::<Value>(&line)
                && event["verb"] == "patch"
            {
                counts.add(&event);
            }
        }
        counts
    }
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, event: &Value) {
        let about = &event["objectRef"];
        let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
        if code != 200 {
            *self.refused.entry(code).or_default() += 1;
            return;
        }
        let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {}/{}", text("resource"), text("namespace"), text("name"));
        *self.stored.entry(name).or_default() += 1;
        let at = event["stageTimestamp"].as_str().unwrap_or_default();
        let at = at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_nanosecond);
        self.last = self.last.max(u64::try_from(at).unwrap_or_default());
    }

    pub(crate) fn total(&self) -> u32 {
        self.stored.values().sum()
    }

    /// How many objects were written once, twice, …
    pub(crate) fn spread(&self) -> BTreeMap<u32, usize> {
        let mut spread = BTreeMap::new();
        for count in self.stored.values() {
            *spread.entry(*count).or_default() += 1;
        }
        spread
    }
}
