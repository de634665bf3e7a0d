//! docker, containerd, podman and buildah run containers with brig as their OCI runtime: each script is run twice, with brig and
//! with runc, and must say the same. They are where `harness::peers` finds them, and work in a network of their own.

use super::is_wanted;
use crate::harness::image::busybox_path;
use crate::harness::peers::Peers;
use crate::harness::sandbox::{is_docker, program};

/// What the scripts have in common. `say NAME COMMAND…` prints what a command prints and how it ends, not what it complains of:
/// messages are everybody's own, and so are ids. `$runtime` is a path.
const PRELUDE: &str = r#"
say() {
    local name=$1 code=0 out; shift
    out=$(timeout 60 "$@" 2>/dev/null </dev/null | tr -d '\r\000') || code=$?
    # script(1) shows the end of its own input, here or there.
    out=$(tr '\n\b' '  ' <<<"$out" | sed 's/[0-9a-f]\{64\}/ID/g; s/\^[@D]//g; s/  */ /g; s/ $//')
    echo "$name: $out [$code]"
}
terminal() { local name=$1; shift; say "$name" script -qec "stty rows 30 cols 90; $*" /dev/null; }
until_it() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "never: $*"; exit 1; }
says() { local wanted=$1; shift; [ "$("$@" 2>/dev/null)" = "$wanted" ]; }
# A shell that is found under all names that are used here.
mkdir -p rootfs/{bin,dev,proc,sys,etc,tmp}; cp busybox rootfs/bin/busybox
for name in sh true sleep echo cat ls id stty tty hostname grep touch test; do ln -sf busybox rootfs/bin/$name; done
echo root:x:0:0:root:/:/bin/sh >rootfs/etc/passwd
tar -C rootfs -cf bb.tar .
"#;

/// docker's daemon knows two ways to name a runtime: a path, and a path with arguments. brig is called in both.
const DOCKER: &str = r#"
cat >daemon.json <<END
{"experimental": true, "data-root": "$PWD/docker", "runtimes": {"there": {"path": "$runtime"}, "words": {"path": "$program", "runtimeArgs": $words}}}
END
containerd >containerd.log 2>&1 & containerd=$!
dockerd --config-file daemon.json --containerd /run/containerd/containerd.sock >dockerd.log 2>&1 & dockerd=$!
trap 'docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1; kill $dockerd; wait $dockerd || true; kill $containerd; wait $containerd || true' EXIT
until_it docker info
docker import - bb <bb.tar >/dev/null
run="docker run --runtime there"
say hello $run --rm bb echo hello
say words docker run --runtime words --rm --network none bb echo hello
say status $run --rm bb sh -c 'exit 7'
say none $run --rm bb /nope
say directory $run --rm bb /etc
say detached $run -d --name aa bb sh -c 'trap "echo got" USR1; echo started; while :; do sleep 0.1; done'
say exec docker exec -e X=1 -u 5:6 -w /tmp aa sh -c 'id; echo $X; pwd'
say exec-privileged docker exec --privileged aa grep CapEff /proc/self/status
say exec-none sh -c 'docker exec aa /nope >/dev/null'
say exec-status docker exec aa sh -c 'exit 9'
say exec-detached docker exec -d aa sh -c 'echo x >/tmp/detached'
until_it docker exec aa cat /tmp/detached
terminal exec-terminal "docker exec -it aa sh -c 'tty; stty size'"
terminal terminal "$run --rm -it bb sh -c 'until stty size 2>&1 | grep -q 30; do sleep 0.1; done; tty; stty size'"
say pause docker pause aa
say paused docker inspect -f '{{.State.Status}}' aa
say resume docker unpause aa
say update docker update --memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 50 aa
say updated docker exec aa sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us memory.max pids.max cpu.max 2>/dev/null || true'
say top sh -c "docker top aa -eo pid,args | grep -c 'trap'"
say kill docker kill -s USR1 aa
until_it says $'started\ngot' docker logs aa
say restart docker restart -t 0 aa
say again docker exec aa echo again
say stop docker stop -t 0 aa
say stopped docker inspect -f '{{.State.ExitCode}} {{.State.Status}}' aa
say remove docker rm aa
say limits $run --rm --memory 32m --memory-reservation 20m --cpu-shares 512 --cpuset-cpus 0 --pids-limit 20 bb true
say closed $run --rm --read-only --tmpfs /run --cap-drop ALL --security-opt no-new-privileges -v $PWD:/s:ro --init -u 7 -h h bb sh -c 'id; hostname; grep -E "Cap|NoNew|Seccomp:" /proc/self/status; touch /x || touch /s/x || touch /run/x && echo only-run'
say open $run --rm --privileged --pid host --ipc host --network host bb true
say knobs $run --rm --device /dev/null:/dev/x --oom-score-adj 100 --sysctl kernel.msgmax=9000 --shm-size 8m --group-add 55 --ulimit nofile=100 --cgroupns private bb sh -c 'id; cat /proc/sys/kernel/msgmax /proc/self/oom_score_adj; ls /dev/x'
say always $run -d --name rr --restart always bb true
until_it says true docker inspect -f '{{ge .RestartCount 1}}' rr
say remove docker rm -f rr
say health $run -d --name hh --health-cmd 'test -e /tmp/ok' --health-interval 1s bb sh -c 'touch /tmp/ok; sleep 1000'
until_it says healthy docker inspect -f '{{.State.Health.Status}}' hh
say oom $run -d --name oo -m 16m --memory-swap 16m bb sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'
say wait docker wait oo
say killed docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oo
say port $run -d --name pp -p 18099:80 bb sh -c 'echo page >/tmp/index.html; busybox httpd -f -p 80 -h /tmp'
until_it says page curl -s http://127.0.0.1:18099/
"#;

const PODMAN: &str = r#"
podman="podman --root $PWD/podman --runroot /tmp/podman-run --runtime $runtime"
trap '$podman pod rm -fat0 >/dev/null 2>&1; $podman rm -fat0 >/dev/null 2>&1; $podman rmi -af >/dev/null 2>&1' EXIT
$podman import -q - localhost/bb:1 <bb.tar >/dev/null 2>&1
run="$podman run --network none" image=localhost/bb:1
say hello $run --rm $image echo hello
say status $run --rm $image sh -c 'exit 7'
say none $run --rm $image /nope
say directory $run --rm $image /etc
say detached $run -d --name aa $image sh -c 'trap "echo got" USR1; echo started; while :; do sleep 0.1; done'
say exec $podman exec -e X=1 -u 5:6 -w /tmp aa sh -c 'id; echo $X; pwd'
say exec-none $podman exec aa /nope
say exec-status $podman exec aa sh -c 'exit 9'
terminal exec-terminal "$podman exec -it aa sh -c 'tty; stty size'"
terminal terminal "$run --rm -it $image sh -c 'until stty size 2>&1 | grep -q 30; do sleep 0.1; done; tty; stty size'"
say pause $podman pause aa
say paused $podman inspect -f '{{.State.Status}}' aa
say resume $podman unpause aa
say update $podman update --memory 64m --pids-limit 50 aa
say updated $podman exec aa sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null || true'
say kill $podman kill -s USR1 aa
until_it says $'started\ngot' $podman logs aa
say restart $podman restart -t 0 aa
say stop $podman stop -t 0 aa
say stopped $podman inspect -f '{{.State.ExitCode}} {{.State.Status}}' aa
say remove $podman rm aa
say mapped $run --rm --uidmap 0:100000:65536 --gidmap 0:100000:65536 $image sh -c 'cat /proc/self/uid_map; id'
say checkpointed $run -d --name ck --security-opt seccomp=unconfined $image sh -c 'while :; do sleep 0.1; done'
say checkpoint $podman container checkpoint ck
say exited $podman inspect -f '{{.State.Status}}' ck
say restore $podman container restore ck
say running $podman inspect -f '{{.State.Status}}' ck
say pod $podman pod create --name po --network none --infra-image $image --infra-command 'sleep 1000'
say in-pod $podman run --rm --pod po $image hostname
say bridge $podman run --rm --network bridge $image grep -c eth0 /proc/net/dev
printf 'FROM %s\nRUN echo built >/b\nRUN cat /b\n' $image >Dockerfile
buildah="buildah --root $PWD/podman --runroot /tmp/podman-run"
say build $buildah bud -q --isolation oci --runtime $runtime --pull=never -t built -f Dockerfile .
say built $run --rm localhost/built cat /b
"#;

const CONTAINERD: &str = r#"
containerd --root $PWD/containerd >containerd.log 2>&1 & containerd=$!
trap 'kill $containerd; wait $containerd || true' EXIT
until_it ctr version
podman="podman --root $PWD/podman --runroot /tmp/podman-run"
$podman import -q - localhost/bb:1 <bb.tar >/dev/null 2>&1
$podman save -q --format oci-archive -o bb.oci localhost/bb:1
$podman rmi -af >/dev/null 2>&1
ctr image import --index-name bb:1 bb.oci >/dev/null
run="ctr run --runc-binary $runtime"
say hello $run --rm bb:1 c1 echo hello
say status $run --rm bb:1 c2 sh -c 'exit 7'
say none $run --rm bb:1 c3 /nope
say detached $run -d bb:1 c4 sleep 1000
say exec ctr task exec --exec-id e1 c4 echo in
say exec-status ctr task exec --exec-id e2 c4 sh -c 'exit 9'
terminal exec-terminal "ctr task exec --exec-id e3 -t c4 sh -c 'until stty size 2>&1 | grep -q 30; do sleep 0.1; done; tty; stty size'"
terminal terminal "$run --rm -t bb:1 c5 sh -c 'until stty size 2>&1 | grep -q 30; do sleep 0.1; done; tty; stty size'"
say pause ctr task pause c4
say paused sh -c "ctr task ls | grep -o PAUSED"
say resume ctr task resume c4
say metrics sh -c "ctr task metrics c4 | grep -cE '^(memory.usage_in_bytes|memory.usage|pids.current) '"
say limits $run --rm --memory-limit 33554432 --cpus 0.5 --read-only bb:1 c6 sh -c 'touch /x'
say kill ctr task kill -s 9 c4
until_it sh -c "ctr task ls | grep -q STOPPED"
say delete ctr task rm c4
say container ctr container rm c4
"#;

/// Runs a script with both runtimes; `must` is a line that says that it did something.
fn check(script: &str, must: &str) {
    if !is_wanted() || is_docker() {
        return;
    }
    let Some(peers) = Peers::find() else { return };
    for (from, name) in [(program(), "brig"), (busybox_path(), "busybox")] {
        std::fs::copy(&from, peers.dir.join(name)).unwrap_or_else(|error| panic!("{from}: {error}"));
    }
    let under = |runtime: &str| peers.bash_apart(&format!("{runtime}\n{PRELUDE}\n{script}"));
    let brig = under(r#"ln -sf brig brig-runtime; runtime=$PWD/brig-runtime program=$PWD/brig words='["runtime"]'"#);
    let runc = under(r#"runtime=$(command -v runc); program=$runtime words='["--debug"]'"#);
    assert!(brig.lines().any(|line| line == must), "{brig}");
    assert_eq!(brig, runc);
}

#[test]
fn docker_runs_containers_with_brig() {
    check(DOCKER, "hello: hello [0]");
}

#[test]
fn podman_and_buildah_run_containers_with_brig() {
    check(PODMAN, "hello: hello [0]");
}

#[test]
fn containerd_runs_containers_with_brig() {
    check(CONTAINERD, "hello: hello [0]");
}
