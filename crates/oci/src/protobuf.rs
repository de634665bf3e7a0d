//! As much of protocol buffers' encoding as CRIU's service needs: numbers, texts and messages in messages. Written by
//! hand, because it is a page of code and the packages for it are a hundred.

/// A message being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Negative numbers take ten bytes, as the format wants it.
    pub fn number(mut self, field: u32, value: i64) -> Message {
        self.varint(u64::from(field) << 3);
        self.varint(value as u64);
        self
    }

    pub fn switch(self, field: u32, value: bool) -> Message {
        self.number(field, i64::from(value))
    }

    pub fn text(self, field: u32, value: &str) -> Message {
        self.block(field, value.as_bytes())
    }

    pub fn message(self, field: u32, value: &Message) -> Message {
        self.block(field, &value.0)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn block(mut self, field: u32, value: &[u8]) -> Message {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in their order; `None` when it is none. Fixed-width numbers, which CRIU does not use, are
/// given as their bytes.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => Value::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            5 => Value::Bytes(take(&mut bytes, 4)?),
            _ => return None,
        };
        fields.push((u32::try_from(key >> 3).ok()?, value));
    }
    Some(fields)
}

/// The last value of a field, which is the one that counts.
pub(crate) fn number(fields: &[(u32, Value<'_>)], field: u32) -> Option<u64> {
    fields.iter().rev().find_map(|(found, value)| match value {
        Value::Number(number) if *found == field => Some(*number),
        _ => None,
    })
}

pub(crate) fn block<'a>(fields: &[(u32, Value<'a>)], field: u32) -> Option<&'a [u8]> {
    fields.iter().rev().find_map(|(found, value)| match value {
        Value::Bytes(bytes) if *found == field => Some(*bytes),
        _ => None,
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Message::default().text(1, "ab");
        let message = Message::default().number(1, 300).number(2, -1).switch(3, true).message(16, &inner);
        let fields = fields(message.bytes()).unwrap();
        assert_eq!(number(&fields, 1), Some(300));
        assert_eq!(number(&fields, 2), Some(u64::MAX));
        assert_eq!(number(&fields, 3), Some(1));
        assert_eq!(block(&fields, 16), Some(&[0x0a, 2, b'a', b'b'][..]));
        assert_eq!(number(&fields, 16), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&[0x80][..], &[0x0a, 5, 1], &[0x03], &[0xff; 11]] {
            assert!(fields(bytes).is_none(), "{bytes:?}");
        }
        // Every short message is read or refused; nothing else may happen.
        for number in 0..=u16::MAX {
            let _ = fields(&number.to_be_bytes());
        }
    }
}
