//! What a session's agent needs before it starts: its command, environment and files.

use crate::StewardError;
use crate::agents::{self, Elsewhere, PrepareInput, Profiles};
use crate::shared::Core;
use std::collections::BTreeMap;
use std::path::PathBuf;
use stead_hold::folder::{Folder, FolderError, create_private, replace};
use stead_wire::session::{Conversation, Spec};

/// The environment as it was asked for, in the session's folder: the next life is prepared from it again. Only
/// sessions with an agent have this file; for others, the spec's is the one asked for.
const ASKED_ENV: &str = "env.json";

/// What is to be written before a life begins.
#[derive(Debug, Default)]
pub struct Prepared {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// What a person should know.
    pub note: Option<String>,
}

impl Prepared {
    /// Writes the files into the session's folder, which is made if need be.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, folder: &Folder) -> Result<(), FolderError> {
        if self.files.is_empty() {
            return Ok(());
        }
        create_private(folder.path())?;
        self.files.iter().try_for_each(|(path, bytes)| replace(path, bytes))
    }

    /// The files for the session's folder inside a machine, and those for its folder on this host.
    pub fn apart(&self) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<u8>>) {
        let named = self.files.iter().filter_map(|(path, bytes)| {
            let name = path.file_name()?.to_str()?;
            Some((name.to_owned(), bytes.clone()))
        });
        named.partition(|(name, _)| name != ASKED_ENV)
    }

    /// The environment that a session with an agent was asked for with.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn asked_env(folder: &Folder) -> Result<Option<BTreeMap<String, String>>, StewardError> {
        let path = folder.path().join(ASKED_ENV);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| FolderError::Damaged { path, source }.into()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StewardError::io(format!("read {}", path.display()))(e)),
        }
    }
}

impl Core {
    /// Makes command, environment and agent of a session's next life from what was asked for. Without an agent
    /// they stay as they are.
    ///
    /// # Errors
    /// If there is no such agent.
    pub fn prepare(
        &self,
        spec: &mut Spec,
        agent: Option<&str>,
        resume: Option<&Conversation>,
        elsewhere: Option<&Elsewhere<'_>>,
    ) -> Result<Prepared, StewardError> {
        let Some(agent) = agent else { return Ok(Prepared::default()) };
        let profiles = Profiles::load(&self.places.config);
        let Some(profile) = profiles.get(agent) else {
            let shown: String = agent.chars().take(40).flat_map(char::escape_debug).collect();
            let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
            let mut all = vec![format!("there is no agent \"{shown}\"")];
            all.extend(profiles.errors().iter().map(ToString::to_string));
            return Err(StewardError::invalid(all.join("; "))
                .with_help(format!("one of {}", names.join(", "))));
        };
        let folder = self.places.session(&spec.id);
        let ready = agents::prepare(
            profile,
            &PrepareInput {
                asked: &spec.asked,
                env: &spec.env,
                cwd: &spec.cwd,
                folder: elsewhere.map_or(folder.path(), |e| e.folder),
                hook_command: elsewhere.map_or(&self.hook_command, |e| e.hook),
                resume,
                elsewhere: elsewhere.map(|e| e.kept),
            },
        );
        let mut files = ready.files;
        let env = serde_json::to_vec(&spec.env).expect("a map of texts");
        files.push((folder.path().join(ASKED_ENV), env));
        spec.command = ready.command;
        spec.env = ready.env;
        spec.agent = Some(ready.agent);
        let note = (!ready.notes.is_empty()).then(|| ready.notes.join("; "));
        Ok(Prepared { files, note })
    }
}
