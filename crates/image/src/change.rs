//! `--change` of `commit` and `import`: instructions as in a Dockerfile that alter an image's
//! configuration.

use crate::error::{Error, Result};
use spec::duration;
use spec::image::{Config, Healthcheck};

/// Applies instructions in order; on an error `config` is half changed.
pub fn apply(config: &mut Config, changes: &[impl AsRef<str>]) -> Result<()> {
    let mut command_set = false;
    for change in changes {
        let line = change.as_ref().trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let instruction = word.to_ascii_uppercase();
        let rest = rest.trim();
        if rest.is_empty() && instruction != "CMD" && instruction != "ENTRYPOINT" {
            return Err(Error::Argument(format!("{instruction} requires an argument: {line:?}")));
        }
        apply_one(config, &instruction, rest, &mut command_set)?;
    }
    Ok(())
}

fn apply_one(config: &mut Config, instruction: &str, rest: &str, command_set: &mut bool) -> Result<()> {
    let expanded = |config: &Config| expand(rest, &config.env);
    match instruction {
        "CMD" => {
            config.cmd = command(rest, &config.shell)?;
            *command_set = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = command(rest, &config.shell)?;
            // An inherited command was meant for the inherited entrypoint.
            if !*command_set {
                config.cmd.clear();
            }
        }
        "ENV" => {
            for (name, value) in pairs(instruction, rest, Some(&config.env.clone()))? {
                let prefix = format!("{name}=");
                config.env.retain(|old| !old.starts_with(&prefix));
                config.env.push(prefix + &value);
            }
        }
        "LABEL" => config.labels.extend(pairs(instruction, rest, Some(&config.env))?),
        "EXPOSE" => {
            for word in words(&expanded(config)?)? {
                config.exposed_ports.extend(ports(&word)?);
            }
        }
        "ONBUILD" => {
            let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if matches!(trigger.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
                return Err(Error::Argument(format!("{trigger} isn't allowed as an ONBUILD trigger")));
            }
            config.on_build.push(rest.to_owned());
        }
        "STOPSIGNAL" => {
            let name = expanded(config)?;
            kernel::signal::Signal::parse(&name)
                .ok_or_else(|| Error::Argument(format!("STOPSIGNAL {name:?} is no signal")))?;
            config.stop_signal = name;
        }
        "USER" => config.user = expanded(config)?,
        "VOLUME" => config.volumes.extend(match list(rest) {
            Some(list) => list,
            None => words(&expanded(config)?)?,
        }),
        "WORKDIR" => {
            let base = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
            let path = expanded(config)?;
            config.working_dir = clean(&format!("{}/{path}", if path.starts_with('/') { "" } else { base }));
        }
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest, &config.shell)?),
        other => return Err(Error::Argument(format!("{other} is not a valid change command"))),
    }
    Ok(())
}

/// `["a","b"]`, or `None` when it is not such a list.
fn list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

/// The list form, or a line for the shell.
fn command(text: &str, shell: &[String]) -> Result<Vec<String>> {
    if let Some(list) = list(text) {
        return Ok(list);
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let default = ["/bin/sh".to_owned(), "-c".to_owned()];
    let shell = if shell.is_empty() { &default[..] } else { shell };
    Ok(shell.iter().cloned().chain([text.to_owned()]).collect())
}

/// `NAME=value NAME="other value"`, or the old form `NAME the rest`.
fn pairs(instruction: &str, text: &str, variables: Option<&[String]>) -> Result<Vec<(String, String)>> {
    let expand = |text: &str| expand(text, variables.unwrap_or_default());
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !first.contains('=') {
        if rest.is_empty() {
            return Err(Error::Argument(format!("{instruction} must have two arguments")));
        }
        return Ok(vec![(first.to_owned(), unquote(&expand(rest.trim())?))]);
    }
    let bad = |word: &str| {
        Error::Argument(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value"))
    };
    let mut found = Vec::new();
    for word in raw_words(text)? {
        let (name, value) = word.split_once('=').ok_or_else(|| bad(&word))?;
        let name = unquote(name);
        if name.is_empty() {
            return Err(Error::Argument(format!("{instruction} names can not be blank")));
        }
        found.push((name, unquote(&expand(value)?)));
    }
    Ok(found)
}

/// Words with their quotes removed.
fn words(text: &str) -> Result<Vec<String>> {
    Ok(raw_words(text)?.iter().map(|word| unquote(word)).collect())
}

/// Splits at white space that is neither quoted nor escaped; quotes stay.
fn raw_words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => {
                word.push(c);
                word.extend(characters.next());
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), close) if open == close => quote = None,
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if quote.is_some() {
        return Err(Error::Argument(format!("a quotation mark is missing in {text:?}")));
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

fn unquote(word: &str) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut characters = word.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '\\') => text.extend(characters.next()),
            (Some('"'), '\\') => match characters.next() {
                Some(c @ ('"' | '$' | '\\')) => text.push(c),
                other => {
                    text.push('\\');
                    text.extend(other);
                }
            },
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), close) if open == close => quote = None,
            (_, c) => text.push(c),
        }
    }
    text
}

/// `$NAME`, `${NAME}`, `${NAME:-else}` and `${NAME:+then}` from the image's environment, except in
/// single quotes or after a backslash.
fn expand(text: &str, variables: &[String]) -> Result<String> {
    let value = |name: &str| variables.iter().find_map(|v| v.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut single = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\\' && !single {
            out.push(c);
            let next = rest.chars().next();
            out.extend(next);
            rest = &rest[next.map_or(0, char::len_utf8)..];
        } else if c != '$' || single {
            single ^= c == '\'';
            out.push(c);
        } else if let Some(inner) = rest.strip_prefix('{') {
            let missing = || Error::Argument(format!("a closing brace is missing in {text:?}"));
            let (inner, after) = inner.split_once('}').ok_or_else(missing)?;
            rest = after;
            let (name, modifier) = inner.split_at(inner.find(|c| !is_name(c)).unwrap_or(inner.len()));
            match (value(name), modifier.split_at_checked(2)) {
                (found, None) if modifier.is_empty() => out.push_str(found),
                ("", Some((":-", default))) => out.push_str(default),
                (found, Some((":-", _))) => out.push_str(found),
                ("", Some((":+", _))) => {}
                (_, Some((":+", replacement))) => out.push_str(replacement),
                _ => return Err(Error::Argument(format!("unsupported modifier {modifier:?} in {text:?}"))),
            }
        } else {
            let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if length == 0 {
                out.push('$');
            } else {
                out.push_str(value(&rest[..length]));
            }
            rest = &rest[length..];
        }
    }
    Ok(out)
}

/// `80`, `80/udp`, `8000-8005/tcp`; a range gives each of its ports.
fn ports(text: &str) -> Result<Vec<String>> {
    let bad = || Error::Argument(format!("invalid containerPort: {text}"));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Error::Argument(format!("invalid proto: {protocol}")));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    if first > last {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `NONE`, or flags and then `CMD` with a command.
fn healthcheck(text: &str, shell: &[String]) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let field = match name {
            "interval" => &mut check.interval,
            "timeout" => &mut check.timeout,
            "start-period" => &mut check.start_period,
            "start-interval" => &mut check.start_interval,
            "retries" => {
                let retries = value.parse().ok().filter(|&n| n >= 0);
                check.retries =
                    retries.ok_or_else(|| Error::Argument(format!("--retries must be a number: {value:?}")))?;
                continue;
            }
            _ => return Err(Error::Argument(format!("unknown flag: {name}"))),
        };
        *field = duration::parse_healthcheck(value).map_err(|why| Error::Argument(format!("--{name}: {why}")))?;
    }
    let (kind, command_text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command_text = command_text.trim();
    check.test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if command_text.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err(Error::Argument("HEALTHCHECK NONE takes no arguments".to_owned())),
        "CMD" if command_text.is_empty() => {
            return Err(Error::Argument("missing command after HEALTHCHECK CMD".to_owned()));
        }
        "CMD" => match list(command_text) {
            Some(list) => ["CMD".to_owned()].into_iter().chain(list).collect(),
            None if shell.is_empty() => vec!["CMD-SHELL".to_owned(), command_text.to_owned()],
            None => ["CMD".to_owned()].into_iter().chain(command(command_text, shell)?).collect(),
        },
        other => return Err(Error::Argument(format!("unknown type {other:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

/// Removes `.`, `..` and doubled slashes of an absolute path.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applied(changes: &[&str]) -> Config {
        let mut config = Config { env: vec!["PATH=/bin".to_owned()], cmd: vec!["old".to_owned()], ..Config::default() };
        apply(&mut config, changes).unwrap_or_else(|e| panic!("{changes:?}: {e}"));
        config
    }

    #[test]
    fn commands() {
        assert_eq!(applied(&["CMD [\"a\", \"b c\"]"]).cmd, ["a", "b c"]);
        assert_eq!(applied(&["cmd echo $X"]).cmd, ["/bin/sh", "-c", "echo $X"]);
        assert!(applied(&["CMD []"]).cmd.is_empty());
        let both = applied(&["ENTRYPOINT [\"/e\"]"]);
        assert_eq!((both.entrypoint.as_slice(), both.cmd.len()), (&["/e".to_owned()][..], 0));
        assert_eq!(applied(&["CMD [\"x\"]", "ENTRYPOINT /e"]).cmd, ["x"]);
    }

    #[test]
    fn environment_and_labels() {
        assert_eq!(applied(&["ENV A=b C=\"d e\" F=g\\ h"]).env, ["PATH=/bin", "A=b", "C=d e", "F=g h"]);
        assert_eq!(applied(&["ENV A the rest "]).env, ["PATH=/bin", "A=the rest"]);
        assert_eq!(applied(&["ENV PATH=/x:$PATH B='$PATH'"]).env, ["PATH=/x:/bin", "B=$PATH"]);
        assert_eq!(applied(&["ENV A=${NO:-x}${PATH:+y}${PATH}"]).env, ["PATH=/bin", "A=xy/bin"]);
        let labels = applied(&["LABEL a=1 b=\"two words\"", "LABEL a=3"]).labels;
        assert_eq!((labels["a"].as_str(), labels["b"].as_str()), ("3", "two words"));
    }

    #[test]
    fn the_rest() {
        let config = applied(&[
            "EXPOSE 80 53/udp 8000-8001",
            "USER app:app",
            "VOLUME /a /b",
            "VOLUME [\"/c d\"]",
            "WORKDIR /srv",
            "WORKDIR ../x/./y",
            "STOPSIGNAL SIGQUIT",
            "ONBUILD RUN make",
            "HEALTHCHECK --interval=1m30s --retries=2 CMD true",
        ]);
        assert_eq!(
            config.exposed_ports.iter().map(String::as_str).collect::<Vec<_>>(),
            ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
        );
        assert_eq!(config.user, "app:app");
        assert_eq!(config.volumes.iter().map(String::as_str).collect::<Vec<_>>(), ["/a", "/b", "/c d"]);
        assert_eq!(config.working_dir, "/x/y");
        assert_eq!(config.stop_signal, "SIGQUIT");
        assert_eq!(config.on_build, ["RUN make"]);
        let check = config.healthcheck.unwrap();
        assert_eq!(
            (check.test, check.interval, check.retries),
            (vec!["CMD-SHELL".to_owned(), "true".to_owned()], 90_000_000_000, 2)
        );
        assert_eq!(applied(&["HEALTHCHECK NONE"]).healthcheck.unwrap().test, ["NONE"]);
    }

    #[test]
    fn refusals() {
        for (change, why) in [
            ("RUN make", "RUN is not a valid change command"),
            ("ENV", "ENV requires an argument"),
            ("ENV A", "ENV must have two arguments"),
            ("ENV A=b C", "can't find ="),
            ("ENV A=\"b", "quotation mark"),
            ("EXPOSE x", "invalid containerPort: x"),
            ("EXPOSE 80/foo", "invalid proto: foo"),
            ("STOPSIGNAL NOPE", "is no signal"),
            ("ONBUILD FROM x", "isn't allowed"),
            ("HEALTHCHECK --interval=x CMD true", "--interval: time: invalid duration"),
            ("HEALTHCHECK --timeout=5 CMD true", "missing unit"),
            ("HEALTHCHECK --interval=-1s CMD true", "at least 1ms"),
            ("HEALTHCHECK FOO", "unknown type"),
            ("USER ${X", "closing brace"),
        ] {
            let error = apply(&mut Config::default(), &[change]).unwrap_err().to_string();
            assert!(error.contains(why), "{change}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(word in "(ENV|LABEL|CMD|EXPOSE|VOLUME|WORKDIR|HEALTHCHECK|USER)", rest in ".*") {
            let _ = apply(&mut Config::default(), &[format!("{word} {rest}")]);
        }
    }
}
