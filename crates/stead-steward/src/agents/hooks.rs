//! Registering hooks for one session, without touching anybody's settings.

use super::arguments::value;
use super::prepare::PrepareInput;
use super::profile::{Hooks, Profile, Way};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// How long an agent waits for a hook, in seconds. Ours takes milliseconds.
const TIMEOUT: u64 = 5;
/// Codex allows some of its hooks no more than this.
const CODEX_TIMEOUT: u64 = 3;
/// The settings file's name in the session's folder.
const SETTINGS: &str = "agent-settings.json";
/// The plugin's name in the session's folder.
const PLUGIN: &str = "agent-plugin.js";

/// Adds what registers the hooks to the words after the program, the environment and the files.
///
/// # Errors
/// A sentence that says why the hooks are not registered; nothing has been changed then.
pub(super) fn register(
    profile: &Profile,
    input: &PrepareInput<'_>,
    words: &mut Vec<String>,
    env: &mut BTreeMap<String, String>,
    files: &mut Vec<(PathBuf, Vec<u8>)>,
) -> Result<(), String> {
    let hooks = &profile.hooks;
    if hooks.way != Way::None && input.hook_command.is_empty() {
        return Err("no program delivers hooks: status comes from the terminal alone".into());
    }
    match hooks.way {
        Way::None => {}
        Way::SettingsOption => {
            let option = hooks.option.as_deref().unwrap_or_default();
            let theirs = value(words, option).map(|(text, range)| (text.to_owned(), range));
            let base = match &theirs {
                Some((text, _)) if text.trim_start().starts_with('{') => parse(text, option)?,
                Some((file, _)) => read(input, file)?,
                None => Map::new(),
            };
            if let Some((_, range)) = theirs {
                words.drain(range);
            }
            let path = input.folder.join(SETTINGS);
            let settings = with_hooks(base, hooks, input.hook_command);
            words.splice(0..0, [option.to_owned(), path.to_string_lossy().into_owned()]);
            files.push((path, settings));
        }
        Way::SettingsVariable => {
            let variable = hooks.variable.as_deref().unwrap_or_default();
            let base = match env.get(variable) {
                Some(file) if !file.is_empty() => read(input, file)?,
                _ => Map::new(),
            };
            let path = input.folder.join(SETTINGS);
            files.push((path.clone(), with_hooks(base, hooks, input.hook_command)));
            env.insert(variable.to_owned(), path.to_string_lossy().into_owned());
        }
        Way::ConfigOption => {
            let option = hooks.option.as_deref().unwrap_or_default();
            // JSON's lists of strings are TOML's too.
            let list = Value::from(input.hook_command).to_string();
            let line = Value::from(shell_line(input.hook_command)).to_string();
            let ours = hooks.config.iter().flat_map(|value| {
                let value = value.replace("{hook}", &list).replace("{hook_line}", &line);
                [option.to_owned(), value]
            });
            // In front: what the person gave comes later and wins.
            words.splice(0..0, ours.collect::<Vec<_>>());
        }
        Way::CodexOption => {
            let option = hooks.option.as_deref().unwrap_or_default();
            let ours = codex_config(hooks, input.hook_command);
            words.splice(0..0, ours.into_iter().flat_map(|value| [option.to_owned(), value]));
        }
        Way::Plugin => {
            let variable = hooks.variable.as_deref().unwrap_or_default();
            let mut config = match env.get(variable) {
                Some(text) if !text.trim().is_empty() => parse(text, variable)?,
                _ => Map::new(),
            };
            let path = input.folder.join(PLUGIN);
            let plugin = format!("file://{}", path.display());
            match config.entry("plugin").or_insert_with(|| json!([])) {
                Value::Array(plugins) => plugins.push(plugin.into()),
                _ => return Err(format!("{variable} has a \"plugin\" that is no list")),
            }
            let list = Value::from(input.hook_command).to_string();
            let source = hooks.plugin.as_deref().unwrap_or_default().replace("{hook}", &list);
            files.push((path, source.into_bytes()));
            env.insert(variable.to_owned(), Value::Object(config).to_string());
        }
    }
    Ok(())
}

/// The person's settings with our hooks after theirs.
fn with_hooks(mut settings: Map<String, Value>, hooks: &Hooks, command: &[String]) -> Vec<u8> {
    let timeout = if hooks.timeout_in_ms { TIMEOUT * 1000 } else { TIMEOUT };
    let ours = json!({"hooks": [{
        "type": "command",
        "command": shell_line(command),
        "timeout": timeout,
    }]});
    let table = settings.entry("hooks").or_insert_with(|| json!({}));
    if !table.is_object() {
        *table = json!({});
    }
    for name in events(hooks) {
        match &mut table[name] {
            Value::Array(list) => list.push(ours.clone()),
            other => *other = json!([ours]),
        }
    }
    let mut text = serde_json::to_vec_pretty(&settings).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The names of the events to register.
fn events(hooks: &Hooks) -> BTreeSet<&str> {
    let names = hooks.states.keys().map(|key| key.split(':').next().unwrap_or(key));
    names.chain(hooks.events.iter().map(String::as_str)).collect()
}

/// Codex's hooks as values of its configuration, each trusted by its fingerprint and nothing else with it.
fn codex_config(hooks: &Hooks, command: &[String]) -> Vec<String> {
    let line = Value::from(shell_line(command)).to_string();
    let mut values = Vec::new();
    let mut trusted = Vec::new();
    for event in events(hooks) {
        values.push(format!(
            "hooks.{event}=[{{hooks=[{{type=\"command\",command={line},timeout={CODEX_TIMEOUT}}}]}}]"
        ));
        let name = snake_case(event);
        let hash = codex_fingerprint(&name, &line, CODEX_TIMEOUT);
        trusted.push(format!(
            "\"/<session-flags>/config.toml:{name}:0:0\"={{trusted_hash=\"sha256:{hash}\"}}"
        ));
    }
    values.push(format!("hooks.state={{{}}}", trusted.join(",")));
    values
}

/// The fingerprint that Codex gives to a hook: over its definition as JSON without spaces, keys in order. `line` is a
/// JSON string already.
fn codex_fingerprint(event: &str, line: &str, timeout: u64) -> String {
    let definition = format!(
        r#"{{"event_name":"{event}","hooks":[{{"async":false,"command":{line},"timeout":{timeout},"type":"command"}}]}}"#
    );
    format!("{:x}", Sha256::digest(definition))
}

/// `UserPromptSubmit` -> `user_prompt_submit`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn read(input: &PrepareInput<'_>, file: &str) -> Result<Map<String, Value>, String> {
    if input.elsewhere.is_some() {
        return Err(format!("hooks are not registered: {file} is a file inside the machine"));
    }
    let path = &input.cwd.join(file);
    let text = fs::read_to_string(path)
        .map_err(|e| format!("hooks are not registered: cannot read {}: {e}", path.display()))?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, origin: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text)
        .map_err(|e| format!("hooks are not registered: {origin} is no JSON object: {e}"))
}

/// A command as a line for a shell.
fn shell_line(command: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c))
    };
    let words: Vec<String> =
        command
            .iter()
            .map(|word| {
                if plain(word) {
                    word.clone()
                } else {
                    format!("'{}'", word.replace('\'', "'\\''"))
                }
            })
            .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codex_takes_the_fingerprint_that_it_gives_itself() {
        // As `hooks/list` of Codex 0.169 named it.
        assert_eq!(
            codex_fingerprint("session_start", r#""/h/hook 'it'\\\\''s'""#, 3),
            "c013430162e4e93a3db36f3ff31e6eaa9dd014acfd5cf4b33f3dc76ce2248e85"
        );
        let hooks = Hooks { events: vec!["SessionStart".into()], ..Hooks::default() };
        let values = codex_config(&hooks, &["/h/hook.sh".into(), "it's".into()]);
        assert_eq!(
            values[0],
            r#"hooks.SessionStart=[{hooks=[{type="command",command="/h/hook.sh 'it'\\''s'",timeout=3}]}]"#
        );
        assert!(values[1].starts_with(
            "hooks.state={\"/<session-flags>/config.toml:session_start:0:0\"={trusted_hash=\"sha256:"
        ));
        assert_eq!(snake_case("UserPromptSubmit"), "user_prompt_submit");
    }

    #[test]
    fn a_shell_reads_the_line_back_as_the_command() {
        let command = ["/a b/it's", "hook", "", "$(x)"].map(String::from);
        let line = format!("printf '%s|' {}", shell_line(&command));
        let out = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8(out.stdout).unwrap(), "/a b/it's|hook||$(x)|");
    }
}
