//! Text that comes from containers and images, made safe and short for a table.
//! What a container calls its command must not move the cursor of whoever lists it.

/// At most `width` characters; a longer text ends in `…`.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// In double quotes with Go's escapes, so that no control character reaches the terminal.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if letter.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Words as one line; those with a space in single quotes, as docker's lists show a command.
pub fn command_line(words: &[String]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_as_ps_shows_it() {
        let words: Vec<String> = ["sleep", "1", "a b", "averylongargumentforthisthing"].map(str::to_owned).into();
        assert_eq!(quoted(&ellipsis(&command_line(&words), 20)), "\"sleep 1 'a b' avery…\"");
        assert_eq!(quoted("a\n\u{1b}\"é"), "\"a\\n\\x1b\\\"é\"");
        assert_eq!(ellipsis("abc", 3), "abc");
    }
}
