//! Lives that begin inside a machine.

use super::link::{AskError, Link};
use super::machine::Machine;
use crate::StewardError;
use crate::agents::{self, Elsewhere, Profiles};
use crate::error::one_line;
use crate::prepared::Prepared;
use crate::shared::Core;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stead_hold::folder::Places;
use stead_wire::api::Create;
use stead_wire::bridge::{Ask, Start};
use stead_wire::session::{Conversation, Run, Spec};

/// How long a life inside may take to begin.
const START: Duration = Duration::from_mins(1);
/// How long a look inside may take.
const LOOK: Duration = Duration::from_secs(10);

/// A life that has begun inside.
pub struct Begun {
    pub run: Run,
    pub spec: Spec,
    /// What a person should know.
    pub note: Option<String>,
}

impl Machine {
    /// Where things lie inside.
    pub fn places(link: &Link, core: &Core) -> Places {
        Places {
            data: link.inside.data.clone(),
            runtime: link.inside.runtime.clone(),
            config: core.places.config.clone(),
        }
    }

    /// The environment of a session inside, before the session's own variables: nothing of this host's but what was
    /// declared for the machine or asked for by name.
    pub fn environment(&self, link: &Link, core: &Core, ask: &Create) -> BTreeMap<String, String> {
        let mut env = link.inside.env.clone();
        env.extend(core.remote.machines.env(&self.name));
        if let Some(lang) = ask.env.get("LANG") {
            env.entry("LANG".into()).or_insert_with(|| lang.clone());
        }
        env.extend(ask.set_env.clone());
        env
    }

    /// The folder that a session inside starts in.
    pub fn cwd(&self, link: &Link, core: &Core, asked: PathBuf) -> PathBuf {
        if asked.as_os_str().is_empty() {
            let usual = core.remote.machines.default_cwd(&self.name);
            usual.unwrap_or_else(|| link.inside.home.clone())
        } else {
            asked
        }
    }

    /// Prepares a life inside: its paths are those of the machine.
    ///
    /// # Errors
    /// If there is no such agent, or the machine cannot be asked.
    pub async fn prepare(
        &self,
        core: &Core,
        link: &Link,
        spec: &mut Spec,
        agent: Option<&str>,
        resume: Option<&Conversation>,
    ) -> Result<Prepared, StewardError> {
        let places = Self::places(link, core);
        crate::environment::for_session(&mut spec.env, &places, &spec.id, &spec.name);
        if agent == Some("claude") && link.inside.uid == 0 {
            // Without it Claude Code refuses to work unasked as root, which here is nobody outside.
            spec.env.entry("IS_SANDBOX".into()).or_insert_with(|| "1".into());
        }
        let mut kept = None;
        if let (Some(agent), Some(known)) = (agent, resume) {
            let profiles = Profiles::load(&core.places.config);
            let patterns = profiles
                .get(agent)
                .map(|profile| agents::kept_in(profile, &known.id, &spec.env))
                .unwrap_or_default();
            if !patterns.is_empty() {
                let look = link.ask::<Option<bool>>(Ask::Exists { patterns }, LOOK).await;
                kept = look.map_err(|e| self.not_started(&e))?;
            }
        }
        let folder = places.session(&spec.id);
        let elsewhere = Elsewhere { folder: folder.path(), hook: &link.inside.hook, kept };
        core.prepare(spec, agent, resume, Some(&elsewhere))
    }

    /// Begins a life inside, and writes it down here. The session's own folder here must be there.
    ///
    /// # Errors
    /// Why not; [`StewardError::Unreachable`] if it may have begun all the same.
    pub async fn begin(
        self: &Arc<Self>,
        core: &Arc<Core>,
        link: &Link,
        spec: Spec,
        prepared: Prepared,
    ) -> Result<Begun, StewardError> {
        let _permit = core.launches.acquire().await;
        let folder = core.places.session(&spec.id);
        let (files, kept_here) = prepared.apart();
        folder.create(&spec)?;
        for (name, bytes) in kept_here {
            stead_hold::folder::replace(&folder.path().join(name), &bytes)?;
        }
        let start = Ask::Start(Box::new(Start { spec: spec.clone(), files }));
        let run: Run = link.ask(start, START).await.map_err(|e| self.not_started(&e))?;
        let run = super::check::run(&self.name, run);
        folder.write_run(&run)?;
        folder.clear_exit()?;
        if let Some(note) = self.note(&spec.id).filter(|note| note.alive) {
            self.take_over(core, &note);
        }
        Ok(Begun { run, spec, note: prepared.note })
    }

    fn not_started(&self, error: &AskError) -> StewardError {
        match error {
            AskError::Refused(why) => StewardError::failed(one_line(why)),
            AskError::Broken(why) => StewardError::Unreachable {
                message: format!("the machine \"{}\" cannot be reached: {why}", self.name),
                help: "\"stead ls\" shows whether it has begun".into(),
            },
        }
    }
}
