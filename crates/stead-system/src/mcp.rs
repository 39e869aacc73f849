//! The MCP servers of a person's Claude Code, without what lets anybody into them.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where Claude Code has them in a home, beside much that is its own.
pub const FILE: &str = ".claude.json";

/// Servers by name, and what was left out of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Servers {
    /// As `mcpServers` has them.
    pub all: Map<String, Value>,
    /// What a person is told.
    pub remarks: Vec<String>,
}

/// Files below a `claude_home` that can have servers, and the one beside it, in the order in which they count.
pub fn places(home: &Path) -> Vec<PathBuf> {
    let beside = home.file_name().is_some_and(|name| name == ".claude");
    let beside = beside.then(|| home.with_file_name(FILE));
    let within = [FILE, ".mcp.json", "mcp.json"].map(|name| home.join(name));
    beside.into_iter().chain(within).collect()
}

impl Servers {
    /// Adds those of a file that are not there yet.
    ///
    /// # Errors
    /// If it is no JSON, or has no such servers.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let servers = match file.get("mcpServers") {
            None => return Ok(()),
            Some(Value::Object(servers)) => servers,
            Some(_) => return Err("`mcpServers` is no table".into()),
        };
        for (name, server) in servers {
            if self.all.contains_key(name) {
                continue;
            }
            let mut out = Vec::new();
            if let Some(server) = bare(server, &mut out) {
                self.all.insert(name.clone(), server);
            }
            self.remarks.extend(out.into_iter().map(|what| format!("MCP server {name}: {what}")));
        }
        Ok(())
    }

    /// The text of a file that has these and nothing else; `None` without any.
    pub fn text(&self) -> Option<String> {
        let file =
            Value::from(Map::from_iter([("mcpServers".to_owned(), self.all.clone().into())]));
        let text = serde_json::to_string_pretty(&file).unwrap_or_default();
        (!self.all.is_empty()).then(|| text + "\n")
    }
}

/// The servers of such a text.
pub(crate) fn of_text(text: &str) -> Map<String, Value> {
    let mut file: Value = serde_json::from_str(text).unwrap_or_default();
    match file.get_mut("mcpServers").map(Value::take) {
        Some(Value::Object(servers)) => servers,
        _ => Map::new(),
    }
}

/// Claude Code's own file with these servers, and without those that are gone. `None` if it has them already.
///
/// # Errors
/// If it is no JSON: it is left alone.
pub(crate) fn merged(
    file: Option<&str>,
    servers: &Map<String, Value>,
    gone: &BTreeSet<String>,
) -> Result<Option<String>, String> {
    let empty = file.is_none_or(|text| text.trim().is_empty());
    let text = if empty { "{}" } else { file.unwrap_or_default() };
    let Ok(Value::Object(mut whole)) = serde_json::from_str(text) else {
        return Err(format!("~/{FILE} is no JSON, and is left as it is"));
    };
    let before = whole.get("mcpServers").cloned();
    let mut all = match &before {
        Some(Value::Object(all)) => all.clone(),
        Some(_) => return Err(format!("`mcpServers` in ~/{FILE} is no table, and is left")),
        None => Map::new(),
    };
    all.retain(|name, _| !gone.contains(name));
    all.extend(servers.clone());
    let all = Value::from(all);
    if before.as_ref() == Some(&all) || before.is_none() && all == Value::from(Map::new()) {
        return Ok(None);
    }
    whole.insert("mcpServers".into(), all);
    serde_json::to_string_pretty(&Value::from(whole))
        .map(|text| Some(text + "\n"))
        .map_err(|error| error.to_string())
}

/// What is known of a server to be no credential in itself.
const KNOWN: [&str; 8] =
    ["args", "command", "env", "headers", "headersHelper", "timeout", "type", "url"];

/// A server without credentials; `None` if it is nothing without them.
fn bare(server: &Value, out: &mut Vec<String>) -> Option<Value> {
    let Value::Object(server) = server else {
        out.push("left out, for it is no table".into());
        return None;
    };
    let mut kept = Map::new();
    for (key, value) in server {
        if !KNOWN.contains(&key.as_str()) {
            out.push(format!("`{key}` left out, for it could be a credential"));
            continue;
        }
        let value = match (key.as_str(), value) {
            ("env" | "headers", Value::Object(all)) => {
                let mut own = Map::new();
                for (name, value) in all {
                    if value.as_str().is_some_and(|text| !tells(name, text)) {
                        own.insert(name.clone(), value.clone());
                    } else {
                        let how = "write ${VARIABLE} for what each machine has of its own";
                        out.push(format!("`{name}` of `{key}` left out as a credential; {how}"));
                    }
                }
                own.into()
            }
            ("args", Value::Array(all)) => {
                let words: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                let told = words.iter().enumerate().any(|(at, word)| {
                    // A value follows its option, or is in the same word.
                    let option = at.checked_sub(1).map_or("", |before| words[before]);
                    let option = if option.starts_with('-') { option } else { "" };
                    match word.split_once('=') {
                        Some((name, value)) if word.starts_with('-') => tells(name, value),
                        _ => !word.starts_with('-') && tells(option, word),
                    }
                });
                if told || words.len() != all.len() {
                    out.push("left out, for a credential is among its arguments".into());
                    return None;
                }
                value.clone()
            }
            (_, Value::String(text)) => {
                if tells("", text) {
                    out.push(format!("left out, for a credential is in its `{key}`"));
                    return None;
                }
                value.clone()
            }
            (_, Value::Number(_) | Value::Bool(_)) => value.clone(),
            _ => {
                out.push(format!("`{key}` left out, for it is not understood"));
                continue;
            }
        };
        kept.insert(key.clone(), value);
    }
    Some(kept.into())
}

/// Parts of names of what lets somebody in.
const NAMES: [&str; 12] = [
    "apikey",
    "auth",
    "bearer",
    "cookie",
    "credential",
    "key",
    "passphrase",
    "passw",
    "pat",
    "secret",
    "session",
    "token",
];
/// How well-known keys begin.
const BEGIN: [&str; 16] = [
    "-----BEGIN",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "npm_",
    "sk-",
    "sk_",
    "tskey-",
    "xoxb-",
    "xoxp-",
];

/// Whether a value lets somebody in, going by its name and by itself. What another variable has is nothing by itself.
fn tells(name: &str, value: &str) -> bool {
    let value = unreferenced(value);
    let rest = value.trim();
    let rest = ["Bearer", "Basic", "Token", "token"]
        .iter()
        .find_map(|scheme| rest.strip_prefix(scheme))
        .unwrap_or(rest)
        .trim();
    !rest.is_empty() && (names(name) || has_login(rest) || looks(rest))
}

/// Whether a name is one of a credential: a part of it is, or with those of some letters its whole.
fn names(name: &str) -> bool {
    let name = name.to_lowercase();
    let parts: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    NAMES.iter().any(
        |known| {
            if known.len() > 3 { name.contains(known) } else { parts.contains(known) }
        },
    ) || name.ends_with("key")
        || name.ends_with("pwd")
}

/// The text without `${VARIABLE}` and with what stands in for one that is not set.
fn unreferenced(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out += before;
        let (within, next) = after.split_once('}').unwrap_or((after, ""));
        out += within.split_once(":-").map_or("", |(_, otherwise)| otherwise);
        rest = next;
    }
    out + rest
}

/// Whether an address has a login before its host, or names a credential in its query.
fn has_login(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let named = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        names(name) && !unreferenced(value).is_empty()
    };
    host.contains('@') && !unreferenced(host.split('@').next().unwrap_or_default()).is_empty()
        || query.split(['&', '#']).any(named)
}

/// Whether a word of it looks as if a machine had made it up.
fn looks(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
    text.contains(BEGIN[0])
        || text.split(|c| !part(c)).any(|word| {
            let digits = word.chars().filter(char::is_ascii_digit).count();
            let letters = word.chars().filter(char::is_ascii_alphabetic).count();
            BEGIN.iter().any(|begin| word.starts_with(begin) && word.len() >= 12)
                || word.len() >= 20 && digits >= 3 && letters >= 3
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(server: &Value) -> (Option<Value>, Vec<String>) {
        let mut servers = Servers::default();
        servers.add(&json!({ "mcpServers": { "it": server } }).to_string()).unwrap();
        (servers.all.get("it").cloned(), servers.remarks)
    }

    #[test]
    fn what_is_no_credential_comes_along() {
        for server in [
            json!({ "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"] }),
            json!({ "type": "http", "url": "https://mcp.example.org/v1/mcp?region=eu-central-1" }),
            json!({ "command": "x", "env": { "LOG_LEVEL": "debug", "API_KEY": "${API_KEY}" } }),
            json!({ "type": "sse", "url": "https://x.example.org/${TENANT}/sse", "timeout": 30,
                    "headers": { "Authorization": "Bearer ${TOKEN}", "Accept": "text/plain" } }),
            json!({ "command": "docker", "args": ["run", "--rm", "-e", "GITHUB_TOKEN", "ghcr.io/github/github-mcp-server"] }),
        ] {
            assert_eq!(of(&server), (Some(server.clone()), Vec::new()));
        }
    }

    #[test]
    fn credentials_are_left_out_and_told() {
        let (kept, told) = of(&json!({ "command": "x", "env": {
            "GITHUB_TOKEN": "abc", "A": "ghp_0123456789abcdef", "B": "5f4dcc3b5aa765d61d8327deb882cf99",
            "C": "postgres://ada:hunter2@db/x", "D": "${D:-sk-ant-api03-xxxxxxxx}", "E": "plain" } }));
        assert_eq!(kept, Some(json!({ "command": "x", "env": { "E": "plain" } })));
        assert_eq!(told.len(), 5, "{told:?}");
        let of_a = |told: &String| told.starts_with("MCP server it: `A` of `env` left out");
        assert!(told.iter().any(of_a), "{told:?}");
        let (kept, told) = of(&json!({ "url": "https://x.example.org/mcp", "headers": {
            "Authorization": "Bearer hunter2", "X-Api-Key": "1", "Accept": "*/*" }, "oauth": { "clientSecret": "x" } }));
        assert_eq!(
            kept,
            Some(json!({ "url": "https://x.example.org/mcp", "headers": { "Accept": "*/*" } }))
        );
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[test]
    fn what_is_nothing_without_its_credential_stays_whole_where_it_is() {
        for server in [
            json!({ "url": "https://ada:hunter2@x.example.org/mcp" }),
            json!({ "url": "https://x.example.org/mcp?api_key=1" }),
            json!({ "url": "https://x.example.org/s/0a1b2c3d-4e5f-6789-abcd-ef0123456789/mcp" }),
            json!({ "command": "x", "args": ["--token", "hunter2"] }),
            json!({ "command": "x", "args": ["--api-key=hunter2"] }),
            json!({ "command": "x", "args": ["postgres://ada:hunter2@db/x"] }),
            json!({ "command": "x", "args": [["--token"]] }),
            json!("x"),
        ] {
            let (kept, told) = of(&server);
            assert_eq!((kept, told.len()), (None, 1), "{server}: {told:?}");
            assert!(!told[0].contains("hunter2"), "{told:?}");
        }
    }

    #[test]
    fn what_claude_keeps_for_itself_stays() {
        let servers = of_text(r#"{"mcpServers":{"a":{"command":"new"}}}"#);
        let gone = BTreeSet::from(["b".to_owned()]);
        let file =
            r#"{"oauthAccount":{"x":1.5},"mcpServers":{"a":{"command":"old"},"b":{},"own":{}}}"#;
        let text = merged(Some(file), &servers, &gone).unwrap().unwrap();
        let is: Value = serde_json::from_str(&text).unwrap();
        let wanted = json!({ "oauthAccount": { "x": 1.5 },
            "mcpServers": { "a": { "command": "new" }, "own": {} } });
        assert_eq!(is, wanted);
        // Asked again there is nothing to do.
        assert_eq!(merged(Some(&text), &servers, &gone).unwrap(), None);
        assert_eq!(merged(None, &Map::new(), &gone).unwrap(), None);
        assert!(merged(None, &servers, &gone).unwrap().unwrap().contains("new"));
        for file in ["{", "[]", r#"{"mcpServers":[]}"#] {
            assert!(merged(Some(file), &servers, &gone).is_err(), "{file}");
        }
    }
}
