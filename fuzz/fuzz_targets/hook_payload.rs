//! What an agent's hooks and its structured stream may bring: never a panic, and never a known conversation lost.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_hold::status::Judge;
use stead_wire::session::{AgentSpec, Stream};
use stead_wire::status::State;

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let agent = AgentSpec {
        profile: "fuzzed".into(),
        hooks: [
            ("Stop".to_owned(), State::Idle),
            ("PreToolUse".to_owned(), State::Running),
            ("Notification:notification_type=permission_prompt".to_owned(), State::Waiting),
        ]
        .into(),
        conversation_field: Some("session_id".into()),
        conversation: Some("known".into()),
        stream: match kind % 3 {
            0 => None,
            1 => Some(Stream::ClaudeStreamJson),
            _ => Some(Stream::CodexJson),
        },
        ..AgentSpec::default()
    };
    let mut judge = Judge::new(Some(&agent), 0);
    for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let now = at as u64 * 100;
        if let Ok(payload) = serde_json::from_slice(line) {
            judge.hook(&payload, now);
        }
        judge.output(line, now);
        judge.output(b"\r\n", now);
        assert!(judge.conversation().is_some_and(|c| !c.id.is_empty()));
        assert!(judge.evidence().iter().filter(|e| e.decides).count() <= 1);
    }
});
