//! D-Bus messages (D-Bus specification, "Message Protocol"), as much as a few calls to systemd need: little-endian, no
//! descriptors. Reading trusts no length that the other side gives.

/// A value of the types that systemd's properties have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Bool(bool),
    /// `t`
    Number(u64),
    /// `u`
    Unsigned(u32),
    /// `i`
    Signed(i32),
    /// `au`
    Numbers(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `as`
    Texts(Vec<String>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Value::Text(_) => "s",
            Value::Bool(_) => "b",
            Value::Number(_) => "t",
            Value::Unsigned(_) => "u",
            Value::Signed(_) => "i",
            Value::Numbers(_) => "au",
            Value::Bytes(_) => "ay",
            Value::Texts(_) => "as",
            Value::Pairs(_) => "a(ss)",
        }
    }
}

/// A property of a unit and its value.
pub type Property = (&'static str, Value);

/// Bytes with everything at a multiple of its own size.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, bytes: usize) {
        self.0.resize(self.0.len().next_multiple_of(bytes), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    pub fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// An array whose items are at multiples of `alignment`. Its length counts from the first item.
    pub fn array<T>(&mut self, items: &[T], alignment: usize, mut write: impl FnMut(&mut Writer, &T)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        for item in items {
            self.align(alignment);
            write(self, item);
        }
        let length = (self.0.len() - start) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Text(text) => self.text(text),
            Value::Bool(value) => self.bool(*value),
            Value::Number(value) => {
                self.align(8);
                self.0.extend(value.to_le_bytes());
            }
            Value::Unsigned(value) => self.u32(*value),
            Value::Signed(value) => self.u32(value.cast_unsigned()),
            Value::Numbers(values) => self.array(values, 4, |writer, value| writer.u32(*value)),
            Value::Bytes(bytes) => self.array(bytes, 1, |writer, byte| writer.0.push(*byte)),
            Value::Texts(texts) => self.array(texts, 4, |writer, text| writer.text(text)),
            Value::Pairs(pairs) => self.array(pairs, 8, |writer, (one, other)| {
                writer.text(one);
                writer.text(other);
            }),
        }
    }

    /// `a(sv)`
    pub fn properties(&mut self, properties: &[(&str, Value)]) {
        self.array(properties, 8, |writer, (name, value)| {
            writer.text(name);
            writer.variant(value);
        });
    }
}

/// Whom a call is for.
pub(super) struct Call<'a> {
    /// Empty on a connection without a bus.
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    pub signature: &'a str,
}

impl Call<'_> {
    pub fn message(&self, serial: u32, body: Writer) -> Vec<u8> {
        let mut fields: Vec<(u8, &str, &str)> =
            vec![(1, "o", self.path), (2, "s", self.interface), (3, "s", self.member)];
        if !self.destination.is_empty() {
            fields.push((6, "s", self.destination));
        }
        if !self.signature.is_empty() {
            fields.push((8, "g", self.signature));
        }
        const CALL: u8 = 1;
        let mut writer = Writer(vec![b'l', CALL, 0, 1]);
        writer.u32(body.0.len() as u32);
        writer.u32(serial);
        writer.array(&fields, 8, |writer, (code, kind, text)| {
            writer.0.push(*code);
            writer.signature(kind);
            if *kind == "g" { writer.signature(text) } else { writer.text(text) }
        });
        writer.align(8);
        writer.0.extend(body.0);
        writer.0
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Answer,
    Error,
    Signal,
    Other,
}

/// A message that has arrived, with the texts of its body that come first: all that is asked for here.
#[derive(Debug)]
pub(super) struct Message {
    pub kind: Kind,
    pub answers: u32,
    pub member: String,
    pub error: String,
    signature: String,
    body: Vec<u8>,
}

/// The first bytes of each message, from which its length is known.
pub(super) const HEAD_BYTES: usize = 16;
/// What the specification allows.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// The length of the message that begins with `head`; `None` for one that is not to be understood.
pub(super) fn length(head: &[u8; HEAD_BYTES]) -> Option<usize> {
    let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(|bytes| u32::from_le_bytes(bytes) as usize);
    let (body, fields) = (number(4)?, number(12)?);
    let length = (HEAD_BYTES + fields).next_multiple_of(8) + body;
    (head[0] == b'l' && length <= MESSAGE_BYTES_MAX).then_some(length)
}

impl Message {
    /// `None` for bytes that are no message.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let mut reader = Reader { bytes, at: 4 };
        let body = reader.u32()? as usize;
        reader.at = 12;
        let fields = reader.u32()? as usize;
        let end = reader.at.checked_add(fields)?;
        let kind = match bytes.get(1)? {
            2 => Kind::Answer,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let empty = String::new;
        let mut message =
            Message { kind, answers: 0, member: empty(), error: empty(), signature: empty(), body: Vec::new() };
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            match reader.signature()?.as_str() {
                "u" => {
                    let value = reader.u32()?;
                    if code == 5 {
                        message.answers = value;
                    }
                }
                "g" => {
                    let value = reader.signature()?;
                    if code == 8 {
                        message.signature = value;
                    }
                }
                "s" | "o" => {
                    let value = reader.text()?;
                    match code {
                        3 => message.member = value,
                        4 => message.error = value,
                        _ => {}
                    }
                }
                _ => return None,
            }
        }
        reader.align(8);
        message.body = bytes.get(reader.at..reader.at.checked_add(body)?)?.to_owned();
        Some(message)
    }

    /// The values of the body up to the first that is neither text nor number; numbers in decimal.
    pub fn texts(&self) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let read = |kind| match kind {
            's' | 'o' => reader.text(),
            'u' => reader.u32().map(|number| number.to_string()),
            _ => None,
        };
        self.signature.chars().map_while(read).collect()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, bytes: usize) {
        self.at = self.at.next_multiple_of(bytes);
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn take(&mut self, length: usize) -> Option<String> {
        let text = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length + 1;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: Writer) -> Vec<u8> {
        let call = Call { destination: "a.b", path: "/x", interface: "a.b.C", member: "Do", signature: "ss" };
        call.message(7, body)
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut body = Writer::default();
        body.text("one");
        body.text("two");
        let bytes = call(body);
        let head: [u8; HEAD_BYTES] = bytes[..HEAD_BYTES].try_into().unwrap();
        assert_eq!(length(&head), Some(bytes.len()));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (Kind::Other, "Do"));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.texts(), ["one", "two"]);
    }

    #[test]
    fn everything_is_aligned() {
        let mut writer = Writer::default();
        writer.properties(&[("A", Value::Number(5)), ("B", Value::Pairs(vec![("c".into(), "d".into())]))]);
        // Length, padding to 8, "A" with its NUL, signature "t", padding, the number.
        assert_eq!(&writer.0[8..14], [1, 0, 0, 0, b'A', 0]);
        assert_eq!(&writer.0[14..17], [1, b't', 0]);
        assert_eq!(&writer.0[24..32], 5u64.to_le_bytes());
        assert_eq!(&writer.0[32..38], [1, 0, 0, 0, b'B', 0]);
    }

    #[test]
    fn cut_off_messages_are_refused() {
        let mut body = Writer::default();
        body.text("one");
        body.text("two");
        let bytes = call(body);
        for end in 0..bytes.len() {
            let _ = Message::parse(&bytes[..end]).map(|message| message.texts());
        }
        let mut head = [0; HEAD_BYTES];
        head[0] = b'l';
        head[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(length(&head), None);
    }
}
