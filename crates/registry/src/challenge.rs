//! `WWW-Authenticate`: what a registry asks for when it answers 401 (RFC 9110 section 11.6.1; the
//! Bearer parameters are those of the distribution project's token specification). Parsing only;
//! `auth` acts on it.

use ureq::http::{HeaderMap, header};

/// One way to prove who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Lower case: `bearer`, `basic`, ….
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter; names are given in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of an answer, in the order in which they were sent.
pub fn of_headers(headers: &HeaderMap) -> Vec<Challenge> {
    headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect()
}

/// Reads a list of challenges. Several challenges and several parameters are both separated by
/// commas; what is followed by `=` is a parameter of the challenge before it. What fits neither
/// is skipped.
pub fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = take_token(rest);
        if word.is_empty() {
            match skip_char(rest) {
                Some(next) => rest = next,
                None => return challenges,
            }
            continue;
        }
        let spaced = after.trim_start_matches([' ', '\t']);
        let Some(value) = spaced.strip_prefix('=') else {
            challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            rest = after;
            continue;
        };
        let (value, after) = take_value(value.trim_start_matches([' ', '\t']));
        if let Some(challenge) = challenges.last_mut() {
            challenge.parameters.push((word.to_ascii_lowercase(), value));
        }
        rest = after;
    }
}

fn skip_char(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().map(|_| chars.as_str())
}

/// A token (RFC 9110 section 5.6.2) and what follows it.
fn take_token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))).unwrap_or(text.len());
    text.split_at(end)
}

/// A quoted string, its escapes resolved, or a token. An unclosed quote ends with the text.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = take_token(text);
        return (word.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            other => value.push(other),
        }
    }
    (value, chars.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bearer_with_all_parameters() {
        let text = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull,push",error="invalid_token""#;
        let challenges = parse(text);
        assert_eq!(challenges.len(), 1);
        let bearer = &challenges[0];
        assert_eq!(bearer.scheme, "bearer");
        assert_eq!(bearer.parameter("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(bearer.parameter("service"), Some("registry.docker.io"));
        assert_eq!(bearer.parameter("scope"), Some("repository:library/x:pull,push"));
        assert_eq!(bearer.parameter("other"), None);
    }

    #[test]
    fn several_challenges_in_one_value() {
        let challenges = parse(r#"Negotiate, BASIC Realm = "a \"b\"" , Bearer realm=x"#);
        let found: Vec<_> = challenges.iter().map(|c| (c.scheme.as_str(), c.parameter("realm"))).collect();
        let expected = [("negotiate", None), ("basic", Some("a \"b\"")), ("bearer", Some("x"))];
        assert_eq!(found, expected);
    }

    #[test]
    fn nonsense_yields_nothing_harmful() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("\"=,="), []);
        assert_eq!(parse("Bearer realm=\"open")[0].parameter("realm"), Some("open"));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC*") {
            parse(&text);
        }

        #[test]
        fn quoted_values_survive(value in "[ -~]*") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let challenges = parse(&format!("Bearer scope=x,realm=\"{quoted}\",service=y"));
            prop_assert_eq!(challenges[0].parameter("realm"), Some(value.as_str()));
            prop_assert_eq!(challenges[0].parameter("service"), Some("y"));
        }
    }
}
