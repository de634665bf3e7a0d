//! Splits a command line as tests write it: words between blanks, with single or double quotes
//! around a word or a part of it. No variables, no escapes: what is inside quotes arrives as is. Containers get no
//! network unless the line asks for one: tests must not touch the machine's interfaces and firewall.

/// The words of `line`; `run` and `create` without a network get `--network none`.
pub fn split(line: &str) -> Vec<String> {
    let mut words = split_as_typed(line);
    let at = usize::from(words.first().is_some_and(|word| word == "container"));
    let makes = words.get(at).is_some_and(|word| word == "run" || word == "create");
    let asks = words.iter().any(|word| word.starts_with("--net"));
    if makes && !asks {
        words.splice(at + 1..at + 1, ["--network".to_owned(), "none".to_owned()]);
    }
    words
}

/// The words of `line` and no more.
pub fn split_as_typed(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "an open quote in {line}");
    words.extend(word);
    words
}

#[test]
fn words_are_split_at_blanks_outside_quotes() {
    assert_eq!(split("run --net host x"), ["run", "--net", "host", "x"]);
    assert_eq!(split("create x"), ["create", "--network", "none", "x"]);
    assert_eq!(
        split_as_typed("run  --rm bb sh -c 'echo \"a b\"' ''"),
        ["run", "--rm", "bb", "sh", "-c", "echo \"a b\"", ""]
    );
    assert_eq!(split("--format=\"{{.ID}} x\""), ["--format={{.ID}} x"]);
}
