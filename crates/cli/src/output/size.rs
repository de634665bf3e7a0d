//! Sizes for people: `72.8MB` in thousands, `15.3MiB` in 1024s.
//! Lists use few digits, details more.

const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Thousands with three digits, as in lists: `2.06MB`.
pub fn short(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &DECIMAL, 3)
}

/// Thousands with four digits: `2.063MB`.
pub fn decimal(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &DECIMAL, 4)
}

/// 1024s with four digits: `23.54GiB`.
pub fn binary(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &BINARY, 4)
}

fn scaled(bytes: f64, base: f64, units: &[&str; 7], digits: usize) -> String {
    let mut value = bytes;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    // 999.9 with three digits reads 1000, which is the next unit's 1.
    if significant(value, digits).parse::<f64>().is_ok_and(|rounded| rounded >= base) && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// At most `digits` digits, without zeros at the end.
fn significant(value: f64, digits: usize) -> String {
    let whole = if value < 1.0 { 1 } else { value.log10().floor() as usize + 1 };
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_prints_them() {
        assert_eq!(short(0), "0B");
        assert_eq!(short(2_063_295), "2.06MB");
        assert_eq!(decimal(2_063_295), "2.063MB");
        assert_eq!(short(72_800_000), "72.8MB");
        assert_eq!(short(806), "806B");
        assert_eq!(short(999_950), "1MB");
        assert_eq!(short(1_000), "1kB");
        assert_eq!(binary(491_520), "480KiB");
        assert_eq!(binary(104_857_600), "100MiB");
        assert_eq!(binary(25_275_879_424), "23.54GiB");
        assert_eq!(binary(1023), "1023B");
        assert_eq!(binary(u64::MAX), "16EiB");
    }
}
