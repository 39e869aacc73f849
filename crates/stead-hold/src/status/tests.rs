//! The judge at the moments that were seen with real agents, and with arbitrary input.

use super::*;
use crate::term::{PromptMark, Signal};
use proptest::prelude::*;
use serde_json::{Value, json};
use stead_wire::session::{AgentSpec, EndedBy, Exit, Stream};
use stead_wire::status::{Source, State};

/// As the profile of Claude Code has it, in brief.
fn claude() -> AgentSpec {
    let hooks = [
        ("SessionStart:source=startup", State::Idle),
        ("UserPromptSubmit", State::Running),
        ("PreToolUse", State::Running),
        ("PostToolUse", State::Running),
        ("PermissionRequest", State::Waiting),
        ("Notification:notification_type=permission_prompt", State::Waiting),
        ("Stop", State::Idle),
    ];
    let signals =
        [("title=✳", State::Idle), ("title=⠂", State::Running), ("title=⠐", State::Running)];
    AgentSpec {
        profile: "claude".into(),
        hooks: hooks.map(|(k, s)| (k.to_owned(), s)).into(),
        signals: signals.map(|(k, s)| (k.to_owned(), s)).into(),
        conversation_field: Some("session_id".into()),
        screen_waiting: vec!["Esc to cancel".into()],
        ..AgentSpec::default()
    }
}

const QUESTION: &str =
    "Do you want to proceed?\n 1. Yes\n 2. No\n\n Esc to cancel · Tab to amend\n";
const BOX: &str = "───\n❯ \n───\n  ? for shortcuts\n";

/// A judge with a clock and a screen, looked at whenever the judge wants it.
struct Bench {
    judge: Judge,
    now: u64,
    screen: &'static str,
    process: ProbeResult,
}

impl Bench {
    fn new(agent: Option<&AgentSpec>) -> Self {
        Bench {
            judge: Judge::new(agent, 1_000_000),
            now: 1_000_000,
            screen: "",
            process: ProbeResult::Both("claude waits for the terminal and for sockets".into()),
        }
    }

    fn hook(&mut self, event: &str) -> &mut Self {
        let mut payload = json!({"hook_event_name": event, "session_id": "c-1"});
        if event == "SessionStart" {
            payload["source"] = "startup".into();
        }
        self.judge.hook(&payload, self.now);
        self
    }

    fn title(&mut self, title: &str) -> &mut Self {
        self.judge.output(title.as_bytes(), self.now);
        self.judge.signal(&Signal::Title(title.into()), self.now);
        self
    }

    fn typed(&mut self) -> &mut Self {
        self.judge.typed(self.now);
        self.judge.output(b"echo", self.now);
        self
    }

    fn shows(&mut self, screen: &'static str) -> &mut Self {
        self.screen = screen;
        self.judge.output(screen.as_bytes(), self.now);
        self
    }

    /// Lets time pass, looking when due.
    fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.now + ms;
        while let Some(due) = self.judge.wants_probe(self.now).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let lines: Vec<String> = self.screen.lines().map(Into::into).collect();
            self.judge.screen(&lines, self.now);
            self.judge.probe(self.process.clone(), self.now);
        }
        self.now = end;
        self
    }

    #[track_caller]
    fn is(&mut self, state: State, source: Source) -> &mut Self {
        let status = self.judge.status();
        assert_eq!((status.state, status.source), (state, source), "{}", status.detail);
        let deciding = self.judge.evidence().iter().filter(|e| e.decides).count();
        assert_eq!(deciding, usize::from(source != Source::None), "{:#?}", self.judge.evidence());
        self
    }

    fn at_question() -> Self {
        let mut b = Bench::new(Some(&claude()));
        b.title("✳ Claude").hook("SessionStart").pass(5000).is(State::Idle, Source::Hook);
        b.typed().title("⠂ Claude").pass(10).hook("UserPromptSubmit");
        b.is(State::Running, Source::Hook).pass(40).hook("PreToolUse").pass(20);
        b.shows(QUESTION).hook("PermissionRequest").title("✳ Claude");
        b.is(State::Waiting, Source::Hook).pass(5000).is(State::Waiting, Source::Hook);
        b
    }
}

#[test]
fn a_question_answered_with_yes() {
    let mut b = Bench::at_question();
    b.judge.take_change();
    b.typed().pass(20).shows(BOX).title("⠂ Claude").is(State::Running, Source::Osc);
    let (before, now) = b.judge.take_change().unwrap();
    assert_eq!((before.state, now.state), (State::Waiting, State::Running));
    // The spinner turns while the tool runs.
    for _ in 0..30 {
        b.pass(480).title("⠐ Claude").is(State::Running, Source::Osc);
        b.pass(480).title("⠂ Claude").is(State::Running, Source::Osc);
    }
    b.hook("PostToolUse").is(State::Running, Source::Hook).pass(60);
    b.hook("Stop").is(State::Idle, Source::Hook);
    // One more turn of the spinner while the hook runs is no news.
    b.title("⠐ Claude").is(State::Idle, Source::Hook);
    b.title("✳ Claude").pass(60_000).is(State::Idle, Source::Hook);
    assert_eq!(b.judge.report().unwrap().turns, 1);
}

#[test]
fn a_question_that_an_arrow_key_moves_in_still_stands() {
    let mut b = Bench::at_question();
    b.typed().pass(5000).is(State::Waiting, Source::Hook);
    b.typed().pass(20).shows(BOX).pass(5000).is(State::Idle, Source::Osc);
}

#[test]
fn a_dismissed_question_is_idle_and_typing_the_next_task_keeps_it_so() {
    let mut b = Bench::at_question();
    b.typed().pass(20).shows(BOX).is(State::Waiting, Source::Hook);
    b.pass(300).is(State::Idle, Source::Osc);
    for _ in 0..5 {
        b.typed().is(State::Idle, Source::Osc).pass(100).is(State::Idle, Source::Osc);
    }
    b.title("⠂ Claude").is(State::Running, Source::Osc);
}

#[test]
fn an_interrupted_turn_is_idle_though_no_hook_says_so() {
    let mut b = Bench::new(Some(&claude()));
    b.hook("SessionStart").typed().title("⠂ Claude").hook("UserPromptSubmit").hook("PreToolUse");
    b.pass(900).title("⠐ Claude").is(State::Running, Source::Hook);
    b.typed().shows(BOX).title("✳ Claude").is(State::Running, Source::Hook);
    b.pass(300).is(State::Idle, Source::Osc).pass(60_000).is(State::Idle, Source::Osc);
}

#[test]
fn a_title_at_rest_a_moment_before_the_question_is_no_idle() {
    let mut b = Bench::new(Some(&claude()));
    b.hook("SessionStart").title("⠂ Claude").hook("UserPromptSubmit").pass(2000);
    b.judge.take_change();
    b.title("✳ Claude").pass(100).shows(QUESTION).hook("PermissionRequest").pass(5000);
    let (before, now) = b.judge.take_change().unwrap();
    assert_eq!((before.state, now.state), (State::Running, State::Waiting));
}

#[test]
fn another_tool_that_ends_does_not_answer_the_question() {
    let mut b = Bench::at_question();
    b.hook("PostToolUse").is(State::Waiting, Source::Hook);
    b.pass(5000).is(State::Waiting, Source::Hook);
    // One that a hook of the user's own answers, without anybody typing, does go away.
    b.shows(BOX).title("⠂ Claude").is(State::Running, Source::Osc);
    b.hook("PostToolUse").pass(1000).is(State::Running, Source::Hook);
}

#[test]
fn without_titles_an_answer_is_running_while_it_prints_and_then_unknown() {
    let mut agent = claude();
    agent.signals.clear();
    let mut b = Bench::new(Some(&agent));
    b.hook("SessionStart").hook("UserPromptSubmit").shows(QUESTION).hook("PermissionRequest");
    b.pass(5000).typed().pass(10).shows(BOX);
    b.pass(300).is(State::Running, Source::Screen);
    b.pass(10_000).is(State::Unknown, Source::Screen);
    b.hook("PostToolUse").is(State::Running, Source::Hook);
}

#[test]
fn a_question_without_its_own_hook_is_seen_on_the_screen() {
    let mut b = Bench::new(Some(&claude()));
    b.hook("SessionStart").title("⠂ Claude").hook("PreToolUse").pass(100);
    b.shows(QUESTION).is(State::Running, Source::Hook);
    b.title("✳ Claude").pass(600).is(State::Waiting, Source::Screen);
}

#[test]
fn a_dialog_before_the_first_hook_is_waiting() {
    let mut b = Bench::new(Some(&claude()));
    b.pass(10).is(State::Unknown, Source::None);
    b.process = ProbeResult::Works("claude is on a processor".into());
    b.pass(1000).is(State::Running, Source::Process);
    b.process = ProbeResult::Both("claude waits for the terminal and for sockets".into());
    b.shows("Do you trust it?\n Enter to confirm · Esc to cancel").pass(300);
    b.is(State::Waiting, Source::Screen);
    // One that the profile does not know.
    b.process = ProbeResult::TakesKeys("claude waits for keys".into());
    b.shows("Choose a colour").pass(300).is(State::Waiting, Source::Process);
    b.shows(BOX).hook("SessionStart").is(State::Idle, Source::Hook);
}

#[test]
fn a_menu_opened_at_rest_is_waiting_and_words_in_the_talk_are_not() {
    let mut b = Bench::new(Some(&claude()));
    b.title("✳ Claude").hook("SessionStart").shows(QUESTION).pass(5000);
    b.is(State::Idle, Source::Hook);
    b.typed().pass(5000).is(State::Waiting, Source::Screen);
    b.typed().shows(BOX).pass(5000).is(State::Idle, Source::Hook);
}

#[test]
fn a_menu_opened_before_the_hook_of_the_start_comes_is_waiting() {
    let mut b = Bench::new(Some(&claude()));
    b.title("✳ Claude").pass(100).typed().pass(100).hook("SessionStart").shows(QUESTION);
    b.pass(5000).is(State::Waiting, Source::Screen);
}

#[test]
fn a_headless_turn_counts_once_though_hooks_tell_of_it_too() {
    let mut b = Bench::new(Some(&AgentSpec { stream: Some(Stream::CodexJson), ..claude() }));
    b.hook("SessionStart").hook("UserPromptSubmit").pass(10);
    b.judge.output(b"{\"type\":\"turn.started\"}\n", b.now);
    b.hook("Stop");
    b.judge.output(b"{\"type\":\"turn.completed\"}\n", b.now);
    assert_eq!(b.judge.report().unwrap().turns, 1);
}

#[test]
fn the_end_is_final() {
    let mut b = Bench::at_question();
    let exit = Exit { code: Some(3), signal: None, at: b.now, by: EndedBy::Itself, failed: None };
    b.judge.exited(&exit);
    b.hook("Stop").typed().title("⠂ Claude").is(State::Exited, Source::Exit);
    assert_eq!(b.judge.status().detail, "exited(3)");
    assert_eq!(b.judge.wants_probe(b.now), None);
}

#[test]
fn programs_without_hooks() {
    let mut b = Bench::new(None);
    let cases = [
        (ProbeResult::AtPrompt("bash (1) waits for a command".into()), "Really? ", State::Idle),
        (ProbeResult::Works("sleep (2) sleeps on a timer".into()), "[y/n]", State::Running),
        (ProbeResult::AsksLine("apt (3) reads a line".into()), "", State::Waiting),
        (ProbeResult::TakesKeys("vim (4) waits for keys".into()), "~\n-- INSERT --", State::Idle),
        (ProbeResult::Blind("sudo (6) cannot be inspected".into()), "$ ", State::Unknown),
        (ProbeResult::Both("ssh (7) waits for both".into()), "$ ", State::Unknown),
    ];
    for (process, screen, state) in cases {
        b.process = process;
        b.shows(screen).pass(300).is(state, Source::Process);
    }
    b.process = ProbeResult::TakesKeys("npm (5) waits for keys".into());
    b.shows("Overwrite? (y/N)").pass(300).is(State::Waiting, Source::Screen);
}

#[test]
fn marks_of_a_shell_and_what_runs_under_them() {
    let mut b = Bench::new(None);
    b.judge.signal(&Signal::Prompt(PromptMark::Prompt), b.now);
    b.is(State::Idle, Source::Osc);
    b.judge.signal(&Signal::Prompt(PromptMark::Output), b.now);
    b.is(State::Running, Source::Osc);
    b.process = ProbeResult::AsksLine("apt (3) reads a line".into());
    b.shows("Continue? [Y/n]").pass(300).is(State::Waiting, Source::Process);
    b.judge.signal(&Signal::Prompt(PromptMark::Done(Some(1))), b.now);
    b.is(State::Idle, Source::Osc);
    b.judge.signal(&Signal::Progress { state: 1, percent: 40 }, b.now);
    b.is(State::Running, Source::Osc);
}

#[test]
fn a_notification_that_no_profile_explains_is_shown_and_decides_nothing() {
    let mut b = Bench::new(None);
    b.process = ProbeResult::Works("make (2) waits for a child".into());
    b.pass(300);
    b.judge.signal(&Signal::Notify { title: "make".into(), body: "done".into() }, b.now);
    b.is(State::Running, Source::Process);
    assert!(b.judge.evidence().iter().any(|e| e.detail.contains("make done")));
}

impl Bench {
    fn reports(&mut self, body: &str) -> &mut Self {
        self.judge.signal(&Signal::ProgramStatus(body.into()), self.now);
        self
    }
}

#[test]
fn a_program_that_reports_itself_needs_no_profile() {
    let mut b = Bench::new(None);
    b.reports("state=working:app=crush").pass(9000).is(State::Running, Source::Osc);
    b.reports("state=working:app=crush:id=tests").is(State::Running, Source::Osc);
    b.reports("state=blocked:app=crush:kind=permission").is(State::Waiting, Source::Osc);
    b.reports("state=done:app=crush").is(State::Idle, Source::Osc);
    // It went away without a word; the shell under it is back.
    b.reports("state=working:app=crush");
    b.process = ProbeResult::AtPrompt("bash (1) waits for a command".into());
    b.shows("$ ").pass(300).is(State::Idle, Source::Process);
    b.judge.signal(&Signal::Prompt(PromptMark::Prompt), b.now);
    b.judge.signal(&Signal::Prompt(PromptMark::Output), b.now);
    b.is(State::Running, Source::Osc);
    b.reports("state=error:app=x").reports("state=clear").is(State::Running, Source::Osc);
}

#[test]
fn between_hooks_and_the_agents_own_report_the_later_is_right() {
    let mut b = Bench::new(Some(&claude()));
    b.hook("SessionStart").reports("state=idle").is(State::Idle, Source::Osc);
    b.reports("state=working").hook("UserPromptSubmit").is(State::Running, Source::Hook);
    b.hook("PermissionRequest").is(State::Waiting, Source::Hook);
    b.reports("state=blocked:kind=permission").is(State::Waiting, Source::Osc);
    b.typed().reports("state=working").is(State::Running, Source::Osc);
    // An interrupt, without a moment's doubt.
    b.typed().reports("state=idle").is(State::Idle, Source::Osc);
    b.pass(60_000).is(State::Idle, Source::Osc);
}

#[test]
fn a_profile_explains_notifications() {
    let agent = AgentSpec {
        profile: "codex".into(),
        signals: [("notify=Approval requested".to_owned(), State::Waiting)].into(),
        ..AgentSpec::default()
    };
    let mut b = Bench::new(Some(&agent));
    let body = "Approval requested: rm -r build".into();
    b.judge.signal(&Signal::Notify { title: String::new(), body }, b.now);
    b.is(State::Waiting, Source::Osc);
}

#[test]
fn a_known_conversation_is_replaced_only_by_another_that_the_agent_names() {
    let agent = AgentSpec { conversation: Some("chosen-1".into()), ..claude() };
    let mut judge = Judge::new(Some(&agent), 1);
    assert_eq!(judge.conversation().unwrap().source, "chosen");
    for odd in
        [json!({"hook_event_name": "Stop"}), json!({"hook_event_name": "Stop", "session_id": ""})]
    {
        judge.hook(&odd, 2);
        assert_eq!(judge.conversation().unwrap().id, "chosen-1");
    }
    judge.probe(ProbeResult::Blind("?".into()), 3);
    assert_eq!(judge.conversation().unwrap().id, "chosen-1");
    judge.hook(&json!({"hook_event_name": "Stop", "session_id": "n-2"}), 4);
    let now = judge.conversation().unwrap();
    assert_eq!((now.id.as_str(), now.source.as_str(), now.learned), ("n-2", "hook", 4));
}

#[test]
fn a_headless_run() {
    let agent = AgentSpec {
        profile: "claude".into(),
        stream: Some(Stream::ClaudeStreamJson),
        ..AgentSpec::default()
    };
    let mut b = Bench::new(Some(&agent));
    b.judge.output(b"{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s-9\"}\r\n", b.now);
    b.is(State::Running, Source::Stream);
    b.pass(5000).is(State::Running, Source::Stream);
    b.judge.output(b"{\"type\":\"result\",\"result\":\"ok\",\"num_turns\":2}\r\n", b.now);
    b.is(State::Idle, Source::Stream);
    assert_eq!(b.judge.conversation().unwrap().id, "s-9");
    assert_eq!(b.judge.report().unwrap().turns, 2);
}

#[test]
fn an_idle_session_is_left_alone() {
    let mut b = Bench::new(None);
    b.process = ProbeResult::AtPrompt("bash (1) waits for a command".into());
    b.pass(10_000).is(State::Idle, Source::Process);
    assert_eq!(b.judge.wants_probe(b.now), None);
}

#[test]
fn a_clock_set_back_stops_nothing() {
    let mut b = Bench::at_question();
    b.now -= 500_000;
    b.typed().pass(20).shows(BOX).pass(300).is(State::Idle, Source::Osc);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop_oneof![Just("Stop"), Just("PermissionRequest"), Just("startup")].prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("hook_event_name".to_owned()),
        Just("session_id".to_owned()),
        Just("source".to_owned()),
        "[a-z_]{1,8}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_input_panics(
        payloads in proptest::collection::vec(any_json(), 0..8),
        output in proptest::collection::vec(any::<u8>(), 0..400),
        times in proptest::collection::vec(any::<u64>(), 8),
        title in ".{0,30}",
    ) {
        let streams = [None, Some(Stream::ClaudeStreamJson), Some(Stream::CodexJson)];
        for stream in streams {
            let agent = AgentSpec { stream, ..claude() };
            let mut judge = Judge::new(Some(&agent), times[0]);
            for (i, payload) in payloads.iter().enumerate() {
                judge.hook(payload, times[i % times.len()]);
                let mut line = payload.to_string().into_bytes();
                line.push(b'\n');
                judge.output(&line, times[i % times.len()]);
                judge.output(&output, times[(i + 1) % times.len()]);
                judge.signal(&Signal::Title(title.clone()), times[(i + 2) % times.len()]);
                judge.typed(times[(i + 3) % times.len()]);
                judge.screen(std::slice::from_ref(&title), times[(i + 4) % times.len()]);
                judge.probe(ProbeResult::Works(title.clone()), times[(i + 5) % times.len()]);
                judge.wants_probe(times[(i + 6) % times.len()]);
            }
            prop_assert!(judge.status().detail.len() < 1000);
            prop_assert!(judge.evidence().iter().filter(|e| e.decides).count() <= 1);
        }
    }
}
