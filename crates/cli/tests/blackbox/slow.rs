//! Real software in real images, and many containers: minutes, not milliseconds. Run when
//! `BRIG_TEST_SLOW` is set (`./dev test-all`).

mod engines;
mod interop;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::harness::Brig;
use crate::harness::process::{tool, wait_until};
use crate::harness::registry::DockerRegistry;

pub fn is_wanted() -> bool {
    let wanted = std::env::var_os("BRIG_TEST_SLOW").is_some();
    if !wanted {
        eprintln!("skipped: BRIG_TEST_SLOW is not set");
    }
    wanted
}

/// The releases of Debian that are tried.
pub const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// A Debian root made by debootstrap, as a tar.
fn debian(release: &str) -> PathBuf {
    cached(release, release, "nginx-light,perl")
}

/// The same with other packages, under a name for them.
pub fn debian_with(release: &str, name: &str, packages: &str) -> PathBuf {
    cached(&format!("{release}-{name}"), release, packages)
}

/// Kept outside of the build directory between runs.
fn cached(name: &str, release: &str, packages: &str) -> PathBuf {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = std::env::var("BRIG_TEST_CACHE").unwrap_or_else(|_| "/var/tmp/brig-test-cache".to_owned());
    let tar = PathBuf::from(&cache).join(format!("{name}.tar"));
    if !tar.exists() {
        let root = format!("{cache}/root-{}", std::process::id());
        tool("mkdir", &["-p", &cache]);
        let script = format!(
            "mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Component: main' | grep -v security | head -n1)
             debootstrap --variant=minbase --include={packages} {release} {root} \"$mirror\" >{root}.log 2>&1 || {{ tail {root}.log; exit 1; }}
             tar -C {root} --one-file-system -cf {cache}/{name}.new . && mv {cache}/{name}.new {cache}/{name}.tar && rm -rf {root} {root}.log"
        );
        let status = std::process::Command::new("sh").args(["-c", &script]).status().expect("sh");
        assert!(status.success(), "debootstrap");
    }
    tar
}

/// A store with the image `debian`, pulled from docker-registry, where skopeo pushed it.
fn with_debian(release: &str) -> Brig {
    let brig = Brig::empty();
    let tar = debian(release).display().to_string();
    brig.ok(&format!("import {tar} debian-made"));
    brig.ok("save -o debian.tar debian-made");
    brig.ok("rmi debian-made");
    let registry = DockerRegistry::start(&brig.dir);
    let reference = format!("{}/debian:stable", registry.address);
    let source = format!("docker-archive:{}/debian.tar", brig.dir.display());
    tool("skopeo", &["copy", "-q", "--dest-tls-verify=false", &source, &format!("docker://{reference}")]);
    std::fs::remove_file(brig.dir.join("debian.tar")).expect("it was written");
    brig.ok(&format!("pull -q {reference}"));
    brig.ok(&format!("tag {reference} debian"));
    brig
}

#[test]
fn debian_works_as_one_expects() {
    if is_wanted() {
        RELEASES.into_iter().for_each(check_debian);
    }
}

fn check_debian(release: &str) {
    let brig = with_debian(release);
    assert!(brig.ok("run --rm debian cat /etc/os-release").contains(&format!("VERSION_CODENAME={release}\n")));
    assert!(brig.ok("run --rm debian apt-get --version").starts_with("apt "));
    assert_eq!(brig.ok("run --rm debian perl -e 'print 6*7'"), "42");
    assert!(brig.ok("run --rm debian dpkg -l perl").contains("ii  perl"));
    brig.ok("run --rm debian sh -c 'dpkg --audit && dpkg-query -W | wc -l'");
    brig.ok("run --rm debian sh -c 'dpkg-deb -b \"$(d=$(mktemp -d); mkdir $d/DEBIAN; printf \"Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n\" >$d/DEBIAN/control; echo $d)\" /x.deb && dpkg -i /x.deb && dpkg -r x'");
    let mut shell = brig.command("run --rm -it debian bash -l").terminal();
    shell.wait_for("root@");
    shell.send("tty; stty size; echo $((6*7))\n");
    shell.wait_for("/dev/pts/0\r\n24 80\r\n42\r\n");
    shell.send("sh -c 'echo $((1+1))nd; sleep 100'\n");
    shell.wait_for("2nd\r\n"); // it runs: only now the key belongs to it
    shell.send("\x1a");
    shell.wait_for("Stopped");
    // The job goes on in the foreground, where the other key ends it; then the shell may go.
    shell.send("fg\n");
    shell.wait_for("fg\r\n");
    shell.wait_for("sleep 100'\r\n");
    shell.send("\x03");
    shell.wait_for("root@");
    shell.send("echo $((3+4))th; exit 5\n");
    shell.wait_for("7th\r\n");
    assert_eq!(shell.finish().0, 5);
    assert_eq!(brig.ok("run --rm -u www-data debian id -un"), "www-data");
    brig.ok("run --name changed debian sh -c 'useradd -m new && su new -c \"touch ~/file\"'");
    brig.ok("commit changed debian-changed");
    assert_eq!(brig.ok("run --rm debian-changed stat -c %U /home/new/file"), "new");
}

#[test]
fn nginx_serves_a_page_on_the_hosts_network() {
    if !is_wanted() {
        return;
    }
    let brig = with_debian(RELEASES[0]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    let pages = brig.mkdir("pages");
    brig.write("pages/index.html", "a page from nginx\n");
    let site = brig.write("site", format!("server {{ listen 127.0.0.1:{port}; root /pages; }}\n"));
    brig.ok(&format!("run -d --name web --network host -v {pages}:/pages:ro -v {site}:/etc/nginx/sites-enabled/default:ro debian nginx -g 'daemon off;'"));
    let answer = wait_until("nginx answers", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    });
    assert!(answer.contains("200 OK") && answer.ends_with("a page from nginx\n"), "{answer}");
    brig.ok("stop web");
    assert_eq!(brig.inspect("web", "{{.State.ExitCode}}"), "0");
}

#[test]
fn two_hundred_containers_leave_nothing() {
    if !is_wanted() {
        return;
    }
    let brig = Brig::new();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let brig = &brig;
            scope.spawn(move || {
                for round in 0..25 {
                    let name = format!("box-{worker}-{round}");
                    brig.ok(&format!("run -d --name {name} -v vol-{worker}:/data -m 32m bb sh -c 'echo {round} >>/data/log; sleep 1000'"));
                    assert_eq!(brig.ok(&format!("exec {name} sh -c 'echo $((6*7))'")), "42");
                    brig.ok(&format!("stop -t 0 {name}"));
                    brig.ok(&format!("rm {name}"));
                }
            });
        }
    });
    assert_eq!(brig.ok("ps -aq"), "");
    assert_eq!(brig.ok("run --rm -v vol-3:/data bb sh -c 'wc -l </data/log'"), "25");
    // Processes, mounts, cgroups and directories are looked for at the sandbox's end.
}

#[test]
fn two_hundred_at_the_same_time() {
    if !is_wanted() {
        return;
    }
    let brig = Brig::new();
    for number in 0..200 {
        brig.ok(&format!("run -d --name box{number} bb sleep 1000"));
    }
    assert_eq!(brig.ok("ps -q").lines().count(), 200);
    let names: Vec<String> = (0..200).map(|number| format!("box{number}")).collect();
    brig.ok(&format!("rm -f {}", names.join(" ")));
}
