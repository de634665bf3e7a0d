//! `--restart no|always|unless-stopped|on-failure[:MAX]`.
//! Gives the engine's type; when a policy acts is `engine::monitor`'s business.

use engine::options::Restart;

/// The restart policy.
pub fn parse(text: &str) -> Result<Restart, String> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    if count.is_some() && name != "on-failure" {
        return Err("maximum retry count can only be used with 'on-failure'".to_owned());
    }
    Ok(match name {
        "" | "no" => Restart::No,
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure {
            maximum_retries: match count {
                Some(count) => count.parse().map_err(|_| "maximum retry count must be an integer".to_owned())?,
                None => 0,
            },
        },
        _ => {
            return Err(format!(
                "unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        assert_eq!(parse("on-failure:3"), Ok(Restart::OnFailure { maximum_retries: 3 }));
        assert_eq!(parse("on-failure"), Ok(Restart::OnFailure { maximum_retries: 0 }));
        assert_eq!(parse("unless-stopped"), Ok(Restart::UnlessStopped));
        for text in ["foo", "always:2", "on-failure:x", "on-failure:-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
