//! Energy of the processor's packages, where Linux gives it.

use std::fs;
use std::path::{Path, PathBuf};

/// The counters of all packages.
pub struct Meter {
    packages: Vec<Package>,
}

struct Package {
    counter: PathBuf,
    /// In microjoules; the counter starts again behind it.
    range: u64,
    start: u64,
}

impl Meter {
    /// Starts to count; `None` where no package may be read.
    pub fn start() -> Option<Self> {
        Self::start_in(Path::new("/sys/class/powercap"))
    }

    fn start_in(directory: &Path) -> Option<Self> {
        let mut packages = Vec::new();
        for entry in fs::read_dir(directory).ok()?.flatten() {
            // `intel-rapl:0` is a package, on AMD too; `intel-rapl:0:0` is a part of it.
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("intel-rapl:") || name.matches(':').count() != 1 {
                continue;
            }
            let counter = entry.path().join("energy_uj");
            let (start, range) = (number(&counter)?, number(&entry.path().join("max_energy_range_uj"))?);
            packages.push(Package { counter, range, start });
        }
        (!packages.is_empty()).then_some(Self { packages })
    }

    /// Joules since the start, of everything that the machine did.
    pub fn joules(&self) -> Option<f64> {
        let used = |package: &Package| {
            let now = number(&package.counter)?;
            // A counter that started again has gone once around at most.
            Some(if now >= package.start { now - package.start } else { now + package.range - package.start })
        };
        Some(self.packages.iter().map(used).sum::<Option<u64>>()? as f64 * 1e-6)
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_added_and_may_start_again() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let write = |zone: &str, file: &str, number: u64| -> std::io::Result<()> {
            let zone = directory.path().join(zone);
            fs::create_dir_all(&zone)?;
            fs::write(zone.join(file), format!("{number}\n"))
        };
        for (zone, energy) in [("intel-rapl:0", 100), ("intel-rapl:1", 9_000_000), ("intel-rapl:0:0", 5)] {
            write(zone, "energy_uj", energy)?;
            write(zone, "max_energy_range_uj", 9_500_000)?;
        }
        let meter = Meter::start_in(directory.path()).ok_or("no meter")?;
        write("intel-rapl:0", "energy_uj", 2_000_100)?;
        write("intel-rapl:1", "energy_uj", 500_000)?;
        write("intel-rapl:0:0", "energy_uj", 1_000_000)?;
        assert_eq!(meter.joules(), Some(3.0));
        assert!(Meter::start_in(&directory.path().join("absent")).is_none());
        Ok(())
    }
}
