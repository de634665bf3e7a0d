//! Any bytes, compressed or not, are an archive or an error; never a panic, never memory in
//! proportion to what a header claims. What was read can be written and reads the same.
#![no_main]

use image::compress::Decoder;
use image::tar::{Entry, Kind, Reader, Writer};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::io::Read;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let Ok(decoder) = Decoder::new(&mut data) else { return };
    // A small input can decompress to very much.
    let mut reader = Reader::new(decoder.take(1 << 20));
    let mut entries = Vec::new();
    while let Ok(Some(mut entry)) = reader.next_entry() {
        // The order is the writer's.
        entry.xattrs.sort();
        let stored: u64 = entry.extents.iter().flatten().map(|extent| extent.length).sum();
        assert!(entry.extents.is_none() || stored <= entry.size);
        let (position, left) = (reader.position(), reader.data_left());
        let mut content = Vec::new();
        let read = reader.read_to_end(&mut content);
        assert_eq!(reader.position(), position + content.len() as u64);
        if read.is_err() {
            break;
        }
        assert_eq!(content.len() as u64, left);
        if is_plain(&entry) {
            entries.push((entry, content));
        }
    }
    assert_eq!(read_all(&write_all(&entries)), entries);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    brig_fuzz::mutate_or_compress(data, size, max_size, seed)
});

/// Whether the writer can say all that the entry says: not where holes are, and not that a file has a directory's name.
fn is_plain(entry: &Entry) -> bool {
    entry.extents.is_none() && !(entry.kind == Kind::File && entry.path.ends_with(b"/"))
}

fn write_all(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.append(entry, &mut content.as_slice()).expect("memory does not fail");
    }
    writer.finish().expect("memory does not fail")
}

fn read_all(archive: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(archive);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().expect("what we write is right") {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("memory does not fail");
        entries.push((entry, content));
    }
    entries
}
