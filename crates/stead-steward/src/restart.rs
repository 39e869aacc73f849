//! Whether a session that has ended is started again, and when.

use std::time::Duration;
use stead_wire::session::{EndedBy, Exit, Restart};

/// A life of at least this makes up for the failures before it.
const GOOD_LIFE: Duration = Duration::from_mins(10);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(5);

/// What to do with a session that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It stays ended.
    Stay,
    /// Start it after this long.
    After(Duration),
}

/// How often a session has ended soon after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    short_lives: u32,
}

impl Tries {
    /// Decides what happens after a life of `lived` that ended with `exit`, and counts it.
    ///
    /// A session that a person ended stays ended, whatever its policy. One that was lost under a steward
    /// that looks on starts at once, but if that happens again and again it waits as one does that
    /// ends by itself: 1 s, doubling to 5 min, until it has lived for 10 min.
    pub fn decide(&mut self, restart: Restart, exit: &Exit, lived: Duration) -> Decision {
        if lived >= GOOD_LIFE {
            self.short_lives = 0;
        }
        let wanted = match (restart, exit.by) {
            (Restart::Never, _) | (_, EndedBy::Person) | (Restart::Resume, EndedBy::Itself) => {
                false
            }
            // What could not be started is tried again only where that was asked for.
            (Restart::Resume, EndedBy::Lost) => exit.failed.is_none(),
            (Restart::Always, EndedBy::Itself | EndedBy::Lost) => true,
        };
        if !wanted {
            return Decision::Stay;
        }
        let lost_once = exit.by == EndedBy::Lost && self.short_lives == 0;
        let delay = if lost_once {
            Duration::ZERO
        } else {
            FIRST_DELAY.saturating_mul(1 << self.short_lives.min(16)).min(LONGEST_DELAY)
        };
        self.short_lives += 1;
        Decision::After(delay)
    }

    /// Forgets earlier failures: a person has started it.
    pub fn reset(&mut self) {
        self.short_lives = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(by: EndedBy) -> Exit {
        Exit { code: Some(0), signal: None, at: 1, by, failed: None }
    }

    #[test]
    fn every_policy_meets_every_end() {
        use EndedBy::{Itself, Lost, Person};
        use Restart::{Always, Never, Resume};
        for (restart, by, again) in [
            (Never, Itself, false),
            (Never, Person, false),
            (Never, Lost, false),
            (Resume, Itself, false),
            (Resume, Person, false),
            (Resume, Lost, true),
            (Always, Itself, true),
            (Always, Person, false),
            (Always, Lost, true),
        ] {
            let decision = Tries::default().decide(restart, &exit(by), Duration::from_secs(5));
            assert_eq!(decision != Decision::Stay, again, "{restart:?} {by:?}: {decision:?}");
        }
    }

    #[test]
    fn short_lives_wait_longer_and_longer_until_a_long_one() {
        let mut tries = Tries::default();
        let mut after = |lived| match tries.decide(Restart::Always, &exit(EndedBy::Itself), lived) {
            Decision::After(delay) => delay.as_secs(),
            Decision::Stay => panic!("stays"),
        };
        let short = Duration::from_secs(2);
        assert_eq!([after(short), after(short), after(short)], [1, 2, 4]);
        for _ in 0..40 {
            after(short);
        }
        assert_eq!(after(short), 300);
        assert_eq!(after(GOOD_LIFE), 1);
    }

    #[test]
    fn one_loss_is_made_good_at_once_a_series_is_not() {
        let mut tries = Tries::default();
        let lost = exit(EndedBy::Lost);
        assert_eq!(
            tries.decide(Restart::Resume, &lost, Duration::ZERO),
            Decision::After(Duration::ZERO)
        );
        assert_eq!(
            tries.decide(Restart::Resume, &lost, Duration::ZERO),
            Decision::After(Duration::from_secs(2))
        );
    }

    #[test]
    fn what_never_started_is_not_resumed() {
        let failed = Exit { failed: Some("no such folder".into()), ..exit(EndedBy::Lost) };
        assert_eq!(
            Tries::default().decide(Restart::Resume, &failed, Duration::ZERO),
            Decision::Stay
        );
        assert_ne!(
            Tries::default().decide(Restart::Always, &failed, Duration::ZERO),
            Decision::Stay
        );
    }
}
