//! A registry in memory that can be written: blobs, manifests, uploads, lists, as the distribution specification
//! has them. It behaves; tests put a script around it that does not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use spec::Digest;
use spec::image::{Descriptor, Index, media_type};

use crate::fixture::{self, Fixture, sha256};
use crate::scripted::{Reply, Request};

/// Shared between a test and its server.
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    /// Keeps lists of referrers, as registries of version 1.1 do.
    with_referrers: bool,
}

#[derive(Default)]
struct State {
    /// By repository and digest.
    blobs: HashMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest: type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: HashMap<String, Vec<u8>>,
    next: usize,
}

impl Memory {
    pub fn with_referrers(with_referrers: bool) -> Memory {
        Memory { with_referrers, ..Memory::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the state")
    }

    pub fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.state().blobs.contains_key(&(repository.to_owned(), digest.to_string()))
    }

    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = sha256(bytes);
        self.state().blobs.insert((repository.to_owned(), digest.to_string()), bytes.to_vec());
        digest
    }

    /// Type and bytes of what a tag or digest names.
    pub fn manifest(&self, repository: &str, name: &str) -> Option<(String, Vec<u8>)> {
        self.state().manifests.get(&(repository.to_owned(), name.to_owned())).cloned()
    }

    pub fn put_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = sha256(bytes);
        for name in [name, digest.as_str()] {
            let value = (media_type.to_owned(), bytes.to_vec());
            self.state().manifests.insert((repository.to_owned(), name.to_owned()), value);
        }
        digest
    }

    /// Everything of an image, under a tag.
    pub fn put_image(&self, repository: &str, tag: &str, image: &Fixture) {
        for blob in image.blobs.values() {
            self.put_blob(repository, blob);
        }
        self.put_manifest(repository, tag, media_type::OCI_MANIFEST, &image.manifest_bytes);
    }

    /// Uploads that have been begun and neither finished nor cancelled.
    pub fn open_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    pub fn forget_uploads(&self) {
        self.state().uploads.clear();
    }

    pub fn reply(&self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(rest) = path.strip_prefix("/v2/") else { return Reply::error(404, "", "no such path") };
        if rest.is_empty() {
            return Reply::new(200, "{}");
        }
        if rest == "_catalog" {
            return self.catalog();
        }
        for (kind, answer) in [
            ("/blobs/uploads/", Memory::upload as fn(&Memory, &Request, &str, &str, &str) -> Reply),
            ("/blobs/", Memory::blob),
            ("/manifests/", Memory::manifests),
            ("/tags/list", Memory::tags),
            ("/referrers/", Memory::referrers),
        ] {
            if let Some((repository, name)) = rest.split_once(kind) {
                return answer(self, request, repository, name, query);
            }
        }
        Reply::error(404, "", "no such path")
    }

    fn blob(&self, request: &Request, repository: &str, digest: &str, _: &str) -> Reply {
        match self.state().blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(blob) => fixture::blob_reply(request, blob),
            None => Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        }
    }

    fn manifests(&self, request: &Request, repository: &str, name: &str, _: &str) -> Reply {
        let key = (repository.to_owned(), name.to_owned());
        match request.method.as_str() {
            "PUT" => {
                let kind = request.header("content-type").unwrap_or_default().to_owned();
                let digest = self.put_manifest(repository, name, &kind, &request.body);
                let reply = Reply::new(201, "").with("docker-content-digest", digest.as_str());
                let subject = subject(&request.body).filter(|_| self.with_referrers);
                subject.map_or(reply.clone(), |subject| reply.with("oci-subject", subject))
            }
            "DELETE" => match self.state().manifests.remove(&key) {
                Some(_) => Reply::new(202, ""),
                None => Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            },
            _ => match self.manifest(repository, name) {
                Some((kind, bytes)) => fixture::manifest_reply(&kind, &bytes),
                None => Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            },
        }
    }

    fn upload(&self, request: &Request, repository: &str, id: &str, query: &str) -> Reply {
        let parameter = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let mut state = self.state();
        let place = |id: &str| format!("/v2/{repository}/blobs/uploads/{id}");
        match request.method.as_str() {
            "POST" => {
                if let (Some(digest), Some(from)) = (parameter("mount"), parameter("from"))
                    && let Some(blob) = state.blobs.get(&(from.to_owned(), digest.to_owned())).cloned()
                {
                    state.blobs.insert((repository.to_owned(), digest.to_owned()), blob);
                    return Reply::new(201, "");
                }
                state.next += 1;
                let id = format!("u{}", state.next);
                state.uploads.insert(id.clone(), Vec::new());
                Reply::new(202, "").with("location", place(&id))
            }
            "DELETE" => match state.uploads.remove(id) {
                Some(_) => Reply::new(204, ""),
                None => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown"),
            },
            method => {
                let Some(bytes) = state.uploads.get_mut(id) else {
                    return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown");
                };
                if let Some(range) = request.header("content-range") {
                    let first: usize = range.split('-').next().and_then(|first| first.parse().ok()).expect("a range");
                    if first != bytes.len() {
                        return Reply::error(416, "RANGE_INVALID", "out of order");
                    }
                }
                bytes.extend_from_slice(&request.body);
                let range = format!("0-{}", bytes.len().saturating_sub(1));
                if method != "PUT" {
                    let status = if method == "GET" { 204 } else { 202 };
                    return Reply::new(status, "").with("location", place(id)).with("range", range);
                }
                let blob = state.uploads.remove(id).unwrap_or_default();
                let digest = parameter("digest").unwrap_or_default().to_owned();
                if sha256(&blob).as_str() != digest {
                    return Reply::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
                }
                state.blobs.insert((repository.to_owned(), digest), blob);
                Reply::new(201, "")
            }
        }
    }

    fn tags(&self, _: &Request, repository: &str, _: &str, query: &str) -> Reply {
        let state = self.state();
        let of_repository = state.manifests.keys().filter(|(name, tag)| name == repository && !tag.contains(':'));
        let tags: Vec<&str> = of_repository.map(|(_, tag)| tag.as_str()).collect();
        // Two on each page.
        let start = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("last="))
            .map_or(0, |last| tags.iter().position(|tag| *tag == last).map_or(tags.len(), |position| position + 1));
        let page: Vec<&str> = tags.iter().skip(start).take(2).copied().collect();
        let reply = Reply::new(200, serde_json::json!({ "name": repository, "tags": page }).to_string());
        match page.last() {
            Some(last) if start + 2 < tags.len() => {
                reply.with("link", format!("</v2/{repository}/tags/list?n=2&last={last}>; rel=\"next\""))
            }
            _ => reply,
        }
    }

    fn catalog(&self) -> Reply {
        let mut names: Vec<String> = self.state().manifests.keys().map(|(name, _)| name.clone()).collect();
        names.dedup();
        Reply::new(200, serde_json::json!({ "repositories": names }).to_string())
    }

    fn referrers(&self, _: &Request, repository: &str, digest: &str, _: &str) -> Reply {
        if !self.with_referrers {
            return Reply::error(404, "", "404 page not found");
        }
        let state = self.state();
        let of_subject = state.manifests.iter().filter(|((name, tag), (_, bytes))| {
            name == repository && tag.contains(':') && subject(bytes).as_deref() == Some(digest)
        });
        let entries = of_subject.map(|(_, (kind, bytes))| Descriptor {
            artifact_type: serde_json::from_slice::<serde_json::Value>(bytes)
                .ok()
                .and_then(|document| document["artifactType"].as_str().map(str::to_owned))
                .unwrap_or_default(),
            ..Descriptor::new(kind, sha256(bytes), bytes.len() as u64)
        });
        Reply::new(200, Index::new(entries.collect()).to_bytes()).with("content-type", media_type::OCI_INDEX)
    }
}

fn subject(manifest: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    document["subject"]["digest"].as_str().map(str::to_owned)
}
