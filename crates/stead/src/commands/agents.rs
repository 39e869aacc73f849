//! `stead agents`.

use super::{print, print_json};
use crate::cli::Json;
use crate::failure::{Failure, Outcome};
use crate::present;
use serde_json::json;
use stead_hold::folder::Places;
use stead_steward::agents::Profiles;

pub fn run(args: Json) -> Outcome {
    let places = Places::from_env()?;
    let profiles = Profiles::load(&places.config);
    for error in profiles.errors() {
        let text = error.to_string();
        let (message, help) = text.split_once('\n').unwrap_or((&text, ""));
        let failure = Failure::failed(message);
        crate::failure::report(&if help.is_empty() { failure } else { failure.help(help.trim()) });
    }
    if args.json {
        let list: Vec<_> =
            profiles.iter().map(|p| json!({ "name": p.name, "command": p.command })).collect();
        print_json(&list)?;
        return Ok(0);
    }
    for profile in profiles.iter() {
        let line = format!("{:<10} {}\n", profile.name, present::command(&profile.command));
        print(line.as_bytes())?;
    }
    Ok(u8::from(!profiles.errors().is_empty()))
}
