//! What is on disk is damaged: nothing is destroyed, and it is told.

use crate::common::World;

#[test]
fn a_damaged_record_is_told_and_nothing_is_destroyed() {
    let world = World::new();
    world.apply("[machines.a]\n[machines.b]\n");
    world.sh_ok("a", "echo precious > /srv/file");
    let record = world.places().data.join("machines/a/machine.json");
    let whole = std::fs::read(&record).unwrap();
    for damage in [&b"{\"not\": \"a record\"}"[..], b"", b"\0\xff\xff", &whole[..whole.len() / 2]] {
        world.kill_steward();
        std::fs::write(&record, damage).unwrap();
        let shown = world.ok(&["ls", "--machines"]);
        assert!(shown.contains("damaged") && shown.contains("machine.json"), "{shown}");
        let planned = world.stead(&["plan"]);
        assert!(!planned.out.contains("create") && !planned.out.contains("destroy"), "{planned:?}");
        world.stead(&["apply", "--yes"]);
        // It is not started over, and the other is served.
        assert_eq!(std::fs::read(&record).unwrap(), damage);
        assert_eq!(world.sh_ok("b", "echo yes"), "yes\n");
        let refused = world.stead(&["destroy", "--yes", "a"]);
        assert_ne!(refused.status, 0, "{refused:?}");
    }
    world.kill_steward();
    std::fs::write(&record, &whole).unwrap();
    assert_eq!(world.sh_ok("a", "cat /srv/file"), "precious\n");
    assert_eq!(world.stead(&["plan"]).status, 0);
}
