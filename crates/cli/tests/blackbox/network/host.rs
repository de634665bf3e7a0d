//! The hosts of a test: `Host` is the one that brig runs on, `Place` any network namespace, a container's too, in which the
//! test asks and answers. At its end a host must have no interface, rule, record or address of a container any more.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel::namespace::{self, Kind, Set};

use crate::harness::process::{Output, Process, patience, tool, wait_until};
use crate::harness::{Brig, words};

/// A sandbox on a host without anything but a loopback; containers get the default network.
pub struct Host {
    pub brig: Brig,
    /// Its remains are no failure of their own.
    is_abandoned: bool,
}

impl Host {
    pub fn new() -> Host {
        namespace::unshare(Set::NONE.with(Kind::Network)).expect("root");
        kernel::loopback::bring_up().expect("a loopback");
        Host { brig: Brig::new(), is_abandoned: false }
    }

    /// After a failure that is told.
    pub fn abandon(&mut self) {
        self.is_abandoned = true;
    }

    /// The namespace that the host is.
    pub fn place(&self) -> Place {
        Place::at(Path::new("/proc/thread-self/ns/net"))
    }

    /// Starts a command line.
    pub fn start(&self, line: &str) -> Process {
        let mut command = self.brig.bare();
        command.args(words::split_as_typed(line));
        Process::start(command, line)
    }

    #[track_caller]
    pub fn run(&self, line: &str) -> Output {
        self.start(line).finish()
    }

    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.run(line).expect(0).text()
    }

    /// A container that serves its own name at port 80.
    #[track_caller]
    pub fn serve(&self, name: &str, flags: &str) {
        let script = format!("mkdir /www; echo {name} >/www/index.html; exec httpd -f -p 80 -h /www");
        self.ok(&format!("run -d --name {name} {flags} bb sh -c '{script}'"));
    }

    /// A container that does nothing; its namespace.
    #[track_caller]
    pub fn idle(&self, name: &str, flags: &str) -> Place {
        self.ok(&format!("run -d --name {name} {flags} bb sleep 1000"));
        self.inside(name)
    }

    /// The namespace of a container that runs.
    #[track_caller]
    pub fn inside(&self, name: &str) -> Place {
        Place::at(Path::new(&format!("/proc/{}/ns/net", self.brig.pid(name))))
    }

    /// The page at `address`, asked from this host; `None` when nobody answers.
    pub fn get(&self, address: &str) -> Option<String> {
        let output = Command::new("busybox")
            .args(["timeout", "2", "busybox", "wget", "-qO-", address])
            .output()
            .expect("busybox");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    #[track_caller]
    pub fn wait_for(&self, address: &str, page: &str) {
        wait_until(&format!("{page} at {address}"), || (self.get(address).as_deref() == Some(page)).then_some(()));
    }

    /// Until nobody is on the default network: a container's end is told before it is cleared away.
    pub fn wait_empty(&self) {
        let count = || self.ok("network inspect -f '{{len .Containers}}' bridge");
        wait_until("nobody on the network", || (count() == "0").then_some(()));
    }

    pub fn address(&self, name: &str) -> String {
        self.ok(&format!("inspect -f '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' {name}"))
    }

    /// What containers have on this host now, one line each: interfaces, elements of rules, records and addresses.
    pub fn remains(&self) -> Vec<String> {
        let mut found = interfaces();
        // A guest with another kernel may lack the program.
        let rules = Command::new("nft").args(["list", "ruleset"]).output().map(|output| output.stdout);
        found.extend(elements(&String::from_utf8_lossy(&rules.unwrap_or_default())));
        for network in entries(&self.brig.state().join("networks")) {
            found.extend(entries(&network.join("endpoints")).iter().map(|path| format!("record {}", path.display())));
            for table in ["addresses", "addresses6"].map(|name| network.join(name)) {
                // The first slot is nobody's; it remembers the last one given.
                let slots = std::fs::read(&table).unwrap_or_default();
                let taken = slots.chunks(16).enumerate().skip(1).filter(|(_, slot)| slot.iter().any(|byte| *byte != 0));
                found.extend(taken.map(|(place, _)| format!("address {place} of {}", table.display())));
            }
        }
        found
    }

    /// What remains after monitors on their way out have had a moment.
    pub fn remains_settled(&self) -> Vec<String> {
        let end = Instant::now() + patience() / 6;
        loop {
            let left = self.remains();
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if thread::panicking() || self.is_abandoned {
            return;
        }
        let all = self.ok("ps -aq").replace('\n', " ");
        if !all.is_empty() {
            self.ok(&format!("rm -f -v {all}"));
        }
        let left = self.remains_settled();
        assert!(left.is_empty(), "left on the host:\n{}", left.join("\n"));
    }
}

/// The ends of containers' cables on the host that the thread is in.
pub fn interfaces() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces");
    let names = text.lines().filter_map(|line| line.trim_start().split_once(':').map(|(name, _)| name));
    names.filter(|name| name.starts_with("brigv")).map(|name| format!("interface {name}")).collect()
}

/// Elements of brig's sets and maps in what nft(8) lists, but those by which interfaces choose their chains.
fn elements(ruleset: &str) -> Vec<String> {
    let (mut table, mut set) = ("", "");
    let mut found = Vec::new();
    for line in ruleset.lines().map(str::trim) {
        match line.split_once(' ') {
            Some(("table", rest)) => table = rest.trim_end_matches(" {"),
            Some(("set" | "map", rest)) => set = rest.trim_end_matches(" {"),
            Some(("elements", rest)) if table.contains("brig") && !["to", "from"].contains(&set) => {
                found.push(format!("element of {set}: {rest}"));
            }
            _ => {}
        }
    }
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A network namespace.
pub struct Place(Arc<OwnedFd>);

impl Place {
    /// One that has only a loopback.
    pub fn new() -> Place {
        let place = Place(Arc::new(namespace::new_network().expect("root")));
        place.within(|| kernel::loopback::bring_up().expect("a loopback"));
        place
    }

    #[track_caller]
    fn at(path: &Path) -> Place {
        Place(Arc::new(namespace::open(path).unwrap_or_else(|error| panic!("{error}"))))
    }

    /// Does something there. Programs that `act` starts are there as well.
    pub fn within<T>(&self, act: impl FnOnce() -> T) -> T {
        kernel::netlink::within(&*self.0, || Ok(act())).expect("a namespace")
    }

    /// A command line of ip(8), which must succeed.
    #[track_caller]
    pub fn ip(&self, line: &str) -> String {
        self.within(|| tool("ip", &line.split(' ').collect::<Vec<_>>()))
    }

    /// A cable to `other`: `eth0` there, `name` here, each with its addresses.
    #[track_caller]
    pub fn cable(&self, name: &str, here: &[&str], other: &Place, there: &[&str]) {
        let namespace = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.ip(&format!("link add {name} type veth peer name eth0 netns {namespace}"));
        for (place, name, addresses) in [(self, name, here), (other, "eth0", there)] {
            for address in addresses {
                let nodad = if address.contains(':') { " nodad" } else { "" };
                place.ip(&format!("addr add {address} dev {name}{nodad}"));
            }
            place.ip(&format!("link set {name} up"));
        }
    }

    /// Who we are to the server at `to`: it answers with the client's address. Asked again until there is an answer; `None`
    /// when there never is one.
    pub fn ask_until(&self, protocol: Protocol, to: &str) -> Option<String> {
        let end = Instant::now() + patience() / 6;
        loop {
            match self.ask_once(protocol, to) {
                None if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
                answer => return answer,
            }
        }
    }

    /// `None` when nobody answers within a second.
    pub fn ask_once(&self, protocol: Protocol, to: &str) -> Option<String> {
        let to: SocketAddr = to.parse().unwrap_or_else(|_| panic!("an address with a port: {to}"));
        let limit = Some(Duration::from_secs(1));
        self.within(|| {
            let mut buffer = [0; 64];
            let length = match protocol {
                Protocol::Tcp => {
                    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1)).ok()?;
                    stream.set_read_timeout(limit).ok()?;
                    stream.read(&mut buffer).ok()?
                }
                Protocol::Udp => {
                    let any: IpAddr = if to.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { [0, 0, 0, 0].into() };
                    let socket = UdpSocket::bind((any, 0)).ok()?;
                    socket.connect(to).ok()?;
                    socket.set_read_timeout(limit).ok()?;
                    socket.send(b"?").ok()?;
                    socket.recv(&mut buffer).ok()?
                }
            };
            // What was accepted and closed without a word is no answer.
            (length > 0).then(|| String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }

    /// Answers at `port` of every address, by both protocols, with the client's address.
    pub fn answer(&self, port: u16) -> Server {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let (listener, socket) =
            self.within(|| (TcpListener::bind(any).expect("a free port"), UdpSocket::bind(any).expect("a free port")));
        listener.set_nonblocking(true).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                serve(&listener, &socket);
                thread::sleep(Duration::from_millis(2));
            }
        });
        Server { stop, thread: Some(thread) }
    }
}

fn serve(listener: &TcpListener, socket: &UdpSocket) {
    let name = |address: SocketAddr| address.ip().to_canonical().to_string();
    while let Ok((mut stream, client)) = listener.accept() {
        let _ = stream.write_all(name(client).as_bytes());
    }
    let mut buffer = [0; 64];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((_, client)) => drop(socket.send_to(name(client).as_bytes(), client)),
            // Somebody before has not waited for the answer.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

/// Answers until it is dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
