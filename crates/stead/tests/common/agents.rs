//! Real coding agents, with a stand-in for the model behind them.

use super::{PATIENCE, Terminal, World, kill_and_wait, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The key that the stand-in is given. Real ones are not asked for.
pub const KEY: &str = "sk-ant-test";

/// The last line of a question of Codex's, once it takes an answer.
pub const CODEX_ASKS: &str = "Yes, proceed";

/// The program that stands in for the model APIs.
pub struct Model {
    server: Child,
    port: u64,
}

/// One request that an agent made.
#[derive(Debug, Clone)]
pub struct Request(Value);

impl Request {
    /// Whether somebody has said this in the conversation that the request carries.
    pub fn has(&self, role: &str, text: &str) -> bool {
        let said = self.0["said"].as_array().expect("a list");
        said.iter()
            .any(|s| s["role"] == role && s["text"].as_str().is_some_and(|t| t.contains(text)))
    }

    /// What the tools answered last.
    pub fn tool_result(&self) -> Option<&str> {
        self.0["last"]["tool_result"].as_str()
    }
}

impl Model {
    fn start() -> Self {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/model-stand-in/server.mjs");
        let mut server = Command::new("node")
            .arg(program)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("node: {e}; run make test-deps"));
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("the stand-in says its port");
        Model { server, port: said["port"].as_u64().unwrap() }
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds replies to the script.
    pub fn script(&self, replies: &Value) {
        self.control("POST", "script", &replies.to_string());
    }

    /// Lets the reply that is held go on.
    pub fn release(&self) {
        self.control("POST", "release", "");
    }

    /// Waits until a reply is held.
    pub fn wait_held(&self) {
        self.control("GET", "wait?held=1", "");
    }

    /// Waits until so many replies were finished.
    pub fn wait_replies(&self, count: usize) {
        self.control("GET", &format!("wait?replies={count}"), "");
    }

    fn log(&self) -> Value {
        self.control("GET", "log", "")
    }

    /// The requests of the agents' main loops so far.
    pub fn requests(&self) -> Vec<Request> {
        let log = self.log();
        let all = log["requests"].as_array().expect("a list").iter();
        all.filter(|r| r["main"] == true).cloned().map(Request).collect()
    }

    fn control(&self, method: &str, what: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port as u16)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} /control/{what} HTTP/1.1\r\nhost: stand-in\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|e| panic!("{method} {what}: {e}"));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {what}: {answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A world with agents in it. When it ends well, the model has refused nothing and said everything.
pub struct Agents {
    world: World,
    pub model: Model,
}

impl Deref for Agents {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Agents {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Agents {
    /// A world in which Claude Code has been set up: past its first dialogs, with a person's own settings.
    pub fn claude() -> Self {
        let mut agents = Agents::new("claude");
        let url = agents.model.url();
        for (name, value) in [
            ("ANTHROPIC_BASE_URL", url.as_str()),
            ("ANTHROPIC_API_KEY", KEY),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("IS_SANDBOX", "1"),
        ] {
            agents.set_variable(name, value);
        }
        let state = claude_state(&agents.project());
        std::fs::write(agents.home().join(".claude.json"), state.to_string()).unwrap();
        agents
    }

    /// A world in which Codex has been set up.
    pub fn codex() -> Self {
        let mut agents = Agents::new("codex");
        let home = agents.path().join("codex");
        std::fs::create_dir(&home).unwrap();
        agents.set_variable("CODEX_HOME", home.to_str().unwrap());
        agents.set_variable("STANDIN_KEY", "x");
        let config = codex_config(&agents.model.url(), &agents.project());
        std::fs::write(home.join("config.toml"), config).unwrap();
        agents
    }

    fn new(agent: &str) -> Self {
        let modules = node_modules();
        let bin = modules.join(".bin");
        assert!(
            bin.join(agent).exists(),
            "{agent} is not in {}: run make test-deps",
            modules.display()
        );
        let mut world = World::new();
        std::fs::create_dir(world.path().join("project")).unwrap();
        let path = std::env::var("PATH").unwrap();
        world.set_variable("PATH", format!("{}:{path}", bin.display()));
        Agents { world, model: Model::start() }
    }

    /// The folder that the agents work in.
    pub fn project(&self) -> PathBuf {
        self.path().join("project")
    }

    /// Starts an agent in the project, in the background.
    pub fn start(&self, agent: &str, name: &str, arguments: &[&str]) {
        self.start_with(agent, name, arguments, &[]);
    }

    /// The same, with these variables.
    pub fn start_with(&self, agent: &str, name: &str, arguments: &[&str], env: &[(&str, &str)]) {
        let mut command = self.stead_command();
        command.args(["run", "-d", "-n", name, "-a", agent, "-C"]).arg(self.project());
        let output = command.arg("--").args(arguments).envs(env.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits for a state or a text.
    pub fn wait(&self, name: &str, what: &str) {
        self.ok(&["wait", name, "--for", what, "--timeout", "240s"]);
    }

    /// Types a prompt, and Enter once the prompt is on the screen.
    pub fn prompt(&self, name: &str, text: &str) {
        self.ok(&["send", name, text]);
        self.wait(name, text);
        self.ok(&["send", name, "--key", "enter"]);
    }

    /// Says yes to a question of Codex's until `done`. It passes over keys that come as soon as it asks: a person would
    /// type again.
    pub fn confirm_codex<T>(&self, name: &str, mut done: impl FnMut() -> Option<T>) -> T {
        let mut asked: Option<Instant> = None;
        until("the tool runs", || {
            let again = asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(2));
            if again && self.ok(&["screen", name]).contains(CODEX_ASKS) {
                self.ok(&["send", name, "y"]);
                asked = Some(Instant::now());
            }
            done()
        })
    }

    /// The loss of the machine, with what has left the sessions behind, such as a daemon of the agent's own.
    pub fn lose_everything(&self) {
        self.world.lose_everything();
        for pid in self.left_over() {
            kill_and_wait(pid, 9);
        }
    }

    /// Processes whose home is this world's.
    fn left_over(&self) -> Vec<i32> {
        let home = format!("HOME={}", self.home().display()).into_bytes();
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ.split(|b| *b == 0).any(|variable| variable == home)
            })
            .collect()
    }

    /// What a person would look at if a test fails.
    fn tell(&self) {
        for folder in self.places().all_sessions().unwrap_or_default() {
            eprintln!("---- {}", folder.id());
            eprintln!("{}", self.stead(&["status", folder.id(), "--explain"]).out);
            eprintln!("{}", self.stead(&["screen", folder.id()]).out);
        }
        let log = self.model.log();
        for request in log["requests"].as_array().into_iter().flatten() {
            eprintln!("---- asked: {} {}", request["main"], request["last"]);
        }
        eprintln!("---- refused: {}; left: {}; held: {}", log["refused"], log["left"], log["held"]);
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
            self.lose_everything();
            return;
        }
        let log = self.model.log();
        self.lose_everything();
        assert_eq!(log["refused"], json!([]), "the model was asked for what it does not know");
        assert_eq!(log["left"], 0, "the model was not asked for everything in its script");
    }
}

/// A pipe that a tool reads from: the tool is at work until the test lets it go on.
pub struct Gate(PathBuf);

impl Gate {
    /// Makes the pipe `gate` in the project.
    pub fn new(agents: &Agents) -> Self {
        let path = agents.project().join("gate");
        agents.within_shell(&format!("mkfifo {}", path.display()));
        Gate(path)
    }

    /// The pipe's other end, once the tool reads from it.
    pub fn reached(&self) -> Option<std::fs::File> {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        std::fs::OpenOptions::new().write(true).custom_flags(flags).open(&self.0).ok()
    }
}

/// Waits until both terminals show the same, cell by cell, and `text` is in it.
pub fn same_screen(a: &Terminal, b: &Terminal, text: &str) {
    let shown = |terminal: &Terminal| {
        let found = terminal.text().iter().any(|line| line.contains(text));
        found.then(|| terminal.look(|model| (model.cells(), model.title().to_owned())))
    };
    until("the screen of the terminal that never left", || {
        shown(a).filter(|cells| shown(b).as_ref() == Some(cells))
    });
}

/// What Claude Code remembers of a person who has been through its first dialogs.
pub fn claude_state(project: &Path) -> Value {
    json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [KEY], "rejected": []},
        "projects": {project.to_str().unwrap(): {"hasTrustDialogAccepted": true}},
    })
}

/// What Codex is told by a person who has been through its first dialogs.
pub fn codex_config(model: &str, project: &Path) -> String {
    format!(
        "model = \"gpt-5-codex\"\nmodel_provider = \"standin\"\ncheck_for_update_on_startup = false\n\n\
         [model_providers.standin]\nname = \"standin\"\nbase_url = \"{model}/v1\"\nwire_api = \"responses\"\n\
         env_key = \"STANDIN_KEY\"\n\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        project.display(),
    )
}

/// Where the real agents lie.
pub fn node_modules() -> PathBuf {
    if let Some(modules) = std::env::var_os("STEAD_NODE_MODULES") {
        return modules.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache"),
        PathBuf::from,
    );
    cache.join("stead-dev/npm/node_modules")
}
