//! A pseudo terminal with a program on its slave side: what a person at a keyboard is to brig.
//! `setsid --ctty` makes it the program's controlling terminal, so that resizing signals it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::process::patience;

pub struct Terminal {
    line: String,
    child: Child,
    master: File,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Up to where `wait_for` has read.
    seen: usize,
}

impl Terminal {
    /// Starts `command` on a new terminal of 24 rows and 80 columns.
    pub fn start(command: Command, line: &str) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a usable pseudo terminal");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let open = || -> OwnedFd {
            let path = name.to_str().expect("/dev/pts/N");
            OpenOptions::new().read(true).write(true).open(path).expect("its slave side").into()
        };
        let (stdin, stdout, stderr) = (open(), open(), open());
        let mut wrapped = Command::new("setsid");
        wrapped.arg("--ctty").arg(command.get_program()).args(command.get_args());
        wrapped.envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        wrapped.current_dir(command.get_current_dir().expect("set by the sandbox"));
        wrapped.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
        let child = wrapped.spawn().expect("setsid starts");
        drop(wrapped); // holds our copies of the slave side: with them the master would never end
        let master = File::from(master);
        let shown = Arc::default();
        collect(master.try_clone().expect("a descriptor"), Arc::clone(&shown));
        let terminal = Terminal { line: line.to_owned(), child, master, shown, seen: 0 };
        terminal.resize(24, 80);
        terminal
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("a terminal has a size");
    }

    /// Types these bytes.
    pub fn send(&mut self, bytes: &str) {
        self.master.write_all(bytes.as_bytes()).expect("the terminal is open");
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("not poisoned")).into_owned()
    }

    /// Waits until `part` is shown after what the previous call waited for.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) {
        let end = Instant::now() + patience();
        loop {
            let shown = self.shown.lock().expect("not poisoned")[self.seen..].to_vec();
            if let Some(at) = shown.windows(part.len()).position(|window| window == part.as_bytes()) {
                self.seen += at + part.len();
                return;
            }
            if Instant::now() > end {
                panic!("`{}` never showed `{part}`, but: {}", self.line, self.shown());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the program's end: its exit code and all that was shown.
    #[track_caller]
    pub fn finish(mut self) -> (i32, String) {
        let end = Instant::now() + patience();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                _ if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                _ => panic!("`{}` hangs on its terminal; shown: {}", self.line, self.shown()),
            }
        };
        thread::sleep(Duration::from_millis(20)); // the reader may be one read behind
        (status.code().unwrap_or(-1), self.shown())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut master: File, into: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // The last slave's close shows as an error (EIO), not as an end.
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            into.lock().expect("not poisoned").extend_from_slice(&buffer[..count]);
        }
    });
}
