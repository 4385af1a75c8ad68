//! Memory of this process.

/// The most memory that was ever resident, mapped files included; `None` where the system does not say.
pub fn peak_resident() -> Option<u64> {
    peak(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line of Linux, in KiB.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_linux() {
        assert_eq!(peak("VmPeak:\t  9 kB\nVmHWM:\t   1234 kB\nVmRSS: 1 kB\n"), Some(1234 * 1024));
        assert_eq!(peak("VmPeak:\t  9 kB\n"), None);
    }
}
