//! The login of an agent on this host, copied into a machine that has none. This host's files are only read.

use super::{Machines, api};
use crate::StewardError;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use stead_machine::Manager;
use stead_machine::engine::Exec;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a machine may take to write a small file.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes standard input to a file, whole or not at all, unless it is there: its path, its mode.
const PUT: &str = r#"umask 077
f=$1; case $f in /*) ;; *) f=${HOME:-/root}/$f ;; esac
[ -e "$f" ] && exit 10
[ -d "${f%/*}" ] || mkdir -p "${f%/*}" || exit 1
cat > "$f.stead" && chmod "$2" "$f.stead" && mv "$f.stead" "$f""#;

/// The exit status that says that the file was there.
const THERE: i32 = 10;

/// Claude Code without questions, which it refuses to root unless it is told that it sits in a sandbox.
const START_CLAUDE: &str = "#!/bin/sh\n\
    # Claude Code that asks for no permission: this machine is its sandbox. Plain claude asks as ever.\n\
    export IS_SANDBOX=1\n\
    exec claude --dangerously-skip-permissions \"$@\"\n";

/// What Claude Code must find beside its credentials not to ask for a login again.
const KEPT: [&str; 2] = ["hasCompletedOnboarding", "oauthAccount"];

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    /// It is in the machine now.
    Copied,
    /// The machine had one.
    There,
}

impl Machines {
    /// Copies the login of agents on this host into a machine that runs and has none of its own.
    ///
    /// # Errors
    /// If one cannot be copied.
    pub async fn share_logins(
        &self,
        name: &str,
        ask: api::ShareLogins,
    ) -> Result<Vec<api::SharedLogin>, StewardError> {
        let mut shared = Vec::new();
        for agent in ask.agents {
            let copied = share(&self.manager, name, &agent).await;
            let copied = copied.map_err(StewardError::failed)? == Copied::Copied;
            shared.push(api::SharedLogin { agent, copied });
        }
        Ok(shared)
    }

    /// Puts what starts an agent without questions into a machine that runs.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub async fn prepare_agent(&self, name: &str, agent: &str) -> Result<(), StewardError> {
        if agent != "claude" || name == "host" {
            return Ok(());
        }
        install_start_claude(&self.manager, name).await.map_err(StewardError::failed)
    }

    /// Copies the logins that a machine which has just started is declared to share.
    pub(super) async fn share_declared_logins(&self, name: &str) {
        let Ok(Some(record)) = self.manager.records().get(name) else { return };
        for agent in &record.wanted.declared.share_agent_auth {
            match share(&self.manager, name, agent).await {
                Ok(Copied::There) => {}
                Ok(Copied::Copied) => self.steward.tell(format!(
                    "machine \"{name}\": the login of {agent} on this host was copied into it"
                )),
                Err(why) => self.steward.tell(format!("machine \"{name}\": {why}")),
            }
        }
    }
}

/// Copies an agent's login into a machine that runs, and installs what starts the agent there without questions.
///
/// # Errors
/// Why not, for a person.
async fn share(manager: &Manager, machine: &str, agent: &str) -> Result<Copied, String> {
    if agent != "claude" {
        return Err(format!("no login of {agent} can be copied; stead login {machine} -a {agent}"));
    }
    let (credentials, settings) = claude(&Homes::of_user())?;
    install_start_claude(manager, machine).await?;
    // Beside a login of the machine's own, its own settings stay.
    if !put(manager, machine, ".claude/.credentials.json", "600", &credentials).await? {
        return Ok(Copied::There);
    }
    put(manager, machine, ".claude.json", "600", &settings).await?;
    Ok(Copied::Copied)
}

/// Puts `start-claude` into a machine.
///
/// # Errors
/// Why not, for a person.
async fn install_start_claude(manager: &Manager, machine: &str) -> Result<(), String> {
    let script = START_CLAUDE.as_bytes();
    match put(manager, machine, "/usr/local/bin/start-claude", "755", script).await {
        // Machines of an ordinary user have folders that are nobody's there.
        Err(_) => put(manager, machine, ".local/bin/start-claude", "755", script).await.map(drop),
        Ok(_) => Ok(()),
    }
}

/// Where Claude Code keeps its files on this host.
struct Homes {
    credentials: PathBuf,
    settings: PathBuf,
}

impl Homes {
    fn of_user() -> Self {
        let home = std::env::home_dir().unwrap_or_default();
        match std::env::var_os("CLAUDE_CONFIG_DIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => Homes::at(Path::new(&folder), Path::new(&folder)),
            None => Homes::at(&home.join(".claude"), &home),
        }
    }

    fn at(credentials: &Path, settings: &Path) -> Self {
        Homes {
            credentials: credentials.join(".credentials.json"),
            settings: settings.join(".claude.json"),
        }
    }
}

/// The credentials, and of the settings what belongs to them.
fn claude(homes: &Homes) -> Result<(Vec<u8>, Vec<u8>), String> {
    let file = homes.credentials.display();
    let credentials = std::fs::read(&homes.credentials)
        .map_err(|e| format!("this host has no login of claude to copy: {file}: {e}"))?;
    if !serde_json::from_slice::<Value>(&credentials).is_ok_and(|value| value.is_object()) {
        return Err(format!("this host has no login of claude to copy: {file} is no JSON object"));
    }
    let settings = std::fs::read(&homes.settings).ok();
    let settings: Map<String, Value> =
        settings.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let kept: Map<String, Value> =
        settings.into_iter().filter(|(key, _)| KEPT.contains(&key.as_str())).collect();
    let settings = serde_json::to_vec(&kept).map_err(|e| e.to_string())?;
    Ok((credentials, settings))
}

/// Writes a file inside. `false`: it was there and is as it was.
async fn put(
    manager: &Manager,
    machine: &str,
    file: &str,
    mode: &str,
    bytes: &[u8],
) -> Result<bool, String> {
    let words = ["/bin/sh", "-c", PUT, "sh", file, mode].map(String::from);
    let exec = Exec { command: words.into(), ..Exec::default() };
    let command = manager.exec(machine, &exec).await.map_err(|e| e.to_string())?;
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let mut input = child.stdin.take();
    let work = async {
        if let Some(input) = &mut input {
            // Where the file is there already, nobody reads.
            let _ = input.write_all(bytes).await;
        }
        drop(input);
        child.wait().await.map_err(|e| e.to_string())
    };
    let ended = tokio::time::timeout(PATIENCE, work).await;
    let status = ended.map_err(|_| format!("{machine} does not write {file}"))??;
    match status.code() {
        Some(0) => Ok(true),
        Some(THERE) => Ok(false),
        _ => Err(format!("{file} cannot be written in {machine}: {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn of_the_settings_only_what_belongs_to_the_login_is_read() {
        let home = tempfile::tempdir().unwrap();
        let homes = Homes::at(home.path(), home.path());
        assert!(claude(&homes).unwrap_err().contains(".credentials.json"));
        fs::write(&homes.credentials, "half").unwrap();
        assert!(claude(&homes).unwrap_err().contains("no JSON object"));
        fs::write(&homes.credentials, r#"{"claudeAiOauth":{"accessToken":"x"}}"#).unwrap();
        let (credentials, settings) = claude(&homes).unwrap();
        assert_eq!(credentials, fs::read(&homes.credentials).unwrap());
        assert_eq!(settings, b"{}");
        let all =
            r#"{"projects":{"/secret":{}},"hasCompletedOnboarding":true,"oauthAccount":{"id":1}}"#;
        fs::write(&homes.settings, all).unwrap();
        let settings: Value = serde_json::from_slice(&claude(&homes).unwrap().1).unwrap();
        let kept = serde_json::json!({"hasCompletedOnboarding": true, "oauthAccount": {"id": 1}});
        assert_eq!(settings, kept);
    }
}
