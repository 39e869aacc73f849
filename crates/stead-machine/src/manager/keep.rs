//! Which snapshots are kept.

use crate::model::Snapshot;
use stead_file::declared::Keep;

/// How many of those that Stead made by itself are kept.
const AUTOMATIC: usize = 5;

/// The names of those that go, now that this one was made. That one never does. A snapshot from the future, as after the
/// clock was set back, has no age.
pub(super) fn too_many(snapshots: &[Snapshot], keep: Keep, made: &str, now: u64) -> Vec<String> {
    let mut go = Vec::new();
    for automatic in [false, true] {
        let mut others: Vec<&Snapshot> =
            snapshots.iter().filter(|s| s.automatic == automatic && s.name != made).collect();
        // Newest first; listed later is newer where the times are the same.
        others.reverse();
        others.sort_by_key(|s| std::cmp::Reverse(s.at));
        let of_this_kind = snapshots.iter().any(|s| s.automatic == automatic && s.name == made);
        let count = if automatic { Some(AUTOMATIC) } else { keep.count.map(|c| c as usize) };
        let room = count.map(|count| count.saturating_sub(usize::from(of_this_kind)));
        for (place, snapshot) in others.into_iter().enumerate() {
            let crowded = room.is_some_and(|room| place >= room);
            let age = now.saturating_sub(snapshot.at);
            let old = !automatic && keep.age.is_some_and(|most| age > most.saturating_mul(1000));
            if crowded || old {
                go.push(snapshot.name.clone());
            }
        }
    }
    go
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Consistency;

    fn snapshot(name: &str, at: u64) -> Snapshot {
        Snapshot {
            name: name.into(),
            at,
            note: String::new(),
            consistency: Consistency::Quiesced,
            automatic: name.starts_with("before"),
            how: String::new(),
        }
    }

    fn go(
        snapshots: &[(&str, u64)],
        count: Option<u32>,
        age: Option<u64>,
        made: &str,
        now: u64,
    ) -> Vec<String> {
        let snapshots: Vec<_> = snapshots.iter().map(|(name, at)| snapshot(name, *at)).collect();
        too_many(&snapshots, Keep { count, age }, made, now)
    }

    #[test]
    fn the_newest_stay() {
        let all = [("a", 1000), ("b", 2000), ("c", 3000)];
        assert!(go(&all, None, None, "c", 9_000_000).is_empty());
        assert_eq!(go(&all, Some(2), None, "c", 3000), ["a"]);
        assert_eq!(go(&all, Some(1), None, "c", 3000), ["b", "a"]);
        assert_eq!(go(&all, Some(0), None, "c", 3000), ["b", "a"]);
        assert_eq!(go(&all, None, Some(2), "c", 3000), ["a"; 0]);
        assert_eq!(go(&all, None, Some(2), "c", 3001), ["a"]);
        assert_eq!(go(&all, None, Some(1), "c", 900_000), ["b", "a"]);
    }

    #[test]
    fn a_clock_set_back_removes_nothing_by_age_and_never_the_one_just_made() {
        let all = [("a", 500_000), ("b", 600_000), ("new", 1000)];
        assert!(go(&all, None, Some(1), "new", 1000).is_empty());
        assert_eq!(go(&all, Some(2), None, "new", 1000), ["a"]);
        assert_eq!(go(&all, Some(1), Some(1), "new", 1000), ["b", "a"]);
    }

    #[test]
    fn automatic_ones_have_a_bound_of_their_own() {
        let names: Vec<String> = (0..8).map(|n| format!("before-{n}")).collect();
        let mut all: Vec<(&str, u64)> =
            names.iter().zip(0..).map(|(n, at)| (n.as_str(), at)).collect();
        all.push(("mine", 0));
        assert_eq!(go(&all, Some(1), None, "before-0", 9), ["before-3", "before-2", "before-1"]);
        assert_eq!(go(&all, Some(1), None, "mine", 9), ["before-2", "before-1", "before-0"]);
    }
}
