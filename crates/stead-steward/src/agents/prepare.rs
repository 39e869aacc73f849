//! From a profile and what a person asked for to a command that runs.

use super::arguments::{base, given, has, operands};
use super::hooks;
use super::profile::Profile;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use stead_wire::session::{AgentSpec, Conversation};

/// What a session is prepared from.
#[derive(Debug, Clone)]
pub struct PrepareInput<'a> {
    /// What the person gave: nothing (the profile's command), arguments for it (the first begins with a dash or is a
    /// subcommand), or a whole command.
    pub asked: &'a [String],
    /// The environment that the session would have.
    pub env: &'a BTreeMap<String, String>,
    /// The folder that it starts in.
    pub cwd: &'a Path,
    /// The session's own folder, where files for the agent may lie.
    pub folder: &'a Path,
    /// The program that delivers a hook's payload to the hold, with its arguments.
    pub hook_command: &'a [String],
    /// The conversation to resume, if this is not the first life.
    pub resume: Option<&'a Conversation>,
    /// Where the session is in a machine whose files cannot be read here: whether it has the conversation's file, as
    /// far as that is known.
    pub elsewhere: Option<Option<bool>>,
}

/// A session's surroundings inside a machine.
#[derive(Debug, Clone)]
pub struct Elsewhere<'a> {
    /// The session's own folder there.
    pub folder: &'a Path,
    /// The program there that delivers a hook's payload to the hold, with its arguments.
    pub hook: &'a [String],
    /// Whether the conversation's file is there; `None` where that is not known.
    pub kept: Option<bool>,
}

/// Where a conversation's file may lie, for a session with this environment.
pub fn kept_in(profile: &Profile, id: &str, env: &BTreeMap<String, String>) -> Vec<String> {
    let patterns = profile.conversation.kept_in.iter();
    patterns.map(|pattern| expand(pattern, env).replace("{id}", id)).collect()
}

/// A session that is ready to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The command.
    pub command: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Files to write before it starts, mode 0600; all of them lie in the session's folder.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// What the hold must know.
    pub agent: AgentSpec,
    /// What a person should know, one sentence each: hooks that could not be registered, a conversation that
    /// is gone.
    pub notes: Vec<String>,
}

/// Prepares a session.
///
/// What the person gave is respected: an option of theirs is never taken away except the choice of a
/// conversation when another life resumes the known one. A resumed interactive agent is not given its first
/// prompt again; a headless one is, in the same conversation, since without a prompt it would have nothing to do.
pub fn prepare(profile: &Profile, input: &PrepareInput<'_>) -> Prepared {
    let mut env = environment(profile, input.env);
    let command = whole_command(profile, input);
    let mut notes = Vec::new();
    let mut agent = AgentSpec {
        profile: profile.name.clone(),
        hooks: profile.hooks.states.clone(),
        conversation_field: profile.conversation.field.clone(),
        signals: profile.signals.clone(),
        screen_waiting: profile.screen.waiting.clone(),
        ..AgentSpec::default()
    };
    let program = base(&profile.command[0]);
    // Wrappers (`nice claude`, `npx claude`) keep their own words in front.
    let Some(at) = command.iter().position(|word| base(word) == program) else {
        if input.resume.is_some() || !profile.hooks.states.is_empty() {
            notes.push(format!(
                "`{program}` is not a word of the command, so hooks and conversation are not set up"
            ));
        }
        agent.hooks.clear();
        return Prepared { command, env, files: Vec::new(), agent, notes };
    };
    let (front, words) = command.split_at(at + 1);
    let mut words = words.to_vec();

    let found = operands(&words, &profile.arguments);
    let sub = found.first().map(|i| words[*i].clone());
    if sub.as_ref().is_some_and(|sub| profile.arguments.subcommands.contains(sub)) {
        agent = AgentSpec { profile: profile.name.clone(), ..AgentSpec::default() };
        return Prepared { command, env, files: Vec::new(), agent, notes };
    }
    let headless = profile
        .headless
        .iter()
        .find(|h| h.all.iter().all(|word| has(&words, word) || sub.as_ref() == Some(word)));
    agent.stream = headless.map(|h| h.stream);

    let chosen = converse(profile, input, &mut words, &mut notes);
    agent.conversation = chosen;

    let mut files = Vec::new();
    let registered = hooks::register(profile, input, &mut words, &mut env, &mut files);
    if let Err(why) = registered {
        notes.push(why);
        agent.hooks.clear();
    }
    let mut command = front.to_vec();
    command.append(&mut words);
    Prepared { command, env, files, agent, notes }
}

fn environment(profile: &Profile, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env = env.clone();
    for name in &profile.environment.remove {
        env.remove(name);
    }
    for (name, value) in &profile.environment.set {
        env.entry(name.clone()).or_insert_with(|| value.clone());
    }
    env
}

fn whole_command(profile: &Profile, input: &PrepareInput<'_>) -> Vec<String> {
    let arguments = &profile.arguments;
    let arguments_only = input.asked.first().is_none_or(|first| {
        first.starts_with('-')
            || [&arguments.subcommands, &arguments.conversing, &profile.conversation.chosen_by]
                .iter()
                .any(|words| words.contains(first))
    });
    let mut command: Vec<String> = Vec::new();
    if arguments_only {
        command.extend(profile.command.iter().map(|word| expand(word, input.env)));
    }
    command.extend(input.asked.iter().cloned());
    command
}

/// Puts the choice of a conversation into the words after the program; returns its id where it is known.
fn converse(
    profile: &Profile,
    input: &PrepareInput<'_>,
    words: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Option<String> {
    let how = &profile.conversation;
    let with = |template: &[String], id: &str| -> Vec<String> {
        template.iter().map(|word| word.replace("{id}", id)).collect()
    };
    let Some(known) = input.resume else {
        let chosen =
            given(words, &how.chosen_by) || first_operand_is(profile, words, &how.chosen_by);
        if how.choose.is_empty() || chosen {
            return None;
        }
        let id = new_uuid()?;
        words.splice(0..0, with(&how.choose, &id));
        return Some(id);
    };
    if how.resume.is_empty() {
        notes.push(format!("{} cannot resume a conversation: it begins anew", profile.name));
        return None;
    }
    strip_choice(profile, words);
    let sub = operands(words, &profile.arguments)
        .first()
        .copied()
        .filter(|i| profile.arguments.conversing.contains(&words[*i]));
    let headless = profile.headless.iter().any(|h| {
        h.all.iter().all(|word| has(words, word) || sub.is_some_and(|i| words[i] == *word))
    }) || sub.is_some();
    if !headless {
        // What is left over is the first prompt, which the conversation has had.
        for i in operands(words, &profile.arguments).into_iter().rev() {
            words.remove(i);
        }
        words.retain(|word| word != "--");
    }
    let place = sub.map_or(0, |i| i + 1);
    let kept = match input.elsewhere {
        None => kept(how.kept_in.as_slice(), &known.id, input.env),
        Some(Some(true)) => Kept::Yes,
        Some(Some(false)) if !how.kept_in.is_empty() => Kept::No,
        Some(_) => Kept::Unknown,
    };
    if kept == Kept::No {
        if how.choose.is_empty() {
            notes.push(format!("conversation {} was never written down: it begins anew", known.id));
            return None;
        }
        words.splice(place..place, with(&how.choose, &known.id));
    } else {
        words.splice(place..place, with(&how.resume, &known.id));
    }
    Some(known.id.clone())
}

/// Whether the first word that is no option, after a conversing subcommand, is one of these.
fn first_operand_is(profile: &Profile, words: &[String], these: &[String]) -> bool {
    let found = operands(words, &profile.arguments);
    let mut found = found.iter().map(|i| &words[*i]).peekable();
    if found.peek().is_some_and(|word| profile.arguments.conversing.contains(word)) {
        found.next();
    }
    found.next().is_some_and(|word| these.contains(word))
}

/// Takes away an earlier choice of a conversation: options with their values, or a subcommand with its id.
fn strip_choice(profile: &Profile, words: &mut Vec<String>) {
    let how = &profile.conversation;
    let mut at = 0;
    while at < words.len() && words[at] != "--" {
        if !given(&words[at..=at], &how.chosen_by) {
            at += 1;
            continue;
        }
        let takes_value = profile.arguments.values.contains(&words[at]);
        words.remove(at);
        if takes_value && words.get(at).is_some_and(|next| !next.starts_with('-')) {
            words.remove(at);
        }
    }
    let found = operands(words, &profile.arguments);
    let skip = usize::from(
        found.first().is_some_and(|i| profile.arguments.conversing.contains(&words[*i])),
    );
    if found.get(skip).is_some_and(|i| how.chosen_by.contains(&words[*i])) {
        for i in found[skip..].iter().take(2).rev() {
            words.remove(*i);
        }
    }
}

/// Whether an agent has written a conversation down.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
    /// It could not be looked up: not the same as no.
    Unknown,
}

fn kept(patterns: &[String], id: &str, env: &BTreeMap<String, String>) -> Kept {
    if patterns.is_empty() {
        return Kept::Unknown;
    }
    let paths: Vec<String> =
        patterns.iter().map(|pattern| expand(pattern, env).replace("{id}", id)).collect();
    match stead_hold::pattern::exists(&paths) {
        Some(true) => Kept::Yes,
        Some(false) => Kept::No,
        None => Kept::Unknown,
    }
}

/// Replaces `{VARIABLE:default}` and a leading `~`.
pub(super) fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|n| open + n) else { break };
        out.push_str(&rest[..open]);
        let inner = &rest[open + 1..close];
        match inner.split_once(':') {
            Some((name, default)) => match env.get(name).filter(|v| !v.is_empty()) {
                Some(value) => out.push_str(value),
                None => out.push_str(default),
            },
            None => out.push_str(&rest[open..=close]),
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    match (out.strip_prefix("~/"), env.get("HOME")) {
        (Some(below), Some(home)) => format!("{}/{below}", home.trim_end_matches('/')),
        _ => out,
    }
}

/// A random UUID, made by the kernel.
fn new_uuid() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_read_is_not_an_absent_conversation() {
        let dir = tempfile::tempdir().unwrap();
        let env = [("HOME".to_owned(), dir.path().to_str().unwrap().to_owned())].into();
        let patterns = ["{X:~/.a}/p/*/{id}.jsonl".to_owned()];
        assert_eq!(kept(&patterns, "1", &env), Kept::No);
        fs::create_dir_all(dir.path().join(".a/p/proj")).unwrap();
        fs::write(dir.path().join(".a/p/proj/1.jsonl"), "").unwrap();
        assert_eq!(kept(&patterns, "1", &env), Kept::Yes);
        assert_eq!(kept(&patterns, "2", &env), Kept::No);
        assert_eq!(kept(&[], "1", &env), Kept::Unknown);
        // A name that is too long for the filesystem makes the look itself fail.
        assert_eq!(kept(&["~/{id}".to_owned()], &"x".repeat(300), &env), Kept::Unknown);
    }

    #[test]
    fn variables_with_defaults() {
        let env = [("HOME".to_owned(), "/h".to_owned()), ("E".to_owned(), String::new())].into();
        assert_eq!(expand("{E:~/x}/{id}", &env), "/h/x/{id}");
        assert_eq!(expand("{HOME:y}", &env), "/h");
        assert_eq!(expand("{open", &env), "{open");
    }
}
