//! Descriptors of the host that a container's process could find: CVE-2024-21626 and its like.

use crate::harness::Brig;
use crate::harness::sandbox::is_docker;

/// Up from wherever it leads, to a file of the host.
fn way_to(flag: &str) -> String {
    format!("../../../../../../../../..{flag}")
}

#[test]
fn no_working_directory_leads_out() {
    let brig = Brig::new();
    let way = way_to(&brig.write("flag", "of the host"));
    brig.ok("run -d --name box bb sleep 1000");
    brig.ok("exec box sh -c 'for n in 3 4 5 6 7 8 9 10 11 12; do ln -s /proc/self/fd/$n /link$n; done'");
    for number in 3..=12 {
        for (words, name) in [("run --rm", "bb"), ("exec", "box")] {
            let direct = brig.run(&format!("{words} -w /proc/self/fd/{number} {name} cat {way}"));
            assert_ne!(direct.code, 0, "descriptor {number} leads out: {}", direct.text());
            assert_eq!(direct.text(), "", "descriptor {number}");
        }
        // The link is the container's own, and made before anybody asks for it.
        let linked = brig.run(&format!("exec -w /link{number} box cat {way}"));
        assert_ne!(linked.code, 0, "a link to descriptor {number} leads out: {}", linked.text());
    }
    let image = "import -c 'WORKDIR /proc/self/fd/7' - workdir";
    brig.command(image).send(crate::harness::image::busybox_tar()).expect(0);
    assert_ne!(brig.run(&format!("run --rm workdir cat {way}")).code, 0);
}

#[test]
fn a_process_has_its_three_streams_and_nothing_else() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    // ls itself has the directory open.
    let look = "ls /proc/self/fd";
    for line in [
        format!("run --rm bb {look}"),
        format!("run --rm --privileged bb {look}"),
        format!("exec box {look}"),
        format!("exec --privileged box {look}"),
    ] {
        assert_eq!(brig.ok(&line), "0\n1\n2\n3", "{line}");
    }
    assert_eq!(brig.ok("exec box ls /proc/1/fd"), "0\n1\n2");
    if is_docker() {
        return;
    }
    // What the caller has open stays with the caller.
    let script = format!("exec 7<{}; {} run --rm --network none bb {look}", brig.dir.display(), brig.shell_words());
    assert_eq!(crate::harness::process::tool("sh", &["-c", &script]), "0\n1\n2\n3");
}
