//! Follows a rule: looks for signatures of the digests that an image has, and accepts or refuses it with what was found.
//! A registry that cannot be asked is an error of its own kind, never an acceptance.

use std::collections::BTreeSet;

use spec::image::Descriptor;
use spec::{Digest, Reference};

use super::refusal::Refusal;
use super::rule::{Forms, Requirement, Rule, Verdict};
use super::signature::{Signature, Signer};
use super::{Source, bundle, cosign};
use crate::Error;
use crate::answer::printable;

/// Most signatures of one digest that are looked at; an image with more has to be signed anew.
const SIGNATURES_MAX: usize = 64;
/// Most referrers that are fetched to see whether they are signatures.
const REFERRERS_MAX: usize = 64;
/// Most findings that a refusal lists.
const FINDINGS_MAX: usize = 4;

/// An image that the policy lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was signed; `None` where the rule accepts without a signature.
    pub digest: Option<Digest>,
    /// Who signed: the file of the key, or the identity that the rule names.
    pub signers: Vec<String>,
}

/// What a repository has about one digest.
#[derive(Debug, Default)]
pub struct Found {
    pub signatures: Vec<Signature>,
    /// Why others cannot be used.
    notes: Vec<String>,
}

impl Found {
    /// Notes why something is no signature that can be used.
    pub fn note(&mut self, why: String) {
        if self.notes.len() < FINDINGS_MAX {
            self.notes.push(printable(&why));
        }
    }

    /// Whether one more signature is looked at. Says so in the findings if not.
    pub fn admits_more(&mut self) -> bool {
        let more = self.signatures.len() < SIGNATURES_MAX;
        if !more {
            self.note(format!("signatures after the first {SIGNATURES_MAX} are not looked at"));
        }
        more
    }
}

/// See [`super::Policy::check`].
pub fn verify(source: &dyn Source, reference: &Reference, digests: &[&Digest], rule: &Rule) -> Result<Verified, Error> {
    let requirements = match &rule.verdict {
        Verdict::Accept => return Ok(Verified { digest: None, signers: Vec::new() }),
        Verdict::Reject(why) => {
            return Err(refuse(reference, rule, why.clone(), "change the rule to allow it"));
        }
        Verdict::Signed(requirements) => requirements,
    };
    let mut findings = Vec::new();
    let mut tried: Vec<&Digest> = Vec::new();
    for &digest in digests {
        if tried.contains(&digest) {
            continue;
        }
        tried.push(digest);
        let found = collect(source, digest, requirements)?;
        match all_met(&found, requirements, reference, digest) {
            Ok(signers) => return Ok(Verified { digest: Some(digest.clone()), signers }),
            Err(why) => findings.push(format!("{digest} {why}")),
        }
    }
    let remedy = "sign it by a signer of the rule (`cosign sign`), or change the rule";
    Err(refuse(reference, rule, findings.join("; "), remedy))
}

fn refuse(reference: &Reference, rule: &Rule, found: String, remedy: &'static str) -> Error {
    Error::Refused(Box::new(Refusal {
        image: reference.familiar(),
        rule: rule.scope.clone(),
        file: rule.file.clone(),
        found,
        remedy,
    }))
}

/// Fetches the signatures of `digest` in the forms that any requirement counts.
fn collect(source: &dyn Source, digest: &Digest, requirements: &[Requirement]) -> Result<Found, Error> {
    let mut found = Found::default();
    let counts = |form: Forms| requirements.iter().any(|one| one.forms.include(form));
    let (cosign_counts, sigstore_counts) = (counts(Forms::Cosign), counts(Forms::Sigstore));
    if cosign_counts {
        let tag = cosign::tag(digest);
        if let Some(manifest) = source.manifest(&tag)? {
            cosign::collect(source, &manifest, &format!("tag {tag}"), &mut found)?;
        }
    }
    let predicates: Vec<String> = requirements.iter().flat_map(|one| one.predicates.iter().cloned()).collect();
    let is_cosign = |one: &Descriptor| cosign_counts && one.artifact_type == cosign::ARTIFACT_TYPE;
    let referrers = source.referrers(digest)?;
    let candidates = referrers.iter().filter(|one| is_cosign(one) || sigstore_counts && bundle::may_be_bundle(one));
    for (number, referrer) in candidates.enumerate() {
        if number == REFERRERS_MAX {
            found.note(format!("artifacts after the first {REFERRERS_MAX} are not looked at"));
            break;
        }
        let Some(manifest) = source.manifest(referrer.digest.as_str())? else { continue };
        let place = format!("artifact {}", referrer.digest);
        match is_cosign(referrer) {
            true => cosign::collect(source, &manifest, &place, &mut found)?,
            false => bundle::collect(source, &manifest, &place, &predicates, digest, &mut found)?,
        }
    }
    Ok(found)
}

/// Who signed so that every requirement is met. The error reads after the digest: "is not signed …".
fn all_met(
    found: &Found,
    requirements: &[Requirement],
    reference: &Reference,
    digest: &Digest,
) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for requirement in requirements {
        let mut signers = BTreeSet::new();
        let mut findings = found.notes.clone();
        for signature in found.signatures.iter().filter(|one| requirement.forms.include(one.form())) {
            match signature.check(requirement, reference, digest) {
                Ok(signer) => drop(signers.insert(signer)),
                Err(why) => findings.push(format!("{}: {}", signature.place, printable(&why))),
            }
        }
        if signers.len() < requirement.threshold {
            return Err(shortfall(signers.len(), requirement.threshold, &findings));
        }
        all.extend(signers.iter().map(|signer| label(requirement, signer)));
    }
    Ok(all)
}

fn shortfall(signers: usize, threshold: usize, findings: &[String]) -> String {
    let mut text = match (signers, findings.is_empty()) {
        (0, true) => return "has no signature".to_owned(),
        (0, false) => "has no signature that counts".to_owned(),
        _ => format!("is signed by {signers} of the {threshold} signers that are needed"),
    };
    if !findings.is_empty() {
        let shown = &findings[..findings.len().min(FINDINGS_MAX)];
        text.push_str(&format!(" ({}", shown.join("; ")));
        if findings.len() > shown.len() {
            text.push_str(&format!("; and {} more", findings.len() - shown.len()));
        }
        text.push(')');
    }
    text
}

fn label(requirement: &Requirement, signer: &Signer) -> String {
    let label = match signer {
        Signer::Key(at) => requirement.keys.get(*at).map(|key| key.origin.clone()),
        Signer::Identity(at) => {
            requirement.keyless.as_ref().and_then(|keyless| keyless.identities.get(*at)).map(|one| one.subject.clone())
        }
    };
    label.unwrap_or_default()
}

#[cfg(test)]
mod tests;
