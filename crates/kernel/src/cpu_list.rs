//! Lists of numbers as cpuset(7) writes them (`0-2,7`): CPUs and memory nodes, as bit masks for the calls that take them.

/// Numbers from here on are refused: more CPUs than any kernel is built for (CONFIG_NR_CPUS), a mask of one KiB.
pub const NUMBERS_MAX: u32 = 8192;

const WORD_BITS: u32 = u64::BITS;

/// A set of small numbers. Never longer than [`NUMBERS_MAX`] bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask(Vec<u64>);

impl Mask {
    /// Every number below [`NUMBERS_MAX`].
    pub fn all() -> Mask {
        Mask(vec![u64::MAX; (NUMBERS_MAX / WORD_BITS) as usize])
    }

    /// `None` for anything that is no list of numbers below [`NUMBERS_MAX`]. Spaces around numbers are let pass.
    pub fn parse(list: &str) -> Option<Mask> {
        let mut mask = Mask::default();
        for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let number = |text: &str| text.trim().parse().ok().filter(|number| *number < NUMBERS_MAX);
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return None;
            }
            (first..=last).for_each(|number| mask.set(number));
        }
        Some(mask)
    }

    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The lowest number in the first bit of the first word.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    fn set(&mut self, number: u32) {
        let index = (number / WORD_BITS) as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] |= 1 << (number % WORD_BITS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |list, expected: Option<&[u64]>| {
            let found = Mask::parse(list);
            assert_eq!(found.as_ref().map(Mask::words), expected, "{list}");
        };
        check("", Some(&[]));
        check("0", Some(&[1]));
        check("0-2,7", Some(&[0x87]));
        check("1, 64", Some(&[2, 1]));
        check("3-1", None);
        check("a", None);
        check("0-9876543210", None);
        check("-1", None);
        check("8192", None);
        assert_eq!(Mask::parse("0-7").unwrap().count(), 8);
        assert_eq!(Mask::all().count(), NUMBERS_MAX);
    }
}
