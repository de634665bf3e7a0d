//! Cuts a template into text and the tokens of its actions. Trim markers (`{{-`, `-}}`) and comments end here.
//! Positions are byte offsets into the source: error messages need line and column.

/// One piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub at: usize,
    pub what: What,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Text outside of actions.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$` or `$name`.
    Variable(String),
    /// A keyword or the name of a function.
    Word(String),
    /// A quoted or raw string, unquoted.
    Quoted(String),
    /// A number as written.
    Number(String),
    /// A character constant.
    Char(char),
    Pipe,
    LeftParenthesis,
    RightParenthesis,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Space,
    /// End of the source.
    End,
}

/// A complaint with its position.
pub type Problem = (usize, String);

/// All pieces of `source`; the last one is `End`.
pub fn tokens(source: &str) -> Result<Vec<Token>, Problem> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut trim = false;
    loop {
        let open = source[at..].find("{{").map(|found| at + found);
        let mut text = &source[at..open.unwrap_or(source.len())];
        if trim {
            text = text.trim_start_matches(SPACES);
        }
        let Some(open) = open else {
            push_text(&mut tokens, at, text);
            tokens.push(Token { at: source.len(), what: What::End });
            return Ok(tokens);
        };
        let inside = &source[open + 2..];
        let trims = inside.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES));
        if trims {
            text = text.trim_end_matches(SPACES);
        }
        push_text(&mut tokens, at, text);
        let start = open + 2 + if trims { 2 } else { 0 };
        (at, trim) = match source[start..].trim_start_matches(SPACES).strip_prefix("/*") {
            Some(comment) => after_comment(source, source.len() - comment.len())?,
            None => {
                tokens.push(Token { at: open, what: What::Open });
                Action { source, at: start, open, tokens: &mut tokens, depth: 0 }.read()?
            }
        };
    }
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

fn push_text(tokens: &mut Vec<Token>, at: usize, text: &str) {
    if !text.is_empty() {
        tokens.push(Token { at, what: What::Text(text.to_owned()) });
    }
}

/// Where the text after the comment begins, and whether it is trimmed.
fn after_comment(source: &str, at: usize) -> Result<(usize, bool), Problem> {
    let end = source[at..].find("*/").ok_or_else(|| (at, "unclosed comment".to_owned()))?;
    let rest = &source[at + end + 2..];
    let after = rest.trim_start_matches(SPACES);
    let spaced = after.len() < rest.len();
    match (after.strip_prefix("-}}").filter(|_| spaced), rest.strip_prefix("}}")) {
        (Some(text), _) => Ok((source.len() - text.len(), true)),
        (None, Some(text)) => Ok((source.len() - text.len(), false)),
        (None, None) => Err((at, "comment ends before closing delimiter".to_owned())),
    }
}

/// The inside of one `{{…}}`.
struct Action<'a> {
    source: &'a str,
    at: usize,
    open: usize,
    tokens: &'a mut Vec<Token>,
    depth: usize,
}

impl Action<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn emit(&mut self, length: usize, what: What) {
        self.tokens.push(Token { at: self.at, what });
        self.at += length;
    }

    /// Reads up to and with `}}`: where the text after it begins, and whether it is trimmed.
    fn read(mut self) -> Result<(usize, bool), Problem> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(SPACES);
            let spaces = rest.len() - trimmed.len();
            if spaces > 0 && trimmed.starts_with("-}}") {
                return self.close(spaces, 3);
            }
            if rest.starts_with("}}") {
                return self.close(0, 2);
            }
            if spaces > 0 {
                self.emit(spaces, What::Space);
                continue;
            }
            let Some(letter) = rest.chars().next() else {
                return Err((self.open, "unclosed action".to_owned()));
            };
            self.token(letter)?;
        }
    }

    fn close(mut self, spaces: usize, length: usize) -> Result<(usize, bool), Problem> {
        if self.depth > 0 {
            return Err((self.at, "unclosed left paren".to_owned()));
        }
        self.at += spaces;
        self.emit(length, What::Close);
        Ok((self.at, length == 3))
    }

    fn token(&mut self, letter: char) -> Result<(), Problem> {
        let rest = self.rest();
        match letter {
            ':' if rest.starts_with(":=") => self.emit(2, What::Declare),
            ':' => return Err((self.at, "expected :=".to_owned())),
            '=' => self.emit(1, What::Assign),
            '|' => self.emit(1, What::Pipe),
            ',' => self.emit(1, What::Comma),
            '(' => {
                self.depth += 1;
                self.emit(1, What::LeftParenthesis);
            }
            ')' => {
                if self.depth == 0 {
                    return Err((self.at, "unexpected right paren".to_owned()));
                }
                self.depth -= 1;
                self.emit(1, What::RightParenthesis);
            }
            '"' => return self.quoted(),
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| (self.at, "unterminated raw quoted string".to_owned()))?;
                let text = rest[1..=end].to_owned();
                self.emit(end + 2, What::Quoted(text));
            }
            '\'' => return self.character(),
            '$' => {
                let length = 1 + name_length(&rest[1..]);
                let name = rest[..length].to_owned();
                self.emit(length, What::Variable(name));
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let length = name_length(&rest[1..]);
                let name = rest[1..1 + length].to_owned();
                self.emit(1 + length, if length == 0 { What::Dot } else { What::Field(name) });
            }
            '.' | '+' | '-' | '0'..='9' => return self.number(),
            _ if name_length(rest) > 0 => {
                let length = name_length(rest);
                let name = rest[..length].to_owned();
                self.emit(length, What::Word(name));
            }
            _ => return Err((self.at, format!("unexpected {letter:?} in operand").replace('\'', "\""))),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Problem> {
        let rest = self.rest();
        let body = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let mut length = rest.len() - body.len();
        let mut last = ' ';
        for letter in body.chars() {
            let sign = (letter == '+' || letter == '-') && matches!(last, 'e' | 'E' | 'p' | 'P');
            if !(letter.is_ascii_alphanumeric() || letter == '.' || letter == '_' || sign) {
                break;
            }
            length += letter.len_utf8();
            last = letter;
        }
        let text = rest[..length].to_owned();
        if !text.contains(|c: char| c.is_ascii_digit()) {
            return Err((self.at, format!("bad number syntax: {text:?}")));
        }
        self.emit(length, What::Number(text));
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let unterminated = || (start, "unterminated quoted string".to_owned());
        let rest = self.rest();
        let mut end = None;
        let mut escaped = false;
        for (at, letter) in rest.char_indices().skip(1) {
            match letter {
                '\n' => return Err(unterminated()),
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let end = end.ok_or_else(unterminated)?;
        let text = unquote(&rest[1..end]).ok_or_else(|| (start, "invalid syntax".to_owned()))?;
        self.emit(end + 1, What::Quoted(text));
        Ok(())
    }

    fn character(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let rest = self.rest();
        let skip = if rest[1..].starts_with('\\') { 3 } else { 2 };
        let end = rest.char_indices().skip(skip).find(|(_, letter)| *letter == '\'').map(|(at, _)| at);
        let text = end.and_then(|end| unquote(&rest[1..end]));
        let mut letters = text.iter().flat_map(|text| text.chars());
        match (letters.next(), letters.next(), end) {
            (Some(letter), None, Some(end)) => {
                self.emit(end + 1, What::Char(letter));
                Ok(())
            }
            _ => Err((start, "malformed character constant".to_owned())),
        }
    }
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len())
}

/// Go's escapes of interpreted strings; `None` when one is not known.
pub fn unquote(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next()? {
            'n' => plain.push('\n'),
            't' => plain.push('\t'),
            'r' => plain.push('\r'),
            'a' => plain.push('\u{7}'),
            'b' => plain.push('\u{8}'),
            'f' => plain.push('\u{c}'),
            'v' => plain.push('\u{b}'),
            same @ ('\\' | '"' | '\'') => plain.push(same),
            'x' => plain.push(code(&mut letters, 2)?),
            'u' => plain.push(code(&mut letters, 4)?),
            'U' => plain.push(code(&mut letters, 8)?),
            _ => return None,
        }
    }
    Some(plain)
}

fn code(letters: &mut std::str::Chars<'_>, length: usize) -> Option<char> {
    let digits: String = letters.by_ref().take(length).collect();
    if digits.len() != length {
        return None;
    }
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}
