//! The little of DER (X.690) that signatures need: elements of definite length, and of an X.509 certificate the parts
//! that webpki does not hand out (RFC 5280, section 4.1). Malformed input gives `None`; nothing here is trusted before
//! webpki has verified the certificate.

pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const SEQUENCE: u8 = 0x30;
/// `[n]`, constructed: an explicit tag.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One element: tag, content, and both with the length between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// Elements one after another.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element; `None` at the end and for what is no DER. Tags of several bytes occur nowhere in X.509.
    pub fn element(&mut self) -> Option<Element<'a>> {
        let all = self.0;
        let (&tag, rest) = all.split_first().filter(|(tag, _)| *tag & 0x1f != 0x1f)?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            // Lengths have the shortest form; four bytes are more than any document here.
            let (digits, after) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
            length = digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit));
            if digits[0] == 0 || length < 0x80 {
                return None;
            }
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some(Element { tag, content, whole: &all[..all.len() - after.len()] })
    }

    /// The content of the next element if it has this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let element = self.element()?;
        (element.tag == tag).then_some(element.content)
    }

    /// Like `expect`, where the element is the last.
    pub fn expect_only(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.expect(tag).filter(|_| self.0.is_empty())
    }
}

/// An element, written.
pub fn write(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|content| content.len()).sum();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let digits = length.to_be_bytes();
            let zeros = digits.iter().take_while(|digit| **digit == 0).count();
            // At most eight digits: the count fits.
            bytes.push(0x80 | (digits.len() - zeros) as u8);
            bytes.extend_from_slice(&digits[zeros..]);
        }
    }
    contents.iter().for_each(|content| bytes.extend_from_slice(content));
    bytes
}

/// A `SubjectPublicKeyInfo`: the content of its algorithm identifier, and the key's bytes.
pub fn public_key(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = Reader(Reader(spki).expect_only(SEQUENCE)?);
    let algorithm = info.expect(SEQUENCE)?;
    let (unused, bits) = info.expect_only(BIT_STRING)?.split_first()?;
    (*unused == 0).then_some((algorithm, bits))
}

/// What is looked at in a certificate.
#[derive(Debug)]
pub struct Certificate<'a> {
    /// `tbsCertificate` without its extensions, elements in order.
    pub head: Vec<Element<'a>>,
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    /// Each extension: object identifier, value, and the whole of it.
    pub extensions: Vec<(&'a [u8], &'a [u8], &'a [u8])>,
}

impl<'a> Certificate<'a> {
    pub fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let mut outer = Reader(Reader(der).expect_only(SEQUENCE)?);
        let mut tbs = Reader(outer.expect(SEQUENCE)?);
        let mut head = Vec::new();
        let mut extensions = Vec::new();
        while let Some(element) = tbs.element() {
            if element.tag != context(3) {
                head.push(element);
                continue;
            }
            let mut list = Reader(Reader(element.content).expect_only(SEQUENCE)?);
            while let Some(extension) = list.element() {
                let mut parts = Reader(extension.content);
                let id = parts.expect(OID)?;
                let mut value = parts.element()?;
                // The optional flag `critical` stands between.
                if value.tag != OCTET_STRING {
                    value = parts.element()?;
                }
                extensions.push((id, value.content, extension.whole));
            }
        }
        // Version, serial number, signature, issuer, validity, subject.
        let (issuer, subject) = (head.get(3)?.whole, head.get(5)?.whole);
        Some(Certificate { head, issuer, subject, extensions })
    }

    /// The value of an extension.
    pub fn extension(&self, id: &[u8]) -> Option<&'a [u8]> {
        self.extensions.iter().find(|(found, _, _)| *found == id).map(|(_, value, _)| *value)
    }

    /// `tbsCertificate` without one extension: what a log of certificates has signed (RFC 6962, section 3.2).
    pub fn without_extension(&self, id: &[u8]) -> Vec<u8> {
        let kept: Vec<&[u8]> =
            self.extensions.iter().filter(|(found, _, _)| *found != id).map(|(_, _, whole)| *whole).collect();
        let extensions = write(context(3), &[&write(SEQUENCE, &kept)]);
        let mut parts: Vec<&[u8]> = self.head.iter().map(|element| element.whole).collect();
        if !kept.is_empty() {
            parts.push(&extensions);
        }
        write(SEQUENCE, &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_have_one_form() {
        for (bytes, content) in [
            (&[4, 2, 1, 2][..], Some(2)),
            (&[4, 0], Some(0)),
            (&[4, 3, 1, 2], None),
            (&[4, 0x81, 2, 1, 2], None),
            (&[4, 0x80, 0, 0], None),
            (&[4, 0x85, 0, 0, 0, 0, 1, 1], None),
            (&[4], None),
            (&[0x1f, 0], None),
            (&[], None),
        ] {
            assert_eq!(Reader(bytes).element().map(|element| element.content.len()), content, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in prop::sample::select(vec![SEQUENCE, OCTET_STRING, context(3)]), length in 0usize..70_000) {
            let content = vec![7; length];
            let bytes = write(tag, &[&content]);
            prop_assert_eq!(Reader(&bytes).expect_only(tag), Some(&content[..]));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = public_key(&bytes);
            if let Some(certificate) = Certificate::parse(&bytes) {
                let _ = certificate.without_extension(&[1]);
            }
        }
    }
}
