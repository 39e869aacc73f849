//! What a hook's payload says, by the map in an agent's profile.

use serde_json::Value;
use stead_wire::session::AgentSpec;
use stead_wire::status::State;

/// Longest conversation id that is believed, in bytes.
const LONGEST_ID: usize = 200;

/// A payload as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard<'a> {
    /// The event's name.
    pub event: &'a str,
    /// What the profile says of it.
    pub state: Option<State>,
    /// The conversation's id in it.
    pub conversation: Option<String>,
    /// The model in it.
    pub model: Option<String>,
    /// Words for a person.
    pub detail: String,
}

/// Reads a payload; `None` if it names no event.
pub(super) fn hear<'a>(agent: &AgentSpec, payload: &'a Value) -> Option<Heard<'a>> {
    let event =
        ["hook_event_name", "event", "type"].iter().find_map(|f| payload.get(f)?.as_str())?;
    let conversation = agent
        .conversation_field
        .as_deref()
        .and_then(|field| field_at(payload, field)?.as_str())
        .filter(|id| plausible_id(id))
        .map(str::to_owned);
    let model = payload.get("model").and_then(Value::as_str).map(super::claim::one_line);
    let mut detail = event.to_owned();
    for field in ["notification_type", "tool_name", "message", "reason"] {
        if let Some(text) = payload.get(field).and_then(Value::as_str) {
            detail.push_str(": ");
            detail.extend(text.chars().take(80));
        }
    }
    Some(Heard { event, state: state_of(agent, event, payload), conversation, model, detail })
}

/// The state that the profile gives to the event. A key narrowed by a field goes before the bare name.
fn state_of(agent: &AgentSpec, event: &str, payload: &Value) -> Option<State> {
    agent
        .hooks
        .iter()
        .find_map(|(key, state)| {
            let (field, wanted) = key.strip_prefix(event)?.strip_prefix(':')?.split_once('=')?;
            let found = field_at(payload, field)?;
            let equal = match found {
                Value::String(s) => s == wanted,
                Value::Bool(b) => wanted == if *b { "true" } else { "false" },
                Value::Number(n) => n.to_string() == wanted,
                _ => false,
            };
            equal.then_some(*state)
        })
        .or_else(|| agent.hooks.get(event).copied())
}

/// A field by name, or a path through objects with dots: `properties.sessionID`.
fn field_at<'a>(payload: &'a Value, path: &str) -> Option<&'a Value> {
    payload.get(path).or_else(|| path.split('.').try_fold(payload, |value, part| value.get(part)))
}

/// Ids go onto command lines: nothing that could be an option, a path or a control character.
pub(super) fn plausible_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= LONGEST_ID
        && !id.starts_with('-')
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agent() -> AgentSpec {
        AgentSpec {
            hooks: [
                ("Stop".to_owned(), State::Idle),
                ("Note:kind=ask".to_owned(), State::Waiting),
                ("Note:info.n=2".to_owned(), State::Running),
            ]
            .into(),
            conversation_field: Some("session_id".into()),
            ..AgentSpec::default()
        }
    }

    #[test]
    fn a_key_may_be_narrowed_by_a_field() {
        let state = |payload: Value| hear(&agent(), &payload).unwrap().state;
        assert_eq!(state(json!({"hook_event_name": "Stop"})), Some(State::Idle));
        assert_eq!(state(json!({"type": "Note", "kind": "ask"})), Some(State::Waiting));
        assert_eq!(state(json!({"type": "Note", "info": {"n": 2}})), Some(State::Running));
        assert_eq!(state(json!({"type": "Note", "kind": "tell"})), None);
        assert_eq!(state(json!({"event": "StopX"})), None);
    }

    #[test]
    fn ids_that_could_be_options_or_paths_are_not_believed() {
        for bad in ["", "-x", "--dangerous", "../../etc", "a b", "a\n", &"x".repeat(201)] {
            let payload = json!({"type": "Stop", "session_id": bad});
            assert_eq!(hear(&agent(), &payload).unwrap().conversation, None, "{bad:?}");
        }
        let payload = json!({"type": "Stop", "session_id": "0b0e-4f:ses_1.2"});
        assert!(hear(&agent(), &payload).unwrap().conversation.is_some());
    }

    #[test]
    fn a_payload_without_an_event_says_nothing() {
        for odd in [json!(null), json!([1]), json!("Stop"), json!({"type": 3}), json!({})] {
            assert_eq!(hear(&agent(), &odd), None);
        }
    }
}
