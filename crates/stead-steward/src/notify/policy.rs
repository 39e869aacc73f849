//! When a person is told: a pure machine, fed with transitions and the time.

use crate::settings::{Notify, Occasion};
use std::collections::HashMap;
use stead_wire::session::{EndedBy, Session};
use stead_wire::status::State;

/// What a person is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Why; `None` for a summary of what was held back.
    pub occasion: Option<Occasion>,
    /// A few words.
    pub title: String,
    /// One line.
    pub body: String,
    /// The session, unless it is a summary.
    pub session: Option<Session>,
}

/// Tokens that come back with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u64,
    most: u64,
    every: u64,
    /// When the last token came back; meaningless while the bucket is full.
    last: u64,
}

impl Bucket {
    fn new(most: u64, every: u64) -> Self {
        Bucket { tokens: most, most, every, last: 0 }
    }

    fn refill(&mut self, now: u64) {
        if self.tokens < self.most {
            let back = now.saturating_sub(self.last) / self.every;
            self.tokens = (self.tokens + back).min(self.most);
            self.last += back * self.every;
        }
    }

    fn take(&mut self, now: u64) -> bool {
        self.refill(now);
        if self.tokens == 0 {
            return false;
        }
        if self.tokens == self.most {
            self.last = now;
        }
        self.tokens -= 1;
        true
    }

    /// When there is a token again.
    fn next(&self, now: u64) -> u64 {
        if self.tokens > 0 { now } else { self.last + self.every }
    }
}

/// Notices about one session in a row, and how long until another, in milliseconds.
const PER_SESSION: (u64, u64) = (3, 60_000);
/// Notices about all sessions in a row, and how long until another, in milliseconds.
const OVERALL: (u64, u64) = (5, 10_000);

#[derive(Debug)]
struct Track {
    /// Since when it works, by the clock of its statuses.
    work_since: Option<u64>,
    pending: Option<(u64, Notice)>,
    /// The state that somebody was told of, with its age: it is told once.
    told: Option<(State, u64)>,
    bucket: Bucket,
}

/// All of it. Times are milliseconds of a clock that never steps.
#[derive(Debug)]
pub struct Policy {
    settings: Notify,
    sessions: HashMap<String, Track>,
    overall: Bucket,
    held_back: HashMap<Occasion, u32>,
}

impl Policy {
    /// One that has seen nothing yet.
    pub fn new(settings: Notify) -> Self {
        let (most, every) = OVERALL;
        Policy {
            settings,
            sessions: HashMap::new(),
            overall: Bucket::new(most, every),
            held_back: HashMap::new(),
        }
    }

    /// Other settings from now on.
    pub fn set(&mut self, settings: Notify) {
        self.settings = settings;
    }

    /// A session has moved to another state.
    pub fn moved(&mut self, now: u64, session: &Session) {
        let (most, every) = PER_SESSION;
        let track = self.sessions.entry(session.id.clone()).or_insert_with(|| Track {
            work_since: None,
            pending: None,
            told: None,
            bucket: Bucket::new(most, every),
        });
        let status = &session.status;
        // What had not settled has passed by.
        track.pending = None;
        let worked = match status.state {
            State::Running => {
                track.work_since.get_or_insert(status.since);
                0
            }
            State::Idle | State::Exited => {
                track.work_since.take().map_or(0, |from| status.since.saturating_sub(from))
            }
            State::Waiting | State::Unknown => 0,
        };
        let Some(occasion) = occasion(session, worked, &self.settings) else { return };
        if track.told == Some((status.state, status.since)) || !self.settings.on.contains(&occasion)
        {
            return;
        }
        let by_itself = session.exit.as_ref().is_some_and(|exit| exit.by == EndedBy::Itself);
        let settle = if by_itself { 0 } else { self.settings.settle };
        track.pending = Some((now + settle, notice(occasion, session)));
    }

    /// A session is no more.
    pub fn forget(&mut self, id: &str) {
        self.sessions.remove(id);
    }

    /// What is to be told now.
    pub fn due(&mut self, now: u64) -> Vec<Notice> {
        let mut due = Vec::new();
        for track in self.sessions.values_mut() {
            if let Some((at, notice)) = track.pending.take_if(|(at, _)| *at <= now) {
                track.told = notice.session.as_ref().map(|s| (s.status.state, s.status.since));
                if track.bucket.take(now) {
                    due.push((at, notice));
                }
            }
        }
        due.sort_by_key(|(at, _)| *at);
        let mut notices = Vec::new();
        for (_, notice) in due {
            // While some are held back, later ones wait for the summary with them.
            if self.held_back.is_empty() && self.overall.take(now) {
                notices.push(notice);
            } else if let Some(occasion) = notice.occasion {
                *self.held_back.entry(occasion).or_default() += 1;
            }
        }
        if !self.held_back.is_empty() && self.overall.take(now) {
            notices.push(summary(&std::mem::take(&mut self.held_back)));
        }
        notices
    }

    /// When something will be due, if anything.
    pub fn next(&self, now: u64) -> Option<u64> {
        let pending = self.sessions.values().filter_map(|t| t.pending.as_ref()).map(|(at, _)| *at);
        let held = (!self.held_back.is_empty()).then(|| self.overall.next(now));
        pending.chain(held).min()
    }
}

fn occasion(session: &Session, worked: u64, settings: &Notify) -> Option<Occasion> {
    match session.status.state {
        State::Waiting => Some(Occasion::Waiting),
        State::Idle if worked >= settings.idle_after * 1000 => Some(Occasion::Idle),
        State::Exited => {
            let exit = session.exit.as_ref()?;
            let bad = exit.code != Some(0) || exit.failed.is_some();
            (bad && exit.by != EndedBy::Person).then_some(Occasion::Failed)
        }
        _ => None,
    }
}

fn notice(occasion: Occasion, session: &Session) -> Notice {
    let name = &session.name;
    let title = match occasion {
        Occasion::Waiting => format!("{name} waits for you"),
        Occasion::Idle => format!("{name} is done"),
        Occasion::Failed => format!("{name} has failed"),
    };
    let mut body = crate::error::one_line(&session.status.detail);
    if let Some((at, _)) = body.char_indices().nth(300) {
        body.truncate(at);
        body.push('…');
    }
    Notice { occasion: Some(occasion), title, body, session: Some(session.clone()) }
}

fn summary(held: &HashMap<Occasion, u32>) -> Notice {
    let total: u32 = held.values().sum();
    let parts: Vec<String> =
        [(Occasion::Waiting, "waiting"), (Occasion::Failed, "failed"), (Occasion::Idle, "done")]
            .iter()
            .filter_map(|(occasion, word)| held.get(occasion).map(|n| format!("{n} {word}")))
            .collect();
    Notice {
        occasion: None,
        title: format!("{total} more sessions need a look"),
        body: parts.join(", "),
        session: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_wire::session::{Exit, Spec};
    use stead_wire::status::{Source, Status};

    fn session(id: &str, state: State, since: u64) -> Session {
        let spec: Spec = serde_json::from_value(serde_json::json!(
            {"id": id, "name": id, "command": ["sh"], "cwd": "/", "created": 1}
        ))
        .unwrap();
        let mut session = crate::record::from_spec(&spec, None);
        session.status =
            Status { state, source: Source::Hook, since, detail: "said\x1b\nso".into() };
        session
    }

    fn exited(id: &str, since: u64, code: i32, by: EndedBy) -> Session {
        let exit = Exit { code: Some(code), signal: None, at: since, by, failed: None };
        Session { exit: Some(exit), ..session(id, State::Exited, since) }
    }

    fn titles(notices: &[Notice]) -> Vec<&str> {
        notices.iter().map(|n| n.title.as_str()).collect()
    }

    fn policy() -> Policy {
        Policy::new(Notify::default())
    }

    #[test]
    fn waiting_is_told_once_it_has_lasted() {
        let mut policy = policy();
        policy.moved(0, &session("a", State::Waiting, 5));
        assert_eq!(policy.next(0), Some(2000));
        assert!(policy.due(1999).is_empty());
        let due = policy.due(2000);
        assert_eq!(titles(&due), ["a waits for you"]);
        assert_eq!(due[0].body, "said so");
        assert_eq!((policy.next(2000), policy.due(9000).len()), (None, 0));
        // The hold was silent for a while; it is still the same question.
        policy.moved(9000, &session("a", State::Unknown, 9));
        policy.moved(9001, &session("a", State::Waiting, 5));
        assert!(policy.due(20_000).is_empty());
    }

    #[test]
    fn flapping_is_not_told() {
        let mut policy = policy();
        for n in 0..100 {
            let now = n * 1000;
            policy.moved(now, &session("a", State::Waiting, now));
            assert!(policy.due(now).is_empty());
            policy.moved(now + 500, &session("a", State::Running, now + 500));
            assert!(policy.due(now + 500).is_empty());
        }
        assert!(policy.due(1_000_000).is_empty());
    }

    #[test]
    fn slow_flapping_is_told_a_few_times() {
        let mut policy = policy();
        let mut told = 0;
        for n in 0..20 {
            let now = n * 5000;
            policy.moved(now, &session("a", State::Waiting, now));
            told += policy.due(now + 2000).len();
            policy.moved(now + 3000, &session("a", State::Running, now + 3000));
        }
        assert_eq!(told, 4, "three at once and one after a minute");
    }

    #[test]
    fn the_end_of_a_turn_is_told_after_real_work() {
        let mut policy = policy();
        policy.moved(0, &session("a", State::Running, 1000));
        policy.moved(0, &session("a", State::Idle, 10_999));
        assert!(policy.due(10_000).is_empty());
        policy.moved(0, &session("a", State::Running, 20_000));
        policy.moved(0, &session("a", State::Waiting, 25_000));
        policy.moved(0, &session("a", State::Running, 26_000));
        policy.moved(0, &session("a", State::Idle, 30_000));
        assert_eq!(titles(&policy.due(50_000)), ["a is done"]);
        // At rest from the start: a steward that begins finds it so.
        policy.moved(0, &session("b", State::Idle, 90_000));
        assert!(policy.due(90_000).is_empty());
    }

    #[test]
    fn failures_are_told_at_once_and_only_failures() {
        let mut policy = policy();
        policy.moved(7, &exited("a", 1, 3, EndedBy::Itself));
        assert_eq!(titles(&policy.due(7)), ["a has failed"]);
        policy.moved(8, &exited("b", 1, 0, EndedBy::Itself));
        policy.moved(8, &exited("c", 1, 137, EndedBy::Person));
        assert!(policy.due(100_000).is_empty());
        // Lost and resumed at once: nobody needs to know.
        policy.moved(8, &exited("d", 1, 1, EndedBy::Lost));
        policy.moved(9, &session("d", State::Running, 2));
        assert!(policy.due(100_000).is_empty());
    }

    #[test]
    fn a_storm_gives_a_handful_and_one_summary() {
        let mut policy = policy();
        for n in 0..50 {
            policy.moved(n, &session(&format!("s{n}"), State::Waiting, n));
        }
        let mut all = policy.due(2100);
        assert_eq!(all.len(), 5);
        let next = policy.next(2100).unwrap();
        assert_eq!(next, 12_100);
        all.extend(policy.due(next));
        assert_eq!(all.len(), 6);
        assert_eq!(all[5].title, "45 more sessions need a look");
        assert_eq!(all[5].body, "45 waiting");
        assert_eq!(policy.next(next), None);
    }

    #[test]
    fn what_is_not_wanted_is_not_told() {
        let mut policy = Policy::new(Notify { on: vec![Occasion::Failed], ..Notify::default() });
        policy.moved(0, &session("a", State::Waiting, 5));
        assert_eq!(policy.next(0), None);
    }
}
