//! Addresses given to containers: for each family a table on disk with one slot for each place in a network, which holds the first half
//! of the id of the container that has it, or zeros. One lock, one file; a slot says by itself whose it is, so what a
//! killed process took is found and freed without any other record. See docs/decisions/addresses-name-their-owner.md.

use crate::error::{Error, Result};
use crate::file;
use kernel::Context;
use kernel::lock::Lock;
use std::fs::File;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a slot: 32 of the 64 hexadecimal digits of an id.
const SLOT_BYTES: usize = 16;
/// More places than this are not given out: a network of 65,536 is large.
pub const PLACES_MAX: u64 = 1 << 16;
/// How many slots are read at once.
const CHUNK_SLOTS: usize = 256;

type Owner = [u8; SLOT_BYTES];

/// The table of one network.
#[derive(Debug, Clone)]
pub struct Table {
    directory: PathBuf,
    name: &'static str,
}

impl Table {
    /// `directory` is the network's own; made when something is written.
    pub fn of(directory: &Path, is_ipv6: bool) -> Table {
        Table { directory: directory.to_owned(), name: if is_ipv6 { "addresses6" } else { "addresses" } }
    }

    /// Of both families.
    pub fn all(directory: &Path) -> [Table; 2] {
        [false, true].map(|is_ipv6| Table::of(directory, is_ipv6))
    }

    fn open(&self) -> Result<(Lock, File)> {
        let path = self.directory.join(self.name);
        let lock_path = path.with_extension("lock");
        let lock = match Lock::exclusive(&lock_path) {
            Err(error) if error.errno == rustix::io::Errno::NOENT => {
                file::make_directory(&self.directory)?;
                Lock::exclusive(&lock_path)?
            }
            lock => lock?,
        };
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        Ok((lock, file.during_at("open", &path)?))
    }

    /// Takes a free place of `range` for `owner`, the next after the last one given, so that an address is not used
    /// again at once. Places for which `reserved` holds are passed over.
    pub fn take(&self, owner: &str, range: RangeInclusive<u64>, reserved: impl Fn(u64) -> bool) -> Result<u64> {
        let owner = short(owner)?;
        let (_lock, file) = self.open()?;
        // Slot 0, the network's own address, is never given: it remembers the last place.
        let last = u64::from_ne_bytes(slot(&read(&file, 0, 1)?, 0)[..8].try_into().unwrap_or([0; 8]));
        let first = if range.contains(&(last + 1)) { last + 1 } else { *range.start() };
        let place = find_free(&file, first..=*range.end(), &reserved)?.or(if first > *range.start() {
            find_free(&file, *range.start()..=first - 1, &reserved)?
        } else {
            None
        });
        let place = place.ok_or_else(|| Error::Exhausted("no available addresses on this network".into()))?;
        write(&file, place, &owner)?;
        let mut header = [0; SLOT_BYTES];
        header[..8].copy_from_slice(&place.to_ne_bytes());
        write(&file, 0, &header)?;
        Ok(place)
    }

    /// Takes exactly `place`. `Conflict` when another container has it.
    pub fn take_this(&self, owner: &str, place: u64) -> Result<()> {
        let owner = short(owner)?;
        let (_lock, file) = self.open()?;
        let found = slot(&read(&file, place, 1)?, 0);
        if found != [0; SLOT_BYTES] && found != owner {
            return Err(Error::Conflict("Address already in use".into()));
        }
        write(&file, place, &owner)
    }

    /// Frees what `owner` has; nothing is no error.
    pub fn free(&self, owner: &str) -> Result<()> {
        let owner = short(owner)?;
        self.free_unless(|one| one != owner)
    }

    /// Frees what belongs to owners for whom `lives`, given the first 32 digits of their id, does not hold.
    pub fn sweep(&self, lives: impl Fn(&str) -> bool) -> Result<()> {
        self.free_unless(|owner| lives(&hex(&owner)))
    }

    fn free_unless(&self, keep: impl Fn(Owner) -> bool) -> Result<()> {
        if !self.directory.join(self.name).exists() {
            return Ok(());
        }
        let (_lock, file) = self.open()?;
        let slots = file.metadata().during_at("stat", self.directory.join("addresses"))?.len() / SLOT_BYTES as u64;
        let mut at = 1;
        while at < slots {
            let chunk = read(&file, at, CHUNK_SLOTS)?;
            for index in 0..CHUNK_SLOTS {
                let owner = slot(&chunk, index);
                if owner != [0; SLOT_BYTES] && !keep(owner) {
                    write(&file, at + index as u64, &[0; SLOT_BYTES])?;
                }
            }
            at += CHUNK_SLOTS as u64;
        }
        Ok(())
    }
}

fn find_free(file: &File, range: RangeInclusive<u64>, reserved: impl Fn(u64) -> bool) -> Result<Option<u64>> {
    let mut at = *range.start();
    while at <= *range.end() {
        let chunk = read(file, at, CHUNK_SLOTS)?;
        for index in 0..CHUNK_SLOTS {
            let place = at + index as u64;
            if range.contains(&place) && slot(&chunk, index) == [0; SLOT_BYTES] && !reserved(place) {
                return Ok(Some(place));
            }
        }
        at += CHUNK_SLOTS as u64;
    }
    Ok(None)
}

/// Behind the end of the file are free slots.
fn read(file: &File, place: u64, count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count * SLOT_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], place * SLOT_BYTES as u64 + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Ok(Err(error).during("read table of addresses")?),
        }
    }
    Ok(bytes)
}

fn slot(bytes: &[u8], index: usize) -> Owner {
    let at = index * SLOT_BYTES;
    bytes.get(at..at + SLOT_BYTES).and_then(|slot| slot.try_into().ok()).unwrap_or_default()
}

/// A slot lies within one page: it is written whole or not at all.
fn write(file: &File, place: u64, owner: &Owner) -> Result<()> {
    Ok(file.write_all_at(owner, place * SLOT_BYTES as u64).during("write table of addresses")?)
}

fn short(id: &str) -> Result<Owner> {
    let digit = |at: usize| id.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let mut owner = [0; SLOT_BYTES];
    for (index, byte) in owner.iter_mut().enumerate() {
        *byte = digit(index * 2).ok_or_else(|| Error::Invalid(format!("{id} is no id of a container")))?;
    }
    Ok(owner)
}

fn hex(owner: &Owner) -> String {
    owner.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::collections::BTreeSet;

    fn id(number: u64) -> String {
        format!("{number:032x}{}", "0".repeat(32))
    }

    #[test]
    fn given_in_turn_and_freed() {
        let dir = TempDir::new("addresses");
        let table = Table::of(dir.path(), false);
        let take = |number| table.take(&id(number), 1..=6, |place| place == 1);
        assert_eq!((take(1).unwrap(), take(2).unwrap(), take(3).unwrap()), (2, 3, 4));
        table.free(&id(2)).unwrap();
        // Not at once again.
        assert_eq!((take(4).unwrap(), take(5).unwrap(), take(6).unwrap()), (5, 6, 3));
        assert!(matches!(take(7), Err(Error::Exhausted(_))));
        assert!(matches!(table.take_this(&id(7), 4), Err(Error::Conflict(_))));
        table.take_this(&id(3), 4).unwrap();
        table.sweep(|owner| owner != &id(3)[..32]).unwrap();
        table.take_this(&id(7), 4).unwrap();
        assert!(table.take("no id", 1..=6, |_| false).is_err());
    }

    /// 8 processes take and free 2,000 addresses between them; what each holds it marks in a file that only one can make.
    #[test]
    fn never_twice_in_parallel() {
        let dir = TempDir::new("parallel");
        let held = dir.path().join("held");
        std::fs::create_dir(&held).unwrap();
        let work = |process: u64| -> std::result::Result<(), String> {
            let table = Table::of(dir.path(), false);
            let mut own = Vec::new();
            for round in 0..250u64 {
                let owner = id(1 + process * 1000 + round);
                let place = table.take(&owner, 1..=4094, |_| false).map_err(|error| error.to_string())?;
                File::create_new(held.join(place.to_string())).map_err(|error| format!("{place}: {error}"))?;
                own.push((owner, place));
                if round % 3 == 2 {
                    let (owner, place) = own.remove(0);
                    std::fs::remove_file(held.join(place.to_string())).map_err(|error| error.to_string())?;
                    table.free(&owner).map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        };
        // Threads have descriptors, and so locks, of their own: to flock(2) they are as good as processes.
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|process| scope.spawn(move || work(process))).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
        let left: BTreeSet<u64> = std::fs::read_dir(&held)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(left.len(), 8 * (250 - 83));
        let bytes = std::fs::read(dir.path().join("addresses")).unwrap();
        let taken = bytes.chunks(SLOT_BYTES).skip(1).filter(|slot| slot.iter().any(|byte| *byte != 0)).count();
        assert_eq!(taken, left.len());
    }
}
