//! The program to execute: where it may be (the container's PATH), whether it is there, and if execve refuses
//! it, why: a missing interpreter or loader looks like a missing program to the kernel.

use crate::error::{Error, ExecError, ExecErrorKind, Result, invalid};
use crate::prepare::c_string;
use kernel::exec::Strings;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// What a container without a PATH of its own gets, as docker.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of a file tells what it is; the kernel looks at as much (BINPRM_BUF_SIZE).
const HEAD_BYTES: usize = 256;

pub(crate) struct Program {
    name: String,
    /// In the order of PATH; the name alone when it has a slash.
    candidates: Vec<CString>,
    arguments: Strings,
    environment: Strings,
    /// There is none: executing it is what fails.
    absent: bool,
}

impl Program {
    pub fn prepare(arguments: &[String], environment: &[String]) -> Result<Program> {
        let name = match arguments.first() {
            None => return Err(invalid("no program to execute: the list of arguments is empty")),
            Some(name) => name.clone(),
        };
        let zero = |what: &str| invalid(format!("{what} of {name:?} hold a zero byte"));
        Ok(Program {
            candidates: candidates(&name, environment)?,
            arguments: Strings::new(arguments.iter().map(String::as_str)).ok_or_else(|| zero("arguments"))?,
            environment: Strings::new(environment.iter().map(String::as_str)).ok_or_else(|| zero("environment"))?,
            absent: false,
            name,
        })
    }

    /// Of a container that is created and cannot be started.
    pub fn absent() -> Program {
        let nothing = || Strings::new(std::iter::empty::<&str>()).expect("nothing holds no zero byte");
        Program {
            name: String::new(),
            candidates: Vec::new(),
            arguments: nothing(),
            environment: nothing(),
            absent: true,
        }
    }

    /// The first candidate that the calling process may execute, seen from its root, directory and rights.
    pub fn locate(&self) -> Result<&CStr> {
        if self.absent {
            return Ok(c"");
        }
        let mut worst = (Errno::NOENT, ExecErrorKind::NotFound);
        for candidate in &self.candidates {
            match check(candidate) {
                Ok(()) => return Ok(candidate),
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => worst = (errno, ExecErrorKind::Permission),
            }
        }
        let (errno, kind) = worst;
        let reason = match errno {
            Errno::NOENT if self.name.contains('/') => "no such file or directory".to_owned(),
            Errno::NOENT => "executable file not found in $PATH".to_owned(),
            Errno::ISDIR => "is a directory".to_owned(),
            Errno::ACCESS => "permission denied".to_owned(),
            errno => words(errno),
        };
        let hint = (errno == Errno::ACCESS).then(|| self.permission_hint()).flatten();
        Err(Error::Exec(ExecError { program: self.name.clone(), kind, errno, reason, hint }))
    }

    /// Returns only on failure.
    pub fn execute(&self, path: &CStr) -> Error {
        if self.absent {
            return invalid("cannot start: the specification has no process");
        }
        let errno = kernel::exec::execve(path, &self.arguments, &self.environment);
        let kind = match errno {
            Errno::NOENT => ExecErrorKind::NotFound,
            Errno::ACCESS | Errno::NOEXEC | Errno::PERM | Errno::ISDIR => ExecErrorKind::Permission,
            _ => ExecErrorKind::Other,
        };
        let reason = match errno {
            Errno::NOENT => "no such file or directory".to_owned(),
            Errno::ACCESS => "permission denied".to_owned(),
            Errno::NOEXEC => "exec format error".to_owned(),
            errno => words(errno),
        };
        let hint = matches!(errno, Errno::NOENT | Errno::NOEXEC).then(|| diagnose(path)).flatten();
        Error::Exec(ExecError { program: self.name.clone(), kind, errno, reason, hint })
    }

    /// The error for a working directory that cannot be entered.
    pub fn no_working_directory(&self, path: &CStr, errno: Errno) -> Error {
        let path = path.to_string_lossy();
        let (kind, reason) = match errno {
            Errno::NOTDIR => (ExecErrorKind::NotFound, format!("working directory {path:?} is not a directory")),
            Errno::NOENT => (ExecErrorKind::NotFound, format!("working directory {path:?} does not exist")),
            errno => (ExecErrorKind::Permission, format!("working directory {path:?}: {}", words(errno))),
        };
        Error::Exec(ExecError { program: self.name.clone(), kind, errno, reason, hint: None })
    }

    fn permission_hint(&self) -> Option<String> {
        let file = self.candidates.iter().find(|candidate| check(candidate) == Err(Errno::ACCESS))?;
        let mode = rustix::fs::stat(file.as_c_str()).ok()?.st_mode;
        if mode & 0o111 == 0 {
            return Some(format!("the file is not executable: chmod +x {}", file.to_string_lossy()));
        }
        let mount = rustix::fs::statvfs(file.as_c_str()).ok()?.f_flag;
        mount.contains(StatVfsMountFlags::NOEXEC).then(|| "it lies on a mount with the option noexec".to_owned())
    }
}

fn candidates(name: &str, environment: &[String]) -> Result<Vec<CString>> {
    if name.contains('/') {
        return Ok(vec![c_string("program", name)?]);
    }
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let path = environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(PATH_DEFAULT);
    // An empty entry means the working directory to a shell; that would be an invitation here.
    let directories = path.split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| c_string("program", &format!("{}/{name}", directory.trim_end_matches('/')))).collect()
}

fn check(path: &CStr) -> rustix::io::Result<()> {
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => return Err(Errno::ISDIR),
        FileType::RegularFile => {}
        _ => return Err(Errno::ACCESS),
    }
    // Root's rights alone do not make a file executable, the kernel wants one x bit.
    if stat.st_mode & 0o111 == 0 {
        return Err(Errno::ACCESS);
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// The system's text for an errno, in lower case and without its number.
fn words(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// Why a file that is there cannot be executed, judged by its first bytes.
fn diagnose(path: &CStr) -> Option<String> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
    let mut head = [0; HEAD_BYTES];
    let n = rustix::io::read(&fd, &mut head).ok()?;
    let head = &head[..n];
    let exists = |path: &str| rustix::fs::stat(path).is_ok();
    if let Some(line) = head.strip_prefix(b"#!") {
        return script_hint(line, exists);
    }
    if head.starts_with(b"\x7fELF") {
        let mut table = vec![0; 4096];
        let at = elf_program_headers(head)?;
        let n = rustix::io::pread(&fd, &mut table, at.offset).ok()?;
        table.truncate(n);
        let loader = elf_loader(&table, &at).and_then(|(offset, length)| {
            let mut name = vec![0; length.min(4096)];
            let n = rustix::io::pread(&fd, &mut name, offset).ok()?;
            let end = name[..n].iter().position(|b| *b == 0).unwrap_or(n);
            Some(String::from_utf8_lossy(&name[..end]).into_owned())
        });
        return elf_hint(&at, loader.as_deref(), exists);
    }
    Some(match head {
        [] => "the file is empty".to_owned(),
        _ => "neither a program of this machine's kind nor a script: its first line does not begin with #!".to_owned(),
    })
}

fn script_hint(line: &[u8], exists: impl Fn(&str) -> bool) -> Option<String> {
    let line = line.split(|b| *b == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    let interpreter = text.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
    if interpreter.ends_with('\r') {
        let interpreter = interpreter.trim_end_matches('\r');
        return Some(format!(
            "the script has Windows line ends, so its interpreter is taken to be \"{interpreter}\\r\": \
             convert it with dos2unix or sed 's/\\r$//'"
        ));
    }
    (!exists(interpreter)).then(|| format!("the script's interpreter {interpreter} does not exist in the container"))
}

struct ElfHeader {
    machine: u16,
    is_64_bit: bool,
    offset: u64,
    entry_bytes: usize,
    entries: usize,
}

/// elf(5); all fields little-endian, as on both machines we run on. Others are told by their machine number.
fn elf_program_headers(head: &[u8]) -> Option<ElfHeader> {
    let is_64_bit = *head.get(4)? == 2;
    let half = |at: usize| Some(u16::from_le_bytes([*head.get(at)?, *head.get(at + 1)?]));
    let long = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    Some(ElfHeader {
        machine: half(18)?,
        is_64_bit,
        offset: long(32)?,
        entry_bytes: usize::from(half(54)?),
        entries: usize::from(half(56)?),
    })
}

/// Offset and length of the PT_INTERP entry's text.
fn elf_loader(table: &[u8], header: &ElfHeader) -> Option<(u64, usize)> {
    const PT_INTERP: [u8; 4] = 3u32.to_le_bytes();
    if !header.is_64_bit || header.entry_bytes < 56 {
        return None;
    }
    let entries = table.chunks_exact(header.entry_bytes).take(header.entries);
    let entry = entries.into_iter().find(|entry| entry[..4] == PT_INTERP)?;
    let long = |at: usize| entry[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    Some((long(8)?, usize::try_from(long(32)?).ok()?))
}

fn elf_hint(header: &ElfHeader, loader: Option<&str>, exists: impl Fn(&str) -> bool) -> Option<String> {
    let own = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    if header.is_64_bit && header.machine == own {
        let loader = loader.filter(|loader| !exists(loader))?;
        let advice = if loader.contains("musl") {
            "it was built for Alpine-like images"
        } else {
            "it was built for images with glibc; link it statically or choose another base image"
        };
        return Some(format!("its loader {loader} does not exist in the container: {advice}"));
    }
    let name = match header.machine {
        3 => "32-bit x86",
        21 => "ppc64le",
        22 => "s390x",
        40 => "32-bit arm",
        62 => "x86_64 (amd64)",
        183 => "aarch64 (arm64)",
        243 => "riscv64",
        258 => "loongarch64",
        _ => "another machine",
    };
    Some(format!("the program is for {name}, this machine is {}", std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, environment: &[&str]) -> Vec<String> {
        let environment: Vec<String> = environment.iter().map(|e| (*e).to_owned()).collect();
        candidates(name, &environment).unwrap().iter().map(|c| c.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn path_is_searched_in_order() {
        assert_eq!(found("sh", &["PATH=/a:/b/::c"]), ["/a/sh", "/b/sh", "c/sh"]);
        assert_eq!(found("./sh", &["PATH=/a"]), ["./sh"]);
        assert_eq!(found("sh", &["PATH=/a", "PATH=/b"]), ["/b/sh"]);
        assert_eq!(found("sh", &[]).len(), 6);
        assert!(found("", &[]).is_empty());
    }

    #[test]
    fn scripts_are_diagnosed() {
        assert!(script_hint(b"/bin/sh\r\necho", |_| true).unwrap().contains("Windows"));
        assert!(script_hint(b" /bin/bash -e\n", |_| false).unwrap().contains("/bin/bash does not"));
        assert_eq!(script_hint(b"/bin/sh\n", |_| true), None);
    }

    #[test]
    fn programs_are_diagnosed() {
        let header = |machine| ElfHeader { machine, is_64_bit: true, offset: 64, entry_bytes: 56, entries: 1 };
        let own = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        assert!(elf_hint(&header(243), None, |_| true).unwrap().contains("riscv64"));
        assert!(elf_hint(&header(own), Some("/lib/ld-musl-x86_64.so.1"), |_| false).unwrap().contains("Alpine"));
        assert_eq!(elf_hint(&header(own), Some("/lib64/ld.so"), |_| true), None);
        assert_eq!(elf_hint(&header(own), None, |_| true), None);
    }

    #[test]
    fn broken_headers_do_no_harm() {
        assert!(elf_program_headers(b"\x7fELF").is_none());
        let odd = ElfHeader { machine: 62, is_64_bit: true, offset: 0, entry_bytes: 7, entries: 9 };
        assert_eq!(elf_loader(&[3; 100], &odd), None);
    }

    #[test]
    fn the_hosts_own_shell_is_found() {
        let program = Program::prepare(&["sh".into()], &["PATH=/bin".into()]).unwrap();
        assert_eq!(program.locate().unwrap(), c"/bin/sh");
        let program = Program::prepare(&["/etc/passwd".into()], &[]).unwrap();
        match program.locate() {
            Err(Error::Exec(error)) => {
                assert_eq!(error.kind, ExecErrorKind::Permission);
                assert!(error.hint.is_some());
                assert_eq!(error.reason, "permission denied");
            }
            other => panic!("{other:?}"),
        }
    }
}
