//! Which command runs: the image's entry point and command, and what replaces them.

use crate::harness::Brig;
use crate::harness::image::busybox_tar;

#[test]
fn image_and_flags_are_combined_as_in_docker() {
    let brig = Brig::new();
    let import = |changes: &str, name: &str| {
        brig.command(&format!("import {changes} - {name}")).send(busybox_tar()).expect(0);
    };
    import("-c 'CMD [\"echo\", \"cmd\"]'", "cmd");
    import("-c 'CMD echo $HOME shell'", "shell");
    import("-c 'ENTRYPOINT [\"echo\", \"entry\"]'", "entry");
    import("-c 'ENTRYPOINT [\"echo\", \"entry\"]' --change 'CMD [\"cmd\"]'", "both");
    for (rest, expected) in [
        ("cmd", "cmd"),
        ("cmd echo other", "other"),
        ("shell", "/root shell"),
        ("entry", "entry"),
        ("entry more words", "entry more words"),
        ("both", "entry cmd"),
        ("both other", "entry other"),
        ("--entrypoint echo both", ""),
        ("--entrypoint echo both mine", "mine"),
        ("--entrypoint '' both echo bare", "bare"),
        ("--entrypoint=/bin/echo bb word", "word"),
    ] {
        assert_eq!(brig.ok(&format!("run --rm {rest}")), expected, "run --rm {rest}");
    }
    brig.fails("run --rm --entrypoint '' both", 125, "no command specified");
    brig.ok("create --name box both other");
    assert_eq!(
        brig.inspect("box", "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Path}} {{json .Args}}"),
        r#"["echo","entry"] ["other"] echo ["entry","other"]"#
    );
}
