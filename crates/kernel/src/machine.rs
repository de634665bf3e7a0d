//! The machine as a whole: what limits and statistics are measured against.

/// CPUs that this process may use, at least 1 (sched_getaffinity(2)).
pub fn usable_cpus() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count().max(1))
}

/// Whether the running kernel is Linux `major`.`minor` or later (uname(2)). For choosing the better of two ways; what
/// is there at all is found out by trying, since distributions port features back.
pub fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    version(name.release().to_str().unwrap_or_default()) >= Some((major, minor))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.14-rc1"), Some((5, 14)));
        assert!(version("6.9.0") < version("6.12"));
        assert_eq!(version("odd"), None);
        assert!(kernel_is_at_least(3, 0) && !kernel_is_at_least(1000, 0));
    }
}
