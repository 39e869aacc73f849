//! The other terminal: `@xterm/headless`, in a node process that lives as long as the test program.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use stead_hold::term::Terminal;
use stead_wire::session::Size;

/// The node process.
pub struct Oracle {
    _node: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What is compared: output that is cut, and the state of the terminal that is repainted at the cut.
pub struct Case<'a> {
    pub size: Size,
    pub before: &'a [u8],
    pub after: &'a [u8],
    pub dirt: &'a [u8],
}

impl Oracle {
    /// The one node process.
    pub fn get() -> MutexGuard<'static, Oracle> {
        static ORACLE: OnceLock<Mutex<Oracle>> = OnceLock::new();
        // A failed comparison is no reason to refuse the next.
        ORACLE
            .get_or_init(|| Mutex::new(Oracle::start()))
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn start() -> Oracle {
        let modules = modules();
        let missing = ["headless", "addon-unicode11"]
            .into_iter()
            .find(|name| !modules.join("@xterm").join(name).exists());
        if let Some(name) = missing {
            panic!("@xterm/{name} is not in {}: run `make test-deps`", modules.display());
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/oracle.mjs");
        let mut node = Command::new("node")
            .arg(script)
            .env("STEAD_NODE_MODULES", &modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("node does not start ({e}): run `make test-deps`"));
        let questions = node.stdin.take().unwrap();
        let answers = BufReader::new(node.stdout.take().unwrap());
        Oracle { _node: node, questions, answers }
    }

    /// Cuts the output, repaints, and says how the repainted terminal differs from one that was always there.
    pub fn differences(&mut self, case: &Case) -> Vec<String> {
        let mut terminal = Terminal::new(case.size);
        terminal.feed(case.before);
        let mut repaint = terminal.repaint();
        repaint.extend_from_slice(terminal.pending());
        let question = json!({
            "cols": case.size.cols,
            "rows": case.size.rows,
            "before": BASE64.encode(case.before),
            "after": BASE64.encode(case.after),
            "dirt": BASE64.encode(case.dirt),
            "repaint": BASE64.encode(&repaint),
        });
        writeln!(self.questions, "{question}").expect("the oracle takes questions");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the oracle answers");
        let answer: Value = serde_json::from_str(&answer).expect("the oracle answers in JSON");
        let mut found = Vec::new();
        for at in ["cut", "end"] {
            let list = answer[at].as_array().expect("a list of differences");
            found.extend(
                list.iter().map(|text| format!("at the {at}: {}", text.as_str().unwrap_or("?"))),
            );
        }
        if !found.is_empty() {
            found.push(format!("repainted with {}", repaint.escape_ascii()));
        }
        found
    }
}

/// `STEAD_NODE_MODULES`, or where `make test-deps` puts them.
fn modules() -> PathBuf {
    if let Some(dir) = std::env::var_os("STEAD_NODE_MODULES") {
        return dir.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .expect("HOME is set");
    cache.join("stead-dev/npm/node_modules")
}
