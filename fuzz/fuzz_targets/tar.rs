//! Any bytes, compressed or not, are an archive or an error; never a panic, never memory in
//! proportion to what a header claims.
#![no_main]

use image::compress::Decoder;
use image::tar::Reader;
use libfuzzer_sys::fuzz_target;
use std::io::Read;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let Ok(decoder) = Decoder::new(&mut data) else { return };
    // A small input can decompress to very much.
    let mut reader = Reader::new(decoder.take(16 << 20));
    let mut buffer = [0; 4096];
    while let Ok(Some(entry)) = reader.next_entry() {
        let stored: u64 = entry.extents.iter().flatten().map(|extent| extent.length).sum();
        assert!(entry.extents.is_none() || stored <= entry.size);
        while matches!(reader.read(&mut buffer), Ok(count) if count > 0) {}
    }
});
