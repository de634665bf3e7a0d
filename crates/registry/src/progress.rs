//! What a pull tells its caller while it works, in the steps that docker's output has. The caller
//! decides what to print; nothing here does.

use spec::Digest;

/// One event. Those of a layer come in the order of `Step`, those of different layers interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The registry knows the image; downloading begins ("latest: Pulling from …"). Not sent when
    /// the image is here already.
    Begin,
    /// A layer, named by the digest of its blob, has reached a step.
    Layer { digest: &'a Digest, step: Step },
}

/// How far a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Will be fetched ("Pulling fs layer").
    Waiting,
    /// The store has it; the only step of such a layer.
    AlreadyExists,
    /// Bytes of the blob so far and in all; unpacking goes on at the same time. About ten a second.
    Downloading { current: u64, total: u64 },
    /// All bytes are here; the rest is unpacked and verified.
    Extracting,
    /// It is in the store.
    Complete,
}

/// What a pull of all tags tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagsProgress<'a> {
    /// A tag is about to be pulled.
    Tag { tag: &'a str },
    /// It is no image that can be pulled here; `why` is the whole error.
    Skipped { tag: &'a str, why: &'a str },
    /// The policy refuses it; `why` is the whole refusal.
    Refused { tag: &'a str, why: &'a str },
    /// Of the tag that was named last.
    Image(Progress<'a>),
}
