//! A pipe between two threads of this process: one writes an archive, the other reads it. Not
//! pipe(2), so that a reader who gives up is an error to the writer and never a signal.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender, channel, sync_channel};

/// Bytes that travel at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How many chunks may wait: the reader must not lag behind by more memory than this.
const CHUNKS_MAX: usize = 8;

pub(crate) fn pipe() -> (Sender, Receiving) {
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    // Chunks go round: of new memory every page would be mapped and zeroed anew.
    let (give_back, returned) = channel();
    let sender = Sender { sender, returned, chunk: Vec::with_capacity(CHUNK_BYTES) };
    (sender, Receiving { receiver, give_back, chunk: Vec::new(), used: 0 })
}

pub(crate) struct Sender {
    sender: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
}

impl Sender {
    /// A chunk to be filled and sent, with whatever was in it before.
    pub(crate) fn chunk(&self) -> Vec<u8> {
        let mut chunk = self.returned.try_recv().unwrap_or_default();
        chunk.resize(CHUNK_BYTES, 0);
        chunk
    }

    /// Passes a whole chunk on; it is an error when nobody reads any more.
    pub(crate) fn send(&self, chunk: Vec<u8>) -> io::Result<()> {
        self.sender.send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(count)
    }

    /// Must be called at the end.
    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let mut next = self.returned.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK_BYTES));
        next.clear();
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.send(chunk)
    }
}

/// Ends when the sender is dropped.
pub(crate) struct Receiving {
    receiver: Receiver<Vec<u8>>,
    give_back: mpsc::Sender<Vec<u8>>,
    chunk: Vec<u8>,
    used: usize,
}

impl Read for Receiving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.chunk.len() {
            match self.receiver.recv() {
                Ok(chunk) => {
                    let old = std::mem::replace(&mut self.chunk, chunk);
                    self.used = 0;
                    // Nobody sends any more: then it is of no use.
                    let _ = self.give_back.send(old);
                }
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.used);
        buffer[..count].copy_from_slice(&self.chunk[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn through_and_broken() {
        let (mut sender, mut receiver) = pipe();
        let writer = std::thread::spawn(move || {
            sender.write_all(&vec![7; 3 * CHUNK_BYTES + 5])?;
            sender.flush()
        });
        let mut bytes = Vec::new();
        receiver.read_to_end(&mut bytes).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(bytes.len(), 3 * CHUNK_BYTES + 5);
        let (mut sender, receiver) = pipe();
        drop(receiver);
        assert_eq!(sender.write_all(&vec![0; CHUNK_BYTES]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
