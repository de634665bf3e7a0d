//! "Did you mean": the known name nearest to a mistyped one. Used by `parse.rs` for flags and by `command/help.rs` for commands.
//! A wrong guess is worse than none, so the distance allowed is small.

/// The nearest of `names` within two edits (one for names of up to three letters), or one that `typed` begins.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if typed.chars().count() <= 3 { 1 } else { 2 };
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let begins = typed.len() >= 3 && name.starts_with(typed);
        let distance = if begins { 1 } else { edits(typed, name) };
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut least = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(a[i] != b[j]));
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_near_names_only() {
        let names = ["run", "rm", "rmi", "start", "stats", "images", "inspect"];
        let near = |typed| nearest(typed, names.into_iter());
        assert_eq!(near("statr"), Some("start"));
        assert_eq!(near("insepct"), Some("inspect"));
        assert_eq!(near("image"), Some("images"));
        assert_eq!(near("rnu"), Some("run"));
        assert_eq!(near("bananas"), None);
        assert_eq!(near(""), None);
    }
}
