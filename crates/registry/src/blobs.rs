//! Single blobs of a repository: read with their size and digest checked, and written. For commands that work on
//! artifacts, and for `copy`.

use std::io::{Read, Write};

use image::blob::Hasher;
use spec::Reference;
use spec::image::Descriptor;

use crate::Error;
use crate::blob::Blob;
use crate::client::{Client, Purpose};
use crate::session::Session;
use crate::upload::{self, Source};

/// Bytes that go through memory at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes a blob to `into`. What has been written when an error comes is not to be used.
///
/// # Errors
/// `Digest` if the bytes are not those of the descriptor; `Stream` if `into` fails.
pub fn blob_get(
    session: &Session,
    repository: &Reference,
    blob: &Descriptor,
    into: &mut dyn Write,
) -> Result<(), Error> {
    let client = Client::new(session, repository, Purpose::Pull)?;
    let mut source = Blob::from(&client, blob, 0);
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = source.read(&mut buffer).map_err(image::Error::Stream)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        let cannot = |error: std::io::Error| Error::Stream {
            what: format!("cannot write blob {}", blob.digest),
            cause: error.to_string(),
        };
        into.write_all(&buffer[..count]).map_err(cannot)?;
    }
    let actual = hasher.finish();
    if actual != blob.digest {
        let (expected, actual) = (blob.digest.to_string(), actual.to_string());
        return Err(Error::Digest { what: format!("blob {}", blob.digest), expected, actual });
    }
    Ok(())
}

/// Sends a blob unless the repository has it. `source` opens its bytes, again if an upload has to begin anew.
pub fn blob_put(
    session: &Session,
    repository: &Reference,
    blob: &Descriptor,
    source: &mut Source<'_>,
) -> Result<(), Error> {
    let client = Client::new(session, repository, Purpose::Push)?;
    if upload::exists(&client, &blob.digest)? {
        return Ok(());
    }
    upload::send(&client, Some(blob), source, &mut |_| ()).map(|_| ())
}
