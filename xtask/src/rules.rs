//! The rules for lines of source, as data: where a rule holds, which words break it, what to
//! write instead and why. `tidy` applies them. A rule that cannot be said as "these words not
//! there" stands in `tidy.rs` itself.

use crate::source::{Line, Source};

/// Which part of a line a rule reads.
#[derive(Clone, Copy)]
pub enum Part {
    Code,
    Strings,
    Comment,
}

/// A rule for lines.
pub struct Rule {
    pub name: &'static str,
    pub part: Part,
    /// Whole words, where a word may contain any character (`println!`, `thread::spawn`).
    pub words: &'static [&'static str],
    /// Whether the rule holds in this file.
    pub holds: fn(&Source) -> bool,
    /// Whether lines of tests are read too.
    pub tests_too: bool,
    /// Files in which the words are allowed, each with its reason beside it.
    pub except: &'static [&'static str],
    pub good: &'static str,
    pub why: &'static str,
}

const BELOW_FACES: &[&str] = &["spec", "kernel", "image", "runtime", "oci", "net", "registry", "engine"];

fn everywhere(_: &Source) -> bool {
    true
}

fn outside_kernel(source: &Source) -> bool {
    source.crate_name != "kernel"
}

fn outside_async_faces(source: &Source) -> bool {
    !matches!(source.crate_name.as_str(), "docker" | "cri")
}

fn at_or_below_engine(source: &Source) -> bool {
    BELOW_FACES.contains(&source.crate_name.as_str())
}

fn above_engine(source: &Source) -> bool {
    source.path.starts_with("crates/") && !at_or_below_engine(source)
}

fn in_crates(source: &Source) -> bool {
    source.path.starts_with("crates/")
}

fn on_the_run_path(source: &Source) -> bool {
    matches!(source.crate_name.as_str(), "kernel" | "runtime" | "oci" | "engine")
}

/// The rules, in the order in which ARCHITECTURE.md gives their invariants.
pub const RULES: &[Rule] = &[
    Rule {
        name: "unsafe-outside-kernel",
        part: Part::Code,
        words: &["unsafe"],
        holds: outside_kernel,
        tests_too: true,
        except: &[],
        good: "a safe function in crates/kernel/src/<feature>.rs, or the call as `rustix` has it",
        why: "whoever reviews memory safety reads one crate",
    },
    Rule {
        name: "async-outside-faces",
        part: Part::Code,
        words: &["async", "await", "tokio"],
        holds: outside_async_faces,
        tests_too: true,
        except: &[],
        good: "plain calls, and one epoll loop (`kernel::epoll`) where several things are awaited",
        why: "`run` starts no runtime; only the docker and cri crates serve many clients at once",
    },
    Rule {
        name: "print-below-faces",
        part: Part::Code,
        words: &["println!", "print!", "eprintln!", "eprint!"],
        holds: at_or_below_engine,
        tests_too: false,
        except: &[],
        good: "return a value or report through the caller's callback; crates/cli/src/output prints",
        why: "the same code serves the command line, the Docker API and Kubernetes",
    },
    Rule {
        name: "kernel-files-above-engine",
        part: Part::Strings,
        words: &["/sys/", "/proc/"],
        holds: above_engine,
        tests_too: false,
        // It *is* the container's process and prints what it sees of its own cell.
        except: &["crates/cli/src/command/hello_inside.rs"],
        good: "ask `engine`, which asks `kernel`",
        why: "what the machine looks like is decided in one place, and rootless differs there",
    },
    Rule {
        name: "mount-above-engine",
        part: Part::Code,
        words: &["kernel::mount", "kernel::overlay", "kernel::namespace", "kernel::cgroup", "rustix::mount"],
        holds: above_engine,
        tests_too: false,
        except: &[],
        good: "a function of `engine` named for its effect",
        why: "nothing above the engine touches mounts, namespaces or cgroups",
    },
    Rule {
        name: "thread-on-the-run-path",
        part: Part::Code,
        words: &["thread::spawn", "thread::scope", "thread::Builder"],
        holds: on_the_run_path,
        tests_too: false,
        // A namespace of its own for a moment, on kernels before 6.15: over before anything is cloned. Image copy runs
        // no container. A seccomp listener is delivered by a thread that the filter does not cover, right before execve
        // ends it.
        except: &[
            "crates/kernel/src/overlay/apart.rs",
            "crates/kernel/src/seccomp/listener.rs",
            "crates/engine/src/images/copy.rs",
        ],
        good: "one epoll loop, or the work in the caller; `registry` may download in threads",
        why: "clone in a process with threads may deadlock in the child, and each thread costs memory per monitor",
    },
    Rule {
        name: "helper-program",
        part: Part::Code,
        words: &["process::Command", "Command::new"],
        holds: in_crates,
        tests_too: false,
        // `top` with arguments for ps(1) is ps, in docker too; nothing else depends on it. Credential helpers are programs of
        // the user's choice, and their protocol is to be executed, as that of an OCI container's hooks. The runtime's `ps`
        // is ps(1), too.
        except: &[
            "crates/cli/src/runtime/ps.rs",
            "crates/engine/src/top/ps.rs",
            "crates/registry/src/credentials/docker_credential.rs",
            "crates/runtime/src/hooks.rs",
        ],
        good: "the system call behind the program, in crates/kernel",
        why: "one binary, no helper programs: each costs a millisecond and a way to fail",
    },
    Rule {
        name: "unfinished-code",
        part: Part::Code,
        words: &["todo!", "unimplemented!", "dbg!", "#[ignore", "allow(dead_code)"],
        holds: everywhere,
        tests_too: true,
        except: &[],
        good: "the work done, or an honest error that names what is missing; delete code without a caller",
        why: "what is in the tree works",
    },
    Rule {
        name: "unfinished-comment",
        part: Part::Comment,
        words: &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")],
        holds: everywhere,
        tests_too: true,
        except: &[],
        good: "a sentence that says what holds today and why",
        why: "a note to oneself is read by nobody",
    },
];

/// The words of `rule` that occur in `line`.
pub fn broken(rule: &Rule, line: &Line) -> Option<&'static str> {
    if line.in_test && !rule.tests_too {
        return None;
    }
    let text = match rule.part {
        Part::Code => &line.code,
        Part::Strings => &line.strings,
        Part::Comment => &line.comment,
    };
    rule.words.iter().find(|word| contains_word(text, word)).copied()
}

/// Whether `word` stands in `text` with no letter, digit or underscore directly before it, and
/// none after it when it ends in one itself.
fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let open = word.starts_with(is_part) && before.is_some_and(is_part);
        let close = word.ends_with(is_part) && after.is_some_and(is_part);
        !open && !close
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the rules that one line at `path` breaks.
    fn check(path: &str, line: &str, expected: &[&str]) {
        let source = Source::new(path, line);
        let found: Vec<&str> = RULES
            .iter()
            .filter(|rule| (rule.holds)(&source) && !rule.except.contains(&path))
            .filter(|rule| source.lines.iter().any(|line| broken(rule, line).is_some()))
            .map(|rule| rule.name)
            .collect();
        assert_eq!(found, expected, "{path}: {line}");
    }

    #[test]
    fn each_rule_sees_its_words_where_it_holds() {
        check("crates/kernel/src/x.rs", "unsafe { f() }", &[]);
        check("crates/spec/src/x.rs", "unsafe { f() }", &["unsafe-outside-kernel"]);
        check("crates/spec/src/x.rs", "// nothing unsafe here", &[]);
        check("crates/spec/src/x.rs", "#![deny(unsafe_code)]", &[]);
        check("crates/engine/src/x.rs", "async fn f() {}", &["async-outside-faces"]);
        check("crates/docker/src/x.rs", "async fn f() {}", &[]);
        check("crates/engine/src/x.rs", "eprintln!(\"\");", &["print-below-faces"]);
        check("crates/cli/src/x.rs", "eprintln!(\"\");", &[]);
        check("crates/cli/src/x.rs", "open(\"/proc/self/maps\")", &["kernel-files-above-engine"]);
        check("crates/cli/src/command/hello_inside.rs", "open(\"/proc/self/maps\")", &[]);
        check("crates/engine/src/x.rs", "open(\"/proc/self/maps\")", &[]);
        check("crates/cli/src/x.rs", "use kernel::mount::Mount;", &["mount-above-engine"]);
        check("crates/runtime/src/x.rs", "std::thread::spawn(f);", &["thread-on-the-run-path"]);
        check("crates/registry/src/x.rs", "std::thread::spawn(f);", &[]);
        check("crates/engine/src/x.rs", "Command::new(\"ip\")", &["helper-program"]);
        check("xtask/src/x.rs", concat!("to", "do!()"), &["unfinished-code"]);
        check("xtask/src/x.rs", concat!("// FIX", "ME later"), &["unfinished-comment"]);
    }

    #[test]
    fn tests_may_print_and_start_threads() {
        check("crates/engine/src/x.rs", "#[cfg(test)]\nprintln!(); thread::spawn(f); Command::new(\"true\");", &[]);
        check("crates/engine/src/x.rs", "#[cfg(test)]\nunsafe {}", &["unsafe-outside-kernel"]);
    }
}
