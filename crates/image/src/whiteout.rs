//! Names of a layer's archive that say what of the layers below is gone (OCI image-spec, layer.md "Whiteouts"). Used by
//! whoever reads such an archive; what becomes of it on disk is theirs.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names of this form are aufs's own files.
const AUFS: &[u8] = b".wh..wh.";

/// What an entry with such a name asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whiteout<'a> {
    /// Nothing of the layers below shows in its directory.
    Opaque,
    /// The file of this name, in its directory, is gone.
    Of(&'a OsStr),
    /// Nothing.
    Ignored,
}

/// `None` for every other name.
pub(crate) fn whiteout(name: &OsStr) -> Result<Option<Whiteout<'_>>> {
    let Some(hidden) = name.as_bytes().strip_prefix(PREFIX) else { return Ok(None) };
    match hidden {
        _ if name.as_bytes() == OPAQUE => Ok(Some(Whiteout::Opaque)),
        _ if name.as_bytes().starts_with(AUFS) => Ok(Some(Whiteout::Ignored)),
        b"" | b"." | b".." => {
            Err(Error::invalid("archive", format_args!("has the whiteout {name:?}, which hides nothing")))
        }
        _ => Ok(Some(Whiteout::Of(OsStr::from_bytes(hidden)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("x", None),
            (".wh", None),
            (".wh.x", Some(Whiteout::Of("x".as_ref()))),
            (".wh..x", Some(Whiteout::Of(".x".as_ref()))),
            (".wh..wh..opq", Some(Whiteout::Opaque)),
            (".wh..wh.plnk", Some(Whiteout::Ignored)),
        ] {
            assert_eq!(whiteout(name.as_ref()).unwrap(), expected, "{name}");
        }
        for name in [".wh.", ".wh..", ".wh..."] {
            assert!(whiteout(name.as_ref()).unwrap_err().to_string().contains("hides nothing"), "{name}");
        }
    }
}
