//! The user's terminal: its size and raw mode (termios(3)).

use crate::{Context, Result};
use rustix::termios::{OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::{AsFd, BorrowedFd};

pub fn is_terminal(fd: impl AsFd) -> bool {
    isatty(fd)
}

/// (width, height) in characters; `None` when `fd` is no terminal or does not know.
pub fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(fd).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// A line feed written to the terminal comes out as such and not as carriage return and line feed: what the other side
/// relays into a file or a pipe is then what was written.
pub fn keep_line_feeds(fd: impl AsFd) -> Result<()> {
    let mut settings = tcgetattr(&fd).during("read terminal settings")?;
    settings.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(&fd, OptionalActions::Now, &settings).during("clear ONLCR of terminal")
}

/// Raw mode for as long as this lives; the old settings come back on drop.
#[derive(Debug)]
pub struct Raw<'fd> {
    fd: BorrowedFd<'fd>,
    before: Termios,
}

impl<'fd> Raw<'fd> {
    pub fn enter(fd: BorrowedFd<'fd>) -> Result<Raw<'fd>> {
        let before = tcgetattr(fd).during("read terminal settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(fd, OptionalActions::Now, &raw).during("set terminal to raw mode")?;
        Ok(Raw { fd, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.fd, OptionalActions::Now, &self.before);
    }
}
