//! Maps of sparse files: GNU's old format (in the header) and PAX format 1.0 (before the data).
//! The formats 0.0 and 0.1 are plain PAX records, see `pax`.

use super::header::{self, Block};
use super::{BLOCK, EXTENSION_SIZE_MAX, Error, Extent, Result, pax};
use std::io::Read;

/// GNU's old format: four stretches in the header, then blocks with twenty-one each.
pub(super) fn old_gnu(first: &Block, input: &mut dyn Read) -> Result<(Vec<Extent>, u64)> {
    let mut extents = Vec::new();
    push_pairs(&mut extents, &first[386..482])?;
    let real_size = size(&first[483..495])?;
    let mut more = first[482] != 0;
    let mut read = 0;
    while more {
        read += BLOCK as u64;
        if read > EXTENSION_SIZE_MAX {
            return Err(Error::invalid("has a sparse map that is too large"));
        }
        let mut block = [0; BLOCK];
        input.read_exact(&mut block)?;
        push_pairs(&mut extents, &block[..504])?;
        more = block[504] != 0;
    }
    Ok((extents, real_size))
}

fn push_pairs(extents: &mut Vec<Extent>, field: &[u8]) -> Result<()> {
    for pair in field.chunks_exact(24) {
        if pair.iter().all(|&b| b == 0) {
            break;
        }
        extents.push(Extent { offset: size(&pair[..12])?, length: size(&pair[12..])? });
    }
    Ok(())
}

fn size(field: &[u8]) -> Result<u64> {
    u64::try_from(header::number(field)?).map_err(|_| Error::invalid("has a negative size"))
}

/// Format 1.0: lines of decimal numbers, how many pairs and then the pairs, filled up to a
/// whole block. Returns the map and how many bytes it took.
pub(super) fn pax_1_0(input: &mut dyn Read, data_size: u64) -> Result<(Vec<Extent>, u64)> {
    let broken = || Error::invalid("has a broken sparse map");
    let mut text: Vec<u8> = Vec::new();
    let mut numbers: Vec<u64> = Vec::new();
    let mut wanted = 1;
    let mut read = 0;
    while numbers.len() < wanted {
        read += BLOCK as u64;
        if read > data_size || read > EXTENSION_SIZE_MAX {
            return Err(broken());
        }
        let mut block = [0; BLOCK];
        input.read_exact(&mut block)?;
        text.extend_from_slice(&block);
        while numbers.len() < wanted {
            let Some(end) = text.iter().position(|&b| b == b'\n') else { break };
            let number = pax::decimal(&text[..end]).ok_or_else(broken)?;
            text.drain(..=end);
            if numbers.is_empty() {
                // Each pair takes four bytes at least, so a larger count cannot be true.
                wanted =
                    usize::try_from(number).ok().filter(|&n| n as u64 <= EXTENSION_SIZE_MAX / 4).ok_or_else(broken)?;
                wanted = 1 + 2 * wanted;
            }
            numbers.push(number);
        }
        // A number has at most twenty digits: do not search an endless line.
        if numbers.len() < wanted && text.len() > BLOCK {
            return Err(broken());
        }
    }
    let pairs = numbers[1..].chunks_exact(2);
    Ok((pairs.map(|pair| Extent { offset: pair[0], length: pair[1] }).collect(), read))
}

/// A map must be in order, within the file, and account for exactly the stored data.
pub(super) fn check(extents: &[Extent], real_size: u64, data_size: u64) -> Result<()> {
    let mut end = 0_u64;
    let mut stored = 0_u64;
    for extent in extents {
        let next = extent.offset.checked_add(extent.length);
        match next {
            Some(next) if extent.offset >= end && next <= real_size => end = next,
            _ => return Err(Error::invalid("has a sparse map with stretches out of order")),
        }
        stored += extent.length; // no overflow: the stretches do not overlap
    }
    if stored != data_size {
        return Err(Error::invalid("has a sparse map that does not fit its data"));
    }
    Ok(())
}
