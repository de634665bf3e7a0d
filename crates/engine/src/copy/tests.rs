//! `cp` between a directory that plays the container and one that plays the host: docker's rules,
//! its texts, and containers that swap names while they are copied from or to.

use super::*;
use std::os::unix::fs::symlink;

struct Scratch(PathBuf);

impl Scratch {
    /// A container's root with `/file`, `/dir/inner`, links to both; and a host directory.
    fn new(name: &str) -> Scratch {
        let top = std::env::temp_dir().join(format!("brig-copy-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&top);
        for directory in ["root/dir", "host/dir", "skeleton/proc"] {
            std::fs::create_dir_all(top.join(directory)).unwrap();
        }
        for (path, text) in
            [("root/file", "f"), ("root/dir/inner", "i"), ("host/file", "h"), ("host/dir/inner", "j"), ("secret", "s")]
        {
            std::fs::write(top.join(path), text).unwrap();
        }
        symlink("/file", top.join("root/to-file")).unwrap();
        symlink("dir", top.join("root/to-dir")).unwrap();
        Scratch(top)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn view(&self) -> View {
        View::of_directory(&self.path("root"), true)
    }

    /// `source` in the container, `destination` below `host/`.
    fn out(&self, source: &str, destination: &str, follow_link: bool) -> String {
        let destination = PathBuf::from(format!("{}/{destination}", self.path("host").display()));
        let options = CopyOptions { archive: false, follow_link };
        text(copy_out(&self.view(), Path::new(source), &destination, &options))
    }

    /// `source` below `host/`, `destination` in the container.
    fn bring(&self, source: &str, destination: &str) -> String {
        let source = PathBuf::from(format!("{}/{source}", self.path("host").display()));
        text(copy_in(&self.view(), Owner::Same, &source, Path::new(destination), &CopyOptions::default()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(result: Result<()>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn plans_are_dockers() {
    use Target::*;
    for (directory, content, target, expected) in [
        (false, false, Directory, "Into"),
        (false, false, Other, "As"),
        (false, false, Missing, "As"),
        (false, false, MissingDirectory, "no such directory"),
        (true, false, Directory, "Into"),
        (true, true, Directory, "Content"),
        (true, false, Other, "cannot copy directory"),
        (true, true, Missing, "As"),
        (true, false, MissingDirectory, "As"),
    ] {
        let plan = match plan(directory, content, target) {
            Ok(plan) => format!("{plan:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(plan, expected, "{directory} {content} {target:?}");
    }
}

#[test]
fn out_of_a_container() {
    let scratch = Scratch::new("out");
    for (source, destination, follow, result) in [
        ("/file", "new", false, "host/new"),
        ("file", "", false, "host/file"),
        ("/dir", "copy", false, "host/copy/inner"),
        ("/dir", "copy", false, "host/copy/dir/inner"),
        ("/dir/.", "content/", false, "host/content/inner"),
        ("/dir/../dir/.", "dir", false, "host/dir/inner"),
        ("/to-file", "followed", true, "host/followed"),
        ("/to-file", "dir", true, "host/dir/to-file"),
        ("/to-dir/", "slash", false, "host/slash/inner"),
        ("/to-dir/inner", "through", false, "host/through"),
    ] {
        assert_eq!(scratch.out(source, destination, follow), "", "{source}");
        assert!(matches!(scratch.read(result).as_str(), "f" | "i"), "{source}");
    }
    assert_eq!(scratch.out("/to-dir", "link", false), "");
    assert_eq!(std::fs::read_link(scratch.path("host/link")).unwrap(), Path::new("dir"));
    // A link at the destination is followed, as docker's client does.
    symlink("linked", scratch.path("host/dangling")).unwrap();
    assert_eq!(scratch.out("/file", "dangling", false), "");
    assert_eq!(scratch.read("host/linked"), "f");
}

#[test]
fn refusals_out_of_a_container() {
    let scratch = Scratch::new("out-no");
    let parent = scratch.path("host/none");
    for (source, destination, expected) in [
        ("/nope", "x", "Could not find the file /nope in container box".to_owned()),
        ("/file/", "x", "Could not find the file /file/ in container box".to_owned()),
        ("/file", "none/", "no such directory".to_owned()),
        ("/file", "none/x", format!("invalid output path: directory \"{}\" does not exist", parent.display())),
        ("/dir", "file", "cannot copy directory".to_owned()),
    ] {
        assert_eq!(scratch.out(source, destination, false), expected, "{source} {destination}");
    }
    let options = CopyOptions::default();
    let null = copy_out(&scratch.view(), Path::new("/file"), Path::new("/dev/null"), &options);
    assert!(text(null).contains("must be a directory or a regular file"));
}

#[test]
fn into_a_container() {
    let scratch = Scratch::new("into");
    for (source, destination, result) in [
        ("file", "/new", "root/new"),
        ("file", "/", "root/file"),
        ("dir", "/made", "root/made/inner"),
        ("dir", "/to-dir", "root/dir/dir/inner"),
        ("dir/.", "/to-dir/", "root/dir/inner"),
        ("file", "/to-file", "root/file"),
        ("file", "to-dir/x", "root/dir/x"),
    ] {
        assert_eq!(scratch.bring(source, destination), "", "{source} {destination}");
        assert!(matches!(scratch.read(result).as_str(), "h" | "j"), "{source} {destination}");
    }
    for (source, destination, expected) in [
        ("file", "/no/such", "Could not find the file /no in container box".to_owned()),
        ("file", "/file/x", "extraction point is not a directory".to_owned()),
        ("file", "/none/", "no such directory".to_owned()),
        ("dir", "/file", "cannot copy directory".to_owned()),
        ("nope", "/", format!("lstat {}: No such file or directory (os error 2)", scratch.path("host/nope").display())),
    ] {
        assert_eq!(scratch.bring(source, destination), expected, "{source} {destination}");
    }
}

#[test]
fn links_of_the_container_stay_in_it() {
    let scratch = Scratch::new("attack");
    symlink("../../../../../../../../", scratch.path("root/up")).unwrap();
    symlink(scratch.0.as_os_str(), scratch.path("root/absolute")).unwrap();
    assert_eq!(scratch.bring("file", "/up/secret"), "");
    assert_eq!((scratch.read("secret"), scratch.read("root/secret")), ("s".into(), "h".into()));
    assert_ne!(scratch.bring("file", "/absolute/secret"), "");
    assert_ne!(scratch.out("/absolute/secret", "stolen", true), "");
    assert_eq!(scratch.read("secret"), "s");
}

#[test]
fn a_container_that_swaps_names_leads_nowhere() {
    let scratch = Scratch::new("swap");
    std::fs::create_dir(scratch.path("outside")).unwrap();
    let (directory, link) = (scratch.path("root/dir"), scratch.path("root/link"));
    symlink(scratch.path("outside"), &link).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, &directory, CWD, &link, flags).unwrap();
            }
        });
        for _ in 0..300 {
            // Some succeed and some fail, as the race has it.
            scratch.bring("file", "/dir/planted");
            scratch.bring("dir", "/");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(scratch.path("outside")).unwrap().count(), 0);
}

#[test]
fn what_the_kernel_shows_is_not_copied_along() {
    let scratch = Scratch::new("pseudo");
    std::fs::create_dir(scratch.path("root/proc")).unwrap();
    std::fs::write(scratch.path("root/proc/cpuinfo"), "c").unwrap();
    assert_eq!(scratch.out("/", "all", false), "");
    assert_eq!(std::fs::read_dir(scratch.path("host/all/proc")).unwrap().count(), 0);
    assert_eq!(scratch.read("host/all/dir/inner"), "i");
    assert_eq!(scratch.out("/proc/cpuinfo", "cpus", false), "");
    assert_eq!(scratch.read("host/cpus"), "c");
}
