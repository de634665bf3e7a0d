//! Progress of pulls, pushes and copies: a line for each layer. On a terminal the lines stay where they are and are
//! redrawn with a bar, as wide as the terminal is now; elsewhere each step is one more line, and single bytes are not
//! told. What cannot be shown never stops the work.

use super::size;
use std::io::Write;

/// Widest bar, and the narrowest that is drawn.
const BAR_MAX: usize = 50;
const BAR_MIN: usize = 10;

/// The lines of one command.
pub struct Board<W> {
    out: W,
    /// Gives width and height of the terminal; `None` where there is none.
    terminal: Option<fn() -> (usize, usize)>,
    quiet: bool,
    /// Since the last line of another kind.
    rows: Vec<Row>,
}

struct Row {
    name: String,
    words: String,
    /// Bytes so far and in all.
    bytes: Option<(u64, u64)>,
}

impl Board<std::io::Stdout> {
    /// On standard output.
    pub fn stdout(quiet: bool) -> Board<std::io::Stdout> {
        let is_terminal = kernel::terminal::is_terminal(std::io::stdout());
        Board::new(quiet, std::io::stdout(), is_terminal.then_some(geometry))
    }
}

impl Board<std::io::Stderr> {
    /// On standard error, where standard output is something else's.
    pub fn stderr(quiet: bool) -> Board<std::io::Stderr> {
        let is_terminal = kernel::terminal::is_terminal(std::io::stderr());
        Board::new(quiet, std::io::stderr(), is_terminal.then_some(geometry))
    }
}

fn geometry() -> (usize, usize) {
    let size = kernel::terminal::size(std::io::stderr()).or_else(|| kernel::terminal::size(std::io::stdout()));
    size.map_or((80, 24), |(width, height)| (width.into(), height.into()))
}

impl<W: Write> Board<W> {
    fn new(quiet: bool, out: W, terminal: Option<fn() -> (usize, usize)>) -> Board<W> {
        Board { out, terminal, quiet, rows: Vec::new() }
    }

    /// A line below everything so far.
    pub fn say(&mut self, line: &str) {
        if !self.quiet {
            self.rows.clear();
            let _ = writeln!(self.out, "{line}");
        }
    }

    /// Something has reached a step.
    pub fn step(&mut self, name: &str, words: &str) {
        self.update(name, words, None);
    }

    /// As `step`, with how much of it is done.
    pub fn count(&mut self, name: &str, words: &str, current: u64, total: u64) {
        if self.terminal.is_some() {
            self.update(name, words, Some((current, total)));
        }
    }

    fn update(&mut self, name: &str, words: &str, bytes: Option<(u64, u64)>) {
        if self.quiet {
            return;
        }
        let row = Row { name: name.to_owned(), words: words.to_owned(), bytes };
        let Some(terminal) = self.terminal else {
            let _ = writeln!(self.out, "{name}: {words}");
            return;
        };
        let (width, height) = terminal();
        let line = row.line(width);
        let position = self.rows.iter().position(|known| known.name == name);
        let _ = match position {
            None => {
                self.rows.push(row);
                writeln!(self.out, "{line}")
            }
            Some(position) => {
                let up = self.rows.len() - position;
                self.rows[position] = row;
                // Above the top of the screen nothing can be drawn.
                if up < height { write!(self.out, "\x1b[{up}A\r\x1b[K{line}\x1b[{up}B\r") } else { Ok(()) }
            }
        };
        let _ = self.out.flush();
    }
}

impl Row {
    /// At most one column less than the terminal has, so that no line breaks.
    fn line(&self, width: usize) -> String {
        let limit = width.saturating_sub(1);
        let head = format!("{}: {}", self.name, self.words);
        let mut line = head.clone();
        if let Some((current, total)) = self.bytes {
            let numbers = match total {
                0 => size::short(current),
                _ => format!("{}/{}", size::short(current), size::short(total)),
            };
            // A blank, the brackets, two blanks.
            let room = limit.saturating_sub(head.chars().count() + numbers.chars().count() + 5).min(BAR_MAX);
            line = match total > 0 && room >= BAR_MIN {
                true => format!("{head} [{}]  {numbers}", bar(current, total, room)),
                false => format!("{head} {numbers}"),
            };
        }
        line.chars().take(limit).collect()
    }
}

fn bar(current: u64, total: u64, width: usize) -> String {
    let part = current.min(total) as f64 / total as f64;
    let done = (part * width as f64) as usize;
    match done >= width {
        true => "=".repeat(width),
        false => format!("{}>{}", "=".repeat(done), " ".repeat(width - done - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(board: Board<Vec<u8>>) -> String {
        String::from_utf8(board.out).unwrap()
    }

    #[test]
    fn without_a_terminal_each_step_is_a_line() {
        let mut board = Board::new(false, Vec::new(), None);
        board.say("1: Pulling from x");
        board.step("aa", "Waiting");
        board.count("aa", "Downloading", 1, 2);
        board.step("aa", "Pull complete");
        assert_eq!(shown(board), "1: Pulling from x\naa: Waiting\naa: Pull complete\n");
        let mut board = Board::new(true, Vec::new(), None);
        board.say("x");
        board.step("aa", "Waiting");
        assert_eq!(shown(board), "");
    }

    #[test]
    fn on_a_terminal_lines_are_redrawn_in_place() {
        let mut board = Board::new(false, Vec::new(), Some(|| (40, 3)));
        board.step("aa", "Waiting");
        board.step("bb", "Waiting");
        board.count("aa", "Downloading", 500, 1000);
        assert_eq!(
            shown(board),
            "aa: Waiting\nbb: Waiting\n\x1b[2A\r\x1b[Kaa: Downloading [=====>     ]  500B/1kB\x1b[2B\r"
        );
        let mut board = Board::new(false, Vec::new(), Some(|| (40, 2)));
        board.step("aa", "Waiting");
        board.step("bb", "Waiting");
        board.step("aa", "Done");
        assert_eq!(shown(board), "aa: Waiting\nbb: Waiting\n", "out of reach");
    }

    #[test]
    fn lines_fit_the_terminal() {
        let row = |bytes| Row { name: "0123456789ab".to_owned(), words: "Downloading".to_owned(), bytes };
        for width in [1, 10, 30, 50, 80, 200] {
            let line = row(Some((u64::MAX, u64::MAX))).line(width);
            assert!(line.chars().count() < width.max(1) || line.is_empty(), "{width}: {line}");
        }
        assert_eq!(row(Some((5, 0))).line(80), "0123456789ab: Downloading 5B");
        assert!(row(Some((1, 1))).line(200).contains(&format!("[{}]", "=".repeat(50))));
    }
}
