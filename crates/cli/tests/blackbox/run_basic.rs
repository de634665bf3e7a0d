//! `run` at its simplest: a command, its output, its exit code, and nothing left afterwards.

use crate::harness::Brig;

#[test]
fn a_command_prints_and_ends() {
    let brig = Brig::new();
    let output = brig.run("run --rm bb echo 'hello there'").expect(0);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("hello there", ""));
    assert_eq!(brig.ok("ps -aq"), "");
}
