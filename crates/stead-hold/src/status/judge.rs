//! The judge: what every source said last, and which of them is right.
//!
//! The strongest source decides, but its word ages: something weaker that came later may contradict it. The
//! cases come from watching real agents. Claude Code fires no hook when a question is answered, when one
//! is dismissed or when a turn is interrupted; its title is right in all of them, and where there is no title, the
//! screen after somebody typed is the best there is.

use super::claim::{Claim, Clock, Moment, one_line};
use super::looks::{LONG_QUIET, Looks, SETTLED};
use super::probe::{AT_PROMPT, ProbeResult};
use super::{hooks, program, screen, stream};
use crate::term::{PromptMark, Signal};
use serde_json::Value;
use stead_wire::session::{AgentReport, AgentSpec, Conversation, Exit};
use stead_wire::status::{Evidence, Source, State, Status};

/// Judges the state of one life of a session.
///
/// Every `now` is milliseconds since the Unix epoch; it may be set back.
#[derive(Debug)]
pub struct Judge {
    agent: Option<AgentSpec>,
    clock: Clock,
    looks: Looks,
    lines: Option<stream::Lines>,

    exit: Option<Claim>,
    hook: Option<Claim>,
    /// A hook that says "running" while a question stands that nobody has answered: another tool of the
    /// same turn may have sent it.
    held: Option<Claim>,
    said: Option<Claim>,
    title: Option<Claim>,
    osc: Option<Claim>,
    /// What the program itself reports (OSC 7501), and whether that ends with it.
    program: Option<(Claim, bool)>,
    process: Option<Claim>,
    /// A notification that no profile explains; it says nothing of the state.
    note: Option<(Moment, String)>,

    /// The first typing since the last hook.
    typed: Option<Moment>,
    screen: Option<Seen>,

    status: Status,
    before: Option<Status>,
    decides: Option<Claim>,
    conversation: Option<Conversation>,
    report: AgentReport,
    reported: bool,
}

/// What the last look at the screen found.
#[derive(Debug)]
struct Seen {
    when: Moment,
    known: Option<String>,
    open: Option<String>,
}

/// A state, on whose word, in which words.
type Verdict = (State, Source, String);

impl Judge {
    /// Begins with the session's start.
    pub fn new(agent: Option<&AgentSpec>, now: u64) -> Self {
        let mut clock = Clock::default();
        let start = clock.moment(now);
        let mut looks = Looks::default();
        looks.activity(start);
        let chosen = agent.and_then(|a| a.conversation.as_ref()).map(|id| Conversation {
            id: id.clone(),
            source: "chosen".into(),
            learned: now,
        });
        Judge {
            lines: agent.and_then(|a| a.stream).map(stream::Lines::new),
            agent: agent.cloned(),
            clock,
            looks,
            exit: None,
            hook: None,
            held: None,
            said: None,
            title: None,
            osc: None,
            program: None,
            process: None,
            note: None,
            typed: None,
            screen: None,
            status: Status::unknown(now, "it has just started"),
            before: None,
            decides: None,
            conversation: chosen,
            report: AgentReport::default(),
            reported: false,
        }
    }

    /// A hook of the agent fired with this payload. Without an agent, hooks say nothing.
    pub fn hook(&mut self, payload: &Value, now: u64) {
        let when = self.clock.moment(now);
        let Some(heard) = self.agent.as_ref().and_then(|a| hooks::hear(a, payload)) else { return };
        if let Some(id) = heard.conversation {
            self.learn(id, "hook", now);
        }
        if heard.model.is_some() {
            self.report.model = heard.model;
            self.reported = true;
        }
        let Some(state) = heard.state else { return };
        let claim = Claim::new(Source::Hook, state, when, &heard.detail);
        let was = self.hook.as_ref().map(|h| h.state);
        let stands = was == Some(State::Waiting) && self.typed.is_none() && self.has_screen_texts();
        if stands && state == State::Running {
            self.held = Some(claim);
            self.looks.want(when.steady.saturating_add(SETTLED));
        } else {
            // A headless agent counts its turns itself.
            if self.lines.is_none()
                && state == State::Idle
                && matches!(was, Some(State::Running | State::Waiting))
            {
                self.report.turns = self.report.turns.saturating_add(1);
                self.reported = true;
            }
            self.take_hook(claim);
        }
        self.decide(when);
    }

    fn take_hook(&mut self, claim: Claim) {
        // A word that contradicts the title must be looked at once both have settled.
        self.looks.want(claim.when.steady.saturating_add(SETTLED));
        // The first hook tells of the start, which may have been typed into before the hook came.
        if self.hook.is_some() {
            self.typed = None;
        }
        self.hook = Some(claim);
        self.held = None;
    }

    /// The program printed something.
    pub fn output(&mut self, bytes: &[u8], now: u64) {
        let when = self.clock.moment(now);
        self.looks.activity(when);
        let Some(lines) = &mut self.lines else { return };
        let mut last = None;
        let mut id = None;
        lines.push(bytes, &mut self.report, |said| {
            id = said.conversation.or(id.take());
            last = Some((said.state, said.detail));
        });
        if let Some(id) = id {
            self.learn(id, "stream", now);
        }
        if let Some((state, detail)) = last {
            self.reported = true;
            self.said = Some(Claim::new(Source::Stream, state, when, &detail));
            self.decide(when);
        }
    }

    /// The program told its terminal something.
    pub fn signal(&mut self, signal: &Signal, now: u64) {
        let when = self.clock.moment(now);
        let osc = |state, detail: &str| Some(Claim::new(Source::Osc, state, when, detail));
        match signal {
            Signal::Title(title) => {
                let state = self.agent.as_ref().and_then(|a| meaning(a, "title=", title));
                // Titles are animated: only a change of meaning is news.
                if state != self.title.as_ref().map(|t| t.state) {
                    self.title = state.and_then(|s| osc(s, &format!("title \"{}\"", title.trim())));
                    self.looks.want(when.steady.saturating_add(SETTLED));
                }
            }
            Signal::Notify { title, body } => {
                let state = self.agent.as_ref().and_then(|a| {
                    meaning(a, "notify=", body).or_else(|| meaning(a, "notify=", title))
                });
                let text = format!("notification \"{}\"", format!("{title} {body}").trim());
                match state {
                    Some(state) => self.osc = osc(state, &text),
                    None => self.note = Some((when, one_line(&text))),
                }
            }
            Signal::Bell => self.note = Some((when, "bell".into())),
            Signal::Progress { state: 0, .. } => self.osc = None,
            Signal::Progress { state, percent } => {
                let share = if *state == 1 { format!(" {percent} %") } else { String::new() };
                let kind = match state {
                    2 => "error",
                    4 => "paused",
                    _ => "progress",
                };
                self.osc = osc(State::Running, &format!("{kind}{share}"));
            }
            Signal::Prompt(PromptMark::Output) => {
                self.osc = osc(State::Running, "the shell began a command");
            }
            Signal::Prompt(PromptMark::Prompt | PromptMark::Input) => {
                // A prompt means that the program before it has ended.
                self.program = self.program.take().filter(|(_, transient)| !transient);
                self.osc = osc(State::Idle, "the shell shows its prompt");
            }
            Signal::Prompt(PromptMark::Done(status)) => {
                let status = status.map(|s| format!(" with status {s}")).unwrap_or_default();
                self.osc = osc(State::Idle, &format!("the shell's command ended{status}"));
            }
            Signal::ProgramStatus(body) => match program::parse(body) {
                Some(program::Report::State { state, transient, detail }) => {
                    self.program = osc(state, &detail).map(|claim| (claim, transient));
                }
                Some(program::Report::Clear) => self.program = None,
                None => return,
            },
            Signal::Cwd(_) => return,
        }
        self.decide(when);
    }

    /// A person, or `send`, typed into the session.
    pub fn typed(&mut self, now: u64) {
        let when = self.clock.moment(now);
        self.looks.activity(when);
        self.typed.get_or_insert(when);
    }

    /// A look at the foreground process.
    pub fn probe(&mut self, result: ProbeResult, now: u64) {
        let when = self.clock.moment(now);
        self.looks.looked(when);
        let (state, detail) = match result {
            ProbeResult::Works(what) => (State::Running, what),
            ProbeResult::AtPrompt(what) | ProbeResult::TakesKeys(what) => (State::Idle, what),
            ProbeResult::AsksLine(what) => (State::Waiting, what),
            ProbeResult::Both(what) | ProbeResult::Blind(what) => (State::Unknown, what),
        };
        self.process = Some(Claim::new(Source::Process, state, when, &detail));
        self.decide(when);
    }

    /// The lines of the screen, top to bottom, at a moment at which a look is due.
    pub fn screen(&mut self, lines: &[String], now: u64) {
        let when = self.clock.moment(now);
        let texts = self.agent.as_ref().map_or(&[][..], |a| &a.screen_waiting);
        self.screen = Some(Seen {
            when,
            known: screen::known_question(texts, lines).map(one_line),
            open: screen::open_question(lines).map(one_line),
        });
        self.decide(when);
    }

    /// The session has ended. Nothing is said after this.
    pub fn exited(&mut self, exit: &Exit) {
        let when = self.clock.moment(exit.at);
        self.exit = Some(Claim::new(Source::Exit, State::Exited, when, &exit.to_string()));
        self.decide(when);
    }

    /// What it is doing.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The change of state since this was last asked, if there was one: before, now.
    pub fn take_change(&mut self) -> Option<(Status, Status)> {
        let before = self.before.take()?;
        (before.state != self.status.state).then(|| (before, self.status.clone()))
    }

    /// What every source said last, strongest first.
    pub fn evidence(&self) -> Vec<Evidence> {
        let claims =
            [&self.exit, &self.hook, &self.held, &self.said, &self.title, &self.osc, &self.process];
        let decides = |claim: &Claim| self.decides.as_ref().is_some_and(|d| d == claim);
        let mut all: Vec<Evidence> =
            claims.iter().filter_map(|c| c.as_ref()).map(|c| c.evidence(decides(c))).collect();
        if let Some((when, text)) = &self.note {
            let what = Claim::new(Source::Osc, State::Unknown, *when, text);
            all.push(what.evidence(false));
        }
        if let Some(seen) = &self.screen
            && let Some(text) = seen.known.as_ref().or(seen.open.as_ref())
        {
            let what = Claim::new(Source::Screen, State::Waiting, seen.when, &shows(text));
            all.push(what.evidence(self.status.source == Source::Screen));
        }
        // A verdict that rests on several things at once is named as itself.
        if self.status.source != Source::None && !all.iter().any(|e| e.decides) {
            all.insert(
                0,
                Evidence {
                    source: self.status.source,
                    state: self.status.state,
                    at: self.status.since,
                    detail: self.status.detail.clone(),
                    decides: true,
                },
            );
        }
        all
    }

    /// The agent's conversation. Once known, only another id that the agent itself reports replaces it.
    pub fn conversation(&self) -> Option<Conversation> {
        self.conversation.clone()
    }

    /// What the agent reported, if it did.
    pub fn report(&self) -> Option<AgentReport> {
        self.reported.then(|| self.report.clone())
    }

    /// When [`Judge::screen`] and [`Judge::probe`] should next be called, in milliseconds since the Unix epoch; `None`
    /// until something happens.
    pub fn wants_probe(&mut self, now: u64) -> Option<u64> {
        self.clock.moment(now);
        if self.exit.is_some() {
            return None;
        }
        self.looks.due().map(|steady| self.clock.wall_of(steady))
    }

    fn learn(&mut self, id: String, source: &str, now: u64) {
        if self.conversation.as_ref().is_none_or(|c| c.id != id || c.source == "chosen") {
            self.conversation = Some(Conversation { id, source: source.into(), learned: now });
        }
    }

    fn has_screen_texts(&self) -> bool {
        self.agent.as_ref().is_some_and(|a| !a.screen_waiting.is_empty())
    }

    fn decide(&mut self, now: Moment) {
        let (state, source, detail) = self.verdict(now);
        if state != self.status.state {
            self.before.get_or_insert_with(|| self.status.clone());
            self.status.since = now.wall;
        }
        self.status.state = state;
        self.status.source = source;
        self.status.detail = one_line(&detail);
        let program = self.program.as_ref().map(|(claim, _)| claim.clone());
        let claims =
            [&self.exit, &self.hook, &self.said, &program, &self.title, &self.osc, &self.process];
        self.decides = claims
            .into_iter()
            .flatten()
            .find(|c| c.source == source && c.state == state && detail.contains(&c.detail))
            .cloned();
    }

    fn verdict(&mut self, now: Moment) -> Verdict {
        if let Some(exit) = &self.exit {
            return says(exit);
        }
        if self.hook.is_some() {
            return self.with_hooks(now);
        }
        if let Some(said) = &self.said {
            return says(said);
        }
        self.without_word(now)
    }

    /// The agent's hooks have spoken; what came after may contradict them.
    fn with_hooks(&mut self, now: Moment) -> Verdict {
        // The held hook is believed once a look shows that the question is gone.
        if let (Some(held), Some(seen)) = (&self.held, &self.screen)
            && seen.when.order > held.when.order
            && seen.known.is_none()
            && let Some(held) = self.held.take()
        {
            self.take_hook(held);
        }
        let hook = self.hook.as_ref().expect("asked only once a hook has spoken");
        // Both are the agent's own words, so the later is right; and where it reports itself, silence
        // of the hooks needs no explaining by title and screen.
        if let Some((program, _)) = &self.program {
            return says(if program.after(hook.when) { program } else { hook });
        }
        if let Some(title) = &self.title
            && title.state == State::Running
            && hook.state != State::Running
            && title.after(hook.when)
        {
            return says(title);
        }
        match hook.state {
            State::Waiting => self.after_question(hook, now),
            State::Running => self.while_at_work(hook, now),
            State::Idle => self.at_rest(hook),
            State::Exited | State::Unknown => says(hook),
        }
    }

    /// The last hook said "waiting". Only typing answers a question.
    fn after_question(&self, hook: &Claim, now: Moment) -> Verdict {
        let Some(typed) = self.typed else { return says(hook) };
        let Some(seen) = self.screen.as_ref().filter(|s| s.when.order > typed.order) else {
            return says(hook);
        };
        if let Some(text) = &seen.known {
            return (State::Waiting, Source::Hook, format!("{}; {}", hook.detail, shows(text)));
        }
        match &self.title {
            Some(title) if title.state == State::Idle => {
                (State::Idle, Source::Osc, format!("{}: the question was dismissed", title.detail))
            }
            Some(title) => says(title),
            None if self.looks.quiet_for(now) < LONG_QUIET => (
                State::Running,
                Source::Screen,
                "somebody typed and the question left the screen".into(),
            ),
            None => (
                State::Unknown,
                Source::Screen,
                "the question left the screen and nothing has been said since".into(),
            ),
        }
    }

    /// The last hook said "running".
    fn while_at_work(&self, hook: &Claim, now: Moment) -> Verdict {
        let title = self.title.as_ref();
        let looked = |after: Moment| {
            self.screen.as_ref().filter(|s| {
                s.when.order > after.order && s.when.steady.saturating_sub(after.steady) >= SETTLED
            })
        };
        if title.is_none_or(|t| t.state != State::Running)
            && self.looks.quiet_for(now) >= SETTLED
            && let Some(text) = looked(hook.when).and_then(|s| s.known.as_ref())
        {
            return (State::Waiting, Source::Screen, shows(text));
        }
        match title {
            Some(t) if t.state != State::Running => {
                let later = if t.after(hook.when) { t.when } else { hook.when };
                if looked(later).is_none() {
                    return says(hook);
                }
                (t.state, Source::Osc, format!("{}: the turn was interrupted", t.detail))
            }
            _ => says(hook),
        }
    }

    /// The last hook said "idle". A menu that somebody opened since asks for an answer.
    fn at_rest(&self, hook: &Claim) -> Verdict {
        if let (Some(typed), Some(seen)) = (self.typed, &self.screen)
            && seen.when.order > typed.order
            && let Some(text) = &seen.known
        {
            return (State::Waiting, Source::Screen, shows(text));
        }
        says(hook)
    }

    /// Neither hooks nor a stream have spoken.
    fn without_word(&self, now: Moment) -> Verdict {
        let process = self.process.as_ref();
        if let Some((program, _)) = &self.program {
            // A shell at its prompt has outlived the program that reported.
            return match process {
                Some(p) if p.after(program.when) && at_prompt(p) => says(p),
                _ => says(program),
            };
        }
        let asks = self.screen.as_ref().and_then(|s| s.known.as_ref());
        if let Some(text) = asks
            && self.title.as_ref().is_none_or(|t| t.state != State::Running)
        {
            return (State::Waiting, Source::Screen, shows(text));
        }
        if let Some(title) = &self.title {
            // A notification that came with or after the title says more than the title.
            if let Some(osc) = self.osc.as_ref().filter(|o| o.after(title.when)) {
                return says(osc);
            }
            return says(title);
        }
        if let Some(osc) = &self.osc {
            // What the process sleeps on tells more than a mark that was set before it.
            let later = process.filter(|p| p.after(osc.when) && p.state != State::Unknown);
            match later {
                Some(p) if p.state != osc.state => return self.refined(p, now),
                _ => return says(osc),
            }
        }
        match process {
            Some(process) => self.refined(process, now),
            None => (State::Unknown, Source::None, "nobody has said anything yet".into()),
        }
    }

    /// What the process says, in the light of the agent and of the screen.
    fn refined(&self, process: &Claim, now: Moment) -> Verdict {
        if process.state != State::Idle {
            return says(process);
        }
        if let Some(agent) = &self.agent
            && agent.hooks.values().any(|s| *s == State::Running)
            && self.looks.quiet_for(now) >= SETTLED
        {
            return (
                State::Waiting,
                Source::Process,
                format!(
                    "{}, and no hook has fired yet: a login or a first question",
                    process.detail
                ),
            );
        }
        let takes_keys = !at_prompt(process);
        match self.screen.as_ref().and_then(|s| s.open.as_ref()) {
            Some(text) if takes_keys => (State::Waiting, Source::Screen, shows(text)),
            _ => says(process),
        }
    }
}

/// Whether a look found a shell at its prompt.
fn at_prompt(process: &Claim) -> bool {
    process.state == State::Idle && process.detail.ends_with(AT_PROMPT)
}

fn says(claim: &Claim) -> Verdict {
    (claim.state, claim.source, claim.detail.clone())
}

fn shows(text: &str) -> String {
    format!("the screen shows \"{text}\"")
}

/// What the profile says of a text of this kind, by the longest prefix that fits.
fn meaning(agent: &AgentSpec, kind: &str, text: &str) -> Option<State> {
    agent
        .signals
        .iter()
        .filter_map(|(key, state)| Some((key.strip_prefix(kind)?, state)))
        .filter(|(prefix, _)| text.trim_start().starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, state)| *state)
}
