//! One thing that a source said, and the clock that claims are ordered by.

use stead_wire::status::{Evidence, Source, State};

/// Longest evidence in characters.
const LONGEST: usize = 160;

/// A moment: when by the wall, how far by the judge's own clock, and after which other events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Milliseconds since the Unix epoch, for people.
    pub wall: u64,
    /// Milliseconds of a clock that never goes back, for delays.
    pub steady: u64,
    /// Counts events, for order within a millisecond.
    pub order: u64,
}

/// Makes moments. The wall clock may be set back; delays and order must not suffer.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_wall: u64,
    lost: u64,
    order: u64,
}

impl Clock {
    pub(super) fn moment(&mut self, wall: u64) -> Moment {
        self.lost = self.lost.saturating_add(self.last_wall.saturating_sub(wall));
        self.last_wall = wall;
        self.order += 1;
        Moment { wall, steady: wall.saturating_add(self.lost), order: self.order }
    }

    /// The wall time at which the steady clock will show `steady`, unless the wall clock is set.
    pub(super) fn wall_of(&self, steady: u64) -> u64 {
        steady.saturating_sub(self.lost)
    }
}

/// What a source said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub source: Source,
    pub state: State,
    pub when: Moment,
    pub detail: String,
}

impl Claim {
    pub(super) fn new(source: Source, state: State, when: Moment, detail: &str) -> Self {
        Claim { source, state, when, detail: one_line(detail) }
    }

    pub(super) fn after(&self, other: Moment) -> bool {
        self.when.order > other.order
    }

    pub(super) fn evidence(&self, decides: bool) -> Evidence {
        Evidence {
            source: self.source,
            state: self.state,
            at: self.when.wall,
            detail: self.detail.clone(),
            decides,
        }
    }
}

/// Fit for one line on a person's terminal: no control characters, not long.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_delays_nothing() {
        let mut clock = Clock::default();
        let before = clock.moment(10_000);
        let after = clock.moment(1_000);
        assert!(after.steady >= before.steady && after.order > before.order);
        assert_eq!(after.wall, 1_000);
        assert_eq!(clock.wall_of(after.steady + 250), 1_250);
    }

    #[test]
    fn evidence_is_one_short_line() {
        let line = one_line(&"a\n\x1b[31m".repeat(1000));
        assert!(line.chars().count() == LONGEST + 1 && !line.chars().any(char::is_control));
    }
}
