//! A profile as it is written in TOML.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stead_wire::session::Stream;
use stead_wire::status::State;

/// Why a profile could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file could not be opened.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that a profile cannot mean.
    #[error("{}:{line}: {problem}\n  {help}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
        /// What would be right.
        help: String,
    },
}

/// How an agent is started, resumed and listened to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is called in `stead run -a NAME`.
    pub name: String,
    /// One line for a person.
    #[serde(default)]
    pub about: String,
    /// The program, with arguments that it always gets.
    pub command: Vec<String>,
    /// The command with which a person logs in, without a browser beside it.
    #[serde(default)]
    pub login: Vec<String>,
    /// How its command line is to be read.
    #[serde(default)]
    pub arguments: Arguments,
    /// Its conversations.
    #[serde(default)]
    pub conversation: Conversations,
    /// Its environment.
    #[serde(default)]
    pub environment: Environment,
    /// Its hooks.
    #[serde(default)]
    pub hooks: Hooks,
    /// What it tells its terminal: `"title=PREFIX"` or `"notify=PREFIX"` and the state that it means.
    #[serde(default)]
    pub signals: BTreeMap<String, State>,
    /// What its screens show.
    #[serde(default)]
    pub screen: Screen,
    /// Command lines with which it runs headless and prints a structured stream.
    #[serde(default)]
    pub headless: Vec<Headless>,
}

/// How a command line is to be read.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arguments {
    /// Options that take one value.
    pub values: Vec<String>,
    /// Options that take every word up to the next option.
    pub lists: Vec<String>,
    /// Subcommands that are no conversation: such a command is left as it is.
    pub subcommands: Vec<String>,
    /// Subcommands that are conversations: what they take as operands is a prompt.
    pub conversing: Vec<String>,
}

/// How conversations are named and resumed.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversations {
    /// Field of a hook's payload that has the id; dots go into objects.
    pub field: Option<String>,
    /// Arguments that begin a conversation with a chosen id (a UUID), with `{id}`.
    pub choose: Vec<String>,
    /// Arguments that resume one, with `{id}`.
    pub resume: Vec<String>,
    /// Arguments with which a person has chosen the conversation already.
    pub chosen_by: Vec<String>,
    /// Where the agent keeps a conversation, with `{id}`, `{VARIABLE:default}`, `~` and `*`. If none is there, the
    /// conversation was never begun.
    pub kept_in: Vec<String>,
}

/// What is done to the environment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// Set, unless the person has set it.
    pub set: BTreeMap<String, String>,
    /// Taken away.
    pub remove: Vec<String>,
}

/// How hooks are registered for one session, and what they say.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// The way.
    pub way: Way,
    /// The option that names the settings file (`settings-option`) or sets one value (`config-option`,
    /// `codex-option`).
    pub option: Option<String>,
    /// The variable that names the file (`settings-variable`, `plugin`).
    pub variable: Option<String>,
    /// Events to register besides those in `states`.
    pub events: Vec<String>,
    /// Values to set (`config-option`), with `{hook}` for the hook's command as a list of strings.
    pub config: Vec<String>,
    /// A plugin's source (`plugin`), with `{hook}` for the hook's command as a list of strings.
    pub plugin: Option<String>,
    /// Whether a time limit of a hook counts milliseconds instead of seconds.
    pub timeout_in_ms: bool,
    /// Events and the states that they mean. `EVENT:FIELD=VALUE` narrows an event by a field of its payload.
    pub states: BTreeMap<String, State>,
}

/// How hooks are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Not at all: the terminal, the process and the screen have to say it.
    #[default]
    None,
    /// A settings file in JSON named by an option.
    SettingsOption,
    /// A settings file in JSON named by a variable.
    SettingsVariable,
    /// Values on the command line (`config`).
    ConfigOption,
    /// Codex: definitions on the command line, trusted for the same run by their fingerprints.
    CodexOption,
    /// A plugin named in a JSON configuration that a variable carries.
    Plugin,
}

/// What an agent's screens show.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Screen {
    /// Texts near the bottom that mean that it waits for a person.
    pub waiting: Vec<String>,
}

/// A headless way to run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headless {
    /// Words that must all be there. `a|b` is either; `--x=y` is also found as `--x y`.
    pub all: Vec<String>,
    /// What it prints.
    pub stream: Stream,
}

impl Profile {
    /// Reads a profile; `path` is named in errors.
    ///
    /// # Errors
    /// [`ProfileError::Wrong`] with the line and what would be right.
    pub fn parse(text: &str, path: &Path) -> Result<Profile, ProfileError> {
        let profile: Profile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let problem = error.message().to_owned();
            let help = help_for(&problem);
            ProfileError::Wrong { path: path.to_owned(), line: line_of(text, at), problem, help }
        })?;
        profile.check(text, path)?;
        Ok(profile)
    }

    fn check(&self, text: &str, path: &Path) -> Result<(), ProfileError> {
        let wrong = |key: &str, problem: String, help: &str| {
            Err(ProfileError::Wrong {
                path: path.to_owned(),
                line: line_with(text, key),
                problem,
                help: help.to_owned(),
            })
        };
        if let Err(why) = stead_wire::session::check_name(&self.name) {
            return wrong("name", why, "for example: name = \"my-agent\"");
        }
        if self.command.first().is_none_or(|program| program.trim().is_empty()) {
            return wrong(
                "command",
                "the command is empty".into(),
                "for example: command = [\"my-agent\"]",
            );
        }
        for (key, template) in
            [("choose", &self.conversation.choose), ("resume", &self.conversation.resume)]
        {
            if !template.is_empty() && !template.iter().any(|a| a.contains("{id}")) {
                return wrong(
                    key,
                    format!("conversation.{key} does not say where the id goes"),
                    "for example: [\"--resume\", \"{id}\"]",
                );
            }
        }
        for key in self.signals.keys() {
            if !key.starts_with("title=") && !key.starts_with("notify=") {
                return wrong(
                    key,
                    format!("\"{key}\" is no signal"),
                    "write \"title=TEXT\" or \"notify=TEXT\", with the text that it begins with",
                );
            }
        }
        for (way, has, field) in [
            (Way::SettingsOption, self.hooks.option.is_some(), "option"),
            (Way::ConfigOption, self.hooks.option.is_some(), "option"),
            (Way::CodexOption, self.hooks.option.is_some(), "option"),
            (Way::SettingsVariable, self.hooks.variable.is_some(), "variable"),
            (Way::Plugin, self.hooks.variable.is_some(), "variable"),
            (Way::Plugin, self.hooks.plugin.is_some(), "plugin"),
        ] {
            if self.hooks.way == way && !has {
                return wrong(
                    "way",
                    format!("this way of registering hooks needs hooks.{field}"),
                    "see docs/agents.md for what each way needs",
                );
            }
        }
        Ok(())
    }
}

fn help_for(problem: &str) -> String {
    if problem.contains("missing field `name`") || problem.contains("missing field `command`") {
        "a profile has at least: name = \"my-agent\" and command = [\"my-agent\"]".into()
    } else if problem.contains("unknown variant") && problem.contains("idle") {
        "a state is one of \"running\", \"waiting\", \"idle\"".into()
    } else if problem.contains("unknown field") || problem.contains("unknown variant") {
        "one of the names after \"expected\" would be right".into()
    } else if problem.contains("invalid type") {
        "lists are written [\"a\", \"b\"], texts \"a\", tables key = value".into()
    } else {
        "see docs/agents.md for a whole profile".into()
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or(text).matches('\n').count() + 1
}

/// The first line that begins with a key, quoted or not.
fn line_with(text: &str, key: &str) -> usize {
    let begins = |line: &str| line.trim_start().trim_start_matches('"').starts_with(key);
    text.lines().position(begins).map_or(1, |n| n + 1)
}
