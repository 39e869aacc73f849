//! Every built-in profile, a user's own, and what can be wrong with one.

use super::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use stead_wire::session::{Conversation, Stream};
use stead_wire::status::State;

const ID: &str = "0b6f7a52-8e0e-4f9c-9d1c-1f5f0b0a7a11";

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(Into::into).collect()
}

/// A home, a working folder and a session's folder.
struct Bench {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
    resume: Option<Conversation>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap().to_owned();
        let env = [("HOME".to_owned(), home), ("PATH".to_owned(), "/bin".to_owned())].into();
        Bench { dir, env, resume: None }
    }

    fn resuming() -> Self {
        let resume = Conversation { id: ID.into(), source: "hook".into(), learned: 1 };
        Bench { resume: Some(resume), ..Bench::new() }
    }

    /// Puts a conversation where the agent would have.
    fn keeps(self, path: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    fn prepare(&self, agent: &str, asked: &[String]) -> Prepared {
        let profiles = Profiles::built_in();
        prepare(
            profiles.get(agent).unwrap(),
            &PrepareInput {
                asked,
                env: &self.env,
                cwd: self.dir.path(),
                folder: Path::new("/s/1"),
                hook_command: &["/opt/stead-hold".into(), "hook".into()],
                resume: self.resume.as_ref(),
                elsewhere: None,
            },
        )
    }

    fn run(&self, agent: &str, asked: &str) -> Prepared {
        self.prepare(agent, &words(asked))
    }
}

fn line(prepared: &Prepared) -> String {
    prepared.command.join(" ")
}

mod claude {
    use super::*;

    const SETTINGS: &str = "/s/1/agent-settings.json";

    fn settings(prepared: &Prepared) -> Value {
        let (path, bytes) = &prepared.files[0];
        assert_eq!(path, Path::new(SETTINGS));
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_new_session_has_hooks_and_a_conversation_of_our_choice() {
        let p = Bench::new().run("claude", "");
        let id = p.agent.conversation.clone().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(line(&p), format!("claude --settings {SETTINGS} --session-id {id}"));
        let settings = settings(&p);
        for event in ["SessionStart", "PermissionRequest", "Notification", "Stop"] {
            let hook = &settings["hooks"][event][0]["hooks"][0];
            assert_eq!(hook["command"], "/opt/stead-hold hook", "{event}");
        }
        assert_eq!(p.agent.hooks["PermissionRequest"], State::Waiting);
        assert_eq!(p.agent.stream, None);
        assert_eq!(p.notes, [""; 0]);
        let again = Bench::new().run("claude", "").agent.conversation;
        assert_ne!(again, p.agent.conversation);
    }

    #[test]
    fn arguments_and_whole_commands() {
        let p = Bench::new().run("claude", "--model opus");
        assert!(line(&p).starts_with("claude --settings ") && line(&p).ends_with("--model opus"));
        for (agent, asked) in [("claude", "mcp list"), ("codex", "exec go"), ("codex", "resume x")]
        {
            let p = Bench::new().run(agent, asked);
            let first = asked.split(' ').next().unwrap();
            assert_eq!(p.command[0], agent);
            assert!(p.command.iter().any(|word| word == first), "{}", line(&p));
        }
        let p = Bench::new().run("claude", "nice /opt/bin/claude fix");
        assert!(line(&p).starts_with("nice /opt/bin/claude --settings "), "{}", line(&p));
        assert!(line(&p).ends_with(" fix"));
        let p = Bench::new().run("claude", "bash -c x");
        assert_eq!((line(&p).as_str(), p.notes.len()), ("bash -c x", 1));
        assert!(p.agent.hooks.is_empty() && p.agent.conversation.is_none());
    }

    #[test]
    fn what_is_no_conversation_is_left_alone() {
        for asked in ["claude mcp list", "claude --debug-file x update"] {
            let p = Bench::new().run("claude", asked);
            assert_eq!(line(&p), asked);
            assert!(p.files.is_empty() && p.agent.hooks.is_empty());
        }
    }

    #[test]
    fn a_person_who_chose_the_conversation_keeps_it() {
        for asked in ["-c", "--resume abc", "--resume=abc", "-r", "--session-id abc"] {
            let p = Bench::new().run("claude", asked);
            assert!(line(&p).ends_with(&format!("{SETTINGS} {asked}")), "{}", line(&p));
            assert_eq!(p.agent.conversation, None);
        }
    }

    #[test]
    fn another_life_resumes_the_conversation_without_the_first_prompt() {
        let kept = format!(".claude/projects/-w/{ID}.jsonl");
        for (asked, rest) in [
            ("", ""),
            ("claude fix-it", ""),
            ("--model opus fix it", " --model opus"),
            ("-c --model opus", " --model opus"),
            ("--resume other --fork-session", ""),
            ("-r --verbose", " --verbose"),
            ("--session-id other --add-dir a b --verbose", " --add-dir a b --verbose"),
        ] {
            let p = Bench::resuming().keeps(&kept).run("claude", asked);
            assert_eq!(line(&p), format!("claude --settings {SETTINGS} --resume {ID}{rest}"));
            assert_eq!(p.agent.conversation.as_deref(), Some(ID));
        }
        let p = Bench::resuming().keeps(&kept).run("claude", "-p go --output-format stream-json");
        assert!(line(&p).ends_with(&format!("--resume {ID} -p go --output-format stream-json")));
    }

    #[test]
    fn an_id_that_was_never_written_down_is_begun() {
        let p = Bench::resuming().run("claude", "");
        assert_eq!(line(&p), format!("claude --settings {SETTINGS} --session-id {ID}"));
        let elsewhere = Bench::resuming().keeps(&format!("c/projects/-w/{ID}.jsonl"));
        let folder = elsewhere.dir.path().join("c").to_str().unwrap().to_owned();
        let p = elsewhere.env("CLAUDE_CONFIG_DIR", &folder).run("claude", "");
        assert!(line(&p).ends_with(&format!("--resume {ID}")));
    }

    #[test]
    fn a_persons_own_settings_are_merged_in_and_theirs_come_first() {
        let bench = Bench::new();
        let theirs =
            r#"{"model":"x","hooks":{"Stop":[{"hooks":[{"type":"command","command":"beep"}]}]}}"#;
        fs::write(bench.dir.path().join("mine.json"), theirs).unwrap();
        for given in ["mine.json", theirs] {
            let p = bench.prepare("claude", &["--settings".into(), given.into()]);
            assert_eq!(p.command.iter().filter(|w| w.starts_with("--settings")).count(), 1);
            let settings = settings(&p);
            assert_eq!(settings["model"], "x");
            let stop = settings["hooks"]["Stop"].as_array().unwrap();
            assert_eq!(stop[0]["hooks"][0]["command"], "beep");
            assert_eq!(stop.len(), 2);
        }
        let p = bench.run("claude", "--settings absent.json");
        assert!(line(&p).ends_with("--settings absent.json"), "{}", line(&p));
        assert!(p.files.is_empty() && p.notes[0].contains("absent.json"));
    }

    #[test]
    fn headless_runs() {
        for (asked, stream) in [
            ("-p go --output-format stream-json --verbose", Some(Stream::ClaudeStreamJson)),
            ("--print --output-format=stream-json go", Some(Stream::ClaudeStreamJson)),
            ("-p go", None),
            ("-p go --output-format json", None),
            ("--output-format stream-json", None),
        ] {
            assert_eq!(Bench::new().run("claude", asked).agent.stream, stream, "{asked}");
        }
    }

    #[test]
    fn traces_of_an_agent_above_are_removed_and_secrets_are_not() {
        let bench = Bench::new().env("CLAUDECODE", "1").env("ANTHROPIC_API_KEY", "k");
        let p = bench.run("claude", "");
        assert!(!p.env.contains_key("CLAUDECODE"));
        assert_eq!(p.env["ANTHROPIC_API_KEY"], "k");
    }
}

mod codex {
    use super::*;

    fn without_hooks(prepared: &Prepared) -> String {
        let mut words = prepared.command.iter().peekable();
        let mut out = Vec::new();
        while let Some(word) = words.next() {
            if word == "-c" && words.peek().is_some_and(|v| v.starts_with("hooks.")) {
                words.next();
            } else {
                out.push(word.as_str());
            }
        }
        out.join(" ")
    }

    #[test]
    fn hooks_are_given_and_trusted_on_the_command_line() {
        let p = Bench::new().run("codex", "codex -m x");
        assert_eq!(without_hooks(&p), "codex -m x");
        let given: Vec<&String> = p.command.iter().filter(|w| w.starts_with("hooks.")).collect();
        for event in ["SessionStart", "PermissionRequest", "Interrupt", "Stop"] {
            assert!(given.iter().any(|w| w.starts_with(&format!("hooks.{event}=["))), "{event}");
        }
        // One state for each hook, none for anybody else's.
        let state = given.iter().find(|w| w.starts_with("hooks.state=")).unwrap();
        assert_eq!(state.matches("trusted_hash").count(), given.len() - 1);
        assert_eq!(state.matches("/<session-flags>/config.toml:").count(), given.len() - 1);
        for value in given {
            toml::from_str::<toml::Table>(value).unwrap();
        }
        assert!(p.files.is_empty() && p.agent.conversation.is_none());
    }

    #[test]
    fn resume_interactive_and_headless() {
        let kept = format!(".codex/sessions/2026/01/02/rollout-2026-01-02T03-04-05-{ID}.jsonl");
        for (asked, expected) in [
            ("", format!("codex resume {ID}")),
            ("codex -m x fix it", format!("codex resume {ID} -m x")),
            ("codex resume other -m x", format!("codex resume {ID} -m x")),
            ("codex exec --json go", format!("codex exec resume {ID} --json go")),
            ("exec --json go", format!("codex exec resume {ID} --json go")),
            ("codex exec resume other go --json", format!("codex exec resume {ID} go --json")),
            ("codex -m x exec go", format!("codex -m x exec resume {ID} go")),
        ] {
            let p = Bench::resuming().keeps(&kept).run("codex", asked);
            assert_eq!(without_hooks(&p), expected);
            assert_eq!(p.agent.conversation.as_deref(), Some(ID));
        }
        let p = Bench::resuming().run("codex", "");
        assert_eq!(without_hooks(&p), "codex");
        assert!(p.notes[0].contains("never written down"), "{:?}", p.notes);
    }

    #[test]
    fn headless_runs_and_other_commands() {
        let stream = |asked| Bench::new().run("codex", asked).agent.stream;
        assert_eq!(stream("codex exec --json go"), Some(Stream::CodexJson));
        assert_eq!(stream("codex e go --json"), Some(Stream::CodexJson));
        assert_eq!(stream("codex exec go"), None);
        assert_eq!(stream("codex"), None);
        assert_eq!(line(&Bench::new().run("codex", "codex login")), "codex login");
    }
}

mod opencode {
    use super::*;

    #[test]
    fn a_plugin_is_added_to_the_persons_own_configuration() {
        let p = Bench::new().run("opencode", "");
        let config: Value = serde_json::from_str(&p.env["OPENCODE_CONFIG_CONTENT"]).unwrap();
        assert_eq!(config["plugin"][0], "file:///s/1/agent-plugin.js");
        let source = String::from_utf8(p.files[0].1.clone()).unwrap();
        assert!(source.contains(r#"const hook = ["/opt/stead-hold","hook"];"#));
        let own = r#"{"model":"m","plugin":["mine"]}"#;
        let p = Bench::new().env("OPENCODE_CONFIG_CONTENT", own).run("opencode", "");
        let config: Value = serde_json::from_str(&p.env["OPENCODE_CONFIG_CONTENT"]).unwrap();
        assert_eq!(config["model"], "m");
        assert_eq!(config["plugin"].as_array().unwrap().len(), 2);
        let p = Bench::new().env("OPENCODE_CONFIG_CONTENT", "not JSON").run("opencode", "");
        assert_eq!(p.env["OPENCODE_CONFIG_CONTENT"], "not JSON");
        assert_eq!((p.notes.len(), p.files.len()), (1, 0));
    }

    #[test]
    fn the_plugin_hands_events_on_in_order() {
        let p = Bench::new().run("opencode", "");
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let hook = format!(r#"["sh","-c","cat >> {0}; echo >> {0}"]"#, out.display());
        let source = String::from_utf8(p.files[0].1.clone()).unwrap();
        let source = source.replace(r#"["/opt/stead-hold","hook"]"#, &hook);
        let plugin = dir.path().join("plugin.mjs");
        fs::write(&plugin, source).unwrap();
        let script = format!(
            r#"const {{ Stead }} = await import("{}");
            const {{ event }} = await Stead();
            const tell = (type, properties) => event({{ event: {{ type, properties }} }});
            await tell("session.created", {{ info: {{ id: "part", parentID: "whole" }} }});
            await tell("session.status", {{ sessionID: "whole", status: {{ type: "busy", secret: 1 }} }});
            await tell("session.idle", {{ sessionID: "part" }});
            await tell("permission.asked", {{ sessionID: "part", metadata: {{ command: "x" }} }});
            await tell("file.edited", {{}});
            await tell("session.idle", {{ sessionID: "whole" }});"#,
            plugin.display()
        );
        let status = std::process::Command::new("node")
            .args(["--input-type=module", "-e", &script])
            .status()
            .unwrap();
        assert!(status.success());
        let heard = fs::read_to_string(out).unwrap();
        let heard: Vec<&str> = heard.lines().collect();
        assert_eq!(
            heard,
            [
                r#"{"type":"plugin.loaded"}"#,
                r#"{"type":"session.status","properties":{"sessionID":"whole","status":{"type":"busy"}}}"#,
                r#"{"type":"permission.asked","properties":{}}"#,
                r#"{"type":"session.idle","properties":{"sessionID":"whole"}}"#,
            ]
        );
    }

    #[test]
    fn resume() {
        let p = Bench::resuming().run("opencode", "opencode --prompt go -m a/b /src");
        assert!(line(&p).starts_with(&format!("opencode --session {ID} ")), "{}", line(&p));
        let p = Bench::resuming().run("opencode", "opencode run go");
        assert_eq!(line(&p), format!("opencode run --session {ID} go"));
    }
}

mod gemini {
    use super::*;

    #[test]
    fn hooks_lie_in_the_systems_settings_of_this_session() {
        let p = Bench::new().run("gemini", "");
        let id = p.agent.conversation.clone().unwrap();
        assert_eq!(line(&p), format!("gemini --session-id {id}"));
        assert_eq!(p.env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"], "/s/1/agent-settings.json");
        let settings: Value = serde_json::from_slice(&p.files[0].1).unwrap();
        assert_eq!(settings["hooks"]["AfterAgent"][0]["hooks"][0]["timeout"], 5000);
    }

    #[test]
    fn resume() {
        let p = Bench::resuming().run("gemini", "-m x hello");
        assert_eq!(line(&p), format!("gemini --resume {ID} -m x"));
    }
}

mod shell {
    use super::*;

    #[test]
    fn the_persons_own() {
        assert_eq!(line(&Bench::new().run("shell", "")), "/bin/sh");
        let p = Bench::new().env("SHELL", "/usr/bin/fish").run("shell", "-l");
        assert_eq!(line(&p), "/usr/bin/fish -l");
        assert!(p.agent.hooks.is_empty() && p.notes.is_empty() && p.files.is_empty());
    }
}

mod own {
    use super::*;

    fn with(files: &[(&str, &str)]) -> Profiles {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("agents")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join("agents").join(name), text).unwrap();
        }
        Profiles::load(dir.path())
    }

    #[test]
    fn there_are_five_built_in() {
        let names: Vec<String> = with(&[]).iter().map(|p| p.name.clone()).collect();
        assert_eq!(names, ["claude", "codex", "gemini", "opencode", "shell"]);
        assert_eq!(Profiles::load(Path::new("/nonexistent")).iter().count(), 5);
    }

    #[test]
    fn a_users_profile_adds_or_replaces() {
        let profiles = with(&[
            ("mine.toml", "name = \"mine\"\ncommand = [\"my-agent\"]\n"),
            ("claude.toml", "name = \"claude\"\ncommand = [\"claude\", \"--model\", \"opus\"]\n"),
            ("notes.txt", "not a profile"),
        ]);
        assert!(profiles.errors().is_empty());
        assert_eq!(profiles.iter().count(), 6);
        assert_eq!(profiles.get("claude").unwrap().command.len(), 3);
        let found = profiles.for_command(&words("/opt/my-agent -x")).unwrap();
        assert_eq!(found.name, "mine");
        assert!(profiles.for_command(&words("vim x")).is_none());
        assert!(profiles.for_command(&[]).is_none());
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_remedy() {
        for (text, line, says, remedy) in [
            ("name = \"a\"\ncommand = \"claude\"\n", 2, "invalid type", "[\"a\", \"b\"]"),
            ("name = \"a\"\ncommand = []\n", 2, "empty", "my-agent"),
            ("name = \"a b\"\ncommand = [\"a\"]\n", 1, "' '", "my-agent"),
            ("name = \"a\"\ncommand = [\"a\"]\ncomand = 1\n", 3, "unknown field", "expected"),
            ("name = \"a\"\n", 1, "missing field `command`", "command = "),
            ("name = \"a\"\ncommand = [\"a\"\n", 2, "", "docs/agents.md"),
            (
                "name = \"a\"\ncommand = [\"a\"]\n[hooks.states]\n\"Stop\" = \"done\"\n",
                4,
                "unknown variant",
                "\"waiting\"",
            ),
            (
                "name = \"a\"\ncommand = [\"a\"]\n[conversation]\nresume = [\"--resume\"]\n",
                4,
                "where the id goes",
                "{id}",
            ),
            (
                "name = \"a\"\ncommand = [\"a\"]\n[signals]\n\"Title=x\" = \"idle\"\n",
                4,
                "no signal",
                "title=TEXT",
            ),
            (
                "name = \"a\"\ncommand = [\"a\"]\n[hooks]\nway = \"plugin\"\n",
                4,
                "hooks.variable",
                "docs/agents.md",
            ),
        ] {
            let profiles = with(&[("a.toml", text)]);
            let [ProfileError::Wrong { path, line: at, .. }] = profiles.errors() else {
                panic!("{text}: {:?}", profiles.errors());
            };
            let told = profiles.errors()[0].to_string();
            assert_eq!((path.file_name().unwrap().to_str(), *at), (Some("a.toml"), line), "{told}");
            assert!(told.contains(&format!("a.toml:{line}: ")), "{told}");
            assert!(told.contains(says) && told.contains(remedy), "{told}");
        }
    }

    #[test]
    fn a_broken_file_hides_the_built_in_of_its_name_and_no_other() {
        let profiles = with(&[("claude.toml", "name = ")]);
        assert_eq!(profiles.errors().len(), 1);
        assert!(profiles.get("claude").is_none() && profiles.get("codex").is_some());
    }
}
