//! `--ulimit NAME=SOFT[:HARD]`.
//! Gives the engine's type; whether this machine allows the limit shows at the start.

use engine::options::Ulimit;

/// Names of setrlimit(2) without `RLIMIT_`.
const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One limit; `-1` and `unlimited` are no limit, a hard limit left out is the soft one.
pub fn parse(text: &str) -> Result<Ulimit, String> {
    let (name, limits) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}; use one of {}", NAMES.join(" ")));
    }
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (limit(soft)?, limit(hard)?),
        None => (limit(limits)?, limit(limits)?),
    };
    if soft > hard {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

fn limit(text: &str) -> Result<u64, String> {
    match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        _ => text.parse().map_err(|_| format!("invalid ulimit value: {text:?} is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let ulimit = parse("nofile=100:-1").unwrap();
        assert_eq!((ulimit.soft, ulimit.hard), (100, u64::MAX));
        assert_eq!(parse("core=0").unwrap().hard, 0);
        assert_eq!(parse("nofile"), Err("invalid ulimit argument: nofile".into()));
        assert_eq!(
            parse("nofile=2:1"),
            Err("ulimit soft limit must be less than or equal to hard limit: 2 > 1".into())
        );
        for text in ["foo=1", "nofile=", "nofile=a", "nofile=1:b", "nofile=-2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
