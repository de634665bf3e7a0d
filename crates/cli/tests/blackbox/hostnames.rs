//! Names of the container: hostname, domain, and the files that go with them.

use crate::harness::Brig;

#[test]
fn the_hostname_is_the_short_id_or_what_was_asked() {
    let brig = Brig::new();
    let id = brig.ok("run -d bb sleep 1000");
    assert_eq!(brig.ok(&format!("exec {id} hostname")), id[..12]);
    assert_eq!(brig.inspect(&id, "{{.Config.Hostname}}"), id[..12]);
    assert_eq!(brig.ok("run --rm -h box bb sh -c 'hostname; cat /etc/hostname; echo $HOSTNAME'"), "box\nbox\nbox");
    assert_eq!(brig.ok("run --rm --hostname box.example.org bb hostname"), "box.example.org");
    brig.fails("run --rm --uts host -h box bb true", 125, "conflicting options");
}

#[test]
fn the_files_of_the_network_are_there() {
    let brig = Brig::new();
    let hosts = brig.ok("run --rm --network none -h box bb cat /etc/hosts");
    for line in ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"] {
        assert!(hosts.lines().any(|it| it == line), "{line} in {hosts}");
    }
    brig.ok("run --rm --network none bb sh -c 'test -e /etc/resolv.conf'");
    let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    assert_eq!(brig.ok("run --rm --network host bb cat /etc/hosts").trim_end(), own.trim_end());
    // They belong to the container: it may write them, and the image keeps its own.
    assert_eq!(
        brig.ok("run --rm --network none bb sh -c 'echo 10.0.0.1 x >>/etc/hosts && tail -n1 /etc/hosts'"),
        "10.0.0.1 x"
    );
}
