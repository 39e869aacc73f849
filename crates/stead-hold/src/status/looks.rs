//! When a look at the process and the screen is worth its cost.
//!
//! A look follows each activity once it has been quiet for a moment, twice more in case the program was merely
//! slow, and then never until something happens: idle sessions cost nothing. A program that prints
//! without pause is looked at too, ever more rarely.

use super::claim::Moment;

/// Quiet after which a look is taken, in milliseconds since the last activity.
const QUIET: [u64; 3] = [250, 1000, 4000];
/// Longest wait for quiet while the activity does not end, in milliseconds since the last look.
const BUSY: [u64; 4] = [1000, 2000, 5000, 15_000];

/// Quiet that counts as such, in milliseconds.
pub(super) const SETTLED: u64 = QUIET[0];
/// After this much quiet no further look follows, in milliseconds.
pub(super) const LONG_QUIET: u64 = QUIET[2];

#[derive(Debug, Default)]
pub(super) struct Looks {
    activity: Option<Moment>,
    /// First activity since the last look.
    unseen: Option<Moment>,
    looked: Option<Moment>,
    busy: usize,
    /// Something needs a look at this time of the steady clock, quiet or not.
    wanted: Option<u64>,
}

impl Looks {
    pub(super) fn activity(&mut self, now: Moment) {
        self.activity = Some(now);
        self.unseen.get_or_insert(now);
    }

    pub(super) fn want(&mut self, steady: u64) {
        self.wanted = Some(self.wanted.map_or(steady, |w| w.min(steady)));
    }

    pub(super) fn looked(&mut self, now: Moment) {
        let quiet = self.quiet_for(now) >= SETTLED;
        self.busy = if quiet { 0 } else { (self.busy + 1).min(BUSY.len() - 1) };
        self.looked = Some(now);
        self.unseen = None;
        self.wanted = self.wanted.filter(|w| *w > now.steady);
    }

    /// Milliseconds since the last activity.
    pub(super) fn quiet_for(&self, now: Moment) -> u64 {
        self.activity.map_or(u64::MAX, |a| now.steady.saturating_sub(a.steady))
    }

    /// When the next look is due, by the steady clock.
    pub(super) fn due(&self) -> Option<u64> {
        let looked = self.looked.map_or(0, |l| l.steady);
        let quiet = self.activity.and_then(|activity| {
            let quiet =
                QUIET.iter().map(|q| activity.steady.saturating_add(*q)).find(|t| *t > looked);
            match self.unseen {
                Some(unseen) => {
                    let at_last = unseen.steady.max(looked).saturating_add(BUSY[self.busy]);
                    Some(quiet.map_or(at_last, |q| q.min(at_last)))
                }
                None => quiet,
            }
        });
        match (quiet, self.wanted) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Clock;
    use super::*;

    #[test]
    fn three_looks_follow_an_activity_and_then_none() {
        let mut clock = Clock::default();
        let mut looks = Looks::default();
        assert_eq!(looks.due(), None);
        looks.activity(clock.moment(1000));
        for due in [1250, 2000, 5000] {
            assert_eq!(looks.due(), Some(due));
            looks.looked(clock.moment(due));
        }
        assert_eq!(looks.due(), None);
        looks.activity(clock.moment(9000));
        assert_eq!(looks.due(), Some(9250));
    }

    #[test]
    fn endless_output_is_looked_at_ever_more_rarely() {
        let mut clock = Clock::default();
        let mut looks = Looks::default();
        let mut at = Vec::new();
        for now in (0..60_000).step_by(10) {
            looks.activity(clock.moment(now));
            if looks.due().is_some_and(|due| due <= now) {
                looks.looked(clock.moment(now));
                at.push(now);
            }
        }
        assert!(at[0] <= 1000 && (4..10).contains(&at.len()), "{at:?}");
    }

    #[test]
    fn a_look_that_is_wanted_is_taken_once() {
        let mut clock = Clock::default();
        let mut looks = Looks::default();
        looks.want(500);
        looks.want(700);
        assert_eq!(looks.due(), Some(500));
        looks.looked(clock.moment(500));
        assert_eq!(looks.due(), None);
    }
}
