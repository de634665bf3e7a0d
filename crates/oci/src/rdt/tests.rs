//! The rules of the specification on a directory that is laid out as resctrl is; what the kernel does by itself (files in new
//! groups, words about errors) is not in it.

use super::*;
use crate::error::Error;
use std::path::{Path, PathBuf};

/// Removed in the end.
struct Fake(PathBuf);

impl Fake {
    fn new(name: &str) -> Fake {
        let root = std::env::temp_dir().join(format!("brig-rdt-{name}-{}", std::process::id()));
        for directory in ["info/L3", "info/MB", "mon_groups", "named", "named/mon_groups"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        for class in ["", "named/"] {
            std::fs::write(root.join(format!("{class}schemata")), "    L3:0=7ff;1=0f0\n    MB:0=100;1= 50\n").unwrap();
            std::fs::write(root.join(format!("{class}tasks")), "").unwrap();
        }
        Fake(root)
    }

    fn resctrl(&self) -> Resctrl {
        Resctrl::at(&self.0)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).unwrap_or_default()
    }

    fn has(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// Without the files, which the kernel's go away with their directory.
    fn empty(&self, class: &str) {
        for name in ["schemata", "tasks"] {
            let _ = std::fs::remove_file(self.0.join(class).join(name));
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn asked(clos_id: &str, l3: &str, mb: &str) -> IntelRdt {
    IntelRdt { clos_id: clos_id.into(), l3_cache_schema: l3.into(), mem_bw_schema: mb.into(), ..IntelRdt::default() }
}

fn record(intel_rdt: Option<IntelRdt>) -> Record {
    let linux = spec::runtime::Linux { intel_rdt, ..Default::default() };
    Record {
        id: "c".into(),
        init_process_pid: 0,
        init_process_start: 0,
        created: spec::Timestamp::now(),
        bundle: PathBuf::new(),
        rootfs: PathBuf::new(),
        cgroup: String::new(),
        systemd_unit: String::new(),
        config: spec::runtime::Spec { linux: Some(linux), ..Default::default() },
        owner: 0,
        no_new_keyring: false,
    }
}

#[test]
fn a_container_has_a_class_of_its_own() {
    let fake = Fake::new("own");
    let lines = ["L2:0=f".to_owned(), "MB:0=10".to_owned()].to_vec();
    let wanted = IntelRdt { schemata: lines, ..asked("", "L3:0=7f0;1=1f", "MB:0=20;1=70") };
    let membership = Membership::make(&fake.resctrl(), &wanted, "c").unwrap();
    // What is set last stays.
    assert_eq!(fake.read("c/schemata"), "L2:0=f\nMB:0=10\n");
    membership.add(7).unwrap();
    assert_eq!(fake.read("c/tasks"), "7");
    assert!(matches!(Membership::make(&fake.resctrl(), &wanted, "c"), Err(Error::Kernel(_))));
    // Its files go with it in the kernel's.
    assert!(remove_from(&fake.resctrl(), &wanted, "c").unwrap_err().to_string().contains("not empty"));
    fake.empty("c");
    membership.take_back();
    assert!(!fake.has("c"));
    assert!(remove_from(&fake.resctrl(), &wanted, "c").is_ok());
}

#[test]
fn a_named_class_is_shared_and_stays() {
    let fake = Fake::new("named");
    let check = |wanted: IntelRdt, error: Option<&str>| {
        let made = Membership::make(&fake.resctrl(), &wanted, "c");
        match (made, error) {
            (Ok(_), None) => remove_from(&fake.resctrl(), &wanted, "c").unwrap(),
            (Err(found), Some(words)) => assert!(found.to_string().contains(words), "{found}"),
            (made, _) => panic!("{wanted:?}: {made:?}"),
        }
        assert!(!fake.has("c"));
    };
    check(asked("named", "", ""), None);
    check(asked("named", "L3:0=7ff", ""), None);
    std::fs::write(fake.0.join("named/schemata"), "L3:0=7ff;1=0f0\nMB:0=100;1= 50\n").unwrap();
    check(asked("named", "", "MB:1=60"), Some("does not match"));
    check(asked("named", "L3:0=07FF;1=f0", "MB:1=050"), None);
    check(asked("missing", "", ""), Some("no class of service \"missing\""));
    check(asked("info", "", ""), Some("no class of service"));
    assert!(fake.has("named"));
    let made = Membership::make(&fake.resctrl(), &asked("new", "L3:0=f", ""), "c").unwrap();
    assert!(made.made && fake.read("new/schemata") == "L3:0=f\n");
    remove_from(&fake.resctrl(), &asked("new", "L3:0=f", ""), "c").unwrap();
    assert!(fake.has("new"));
}

#[test]
fn containers_are_measured_in_a_group_of_their_own() {
    let fake = Fake::new("measured");
    for (class, path) in [("/", "mon_groups/c"), ("named", "named/mon_groups/c")] {
        let wanted = IntelRdt { enable_monitoring: true, ..asked(class, "", "") };
        let membership = Membership::make(&fake.resctrl(), &wanted, "c").unwrap();
        assert!(fake.has(path));
        membership.add(7).unwrap();
        assert_eq!(fake.read(&format!("{path}/tasks")), "7");
        fake.empty(path);
        remove_from(&fake.resctrl(), &wanted, "c").unwrap();
        assert!(!fake.has(path));
    }
    // The new class has no place for groups here, and is taken back.
    let wanted = IntelRdt { enable_monitoring: true, ..asked("", "", "") };
    assert!(Membership::make(&fake.resctrl(), &wanted, "c").is_err());
    assert!(!fake.has("c"));
}

#[test]
fn nonsense_is_refused_before_anything_is_made() {
    let fake = Fake::new("nonsense");
    std::fs::remove_dir(fake.0.join("info/MB")).unwrap();
    let lines = IntelRdt { schemata: vec!["L3:0=f\nMB:0=1".into()], ..IntelRdt::default() };
    let list = [
        (asked("..", "", ""), "ClosID"),
        (asked("a/b", "", ""), "ClosID"),
        (asked("", "L3:0=f\nMB:0=1", ""), "newline"),
        (lines, "newline"),
        (asked("", "", "L3:0=f"), "MB:"),
        (asked("", "", "MB:0=10"), "MBA is not enabled"),
    ];
    for (wanted, words) in list {
        let error = Membership::make(&fake.resctrl(), &wanted, "c").unwrap_err().to_string();
        assert!(error.contains(words) && !fake.has("c"), "{error}");
    }
}

#[test]
fn update_makes_a_class_or_changes_it() {
    let fake = Fake::new("update");
    let mut one = record(None);
    let l3 = Schemas { l3_cache: "L3:0=f".into(), ..Schemas::default() };
    update_in(&fake.resctrl(), &mut one, &l3, &[7]).unwrap();
    assert_eq!((fake.read("c/schemata").as_str(), fake.read("c/tasks").as_str()), ("L3:0=f\n", "7"));
    let mb = Schemas { memory_bandwidth: "MB:0=10".into(), ..Schemas::default() };
    update_in(&fake.resctrl(), &mut one, &mb, &[]).unwrap();
    assert_eq!(fake.read("c/schemata"), "MB:0=10\n");
    let kept = one.config.linux.unwrap().intel_rdt.unwrap();
    assert_eq!((kept.l3_cache_schema.as_str(), kept.mem_bw_schema.as_str()), ("L3:0=f", "MB:0=10"));
    let bad = Schemas { memory_bandwidth: "0=10".into(), ..Schemas::default() };
    assert!(update_in(&fake.resctrl(), &mut record(None), &bad, &[]).is_err());
}

#[test]
fn counters_have_runcs_names() {
    let fake = Fake::new("stats");
    let write = |path: &str, text: &str| {
        let path: PathBuf = fake.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("info/L3/cbm_mask", "7ff\n");
    write("info/L3/num_closids", "16\n");
    write("named/mon_data/mon_L3_00/llc_occupancy", "4096\n");
    write("named/mon_data/mon_L3_01/llc_occupancy", "Unavailable\n");
    let stats = stats_of(&fake.resctrl(), &asked("named", "", ""), "c").unwrap();
    assert_eq!(stats["l3_cache_info"], json!({"cbm_mask": "7ff", "min_cbm_bits": null, "num_closids": 16}));
    assert_eq!(
        (&stats["l3_cache_schema"], &stats["mem_bw_schema"]),
        (&json!("L3:0=7ff;1=0f0"), &json!("MB:0=100;1= 50"))
    );
    assert_eq!(stats["cmt_stats"], json!([{"llc_occupancy": 4096}]));
    assert!(stats.get("mbm_stats").is_none());
}
