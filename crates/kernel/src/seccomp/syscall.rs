//! System calls as small ids: an index into the table of all names. Looking a name up works in `const`, so default tables
//! elsewhere are ids before the program starts. The names are packed into one string, because 486 `&str` would be 486
//! relocations at each start of the binary.

use super::policy::Architecture;
use super::table::{ARM, NO, ROWS};

const COUNT: usize = ROWS.len();

/// A system call that at least one [`Architecture`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall(u16);

/// Set in the number of every x32 call (`__X32_SYSCALL_BIT`).
pub(super) const X32_BIT: u32 = 0x4000_0000;
/// First of the numbers that ARM keeps for itself (`__ARM_NR_BASE`).
pub(super) const ARM_BASE: u32 = 0xf_0000;

impl Syscall {
    /// By the kernel's name, as libseccomp and OCI documents write it. `None` for what no architecture here has.
    pub const fn from_name(name: &str) -> Option<Syscall> {
        let name = name.as_bytes();
        let (mut low, mut high) = (0, COUNT);
        while low < high {
            let middle = (low + high) / 2;
            match compare(name, middle) {
                0 => return Some(Syscall(middle as u16)),
                -1 => high = middle,
                _ => low = middle + 1,
            }
        }
        None
    }

    pub fn name(self) -> &'static str {
        let i = usize::from(self.0);
        &TEXT[usize::from(ENDS[i])..usize::from(ENDS[i + 1])]
    }

    /// As the kernel reports it in `seccomp_data.nr`: x32 numbers carry their bit.
    pub const fn number(self, architecture: Architecture) -> Option<u32> {
        let column = match architecture {
            Architecture::X86_64 => 0,
            Architecture::X86 => 1,
            Architecture::X32 => 2,
            Architecture::Aarch64 => 3,
            Architecture::Arm => 4,
        };
        match NUMBERS[self.0 as usize][column] {
            NO => None,
            n if n & ARM == ARM => Some(ARM_BASE + (n - ARM) as u32),
            n if column == 2 => Some(n as u32 | X32_BIT),
            n => Some(n as u32),
        }
    }

    /// Every call of every architecture, by name.
    pub fn all() -> impl Iterator<Item = Syscall> {
        (0..COUNT as u16).map(Syscall)
    }
}

/// Ids for constant tables: `const READS: [Syscall; 2] = named(&["read", "readv"]);` does not compile with a name that is
/// not known.
pub const fn named<const N: usize>(names: &[&str; N]) -> [Syscall; N] {
    let mut found = [Syscall(0); N];
    let mut i = 0;
    while i < N {
        found[i] = match Syscall::from_name(names[i]) {
            Some(syscall) => syscall,
            None => panic!("no architecture has a system call of this name"),
        };
        i += 1;
    }
    found
}

/// −1, 0, 1 for `name` before, at or behind the name at `index`.
const fn compare(name: &[u8], index: usize) -> i8 {
    let text = TEXT.as_bytes();
    let (start, end) = (ENDS[index] as usize, ENDS[index + 1] as usize);
    let mut i = 0;
    while i < name.len() && start + i < end {
        if name[i] != text[start + i] {
            return if name[i] < text[start + i] { -1 } else { 1 };
        }
        i += 1;
    }
    match (i < name.len(), start + i < end) {
        (false, false) => 0,
        (false, true) => -1,
        (true, _) => 1,
    }
}

static NUMBERS: [[u16; 5]; COUNT] = {
    let mut numbers = [[NO; 5]; COUNT];
    let mut i = 0;
    while i < COUNT {
        numbers[i] = ROWS[i].1;
        i += 1;
    }
    numbers
};

/// The name at `i` is `TEXT[ENDS[i]..ENDS[i + 1]]`.
static ENDS: [u16; COUNT + 1] = {
    let mut ends = [0; COUNT + 1];
    let mut i = 0;
    while i < COUNT {
        ends[i + 1] = ends[i] + ROWS[i].0.len() as u16;
        i += 1;
    }
    ends
};

static TEXT: &str = {
    const LENGTH: usize = ENDS[COUNT] as usize;
    static BYTES: [u8; LENGTH] = {
        let mut bytes = [0; LENGTH];
        let (mut i, mut at) = (0, 0);
        while i < COUNT {
            let name = ROWS[i].0.as_bytes();
            let mut j = 0;
            while j < name.len() {
                bytes[at] = name[j];
                at += 1;
                j += 1;
            }
            i += 1;
        }
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!("system call names are ASCII"),
    }
};

// Binary search needs the order.
const _: () = {
    let mut i = 1;
    while i < COUNT {
        assert!(compare(ROWS[i].0.as_bytes(), i - 1) == 1, "ROWS is not sorted by name");
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_given_back() {
        for (i, (name, _)) in ROWS.iter().enumerate() {
            let syscall = Syscall::from_name(name).unwrap();
            assert_eq!((usize::from(syscall.0), syscall.name()), (i, *name));
        }
        for unknown in ["", "a", "ope", "opena", "openatt", "zzz", "OPEN", "riscv_hwprobe"] {
            assert_eq!(Syscall::from_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn no_number_is_used_for_two_calls() {
        for architecture in
            [Architecture::X86_64, Architecture::X86, Architecture::X32, Architecture::Aarch64, Architecture::Arm]
        {
            let mut numbers: Vec<_> =
                Syscall::all().filter_map(|s| Some((s.number(architecture)?, s.name()))).collect();
            numbers.sort_unstable();
            for pair in numbers.windows(2) {
                let [(a, first), (b, second)] = pair else { unreachable!() };
                // One call with two names in the kernel's own header.
                let alias = (*first, *second) == ("arm_sync_file_range", "sync_file_range2");
                assert!(a != b || alias, "{architecture:?}: {first} and {second} are both {a}");
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let number = |name, architecture| Syscall::from_name(name).unwrap().number(architecture);
        assert_eq!(number("read", Architecture::NATIVE), Some(libc::SYS_read as u32));
        assert_eq!(number("openat2", Architecture::NATIVE), Some(libc::SYS_openat2 as u32));
        assert_eq!(number("seccomp", Architecture::NATIVE), Some(libc::SYS_seccomp as u32));
        assert_eq!(number("socketcall", Architecture::X86), Some(102));
        assert_eq!(number("socketcall", Architecture::X86_64), None);
        assert_eq!(number("execve", Architecture::X32), Some(0x4000_0000 + 520));
        assert_eq!(number("set_tls", Architecture::Arm), Some(0xf0005));
        for architecture in Architecture::X86_64.family().iter().chain(Architecture::Aarch64.family()) {
            let bit = if *architecture == Architecture::X32 { X32_BIT } else { 0 };
            assert_eq!(number("listxattrat", *architecture), Some(bit + 465), "{architecture:?}");
            assert_eq!(number("file_setattr", *architecture), Some(bit + 469), "{architecture:?}");
        }
    }
}
