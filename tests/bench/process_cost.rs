//! What a process has used, by the kernel's own account.

use std::time::Duration;

/// Clock ticks of `/proc/PID/stat`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads, those that have ended included.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Resident memory now, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most resident memory there ever was, in bytes.
pub(crate) fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    kibibytes * 1024
}
