//! A session's beginning: checking what is asked for, and starting the first or the next life.

use crate::environment::{check_cwd, find_program, for_session};
use crate::error::one_line;
use crate::names::make_name;
use crate::prepared::Prepared;
use crate::record::{from_spec, set_exit};
use crate::remote::{Begun, Machine};
use crate::shared::Core;
use crate::steward::{Steward, just_started};
use crate::{StewardError, orphan, worktree};
use std::collections::BTreeMap;
use std::sync::Arc;
use stead_hold::clock::now_ms;
use stead_hold::folder::Folder;
use stead_wire::api::Create;
use stead_wire::session::{Conversation, EndedBy, Exit, Run, Session, Spec, check_name};

impl Steward {
    /// Makes a session and starts it.
    ///
    /// # Errors
    /// One line that says what is wrong with the request, or why it did not start; nothing is left behind.
    pub async fn create(&self, ask: Create) -> Result<Session, StewardError> {
        let core = &self.core;
        check(&ask)?;
        if let Some(name) = ask.machine.clone().filter(|name| name != "host") {
            return self.create_inside(ask, &name).await;
        }
        let command = match ask.command.as_slice() {
            [] if ask.agent.is_none() => vec![shell(&ask.env)],
            command => command.to_vec(),
        };
        let mut env = ask.env;
        env.extend(ask.set_env);
        let claim = Claim::new(core, ask.name.as_deref(), ask.agent.as_deref(), &command)?;
        let mut spec = Spec {
            id: claim.id.clone(),
            name: claim.name.clone(),
            machine: "host".into(),
            command: command.clone(),
            cwd: ask.cwd,
            env,
            size: ask.size.clamped(),
            restart: ask.restart,
            linger: ask.linger,
            agent: None,
            created: now_ms(),
            asked: command,
        };
        for_session(&mut spec.env, &core.places, &spec.id, &spec.name);
        if let Some(branch) = &ask.worktree {
            let tree = worktree::add(&spec.cwd, branch, &spec.name).await?;
            spec.cwd = tree;
        }
        let prepared = core.prepare(&mut spec, ask.agent.as_deref(), None, None)?;
        find_program(&spec.command[0], &spec.env, &spec.cwd).map_err(StewardError::invalid)?;
        let launched = match prepared.write(&core.places.session(&spec.id)) {
            Ok(()) => core.launch(spec.clone()).await.map_err(|why| {
                StewardError::failed(format!("\"{}\" did not start: {why}", spec.command[0]))
            }),
            Err(e) => Err(e.into()),
        };
        let run = launched.inspect_err(|_| {
            // What was prepared for a life that never began.
            let _ = core.places.session(&spec.id).remove();
        })?;
        let mut session = from_spec(&spec, Some(&run));
        session.status = just_started(run.started);
        session.warning.clone_from(&prepared.note);
        core.insert(&session);
        core.set_note(&spec.id, prepared.note);
        drop(claim);
        core.wake(&spec.id);
        Ok(session)
    }

    /// Makes a session in a machine and starts it.
    async fn create_inside(&self, ask: Create, name: &str) -> Result<Session, StewardError> {
        let core = &self.core;
        check_machine(core, &ask, name)?;
        let machine = core.machine(name);
        let link = machine.link_to_begin().await?;
        let env = machine.environment(&link, core, &ask);
        let command = match ask.command.as_slice() {
            [] if ask.agent.is_none() => vec![shell(&env)],
            command => command.to_vec(),
        };
        let claim = Claim::new(core, ask.name.as_deref(), ask.agent.as_deref(), &command)?;
        let mut spec = Spec {
            id: claim.id.clone(),
            name: claim.name.clone(),
            machine: name.to_owned(),
            command: command.clone(),
            cwd: machine.cwd(&link, core, ask.cwd),
            env,
            size: ask.size.clamped(),
            restart: ask.restart,
            linger: ask.linger,
            agent: None,
            created: now_ms(),
            asked: command,
        };
        let agent = ask.agent.as_deref();
        let prepared = machine.prepare(core, &link, &mut spec, agent, None).await?;
        let id = spec.id.clone();
        let session = match machine.begin(core, &link, spec.clone(), prepared).await {
            Ok(Begun { run, spec, note }) => {
                let mut session = from_spec(&spec, Some(&run));
                session.status = just_started(run.started);
                session.warning.clone_from(&note);
                core.insert(&session);
                core.set_note(&id, note);
                session
            }
            // It may run: it is found when the machine is.
            Err(e @ StewardError::Unreachable { .. }) => {
                core.insert(&from_spec(&spec, None));
                drop(claim);
                core.wake(&id);
                return Err(e);
            }
            Err(e) => {
                let _ = core.places.session(&id).remove();
                return Err(match e {
                    StewardError::Failed { message, help } => StewardError::Failed {
                        message: format!("it did not start: {message}"),
                        help,
                    },
                    e => e,
                });
            }
        };
        drop(claim);
        // What the bridge told while the session was not yet known here.
        if let Some(note) = machine.note(&id) {
            machine.take_over(core, &note);
        }
        core.wake(&id);
        Ok(session)
    }
}

impl Core {
    /// Starts a hold in the background, few at a time.
    async fn launch(self: &Arc<Self>, spec: Spec) -> Result<Run, String> {
        let _permit = self.launches.acquire().await;
        let core = self.clone();
        tokio::task::spawn_blocking(move || core.holds.start(&core.places, &spec))
            .await
            .map_err(|e| e.to_string())
            .and_then(|result| result)
            .map_err(|why| one_line(&why))
    }

    /// Begins a session's next life. Its gate must be held, and its last life be over.
    ///
    /// # Errors
    /// Why it did not start; the session then shows it, too.
    pub async fn begin_life(self: &Arc<Self>, id: &str) -> Result<(), StewardError> {
        let result = match self.machine_of(id) {
            None => self.try_life(id).await,
            Some(machine) => self.try_life_inside(id, &machine).await,
        };
        // Whether one begun inside runs is seen when its machine is: nothing is written down of it.
        if let Err(e) = &result
            && !matches!(e, StewardError::Unreachable { .. })
        {
            let exit = Exit {
                code: None,
                signal: None,
                at: now_ms(),
                by: EndedBy::Itself,
                failed: Some(one_line(&e.to_string())),
            };
            let unwritten = self.places.session(id).write_exit(&exit).err();
            self.change(id, |session| {
                set_exit(session, exit);
                if let Some(e) = unwritten {
                    session.warning = Some(e.to_string());
                }
            });
        }
        result
    }

    async fn try_life(self: &Arc<Self>, id: &str) -> Result<(), StewardError> {
        let folder = self.places.session(id);
        let mut spec = folder.spec()?;
        check_cwd(&spec.cwd).map_err(StewardError::failed)?;
        let conversation = conversation(&folder, &spec)?;
        let agent = spec.agent.as_ref().map(|agent| agent.profile.clone());
        if let Some(env) = Prepared::asked_env(&folder)? {
            spec.env = env;
        }
        for_session(&mut spec.env, &self.places, id, &spec.name);
        let prepared = self.prepare(&mut spec, agent.as_deref(), conversation.as_ref(), None)?;
        prepared.write(&folder)?;
        orphan::end(&folder, id).await;
        let run = self.launch(spec.clone()).await.map_err(StewardError::failed)?;
        self.begun(id, &run, spec, prepared.note);
        Ok(())
    }
}

impl Core {
    async fn try_life_inside(
        self: &Arc<Self>,
        id: &str,
        machine: &Arc<Machine>,
    ) -> Result<(), StewardError> {
        let folder = self.places.session(id);
        let mut spec = folder.spec()?;
        let conversation = conversation(&folder, &spec)?;
        let agent = spec.agent.as_ref().map(|agent| agent.profile.clone());
        if let Some(env) = Prepared::asked_env(&folder)? {
            spec.env = env;
        }
        let link = machine.link_to_begin().await?;
        let prepared = machine
            .prepare(self, &link, &mut spec, agent.as_deref(), conversation.as_ref())
            .await?;
        let Begun { run, spec, note } = machine.begin(self, &link, spec, prepared).await?;
        self.begun(id, &run, spec, note);
        Ok(())
    }

    /// A session's next life has begun.
    fn begun(&self, id: &str, run: &Run, spec: Spec, note: Option<String>) {
        self.change(id, |session| {
            session.exit = None;
            session.status = just_started(run.started);
            session.started = run.started;
            session.life = run.life;
            session.pid = Some(run.pid);
            session.command = spec.command;
            session.warning.clone_from(&note);
        });
        self.set_note(id, note);
    }
}

/// The conversation that a session's next life goes on with. One that cannot be read is not one that never was: better
/// no life than a forgetful one.
fn conversation(folder: &Folder, spec: &Spec) -> Result<Option<Conversation>, StewardError> {
    let chosen = |id: &String| Conversation {
        id: id.clone(),
        source: "chosen".into(),
        learned: spec.created,
    };
    let chosen = spec.agent.as_ref().and_then(|agent| agent.conversation.as_ref()).map(chosen);
    Ok(folder.conversation()?.or(chosen))
}

fn check_machine(core: &Core, ask: &Create, name: &str) -> Result<(), StewardError> {
    if !core.remote.machines.exists(name) {
        let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        return Err(StewardError::invalid(format!("there is no machine \"{shown}\""))
            .with_help("\"stead ls\" shows the machines; \"host\" is this one"));
    }
    if ask.worktree.is_some() {
        return Err(StewardError::invalid(format!(
            "a worktree is made on this host, and \"{name}\" does not see it"
        ))
        .with_help(
            "make the worktree and share its folder with the machine, or leave out --worktree",
        ));
    }
    if !ask.cwd.as_os_str().is_empty() && !ask.cwd.is_absolute() {
        return Err(StewardError::invalid("the folder inside the machine is not an absolute path"));
    }
    Ok(())
}

fn check(ask: &Create) -> Result<(), StewardError> {
    if let Some(name) = &ask.name {
        check_name(name).map_err(StewardError::invalid)?;
    }
    if ask.machine.as_deref().is_none_or(|machine| machine == "host") {
        check_cwd(&ask.cwd).map_err(StewardError::invalid)?;
    }
    if ask.command.iter().any(|word| word.contains('\0')) {
        return Err(StewardError::invalid("the command contains a NUL character"));
    }
    Ok(())
}

/// The user's shell.
fn shell(env: &BTreeMap<String, String>) -> String {
    env.get("SHELL")
        .filter(|shell| shell.starts_with('/'))
        .map_or("/bin/sh", String::as_str)
        .to_owned()
}

/// A name and an id that nobody else can take while a session is made.
struct Claim {
    core: Arc<Core>,
    id: String,
    name: String,
}

impl Claim {
    fn new(
        core: &Arc<Core>,
        name: Option<&str>,
        agent: Option<&str>,
        command: &[String],
    ) -> Result<Self, StewardError> {
        let mut table = core.lock();
        let name = match name {
            Some(name) => match table.refuse(name) {
                Some(error) => return Err(error),
                None => name.to_owned(),
            },
            None => make_name(agent, command, |name| table.taken(name)),
        };
        let id = stead_hold::id::new();
        table.reserved.insert(name.clone());
        table.starting.insert(id.clone());
        drop(table);
        Ok(Claim { core: core.clone(), id, name })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.core.lock();
        table.reserved.remove(&self.name);
        table.starting.remove(&self.id);
    }
}
