//! Splits a command line as tests write it: words between blanks, with single or double quotes
//! around a word or a part of it. No variables, no escapes: what is inside quotes arrives as is.

/// The words of `line`.
pub fn split(line: &str) -> Vec<String> {
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
    assert_eq!(split("run  --rm bb sh -c 'echo \"a b\"' ''"), ["run", "--rm", "bb", "sh", "-c", "echo \"a b\"", ""]);
    assert_eq!(split("--format=\"{{.ID}} x\""), ["--format={{.ID}} x"]);
}
