//! `login`, `logout`, `push`, `pull -a`, `search`: with Debian's docker-registry, plain and behind TLS with a user, and
//! skopeo as the other side, which shares no line with brig.

use crate::harness::Brig;
use crate::harness::image::{Image, gzip_layer, zstd_layer};
use crate::harness::process::tool;
use crate::harness::registry::{DockerRegistry, TestRegistry, USER};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

/// What skopeo says of an image of a plain registry.
fn skopeo(address: &str, name: &str, template: &str) -> String {
    let reference = format!("docker://{address}/{name}");
    tool("skopeo", &["inspect", "--no-tags", "--tls-verify=false", "--format", template, &reference])
}

fn skopeo_copy(source: &str, target: &str, more: &[&str]) {
    let words = ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    tool("skopeo", &[&words, more, &[source, target]].concat());
}

/// An archive with one image, tagged.
fn archive(brig: &Brig, tag: &str, image: &Image) -> String {
    brig.write(&format!("{}.tar", tag.replace([':', '/'], "-")), image.oci_archive(tag))
}

fn small(text: &str) -> Image {
    let first = Tar::new().dir("etc/", 0o755).file("etc/issue", 0o644, text.as_bytes()).finish();
    let second = Tar::new().file("second", 0o644, text.as_bytes()).finish();
    Image::new(&serde_json::json!({"Cmd": ["/x"]}), vec![gzip_layer(&first), gzip_layer(&second)])
}

#[test]
fn what_is_pushed_skopeo_reads_and_what_skopeo_pushes_is_pulled() {
    let brig = Brig::new();
    let registry = DockerRegistry::start(&brig.dir);
    let ours = format!("{}/team/bb:1", registry.address);
    brig.ok(&format!("tag bb {ours}"));
    let output = brig.ok(&format!("push {ours}"));
    let (first, last) = (output.lines().next().unwrap(), output.lines().last().unwrap());
    assert_eq!(first, format!("The push refers to repository [{}/team/bb]", registry.address));
    let digest = skopeo(&registry.address, "team/bb:1", "{{.Digest}}");
    assert!(last.starts_with(&format!("1: digest: {digest} size: ")), "{output}");
    assert!(output.contains(": Preparing\n") && output.contains(": Pushed\n"), "{output}");
    // What skopeo has read and written again is the same.
    let theirs = format!("{}/team/copy:2", registry.address);
    skopeo_copy(&format!("docker://{ours}"), &format!("docker://{theirs}"), &[]);
    let other = Brig::empty();
    let output = other.ok(&format!("pull {theirs}"));
    assert!(output.contains(&format!("\nDigest: {digest}\n")), "{output}");
    assert_eq!(other.inspect(&theirs, "{{.Id}}"), brig.inspect("bb", "{{.Id}}"));
    assert_eq!(other.ok(&format!("run --rm {theirs} echo there")), "there");
}

#[test]
fn a_second_push_sends_nothing_and_quiet_prints_the_name() {
    let brig = Brig::new();
    let registry = DockerRegistry::start(&brig.dir);
    let name = format!("{}/bb:1", registry.address);
    brig.ok(&format!("tag bb {name}"));
    let first = brig.ok(&format!("push {name}"));
    let second = brig.ok(&format!("push {name}"));
    assert!(second.contains(": Layer already exists\n"), "{second}");
    assert_eq!(first.lines().last(), second.lines().last());
    assert_eq!(brig.ok(&format!("push -q {name}")), name);
    if !is_docker() {
        let output = brig.ok(&format!("push --digestfile digest {name} {}/elsewhere/bb:2", registry.address));
        assert!(output.contains(": Mounted from bb\n") || output.contains("already exists"), "{output}");
        let digest = std::fs::read_to_string(brig.dir.join("digest")).unwrap();
        assert_eq!(digest, skopeo(&registry.address, "elsewhere/bb:2", "{{.Digest}}"));
    }
}

#[test]
fn what_was_pulled_is_pushed_byte_for_byte() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let path = archive(&brig, "a:1", &small("one"));
    skopeo_copy(&format!("oci-archive:{path}"), &format!("docker://{}/a:1", registry.address), &[]);
    brig.ok(&format!("pull {}/a:1", registry.address));
    brig.ok(&format!("tag {0}/a:1 {0}/b/c:2", registry.address));
    brig.ok(&format!("push {}/b/c:2", registry.address));
    let digest = |name: &str| skopeo(&registry.address, name, "{{.Digest}}");
    assert_eq!(digest("b/c:2"), digest("a:1"));
    // Also to a registry that has none of its layers.
    let far = Brig::empty();
    let second = DockerRegistry::start(&far.dir);
    if !is_docker() {
        brig.ok(&format!(
            "push --compression-format zstd --force-compression {}/a:1 {}/a:1",
            registry.address, second.address
        ));
        let raw = format!("docker://{}/a:1", second.address);
        let raw = tool("skopeo", &["inspect", "--raw", "--tls-verify=false", &raw]);
        let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
        assert_eq!(raw.matches(zstd).count(), 2, "{raw}");
        assert_eq!(far.ok(&format!("pull -q {}/a:1", second.address)), format!("{}/a:1", second.address));
        assert_eq!(
            far.inspect(&format!("{}/a:1", second.address), "{{.Id}}"),
            brig.inspect(&format!("{}/a:1", registry.address), "{{.Id}}")
        );
    }
}

#[test]
fn all_tags_go_and_come() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    for tag in ["1", "2"] {
        brig.ok(&format!("load -i {}", archive(&brig, &format!("{}/a:{tag}", registry.address), &small(tag))));
    }
    let output = brig.ok(&format!("push -a {}/a", registry.address));
    assert_eq!(output.matches(": digest: sha256:").count(), 2, "{output}");
    let other = Brig::empty();
    let output = other.ok(&format!("pull -a {}/a", registry.address));
    assert!(
        output.ends_with(&format!("Status: Downloaded newer image for {0}/a\n{0}/a", registry.address)),
        "{output}"
    );
    assert_eq!(other.ok("images --format '{{.Tag}}'").lines().count(), 2);
    assert_eq!(other.ok(&format!("pull -aq {}/a", registry.address)), format!("{}/a", registry.address));
    other.fails(&format!("pull -a {}/a:1", registry.address), 1, "tag can't be used with --all-tags/-a");
    other.fails(&format!("pull -a {}/none", registry.address), 1, "not found");
    other.fails(&format!("push -a {}/a:1", registry.address), 1, "tag can't be used with --all-tags/-a");
}

#[test]
fn pushes_that_cannot_be() {
    let brig = Brig::new();
    let registry = DockerRegistry::start(&brig.dir);
    brig.ok(&format!("tag bb {}/bb:1", registry.address));
    let cases = [
        (format!("push {}/none", registry.address), "An image does not exist locally with the tag: "),
        (format!("push {}/bb:2", registry.address), "tag does not exist: "),
        (format!("push -a {}/none", registry.address), "An image does not exist locally with the tag: "),
        (format!("push bb@sha256:{}", "0".repeat(64)), "cannot push a digest reference"),
    ];
    for (line, words) in &cases {
        brig.fails(line, 1, words);
    }
    if !is_docker() {
        brig.fails("push bb 127.0.0.1:1/bb", 1, "cannot reach registry 127.0.0.1:1");
        brig.fails("push --compression-format xz bb", 1, "choose gzip, zstd or none");
    }
}

#[test]
fn tls_and_users() {
    let brig = Brig::new();
    let registry = DockerRegistry::start_locked(&brig.dir);
    let trust = brig.dir.join("registries.toml").display().to_string();
    let home = brig.mkdir("home");
    let run = |line: &str, stdin: &str| {
        brig.command(line).env("BRIG_REGISTRIES", &trust).env("DOCKER_CONFIG", &home).send(stdin.as_bytes())
    };
    let (address, name) = (&registry.address, format!("{}/bb:1", registry.address));
    brig.ok(&format!("tag bb {name}"));
    run(&format!("push {name}"), "").expect(1).says("access denied");
    run(&format!("login -u user --password-stdin {address}"), "wrong\n").expect(1).says("login attempt to ");
    run(&format!("login --get-login {address}"), "").expect(1).says("not logged into ");
    let done = run(&format!("login -u user --password-stdin {address}"), "secret\n").expect(0);
    assert_eq!(done.text(), "Login Succeeded");
    let done = done.says("stored unencrypted in '");
    assert!(!done.stderr.contains("--password via the CLI"), "{}", done.stderr);
    let file = std::fs::metadata(brig.dir.join("home/config.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    assert_eq!(run(&format!("login --get-login {address}"), "").expect(0).text(), "user");
    run(&format!("push {name}"), "").expect(0);
    let remote = format!("docker://{name}");
    let digest = tool(
        "skopeo",
        &["inspect", "--no-tags", "--tls-verify=false", "--creds", USER, "--format", "{{.Digest}}", &remote],
    );
    let pulled = run(&format!("pull {name}"), "").expect(0);
    assert!(pulled.text().contains(&digest));
    run(&format!("pull --tls-verify=false {name}"), "").expect(0);
    let gone = run(&format!("logout {address}"), "").expect(0);
    assert_eq!(gone.text(), format!("Removing login credentials for {address}"));
    assert_eq!(run(&format!("logout {address}"), "").expect(0).text(), format!("Not logged in to {address}"));
    run(&format!("pull {name}"), "").expect(1).says("access denied");
    run(&format!("pull --creds {USER} {name}"), "").expect(0);
    run(&format!("pull --creds user:no {name}"), "").expect(1);
    let auth = brig.dir.join("auth.json").display().to_string();
    let done = run(&format!("login -u user -p secret --authfile {auth} {address}"), "").expect(0);
    done.says("--password via the CLI is insecure");
    run(&format!("pull --authfile {auth} {name}"), "").expect(0);
    let gone = run(&format!("logout --all --authfile {auth}"), "").expect(0);
    assert_eq!(gone.text(), format!("Removing login credentials for {address}"));
    assert_eq!(
        run(&format!("search --creds {USER} --format '{{{{.Name}}}}' {address}/b"), "").expect(0).text(),
        format!("{address}/bb")
    );
}

#[test]
fn a_password_that_is_typed_is_not_shown() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start_locked(&brig.dir);
    let trust = brig.dir.join("registries.toml").display().to_string();
    let home = brig.mkdir("home");
    let line = format!("login {}", registry.address);
    let login = || brig.command(&line).env("BRIG_REGISTRIES", &trust).env("DOCKER_CONFIG", &home).terminal();
    let mut terminal = login();
    terminal.wait_for("Username: ");
    terminal.send("user\n");
    terminal.wait_for("Password: ");
    terminal.send("secrex\x7ft\n");
    terminal.wait_for("Login Succeeded");
    let (code, shown) = terminal.finish();
    assert!(code == 0 && shown.contains("user") && !shown.contains("secre"), "{shown}");
    // Who is known already is asked for nothing.
    let again = brig.command(&line).env("BRIG_REGISTRIES", &trust).env("DOCKER_CONFIG", &home).send(b"").expect(0);
    assert_eq!(again.says("Authenticating with existing credentials... [Username: user]").text(), "Login Succeeded");
    brig.write("home/config.json", format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjp3cm9uZw=="}}}}}}"#, registry.address));
    let refused = brig.command(&line).env("BRIG_REGISTRIES", &trust).env("DOCKER_CONFIG", &home).send(b"").expect(1);
    refused.says("Login did not succeed").says("Cannot perform an interactive login from a non TTY device");
    let out = format!("logout {}", registry.address);
    brig.command(&out).env("DOCKER_CONFIG", &home).send(b"").expect(0);
    let mut terminal = login();
    terminal.wait_for("Username: ");
    terminal.send("user\n");
    terminal.wait_for("Password: ");
    terminal.send("sec\x03");
    assert_eq!(terminal.finish().0, 130);
    brig.fails(&line, 1, "Cannot perform an interactive login from a non TTY device");
    brig.fails("login --password-stdin", 1, "requires --username to be set");
    brig.fails("login -u a -p b --password-stdin", 1, "cannot specify both --password and --password-stdin");
}

#[test]
fn search_lists_names_and_tags() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    for name in ["team/web:1", "team/web:2", "team/other:1"] {
        let path = archive(&brig, name, &small(name));
        skopeo_copy(&format!("oci-archive:{path}"), &format!("docker://{}/{name}", registry.address), &[]);
    }
    let found = brig.ok(&format!("search {}/web", registry.address));
    let mut lines = found.lines();
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    );
    assert!(lines.next().unwrap().starts_with(&format!("{}/team/web ", registry.address)) && lines.next().is_none());
    let tags = brig.ok(&format!("search --list-tags {}/team/web --format '{{{{.Tag}}}}'", registry.address));
    let mut tags: Vec<&str> = tags.lines().collect();
    tags.sort_unstable();
    assert_eq!(tags, ["1", "2"]);
    brig.fails("search --limit 1000 x", 1, "limit 1000 is outside the range of [1, 100]");
    brig.fails("search --filter foo=1 x", 1, "invalid filter 'foo'");
    brig.fails("search --filter is-official=maybe x", 1, "invalid filter 'is-official=");
}

#[test]
fn short_names_are_looked_for_in_the_search_list() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let path = archive(&brig, "tool:1", &small("tool"));
    skopeo_copy(&format!("oci-archive:{path}"), &format!("docker://{}/team/tool:1", registry.address), &[]);
    let empty = TestRegistry::start();
    let search = |first: &str| {
        let second = &registry.address;
        let text = format!("search = [\"{first}\", \"{second}\"]\n[aliases]\nshort = \"{second}/team/tool\"\n");
        brig.write("registries.toml", text)
    };
    let config = search(&empty.address);
    let run = |line: &str| brig.command(line).env("BRIG_REGISTRIES", &config).send(b"");
    let full = format!("{}/team/tool:1", registry.address);
    assert_eq!(run("pull -q team/tool:1").expect(0).text(), full);
    assert_eq!(run("pull -q short:1").expect(0).text(), full);
    // What was pulled under a short name is found under it.
    assert_eq!(run("create --pull never short:1").expect(0).text().len(), 64);
    let failed = run("pull none:1").expect(1);
    failed.says(&format!("no registry has given none:1: {}/none:1: ", empty.address));
    run("pull --creds a:b team/tool:1").expect(1).says("may mean");
    // A registry that cannot be asked may have had it: the next one's is another image.
    search("127.0.0.1:1");
    let failed = run("pull -q team/tool:1").expect(1).says("cannot reach registry 127.0.0.1:1");
    failed.says("no other registry of the search list was asked");
}

#[test]
fn progress_on_a_terminal_is_a_line_for_each_layer() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let layers =
        (0..3).map(|number| zstd_layer(&Tar::new().file(&format!("f{number}"), 0o644, b"x").finish())).collect();
    let path = archive(&brig, "a:1", &Image::new(&serde_json::json!({}), layers));
    skopeo_copy(&format!("oci-archive:{path}"), &format!("docker://{}/a:1", registry.address), &[]);
    let line = format!("pull {}/a:1", registry.address);
    let (code, shown) = brig.command(&line).terminal().finish();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches(": Pulling fs layer\r\n").count(), 3, "{shown:?}");
    assert_eq!(shown.matches(": Pull complete\x1b[").count(), 3, "drawn where the layer's line is: {shown:?}");
    assert!(shown.lines().all(|line| line.matches("Downloading").count() <= 9), "{shown:?}");
}
