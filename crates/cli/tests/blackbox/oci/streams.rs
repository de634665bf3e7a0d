//! Standard streams and terminals: inherited, relayed, handed to somebody else.

use super::bundle::Bundle;
use crate::harness::process::Process;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::json;
use std::io::{IoSliceMut, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn streams_are_the_callers() {
    let bundle = Bundle::new(&["sh", "-c", "read line; echo out $line; echo err >&2"]);
    let mut process = Process::start(bundle.command("run @"), "run");
    process.send(b"in\n");
    let output = process.finish().expect(0);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("out in", "err\n"));
}

#[test]
fn a_terminal_is_relayed_without_carriage_returns() {
    let bundle = Bundle::new(&["sh", "-c", "echo one; echo two; stty size"]);
    bundle.configure(|config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({"height": 33, "width": 99});
    });
    assert_eq!(bundle.run("run @").expect(0).stdout, b"one\ntwo\n33 99\n");
}

/// The first descriptor that somebody sends to the socket.
fn receive(listener: &UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().expect("a connection");
    let mut bytes = [0; 64];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .expect("a message");
    let received = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    received.expect("a descriptor")
}

#[test]
fn a_terminal_is_handed_over() {
    let bundle = Bundle::new(&["sh", "-c", "echo ready; read line; echo got $line; sleep 1000"]);
    bundle.configure(|config| config["process"]["terminal"] = json!(true));
    let path = bundle.dir.join("console");
    let listener = UnixListener::bind(&path).expect("bind");
    bundle.run("run -d @").expect(1).says("without setting console socket");
    bundle.detached("create --console-socket console @");
    let mut master = std::fs::File::from(receive(&listener));
    bundle.run("start @").expect(0);
    std::io::Write::write_all(&mut master, b"word\n").expect("write");
    let (mut text, end) = (String::new(), Instant::now() + Duration::from_secs(30));
    while !text.contains("got word") {
        assert!(Instant::now() < end, "{text}");
        let mut bytes = [0; 256];
        let count = master.read(&mut bytes).expect("read");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(text.contains("ready"), "{text}");
}

#[test]
fn a_pidfd_is_handed_over() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let listener = UnixListener::bind(bundle.dir.join("pidfd")).expect("bind");
    bundle.detached("create --pidfd-socket pidfd @");
    let pidfd = receive(&listener);
    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).expect("signal");
    bundle.wait_for("stopped");
}

#[test]
fn readiness_is_told_and_nothing_else() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let host = UnixDatagram::bind(bundle.dir.join("host")).expect("bind");
    host.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut create = bundle.command("create @");
    let errors = std::fs::File::create(bundle.dir.join("errors")).expect("a file");
    create.env("NOTIFY_SOCKET", bundle.dir.join("host")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    assert!(create.status().expect("start").success(), "{}", bundle.read("errors"));
    let mut start = bundle.command("start @");
    start.env("NOTIFY_SOCKET", bundle.dir.join("host"));
    let start = Process::start(start, "start");
    bundle.wait_for("running");
    // As the program in the container would, at the socket that it has at /run/notify.
    let socket = UnixDatagram::unbound().expect("a socket");
    let inside = format!("/proc/{}/root/run/notify/notify.sock", bundle.pid());
    for message in ["STATUS=starting", "STOPPING=1\nREADY=1\nMAINPID=1"] {
        socket.send_to(message.as_bytes(), &inside).expect("send");
    }
    let next = || {
        let mut bytes = [0; 256];
        let count = host.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert_eq!(
        [next(), next(), next()],
        ["READY=1\n".to_owned(), format!("MAINPID={}\n", bundle.pid()), "BARRIER=1".to_owned()]
    );
    start.finish().expect(0);
}
