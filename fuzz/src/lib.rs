//! Tar archives for the fuzzer: where it starts from, and how it changes them. Bytes changed at random fail at the first
//! checksum and never reach what a header means. So an archive is taken apart into its entries; one is changed, moved
//! or given another's name; and then lengths and checksums are put right, mostly, since wrong ones must be tried too.
//! Used by the targets `tar`, `layer` and `unpack`.

mod archive;
mod random;
mod seed;

use archive::{BLOCK, Entry};
use image::compress::{Compression, GzipWriter, detect};
use libfuzzer_sys::fuzzer_mutate;
use random::Random;
use std::io::Write;

/// Changes the archive `data[..size]` and returns its new size, at most `size_max`. What is too short to be an archive
/// becomes one of the seeds, so that no corpus is needed. The same number makes the same change.
pub fn mutate(data: &mut [u8], size: usize, size_max: usize, number: u32) -> usize {
    let size = size.min(size_max);
    let random = &mut Random::new(number);
    if size < BLOCK {
        return put(data, &archive::join(&seed::any(random), &[0; 2 * BLOCK]), size_max);
    }
    let size = if random.one_in(8) { fuzzer_mutate(data, size, size_max) } else { size };
    let (mut entries, rest) = archive::split(&data[..size]);
    if !entries.is_empty() {
        change(&mut entries, random);
    }
    if !random.one_in(16) {
        entries.iter_mut().for_each(Entry::repair);
    }
    put(data, &archive::join(&entries, rest), size_max)
}

/// As [`mutate`]; now and then the archive is compressed, and then left to the fuzzer: it is the decoder that it is for.
pub fn mutate_or_compress(data: &mut [u8], size: usize, size_max: usize, number: u32) -> usize {
    let size = size.min(size_max);
    if detect(&data[..size]) != Ok(Compression::None) {
        return fuzzer_mutate(data, size, size_max);
    }
    let size = mutate(data, size, size_max, number);
    match number % 64 {
        0 => put(data, &gzip(&data[..size]), size_max),
        1 => put(data, &zstd::encode_all(&data[..size], 1).expect("memory does not fail"), size_max),
        _ => size,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzipWriter::new(Vec::new());
    writer.write_all(bytes).expect("memory does not fail");
    writer.finish().expect("memory does not fail")
}

fn put(data: &mut [u8], bytes: &[u8], size_max: usize) -> usize {
    let size = bytes.len().min(size_max);
    data[..size].copy_from_slice(&bytes[..size]);
    size
}

/// One change to a list that is not empty.
fn change(entries: &mut Vec<Entry>, random: &mut Random) {
    let (one, other) = (random.below(entries.len()), random.below(entries.len()));
    match random.below(16) {
        0 => drop(entries.remove(one)),
        1 => entries.swap(one, other),
        2 => entries.insert(other, entries[one].clone()),
        3 => entries.extend(seed::any(random)),
        // What one entry calls a file another makes a link, a directory, or a target.
        4 | 5 => {
            let name = *entries[one].text(random.pick(&archive::TEXTS));
            entries[other].text(random.pick(&archive::TEXTS)).copy_from_slice(&name);
        }
        6 | 7 => entries[one].set_kind(random.pick(b"0123456gxLKSV7\0?")),
        8..=10 if !entries[one].data().is_empty() => entries[one].change_data(fuzzer_mutate),
        _ => entries[one].change_field(random.pick(&archive::FIELDS), fuzzer_mutate),
    }
}
