//! `brig logs`.
//! Which entries there are is `engine::logs`' business; here they are written to the stream they came from.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use engine::Container;
use engine::logs::{Entry, Stream};
use spec::Timestamp;
use std::io::{BufWriter, Write};

/// Writes what the container wrote, to the same two streams.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::logs::read(parsed, Timestamp::now())?;
    let engine = place.engine()?;
    let container = Container::find(&engine, &asked.container)?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut errors = BufWriter::with_capacity(1 << 16, std::io::stderr().lock());
    let mut written = Ok(());
    engine::logs::read(&engine, &container, &asked.query, &mut |entry: Entry| {
        let target: &mut dyn Write = match entry.stream {
            Stream::Stdout => &mut out,
            Stream::Stderr => &mut errors,
        };
        written = write(target, &entry, asked.timestamps);
        if written.is_ok() && asked.query.follow {
            // Somebody watches: what is there is shown before the next entry is waited for.
            written = target.flush();
        }
        written.is_ok()
    })?;
    let written = written.and_then(|()| out.flush()).and_then(|()| errors.flush());
    written.map(|()| 0).map_err(|error| Failure::output(&error))
}

fn write(target: &mut dyn Write, entry: &Entry, timestamps: bool) -> std::io::Result<()> {
    if timestamps {
        write!(target, "{} ", padded(entry.time))?;
    }
    target.write_all(&entry.text)
}

/// RFC 3339 with all nine digits, so that columns line up: docker's logs have it so.
fn padded(time: Timestamp) -> String {
    let (year, month, day, hour, minute, second) = time.civil();
    let fraction = time.subsecond_nanoseconds();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_nine_digits() {
        assert_eq!(padded(Timestamp::from_nanoseconds(1_500_000_000)), "1970-01-01T00:00:01.500000000Z");
    }
}
