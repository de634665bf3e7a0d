//! `brig logs`.
//! Which entries there are is `engine::logs`' business; here they are written to the stream they came from.

use crate::failure::{Failure, Outcome};
use crate::flags::logs::Logs;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use engine::Container;
use engine::logs::{Attributes, Entry, Stream};
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
        written = write(target, &entry, &asked);
        if written.is_ok() && asked.query.follow {
            // Somebody watches: what is there is shown before the next entry is waited for.
            written = target.flush();
        }
        written.is_ok()
    })?;
    let written = written.and_then(|()| out.flush()).and_then(|()| errors.flush());
    written.map(|()| 0).map_err(|error| Failure::output(&error))
}

fn write(target: &mut dyn Write, entry: &Entry, asked: &Logs) -> std::io::Result<()> {
    if asked.timestamps {
        write!(target, "{} ", padded(entry.time))?;
    }
    if asked.details {
        write!(target, "{} ", details(&entry.attributes))?;
    }
    target.write_all(&entry.text)
}

/// `name=value,…`, with everything escaped that could be taken for another name or for the line's text.
fn details(attributes: &Attributes) -> String {
    let pairs = attributes.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// As in the query of an address (RFC 3986, section 2.3), a space as `+`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
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
    fn details_are_escaped() {
        let attributes = [("ü", "ä <>&"), ("a.b-c_d~", "x,y=z%\n")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(details(&attributes.into()), "a.b-c_d~=x%2Cy%3Dz%25%0A,%C3%BC=%C3%A4+%3C%3E%26");
        assert_eq!(details(&Attributes::new()), "");
    }

    #[test]
    fn timestamps_have_nine_digits() {
        assert_eq!(padded(Timestamp::from_nanoseconds(1_500_000_000)), "1970-01-01T00:00:01.500000000Z");
    }
}
