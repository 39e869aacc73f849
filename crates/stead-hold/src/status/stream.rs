//! The JSON lines that a headless agent prints: `claude -p --output-format stream-json`, `codex exec --json`.

use super::hooks::plausible_id;
use serde_json::Value;
use stead_wire::session::{AgentReport, Stream, Tokens};
use stead_wire::status::State;

/// Longest line that is read; a longer one is passed over.
const LONGEST_LINE: usize = 4 << 20;
/// Longest final result that is kept, in bytes.
const LONGEST_RESULT: usize = 64 << 10;

/// Collects lines out of the output and reads them.
#[derive(Debug)]
pub(super) struct Lines {
    kind: Stream,
    line: Vec<u8>,
    /// The present line is too long to be read.
    skipping: bool,
}

/// What one line said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub state: State,
    pub conversation: Option<String>,
    pub detail: String,
}

impl Lines {
    pub(super) fn new(kind: Stream) -> Self {
        Lines { kind, line: Vec::new(), skipping: false }
    }

    /// Takes output in; tells `heard` of each line that says something, and adds it to the report.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        report: &mut AgentReport,
        mut heard: impl FnMut(Said),
    ) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            if !std::mem::take(&mut self.skipping)
                && let Ok(value) = serde_json::from_slice::<Value>(line.trim_ascii())
                && let Some(said) = read(self.kind, &value, report)
            {
                heard(said);
            }
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping || self.line.len() + bytes.len() > LONGEST_LINE {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

fn read(kind: Stream, value: &Value, report: &mut AgentReport) -> Option<Said> {
    let event = text(value, "type")?;
    match kind {
        Stream::ClaudeStreamJson => claude(event, value, report),
        Stream::CodexJson => codex(event, value, report),
    }
}

fn claude(event: &str, value: &Value, report: &mut AgentReport) -> Option<Said> {
    let conversation = text(value, "session_id").filter(|id| plausible_id(id)).map(Into::into);
    let said = |state, detail: String| Some(Said { state, conversation, detail });
    match event {
        "system" => {
            if let Some(model) = text(value, "model") {
                report.model = Some(super::claim::one_line(model));
            }
            said(State::Running, format!("system {}", text(value, "subtype").unwrap_or_default()))
        }
        "assistant" | "user" | "stream_event" => said(State::Running, event.into()),
        "result" => {
            if let Some(turns) = number(value, "num_turns") {
                report.turns = turns as u32;
            }
            let cost = value.get("total_cost_usd").and_then(Value::as_f64);
            report.cost_usd = cost.or(report.cost_usd);
            if let Some(usage) = value.get("usage") {
                let input =
                    ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
                report.tokens = Some(Tokens {
                    input: input
                        .iter()
                        .filter_map(|f| number(usage, f))
                        .fold(0, u64::saturating_add),
                    output: number(usage, "output_tokens").unwrap_or_default(),
                });
            }
            report.is_error = value.get("is_error").and_then(Value::as_bool).or(report.is_error);
            report.result = text(value, "result").map(bounded).or(report.result.take());
            said(State::Idle, format!("result {}", text(value, "subtype").unwrap_or_default()))
        }
        _ => None,
    }
}

fn codex(event: &str, value: &Value, report: &mut AgentReport) -> Option<Said> {
    let said =
        |state, detail: &str| Some(Said { state, conversation: None, detail: detail.to_owned() });
    match event {
        "thread.started" => Some(Said {
            state: State::Running,
            conversation: text(value, "thread_id").filter(|id| plausible_id(id)).map(Into::into),
            detail: event.into(),
        }),
        "item.started" | "item.updated" | "item.completed" => {
            let item = value.get("item")?;
            let kind = text(item, "type").unwrap_or_default();
            if kind == "agent_message" {
                report.result = text(item, "text").map(bounded).or(report.result.take());
            }
            // An item may come before the turn has begun (warnings) but never after it ended.
            said(State::Running, &format!("{event} {kind}"))
        }
        "turn.started" => said(State::Running, event),
        "turn.completed" => {
            report.turns = report.turns.saturating_add(1);
            report.is_error = Some(false);
            if let Some(usage) = value.get("usage") {
                // Codex counts a thread's tokens, not a turn's.
                report.tokens = Some(Tokens {
                    input: number(usage, "input_tokens").unwrap_or_default(),
                    output: number(usage, "output_tokens").unwrap_or_default(),
                });
            }
            said(State::Idle, event)
        }
        "turn.failed" => {
            report.turns = report.turns.saturating_add(1);
            report.is_error = Some(true);
            let why = value.get("error").and_then(|e| text(e, "message"));
            report.result = why.map(bounded).or(report.result.take());
            said(State::Idle, event)
        }
        "error" => {
            said(State::Running, &format!("error {}", text(value, "message").unwrap_or("?")))
        }
        _ => None,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

fn number(value: &Value, field: &str) -> Option<u64> {
    value.get(field)?.as_u64()
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST_RESULT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: Stream, text: &str, chunk: usize) -> (AgentReport, Vec<Said>) {
        let mut lines = Lines::new(kind);
        let mut report = AgentReport::default();
        let mut heard = Vec::new();
        for part in text.as_bytes().chunks(chunk) {
            lines.push(part, &mut report, |s| heard.push(s));
        }
        (report, heard)
    }

    const CLAUDE: &str = concat!(
        r#"{"type":"system","subtype":"init","session_id":"0b-1","model":"claude-x"}"#,
        "\r\n",
        "warning: not JSON\r\n",
        r#"{"type":"assistant","session_id":"0b-1","message":{}}"#,
        "\r\n",
        r#"{"type":"result","subtype":"success","is_error":false,"num_turns":3,"result":"Dône.","session_id":"0b-1","total_cost_usd":0.25,"usage":{"input_tokens":5,"cache_read_input_tokens":10,"output_tokens":7}}"#,
        "\r\n",
    );

    #[test]
    fn claude_however_the_output_is_cut() {
        for chunk in [1, 7, 4096] {
            let (report, heard) = run(Stream::ClaudeStreamJson, CLAUDE, chunk);
            assert_eq!(report.turns, 3);
            assert_eq!(report.cost_usd, Some(0.25));
            assert_eq!(report.tokens, Some(Tokens { input: 15, output: 7 }));
            assert_eq!(report.result.as_deref(), Some("Dône."));
            assert_eq!(report.is_error, Some(false));
            assert_eq!(report.model.as_deref(), Some("claude-x"));
            let states: Vec<_> = heard.iter().map(|s| s.state).collect();
            assert_eq!(states, [State::Running, State::Running, State::Idle]);
            assert!(heard.iter().all(|s| s.conversation.as_deref() == Some("0b-1")));
        }
    }

    #[test]
    fn codex_success_and_failure() {
        let good = concat!(
            r#"{"type":"thread.started","thread_id":"01a1-7"}"#,
            "\n",
            r#"{"type":"turn.started"}"#,
            "\n",
            r#"{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"Done."}}"#,
            "\n",
            r#"{"type":"turn.completed","usage":{"input_tokens":14,"output_tokens":6}}"#,
            "\n",
        );
        let (report, heard) = run(Stream::CodexJson, good, 5);
        assert_eq!(heard[0].conversation.as_deref(), Some("01a1-7"));
        assert_eq!(heard.last().unwrap().state, State::Idle);
        assert_eq!((report.turns, report.result.as_deref()), (1, Some("Done.")));
        assert_eq!(report.tokens, Some(Tokens { input: 14, output: 6 }));
        let bad = "{\"type\":\"turn.failed\",\"error\":{\"message\":\"no\"}}\n";
        let (report, _) = run(Stream::CodexJson, bad, 100);
        assert_eq!((report.is_error, report.result.as_deref()), (Some(true), Some("no")));
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_and_the_next_is_read() {
        let mut lines = Lines::new(Stream::CodexJson);
        let mut report = AgentReport::default();
        let mut heard = 0;
        for _ in 0..=LONGEST_LINE >> 16 {
            lines.push(&vec![b'x'; 1 << 16], &mut report, |_| heard += 1);
            assert!(lines.line.len() <= LONGEST_LINE);
        }
        lines.push(b"\n{\"type\":\"turn.started\"}\n", &mut report, |_| heard += 1);
        assert_eq!(heard, 1);
    }
}
