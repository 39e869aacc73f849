//! `stead status`.

use super::{print, print_json};
use crate::cli::Status;
use crate::failure::Outcome;
use crate::present;
use crate::resolve::{self, path_part};
use crate::steward::Steward;
use std::fmt::Write as _;
use stead_hold::clock::now_ms;
use stead_wire::session::Session;
use stead_wire::status::Evidence;

pub fn run(args: &Status) -> Outcome {
    let steward = Steward::of_user()?;
    let session = resolve::session(&steward, &args.name)?.session;
    let evidence: Vec<Evidence> = if args.explain {
        steward.get(&format!("/v1/sessions/{}/explain", path_part(&session.id)))?
    } else {
        Vec::new()
    };
    if args.json.json {
        let mut value = serde_json::to_value(&session)?;
        if args.explain {
            value["evidence"] = serde_json::to_value(&evidence)?;
        }
        print_json(&value)?;
    } else {
        let now = now_ms();
        let mut text = describe(&session, now, present::color());
        explain(&mut text, &evidence, now);
        print(text.as_bytes())?;
    }
    Ok(0)
}

fn describe(session: &Session, now: u64, color: bool) -> String {
    let mut out = String::new();
    let state = present::paint(&present::state(session), present::state_color(session), color);
    let status = &session.status;
    let _ = writeln!(
        out,
        "{}: {state} for {}, says {}: {}",
        session.name,
        present::age(status.since, now),
        status.source.word(),
        status.detail
    );
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(out, "  {name:<13} {value}");
        }
    };
    line("machine", session.machine.clone());
    line("agent", session.agent.clone().unwrap_or_default());
    line("command", present::command(&session.command));
    line("folder", session.cwd.display().to_string());
    line("title", session.title.clone());
    line("restart", session.restart.word().into());
    line("life", format!("{}, began {} ago", session.life, present::age(session.started, now)));
    line(
        "printed",
        format!("{} bytes, last {} ago", session.output, present::age(session.active, now)),
    );
    line("attached", session.attached.to_string());
    if let Some(conversation) = &session.conversation {
        line("conversation", format!("{} (from {})", conversation.id, conversation.source));
    }
    if let Some(report) = &session.report {
        line("model", report.model.clone().unwrap_or_default());
        line("turns", report.turns.to_string());
        line("cost", report.cost_usd.map(|usd| format!("${usd:.4}")).unwrap_or_default());
        line(
            "tokens",
            report.tokens.map(|t| format!("{} in, {} out", t.input, t.output)).unwrap_or_default(),
        );
        line("result", report.result.as_deref().map(present::clean).unwrap_or_default());
    }
    line("warning", session.warning.clone().unwrap_or_default());
    out
}

fn explain(out: &mut String, evidence: &[Evidence], now: u64) {
    if evidence.is_empty() {
        return;
    }
    let _ = writeln!(out, "evidence, strongest first (* decides):");
    for e in evidence {
        let _ = writeln!(
            out,
            "  {} {:<8} {:<8} {:>4} ago  {}",
            if e.decides { '*' } else { ' ' },
            e.source.word(),
            e.state,
            present::age(e.at, now),
            e.detail
        );
    }
}
