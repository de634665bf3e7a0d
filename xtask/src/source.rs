//! One Rust source file as the rules see it: its path, its crate, and each line split in
//! what the compiler reads (string contents blanked), the strings, and whether the line belongs
//! to a test. Keeps rules from tripping over a word in a comment or in a message.

/// A file of the workspace.
pub struct Source {
    /// Relative to the top, with forward slashes: `crates/kernel/src/mount.rs`.
    pub path: String,
    /// `kernel` for the example above, `xtask` for this crate.
    pub crate_name: String,
    pub text: String,
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    /// 1-based.
    pub number: usize,
    /// Code with comments removed and string contents replaced by nothing between the quotes.
    pub code: String,
    /// Contents of string literals that begin on this line, joined by a space.
    pub strings: String,
    /// The comment of the line, without the slashes.
    pub comment: String,
    /// At or after `#[cfg(test)]` of a file whose tests stand last, or anywhere in a test file.
    pub in_test: bool,
}

impl Source {
    /// `path` is relative to the top of the workspace.
    pub fn new(path: &str, text: &str) -> Source {
        let mut parts = path.split('/');
        let first = parts.next().unwrap_or_default();
        let crate_name = if first == "crates" { parts.next().unwrap_or_default() } else { first };
        let is_test_file = path.contains("/tests/") || path.ends_with("/tests.rs");
        Source {
            path: path.to_owned(),
            crate_name: crate_name.to_owned(),
            text: text.to_owned(),
            lines: split(text, is_test_file),
        }
    }
}

/// Where the scanner is between two characters.
enum State {
    Code,
    String,
    /// A raw string, closed by a quote and this many hashes.
    Raw(usize),
    /// A block comment, this deep.
    Block(usize),
}

/// Splits a file into lines. Knows strings, raw strings, character literals, line and nested
/// block comments; that is all of Rust's lexis in which a rule could see a false word.
fn split(text: &str, is_test_file: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut state = State::Code;
    let mut in_test = is_test_file;
    for (index, line) in text.lines().enumerate() {
        in_test |= line.trim() == "#[cfg(test)]";
        let mut out =
            Line { number: index + 1, code: String::new(), strings: String::new(), comment: String::new(), in_test };
        state = scan(line, state, &mut out);
        lines.push(out);
    }
    lines
}

fn scan(line: &str, mut state: State, out: &mut Line) -> State {
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        match state {
            State::Code => {
                if rest.starts_with(&['/', '/']) {
                    out.comment.extend(&rest[2..]);
                    return State::Code;
                } else if rest.starts_with(&['/', '*']) {
                    state = State::Block(1);
                    at += 2;
                } else if rest[0] == '"' {
                    out.code.push('"');
                    state = State::String;
                    at += 1;
                } else if let Some(hashes) = raw_string(rest, at.checked_sub(1).map(|before| chars[before])) {
                    out.code.push('"');
                    state = State::Raw(hashes);
                    at += hashes + 2;
                } else if let Some(length) = character(rest) {
                    out.code.push_str("' '");
                    at += length;
                } else {
                    out.code.push(rest[0]);
                    at += 1;
                }
            }
            State::String => match rest[0] {
                '\\' => at += 2,
                '"' => {
                    out.code.push('"');
                    out.strings.push(' ');
                    state = State::Code;
                    at += 1;
                }
                other => {
                    out.strings.push(other);
                    at += 1;
                }
            },
            State::Raw(hashes) => {
                let closes = rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#');
                if closes {
                    out.code.push('"');
                    out.strings.push(' ');
                    state = State::Code;
                    at += hashes + 1;
                } else {
                    out.strings.push(rest[0]);
                    at += 1;
                }
            }
            State::Block(depth) => {
                if rest.starts_with(&['*', '/']) {
                    state = if depth == 1 { State::Code } else { State::Block(depth - 1) };
                    at += 2;
                } else if rest.starts_with(&['/', '*']) {
                    state = State::Block(depth + 1);
                    at += 2;
                } else {
                    out.comment.push(rest[0]);
                    at += 1;
                }
            }
        }
    }
    state
}

/// The number of hashes when a raw string begins here (`r"`, `r#"`; the `b` or `c` before it is
/// code like any other).
fn raw_string(rest: &[char], before: Option<char>) -> Option<usize> {
    if rest[0] != 'r' || before.is_some_and(|c| c.is_alphanumeric() && !matches!(c, 'b' | 'c') || c == '_') {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some(hashes)
}

/// The length of a character literal, and `None` for a lifetime.
fn character(rest: &[char]) -> Option<usize> {
    if rest[0] != '\'' {
        return None;
    }
    if rest.get(1) == Some(&'\\') {
        return rest.iter().skip(3).position(|c| *c == '\'').map(|more| more + 4);
    }
    (rest.get(2) == Some(&'\'')).then_some(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, strings: &str, comment: &str) {
        let lines = split(text, false);
        let last = lines.last().expect("a line");
        assert_eq!((last.code.trim(), last.strings.trim(), last.comment.trim()), (code, strings, comment), "{text}");
    }

    #[test]
    fn words_are_told_apart() {
        check("let a = 1; // unsafe", "let a = 1;", "", "unsafe");
        check(r#"f("unsafe // no", 'x');"#, r#"f("", ' ');"#, "unsafe // no", "");
        check(r#"f("a\"b");"#, r#"f("");"#, "ab", "");
        check("f(r#\"say \"hi\" \"#);", "f(\"\");", "say \"hi\"", "");
        check("let c = b'\"'; let d: &'a str;", "let c = b' '; let d: &'a str;", "", "");
        check(r"let c = '\''; x", "let c = ' '; x", "", "");
        check("/* a\n b */ code", "code", "", "b");
        check("let s = \"a\nb\"; c", "\"; c", "b", "");
    }

    #[test]
    fn tests_are_marked() {
        let source = Source::new("crates/kernel/src/x.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(source.crate_name, "kernel");
        assert_eq!(source.lines.iter().map(|line| line.in_test).collect::<Vec<_>>(), [false, true, true]);
        assert!(Source::new("crates/cli/tests/a.rs", "fn a() {}").lines[0].in_test);
    }
}
