//! Several processes at one store: whoever brings images in or makes containers of them keeps what it needs, whatever
//! others remove meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::Brig;
use crate::harness::image::{Image, busybox_tar, gzip_layer};
use crate::harness::registry::TestRegistry;
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

const ROUNDS: usize = 12;

/// Two images that share a layer.
fn image(text: &str) -> Image {
    let tar = Tar::new().file("text", 0o644, text.as_bytes()).finish();
    Image::new(&serde_json::json!({"Cmd": ["cat", "/text"]}), vec![gzip_layer(busybox_tar()), gzip_layer(&tar)])
}

#[test]
fn a_sweep_takes_nothing_that_others_need() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let (one, two) = (registry.add("one", "latest", &image("one")), registry.add("two", "latest", &image("two")));
    let archive = brig.write("three.tar", image("three").oci_archive("three:1"));
    let over = AtomicBool::new(false);
    let while_others_work = |act: &dyn Fn()| {
        while !over.load(Ordering::Relaxed) {
            act();
        }
    };
    // Each load evicts what nobody needs.
    let config = brig.write("brig.toml", "store.max = \"1kB\"");
    let load = || {
        let line = format!("load -i {archive}");
        brig.command(&line).env("BRIG_CONFIG", &config).start().finish().expect(0);
    };
    thread::scope(|scope| {
        scope.spawn(|| while_others_work(&|| drop(brig.run("image prune -af").expect(0))));
        scope.spawn(|| while_others_work(&|| drop(brig.run(&format!("rmi -f {one} three:1")))));
        let workers = [
            scope.spawn(|| (0..ROUNDS).for_each(|_| drop(brig.run(&format!("pull -q {one}")).expect(0)))),
            scope.spawn(|| (0..ROUNDS).for_each(|_| load())),
            // Between its pull and its container the image may be removed by name, but never a part of it.
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let run = brig.run(&format!("run --rm {two}"));
                    let gone = run.code == 125 && run.stderr.to_lowercase().contains("no such image");
                    assert!(
                        gone || (run.code == 0 && run.text() == "two"),
                        "{} {} {}",
                        run.code,
                        run.text(),
                        run.stderr
                    );
                }
            }),
        ];
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        over.store(true, Ordering::Relaxed);
        results.into_iter().for_each(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    assert!(brig.ok("image check").ends_with(" 0 damaged"));
    for (name, text) in [(one, "one"), (two, "two")] {
        assert_eq!(brig.ok(&format!("run --rm {name}")), text);
    }
    brig.ok("image prune -af");
    let layers = std::fs::read_dir(brig.root().join("layers")).expect("a directory").count();
    assert_eq!(layers, 0, "nothing is left of what was removed");
}
