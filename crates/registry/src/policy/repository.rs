//! Signatures from a registry, through the client of the image's repository: mirrors, login and retries are the same as
//! for the image.

use spec::Digest;
use spec::image::Descriptor;

use super::Source;
use crate::Error;
use crate::client::{Ask, Client};
use crate::{document, referrers};

impl Source for Client<'_> {
    fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let what = format!("signature {name}");
        let digest = Digest::parse(name).ok();
        present(document::get(self, &what, name, digest.as_ref()).map(|found| found.bytes))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        let (what, path) = (format!("signature {}", blob.digest), format!("blobs/{}", blob.digest));
        present(self.read(&Ask::get(&what, &path, "*/*"), blob.size).map(|(_, bytes)| bytes))
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        referrers::of(self, subject)
    }
}

fn present(found: Result<Vec<u8>, Error>) -> Result<Option<Vec<u8>>, Error> {
    match found {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
