//! Logs as the real writer leaves them, read back: rotation, tail, times, damage, following.
//! Nothing here waits for a clock; what the writer does meanwhile, the reader's own callback does.

use super::*;
use crate::monitor::log::LogWriter;
use crate::options::Log;
use proptest::prelude::*;
use std::cell::RefCell;
use std::path::PathBuf;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("brig-logs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn writer(&self, max_size_bytes: u64, max_files: u32) -> LogWriter {
        LogWriter::open(&self.0, &Log { max_size_bytes, max_files, ..Log::default() }, &Attributes::new()).unwrap()
    }

    fn read(&self, query: &Query) -> Vec<String> {
        let mut texts = Vec::new();
        read_directory(&self.0, 100, query, &mut || false, &mut |entry| {
            texts.push(String::from_utf8(entry.text).unwrap());
            true
        })
        .unwrap();
        texts
    }

    fn tail(&self, lines: usize) -> String {
        self.read(&Query { tail: Some(lines), ..Query::default() }).concat()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn an_absent_log_is_empty() {
    let scratch = Scratch::new("absent");
    assert!(scratch.read(&Query::default()).is_empty());
    assert_eq!(scratch.tail(3), "");
}

#[test]
fn rotated_files_are_read_in_order_past_a_gap() {
    let scratch = Scratch::new("order");
    let mut writer = scratch.writer(150, 9);
    for number in 0..10 {
        writer.write(Stream::Stdout, at(number), format!("{number}\n").as_bytes()).unwrap();
    }
    let all: Vec<String> = (0..10).map(|n| format!("{n}\n")).collect();
    assert_eq!(scratch.read(&Query::default()), all);
    // As a rotation leaves it that was killed before its last rename.
    for number in (1..5).rev() {
        std::fs::rename(scratch.0.join(rotated_name(number)), scratch.0.join(rotated_name(number + 1))).unwrap();
    }
    assert_eq!(scratch.read(&Query::default()), all);
    assert_eq!(scratch.tail(5), all[5..].concat());
}

#[test]
fn since_and_until() {
    let scratch = Scratch::new("since");
    let mut writer = scratch.writer(0, 1);
    for number in 0..6 {
        writer.write(Stream::Stdout, at(number), format!("{number}").as_bytes()).unwrap();
    }
    let query = Query { since: Some(at(2)), until: Some(at(4)), ..Query::default() };
    assert_eq!(scratch.read(&query).concat(), "234");
}

#[test]
fn tail_counts_lines_of_each_stream_and_not_entries() {
    let scratch = Scratch::new("tail");
    let mut writer = scratch.writer(0, 1);
    for (stream, text) in [
        (Stream::Stdout, "one\n"),
        (Stream::Stdout, "tw"),
        (Stream::Stderr, "err\n"),
        (Stream::Stdout, "o\n"),
        (Stream::Stdout, "three\nfo"),
        (Stream::Stdout, "ur"),
    ] {
        writer.write(stream, at(0), text.as_bytes()).unwrap();
    }
    for (lines, expected) in
        [(0, ""), (1, "four"), (2, "three\nfour"), (4, "twerr\no\nthree\nfour"), (9, "one\ntwerr\no\nthree\nfour")]
    {
        assert_eq!(scratch.tail(lines), expected, "{lines}");
    }
}

#[test]
fn damage_is_passed_over() {
    let scratch = Scratch::new("damage");
    let mut writer = scratch.writer(0, 1);
    writer.write(Stream::Stdout, at(0), b"good\n").unwrap();
    let path = scratch.0.join(FILE_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&vec![b'x'; (1 << 20) + 70_000]);
    bytes.extend_from_slice(b"\nnot json\n\0\n");
    std::fs::write(&path, &bytes).unwrap();
    scratch.writer(0, 1).write(Stream::Stdout, at(1), b"after\n").unwrap();
    let bytes = [std::fs::read(&path).unwrap(), b"{\"log\":\"torn".to_vec()].concat();
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(scratch.read(&Query::default()), ["good\n", "after\n"]);
    assert_eq!(scratch.tail(1), "after\n");
    assert_eq!(scratch.tail(2), "good\nafter\n");
}

#[test]
fn follow_ends_with_the_container_and_loses_nothing_by_rotation() {
    let scratch = Scratch::new("follow");
    // Few bytes a file: nearly every write rotates, also between the reader's steps.
    let writer = RefCell::new(scratch.writer(300, 100));
    writer.borrow_mut().write(Stream::Stdout, at(0), b"0\n").unwrap();
    let mut expected = 1;
    let mut seen = Vec::new();
    let mut rounds = 0;
    let mut lives = || {
        rounds += 1;
        rounds < 3
    };
    let mut sink = |entry: Entry| {
        if expected < 200 {
            for _ in 0..3 {
                let text = format!("{expected}\n");
                writer.borrow_mut().write(Stream::Stdout, at(0), text.as_bytes()).unwrap();
                expected += 1;
            }
        }
        // What `lives` is asked for again.
        std::fs::write(scratch.0.join("state.json"), "{}").unwrap();
        seen.push(String::from_utf8(entry.text).unwrap());
        true
    };
    let query = Query { follow: true, ..Query::default() };
    read_directory(&scratch.0, 100, &query, &mut lives, &mut sink).unwrap();
    assert_eq!(seen.concat(), (0..expected).map(|n| format!("{n}\n")).collect::<String>());
}

#[test]
fn a_follower_that_wants_no_more_ends() {
    let scratch = Scratch::new("enough");
    scratch.writer(0, 1).write(Stream::Stdout, at(0), b"a\nb\nc\n").unwrap();
    let mut count = 0;
    let mut sink = |_| {
        count += 1;
        count < 2
    };
    let query = Query { follow: true, ..Query::default() };
    read_directory(&scratch.0, 1, &query, &mut || true, &mut sink).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn a_removed_container_ends_the_follower() {
    let scratch = Scratch::new("removed");
    scratch.writer(0, 1).write(Stream::Stdout, at(0), b"a\n").unwrap();
    let mut texts = Vec::new();
    let query = Query { follow: true, ..Query::default() };
    let directory = scratch.0.clone();
    read_directory(&scratch.0, 1, &query, &mut || directory.exists(), &mut |entry| {
        texts.push(entry.text);
        std::fs::remove_dir_all(&directory).unwrap();
        true
    })
    .unwrap();
    assert_eq!(texts, [b"a\n"]);
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_come_back(
        pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40)), 0..20),
        max_size_bytes in 100u64..2000,
    ) {
        let scratch = Scratch::new("pieces");
        let mut writer = scratch.writer(max_size_bytes, 1000);
        let mut expected = [Vec::new(), Vec::new()];
        for (second, bytes) in &pieces {
            let stream = if *second { Stream::Stderr } else { Stream::Stdout };
            writer.write(stream, at(0), bytes).unwrap();
            expected[usize::from(*second)].extend_from_slice(bytes);
        }
        let mut got = [Vec::new(), Vec::new()];
        read_directory(&scratch.0, 1000, &Query::default(), &mut || false, &mut |entry| {
            got[usize::from(entry.stream == Stream::Stderr)].extend_from_slice(&entry.text);
            true
        }).unwrap();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_tail_is_the_end_of_the_whole(lines in 0usize..30, count in 0usize..25, max_size_bytes in 100u64..2000) {
        let scratch = Scratch::new("tails");
        let mut writer = scratch.writer(max_size_bytes, 1000);
        for number in 0..count {
            writer.write(Stream::Stdout, at(0), format!("{number}\n").as_bytes()).unwrap();
        }
        let expected: String = (count.saturating_sub(lines)..count).map(|n| format!("{n}\n")).collect();
        prop_assert_eq!(scratch.tail(lines), expected);
    }
}
