//! What a monitor and its clients say to each other over a stream socket: frames of one byte
//! kind, four bytes length (little-endian) and the payload.

use crate::attach::Streams;
use crate::error::Error;

/// Longer frames are a broken or hostile peer.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;
const HEADER_BYTES: usize = 5;

/// From a client to the monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// First frame of a connection: which streams to send, and whether stdin comes.
    Hello(Streams),
    Stdin(Vec<u8>),
    StdinEnd,
    Resize {
        width: u16,
        height: u16,
    },
    Signal(i32),
    /// A user stops it: no restart policy applies to the coming exit. Answered by `Done`.
    NoRestart,
    /// The networks on record have changed. Answered by `Done`.
    Networks,
}

/// From the monitor to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The command has been executed.
    Started,
    /// It could not be; the monitor ends.
    Failed {
        kind: FailureKind,
        text: String,
    },
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// The container has ended and all its output has been sent.
    Exit(i32),
    Done,
}

/// What the caller's exit code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    Other,
    NotFound,
    NotExecutable,
}

impl FailureKind {
    pub fn of(error: &Error) -> FailureKind {
        match error {
            Error::CommandNotFound(_) => FailureKind::NotFound,
            Error::CommandNotExecutable(_) => FailureKind::NotExecutable,
            _ => FailureKind::Other,
        }
    }

    pub fn into_error(self, text: String) -> Error {
        match self {
            FailureKind::Other => Error::Failed(text),
            FailureKind::NotFound => Error::CommandNotFound(text),
            FailureKind::NotExecutable => Error::CommandNotExecutable(text),
        }
    }
}

impl Request {
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Request::Hello(streams) => frame(into, 1, &[streams.bits()]),
            Request::Stdin(data) => frame(into, 2, data),
            Request::StdinEnd => frame(into, 3, &[]),
            Request::Resize { width, height } => {
                let [a, b] = width.to_le_bytes();
                let [c, d] = height.to_le_bytes();
                frame(into, 4, &[a, b, c, d]);
            }
            Request::Signal(number) => frame(into, 5, &number.to_le_bytes()),
            Request::NoRestart => frame(into, 6, &[]),
            Request::Networks => frame(into, 7, &[]),
        }
    }

    fn decode(kind: u8, payload: &[u8]) -> Option<Request> {
        Some(match (kind, payload) {
            (1, [bits]) => Request::Hello(Streams::from_bits(*bits)),
            (2, data) => Request::Stdin(data.to_vec()),
            (3, []) => Request::StdinEnd,
            (4, [a, b, c, d]) => {
                Request::Resize { width: u16::from_le_bytes([*a, *b]), height: u16::from_le_bytes([*c, *d]) }
            }
            (5, number) => Request::Signal(i32::from_le_bytes(number.try_into().ok()?)),
            (6, []) => Request::NoRestart,
            (7, []) => Request::Networks,
            _ => return None,
        })
    }
}

impl Event {
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Event::Started => frame(into, 16, &[]),
            Event::Failed { kind, text } => {
                let mut payload = vec![*kind as u8];
                payload.extend_from_slice(text.as_bytes());
                frame(into, 17, &payload);
            }
            Event::Stdout(data) => frame(into, 18, data),
            Event::Stderr(data) => frame(into, 19, data),
            Event::Exit(code) => frame(into, 20, &code.to_le_bytes()),
            Event::Done => frame(into, 21, &[]),
        }
    }

    fn decode(kind: u8, payload: &[u8]) -> Option<Event> {
        Some(match (kind, payload) {
            (16, []) => Event::Started,
            (17, [kind, text @ ..]) => Event::Failed {
                kind: [FailureKind::Other, FailureKind::NotFound, FailureKind::NotExecutable]
                    .into_iter()
                    .find(|k| *k as u8 == *kind)?,
                text: String::from_utf8_lossy(text).into_owned(),
            },
            (18, data) => Event::Stdout(data.to_vec()),
            (19, data) => Event::Stderr(data.to_vec()),
            (20, code) => Event::Exit(i32::from_le_bytes(code.try_into().ok()?)),
            (21, []) => Event::Done,
            _ => return None,
        })
    }
}

fn frame(into: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    into.push(kind);
    into.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    into.extend_from_slice(payload);
}

/// Puts frames together from the pieces in which a stream delivers them.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    consumed: usize,
}

/// The peer sent what no version of brig sends.
#[derive(Debug, PartialEq, Eq)]
pub struct Garbage;

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub fn next_request(&mut self) -> Result<Option<Request>, Garbage> {
        self.next(Request::decode)
    }

    pub fn next_event(&mut self) -> Result<Option<Event>, Garbage> {
        self.next(Event::decode)
    }

    fn next<T>(&mut self, decode: impl Fn(u8, &[u8]) -> Option<T>) -> Result<Option<T>, Garbage> {
        let rest = &self.buffer[self.consumed..];
        let [kind, a, b, c, d, payload @ ..] = rest else { return Ok(None) };
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            return Err(Garbage);
        }
        let Some(payload) = payload.get(..length) else { return Ok(None) };
        let frame = decode(*kind, payload).ok_or(Garbage)?;
        self.consumed += HEADER_BYTES + length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_survive_any_cut() {
        let events = [
            Event::Started,
            Event::Failed { kind: FailureKind::NotFound, text: "no".into() },
            Event::Stdout(vec![0; 70_000]),
            Event::Stderr(b"x".to_vec()),
            Event::Exit(-1),
            Event::Done,
        ];
        let mut bytes = Vec::new();
        events.iter().for_each(|event| event.encode(&mut bytes));
        for size in [1, 3, 7, 4096, 1 << 20] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                while let Some(event) = decoder.next_event().unwrap() {
                    seen.push(event);
                }
            }
            assert_eq!(seen, events);
        }
    }

    #[test]
    fn requests_come_back() {
        let requests = [
            Request::Hello(Streams { stdin: true, stdout: false, stderr: true }),
            Request::Stdin(b"abc".to_vec()),
            Request::StdinEnd,
            Request::Resize { width: 300, height: 2 },
            Request::Signal(15),
            Request::NoRestart,
            Request::Networks,
        ];
        let mut decoder = Decoder::default();
        for request in &requests {
            let mut bytes = Vec::new();
            request.encode(&mut bytes);
            decoder.push(&bytes);
            assert_eq!(decoder.next_request(), Ok(Some(request.clone())));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_request() {}
        }
    }
}
