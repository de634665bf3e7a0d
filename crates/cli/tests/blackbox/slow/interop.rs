//! docker, podman and skopeo read what brig saves and pushes, and brig reads what they save and push: the same
//! configuration, the same layers, the same files. They are where `harness::peers` finds them.

use std::collections::BTreeMap;

use super::is_wanted;
use crate::harness::Brig;
use crate::harness::image::{Image, gzip_layer, zstd_layer};
use crate::harness::peers::Peers;
use crate::harness::process::tool;
use crate::harness::registry::DockerRegistry;
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

/// An image's id and the digests of its uncompressed layers.
const WHAT: &str = "{{.Id}} {{range .RootFS.Layers}}{{.}} {{end}}";
/// What is done in a container that becomes an image: links, owners, modes, something hidden.
const CHANGE: &str = "mkdir -m 750 /own /own/dir; cd /own; echo text >a; ln a b; ln -s a link; chown 7:8 a; chmod 4711 a; rm /bin/vi; rm -r /home; mkdir /home; touch /home/new";
/// What is seen of it.
const LOOK: &str =
    "cd /own; stat -c '%n %a %u:%g %h' a b dir; readlink link; cat a; ls /home; test -e /bin/vi || echo no vi";

/// The same for all of them: a hash may be written with or without its algorithm.
fn what(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.trim_start_matches("sha256:").to_owned()).collect()
}

/// Lines of `key words…`.
fn table(text: &str) -> BTreeMap<String, Vec<String>> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(key, rest)| (key.to_owned(), what(rest))).collect()
}

/// `made:1`, an import and a commit by brig; `came:1`, from elsewhere, compressed.
fn stocked() -> Brig {
    let brig = Brig::new();
    brig.ok(&format!("run --name box bb sh -c '{CHANGE}'"));
    brig.ok("commit -c 'CMD [\"sh\"]' -c 'ENV A=b' -c 'LABEL x=\"y z\"' -m by-brig box made:1");
    brig.ok("rm box");
    let layers = ["one", "two"].map(|name| Tar::new().file(name, 0o644, name.as_bytes()).finish());
    let image = Image::new(&serde_json::json!({"Cmd": ["/x"]}), vec![gzip_layer(&layers[0]), zstd_layer(&layers[1])]);
    brig.command("load").send(&image.oci_archive("came:1")).expect(0);
    brig
}

#[test]
fn others_read_what_brig_writes() {
    if !is_wanted() || is_docker() {
        return;
    }
    let Some(peers) = Peers::find() else { return };
    let brig = stocked();
    let dir = peers.dir.display();
    let registry = DockerRegistry::start(&brig.dir);
    let at = |name: &str| format!("{}/{name}", registry.address);
    for name in ["made", "came"] {
        brig.ok(&format!("save -o {dir}/{name}-docker.tar {name}:1"));
        brig.ok(&format!("save --format oci-archive -o {dir}/{name}-oci.tar {name}:1"));
        brig.ok(&format!("push -q {name}:1 {}", at(&format!("{name}:gzip"))));
    }
    brig.ok(&format!("push -q --compression-format zstd --force-compression made:1 {}", at("made:zstd")));
    let skopeo = |name: &str| {
        let place = format!("docker://{}", at(name));
        tool("skopeo", &["inspect", "--no-tags", "--tls-verify=false", "--format", "{{.Digest}}", &place])
    };
    let digests = ["made:gzip", "came:gzip", "made:zstd"].map(|name| (name, skopeo(name)));
    let address = &registry.address;
    let output = peers.bash(&format!(
        r#"
        docker=(docker image inspect -f '{WHAT}') podman=(podman image inspect -f '{WHAT}')
        trap 'docker rmi -f $(docker images -aq) >/dev/null 2>&1 || true; podman rmi -af >/dev/null 2>&1 || true' EXIT
        for name in made came; do
            docker load -q -i $name-docker.tar >/dev/null
            echo docker-load-$name $("${{docker[@]}}" $name:1)
            [ $name = came ] || echo docker-look $(docker run --rm --network none $name:1 sh -c "{LOOK}")
            docker rmi -f $name:1 >/dev/null
            for form in docker oci; do
                podman load -q -i $name-$form.tar >/dev/null
                echo podman-load-$form-$name $("${{podman[@]}}" localhost/$name:1 || "${{podman[@]}}" $name:1)
                [ $name = came ] || echo podman-look-$form $(podman run --rm --network none $name:1 sh -c "{LOOK}")
                podman rmi -af >/dev/null
                rm -rf copied
                skopeo copy -q $form-archive:$name-$form.tar dir:copied
                echo skopeo-copy-$form-$name $(skopeo inspect --raw dir:copied | jq -r .config.digest) $(skopeo inspect --config dir:copied | jq -r '.rootfs.diff_ids[]')
            done
        done
        for image in made:gzip came:gzip made:zstd; do
            docker pull -q {address}/$image >/dev/null
            echo docker-pull-$image $("${{docker[@]}}" {address}/$image) $(docker image inspect -f '{{{{index .RepoDigests 0}}}}' {address}/$image | sed 's/.*@//')
            docker rmi -f {address}/$image >/dev/null
            podman pull -q --tls-verify=false {address}/$image >/dev/null
            echo podman-pull-$image $("${{podman[@]}}" {address}/$image) $(podman image inspect -f '{{{{.Digest}}}}' {address}/$image)
            podman rmi -af >/dev/null
        done
        "#
    ));
    let found = table(&output);
    let ours = |name: &str| what(&brig.inspect(&format!("{name}:1"), WHAT));
    for name in ["made", "came"] {
        let readers = ["docker-load", "podman-load-docker", "podman-load-oci", "skopeo-copy-docker", "skopeo-copy-oci"];
        for reader in readers {
            assert_eq!(found[&format!("{reader}-{name}")], ours(name), "{reader} {name}");
        }
    }
    for (image, digest) in digests {
        let name = image.split(':').next().unwrap();
        let expected = [ours(name), what(&digest)].concat();
        for reader in ["docker-pull", "podman-pull"] {
            assert_eq!(found[&format!("{reader}-{image}")], expected, "{reader} {image}");
        }
    }
    let look: Vec<String> = what(&brig.ok(&format!("run --rm made:1 sh -c \"{LOOK}\"")));
    assert!(look.contains(&"vi".to_owned()) && look.contains(&"4711".to_owned()), "{look:?}");
    for reader in ["docker-look", "podman-look-docker", "podman-look-oci"] {
        assert_eq!(found[reader], look, "{reader}");
    }
}

#[test]
fn brig_reads_what_others_write() {
    if !is_wanted() || is_docker() {
        return;
    }
    let Some(peers) = Peers::find() else { return };
    let brig = stocked();
    let registry = DockerRegistry::start(&brig.dir);
    let address = &registry.address;
    let container = brig.ok("create bb true");
    brig.ok(&format!("export -o {}/root.tar {container}", peers.dir.display()));
    let output = peers.bash(&format!(
        r#"
        trap 'docker rm -f box >/dev/null 2>&1 || true; docker rmi -f $(docker images -aq) >/dev/null 2>&1 || true; podman rm -af >/dev/null 2>&1 || true; podman rmi -af >/dev/null 2>&1 || true' EXIT
        docker import root.tar base:1 >/dev/null
        docker run --name box --network none base:1 sh -c "{CHANGE}"
        docker commit -c 'ENV A=b' box theirs:1 >/dev/null
        docker save -o docker.tar theirs:1
        docker tag theirs:1 {address}/docker:1
        docker push -q {address}/docker:1 >/dev/null
        echo docker $(docker image inspect -f '{WHAT}' theirs:1)
        podman import -q root.tar localhost/base:1 >/dev/null
        podman run --name box --network none localhost/base:1 sh -c "{CHANGE}"
        podman commit -q -c 'ENV A=b' box localhost/theirs:1 >/dev/null
        podman save -q --format docker-archive -o podman-docker.tar localhost/theirs:1
        podman save -q --format oci-archive -o podman-oci.tar localhost/theirs:1
        podman push -q --tls-verify=false localhost/theirs:1 {address}/podman:gzip
        podman push -q --tls-verify=false --compression-format zstd --force-compression localhost/theirs:1 {address}/podman:zstd
        podman push -q --tls-verify=false --compression-format zstd:chunked --force-compression localhost/theirs:1 {address}/podman:chunked
        podman push -q --tls-verify=false --format v2s2 localhost/theirs:1 {address}/podman:docker
        echo podman $(podman image inspect -f '{WHAT}' localhost/theirs:1)
        "#
    ));
    let found = table(&output);
    let look = |name: &str| brig.ok(&format!("run --rm {name} sh -c \"{LOOK}\""));
    let expected = look("made:1");
    // The forms that rewrite the configuration have another id, never other layers.
    let layers = |words: &[String]| words[1..].to_vec();
    for (archive, by, same_id) in
        [("docker.tar", "docker", true), ("podman-docker.tar", "podman", false), ("podman-oci.tar", "podman", true)]
    {
        let loaded = brig.ok(&format!("load -i {}/{archive}", peers.dir.display()));
        let name = loaded.trim_start_matches("Loaded image: ").to_owned();
        let ours = what(&brig.inspect(&name, WHAT));
        assert_eq!(layers(&ours), layers(&found[by]), "{archive}");
        assert!(!same_id || ours == found[by], "{archive}: {ours:?} {:?}", found[by]);
        assert_eq!(look(&name), expected, "{archive}");
        assert_eq!(brig.inspect(&name, "{{json .Config.Env}}").matches("A=b").count(), 1);
        brig.ok(&format!("rmi {name}"));
    }
    let pushed = [
        ("docker:1", "docker", true),
        ("podman:gzip", "podman", true),
        ("podman:zstd", "podman", true),
        ("podman:chunked", "podman", true),
        ("podman:docker", "podman", false),
    ];
    for (name, by, same_id) in pushed {
        let reference = format!("{address}/{name}");
        brig.ok(&format!("pull -q {reference}"));
        let ours = what(&brig.inspect(&reference, WHAT));
        assert_eq!(layers(&ours), layers(&found[by]), "{name}");
        assert!(!same_id || ours == found[by], "{name}: {ours:?} {:?}", found[by]);
        assert_eq!(look(&reference), expected, "{name}");
        let place = format!("docker://{reference}");
        let digest = tool("skopeo", &["inspect", "--no-tags", "--tls-verify=false", "--format", "{{.Digest}}", &place]);
        assert!(brig.inspect(&reference, "{{index .RepoDigests 0}}").ends_with(&format!("@{digest}")), "{name}");
        brig.ok(&format!("rmi {reference}"));
    }
}
