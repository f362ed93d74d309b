//! How much memory this process may use.

use std::fs;

/// Limits of the container: cgroup v2, then v1.
const CGROUP: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/// Taken where nothing can be read.
const FALLBACK: usize = 512 * 1024 * 1024;

/// Bytes of memory that may be used: the container's limit, or what the machine has.
pub(super) fn limit() -> usize {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| total(&text));
    // Without a limit there is a word, or a number larger than any memory.
    let container = CGROUP.iter().filter_map(|path| read(path)?.trim().parse::<usize>().ok());
    container.chain(machine).min().unwrap_or(FALLBACK)
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_the_machine_bounds_the_limit() {
        assert_eq!(total("MemTotal:       24000 kB\nMemFree: 1 kB\n"), Some(24_576_000));
        let limit = limit();
        assert!((16 << 20..1 << 50).contains(&limit), "{limit}");
    }
}
