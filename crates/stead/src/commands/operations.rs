//! `stead operations`.

use super::{print, print_json};
use crate::cli::Operations;
use crate::failure::Outcome;
use crate::present;
use crate::resolve::path_part;
use crate::steward::Steward;
use std::fmt::Write as _;
use stead_hold::clock::now_ms;
use stead_machine::operation::{Operation, OperationStatus};

pub fn run(args: &Operations) -> Outcome {
    let steward = Steward::of_user()?;
    if let Some(id) = &args.id {
        let operation: Operation = steward.get(&format!("/v1/operations/{}", path_part(id)))?;
        if args.json.json {
            print_json(&operation)?;
        } else {
            print(story(&operation).as_bytes())?;
        }
        return Ok(0);
    }
    let all: Vec<Operation> = steward.get("/v1/operations")?;
    if args.json.json {
        print_json(&all)?;
        return Ok(0);
    }
    let mut out = String::new();
    for operation in &all {
        let _ = writeln!(
            out,
            "{}  {:>4}  {:16}  {:16}  {}",
            operation.id,
            present::age(operation.started, now_ms()),
            operation.machine,
            operation.kind.word(),
            status(operation),
        );
    }
    print(out.as_bytes())?;
    Ok(0)
}

fn status(operation: &Operation) -> String {
    match &operation.status {
        OperationStatus::Running => "running".into(),
        OperationStatus::Done => "done".into(),
        OperationStatus::Failed(why) => format!("failed: {}", present::clean(why)),
        OperationStatus::Interrupted => "interrupted".into(),
        OperationStatus::Undone => "undone".into(),
    }
}

fn story(operation: &Operation) -> String {
    let mut out = format!(
        "{} {} {}: {}\n",
        operation.id,
        operation.kind.word(),
        operation.machine,
        status(operation)
    );
    for step in &operation.steps {
        let after = step.at.saturating_sub(operation.started);
        let _ = writeln!(out, "{after:>7} ms  {}", present::clean(&step.what));
        for note in &step.notes {
            let _ = writeln!(out, "            {}", present::clean(note));
        }
    }
    out
}
