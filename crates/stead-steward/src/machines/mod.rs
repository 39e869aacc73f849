//! Machines and their sessions as one: what is done to a machine is told to its sessions.

pub mod api;
mod bridges;
mod declared;
mod logins;
mod shown;
mod systems;
mod work;

pub use api::Line;
pub use bridges::Bridges;
pub use work::Lines;

use self::shown::{from_record, nothing, shown, this_host, unseen};
use crate::remote::Stopping;
use crate::{Steward, StewardError};
use api::{Declared, Door, Shown, Way};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stead_file::declared::Machine;
use stead_machine::engine::{Engine, Exec};
use stead_machine::manager::{ApplyEvent, Selection};
use stead_machine::model::{Change, Phase, Snapshot};
use stead_machine::operation::Operation;
use stead_machine::plan::{Action, Entry};
use stead_machine::{Error, Manager, Plan};

/// How long engines are waited for when all are asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// Machines that are worked on at once, at most.
const MOST_AT_ONCE: usize = 64;

/// Where the sockets of running machines lie that hand out connections into them, by a machine's name.
pub type Ways = Arc<dyn Fn(&str) -> PathBuf + Send + Sync>;

/// Everything that can be asked about machines. Cheap to clone.
#[derive(Clone)]
pub struct Machines {
    steward: Steward,
    manager: Manager,
    ways: Ways,
}

impl Machines {
    /// The machines of a steward. `ways` says where a running machine's connections are handed out.
    pub fn new(steward: Steward, manager: Manager, ways: Ways) -> Self {
        Machines { steward, manager, ways }
    }

    /// What a steward does once it has begun: it says what was cut short, removes what belongs to nobody, and starts the
    /// machines that ran when this host went down.
    pub async fn begin(&self) {
        match self.manager.recover(PATIENCE).await {
            Ok(found) => {
                for (machine, what) in found.cut_short {
                    self.steward.tell(format!("machine \"{machine}\": {what}"));
                }
                for what in found.swept {
                    self.steward.tell(format!("removed, since it belonged to no machine: {what}"));
                }
                for what in found.unknown {
                    self.steward.tell(what);
                }
            }
            Err(e) => self.steward.tell(e.to_string()),
        }
        let Ok(seen) = self.manager.look(PATIENCE).await else { return };
        for (name, record) in &seen.records.records {
            let was_to_run =
                record.applied.as_ref().is_some_and(|applied| applied.declared.running);
            match seen.phase(name) {
                Some(Phase::Running) => self.steward.machine_up(name),
                Some(Phase::Stopped) if was_to_run && record.pending.is_none() => {
                    let (machines, name) = (self.clone(), name.clone());
                    tokio::spawn(async move {
                        machines.steward.machine_down(&name);
                        if let Err(e) = machines.manager.up(&name).await {
                            machines.steward.tell(e.to_string());
                        }
                        machines.tell_sessions(&name).await;
                    });
                }
                Some(Phase::Stopped) => self.steward.machine_down(name),
                Some(Phase::Partial(why) | Phase::Unknown(why)) => {
                    self.steward.machine_unknown(name, &why);
                }
                None => {}
            }
        }
    }

    /// Every machine, this host first.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn list(&self) -> Result<Vec<Shown>, StewardError> {
        let seen = self.manager.look(PATIENCE).await.map_err(problem)?;
        let mut all = vec![this_host()];
        let others = seen.records.records.keys().filter(|name| *name != "host");
        all.extend(others.filter_map(|name| shown(&seen, name)));
        for (name, damaged) in &seen.records.damaged {
            let why = format!("its record {} is damaged: {}", damaged.path.display(), damaged.why);
            all.push(Shown { name: name.clone(), phase: Phase::Unknown(why), ..nothing() });
        }
        Ok(all)
    }

    /// One machine.
    ///
    /// # Errors
    /// If there is none of this name.
    pub async fn get(&self, name: &str) -> Result<Shown, StewardError> {
        if name == "host" {
            return Ok(this_host());
        }
        let record = self.manager.records().find(name).map_err(problem)?;
        let engine = self.manager.engine_of(&record).map_err(problem)?;
        let look = tokio::time::timeout(PATIENCE, engine.look(name)).await;
        let seen = match look {
            Ok(Ok(Some(seen))) => seen,
            Ok(Ok(None)) => unseen(name, Phase::Partial("its engine does not have it".into())),
            Ok(Err(e)) => unseen(name, Phase::Unknown(e.to_string())),
            Err(_) => unseen(name, Phase::Unknown("its engine does not answer".into())),
        };
        Ok(from_record(&record, &seen))
    }

    /// Whether there is a machine of this name.
    pub fn exists(&self, name: &str) -> bool {
        name == "host" || !matches!(self.manager.records().get(name), Ok(None))
    }

    /// What would change for the machines to be as declared.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn plan(&self, declared: &Declared) -> Result<Plan, StewardError> {
        let plan = self
            .manager
            .plan_with(&declared.declaration, &declared.systems, &declared.owner, PATIENCE)
            .await
            .map_err(problem)?;
        let mut plan = if declared.only.is_empty() { plan } else { plan.only(&declared.only) };
        plan.sessions = self.missing_sessions(declared, &plan).await;
        Ok(plan)
    }

    /// Does what a plan shows, and then starts the sessions that are declared.
    pub fn apply(&self, ask: api::Apply) -> Lines {
        let machines = self.clone();
        Lines::of(self, Vec::new(), move |lines| async move {
            let parallel = ask.parallel.clamp(1, MOST_AT_ONCE);
            let goes = |entry: &&Entry| matches!(entry.action, Action::Destroy { .. });
            let gone: Vec<String> =
                ask.plan.machines.iter().filter(goes).map(|entry| entry.name.clone()).collect();
            let mut stopping = BTreeMap::new();
            let mut untouched = Vec::new();
            for entry in &ask.plan.machines {
                let name = entry.name.clone();
                if entry.action.is_change() {
                    let guard = machines.before_stop(&name).await;
                    stopping.insert(name, guard);
                } else {
                    untouched.push(name);
                }
            }
            let starts = ask.plan.sessions.clone();
            // Before their machines run: there they would be tried again.
            machines.remove_stale(&starts).await;
            let mut applying = machines.manager.apply(ask.plan, Selection::All, parallel);
            let mut failed = Vec::new();
            while let Some(event) = applying.next().await {
                match event {
                    ApplyEvent::Operation { event } => lines.event(event),
                    ApplyEvent::Ended { machine, error, .. } => {
                        failed.extend(error);
                        if gone.contains(&machine) && !machines.exists(&machine) {
                            machines.steward.machine_destroyed(&machine);
                        } else {
                            machines.tell_sessions(&machine).await;
                        }
                        stopping.remove(&machine);
                    }
                    ApplyEvent::Skipped { machine, why } => {
                        failed.push(format!("{machine}: {why}"));
                    }
                    _ => {}
                }
            }
            for name in &untouched {
                machines.tell_sessions(name).await;
            }
            let mut starts = starts;
            starts.retain(|start| !ask.later.contains(&start.machine));
            failed.extend(machines.start_sessions(&ask.declared, &starts).await);
            if failed.is_empty() {
                Ok(serde_json::Value::Null)
            } else {
                Err(StewardError::failed(failed.join("; "))
                    .with_help("stead plan shows what is left to do"))
            }
        })
    }

    /// A machine that runs: as the file declares it, or a scratch machine from defaults.
    pub fn make(&self, ask: api::Make) -> Lines {
        let machines = self.clone();
        let name = ask.name.clone();
        Lines::of(self, vec![name.clone()], move |lines| async move {
            let mut stopping = None;
            match ask.declared {
                None => {
                    let mut declared = stead_file::scratch();
                    declared.env.clear();
                    machines.make_scratch(&name, declared).await?;
                }
                Some(declared) => {
                    let declared = Declared { only: vec![name.clone()], ..declared };
                    let plan = machines.plan(&declared).await?;
                    if plan.machines.iter().any(|e| e.name == name && e.action.is_change()) {
                        stopping = machines.before_stop(&name).await;
                    }
                    let mut applying = machines.manager.apply(plan, Selection::All, 1);
                    while let Some(event) = applying.next().await {
                        match event {
                            ApplyEvent::Operation { event } => lines.event(event),
                            ApplyEvent::Ended { error: Some(why), .. } => {
                                return Err(StewardError::failed(why));
                            }
                            ApplyEvent::Skipped { machine, why } => {
                                return Err(StewardError::failed(format!("{machine}: {why}")));
                            }
                            _ => {}
                        }
                    }
                }
            }
            machines.tell_sessions(&name).await;
            drop(stopping);
            json(&machines.get(&name).await?)
        })
    }

    async fn make_scratch(&self, name: &str, declared: Machine) -> Result<(), StewardError> {
        self.manager.scratch(name, declared).await.map_err(problem)?;
        Ok(())
    }

    /// Starts a machine.
    pub fn up(&self, name: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            let done = machines.manager.up(&name).await;
            machines.tell_sessions(&name).await;
            json(&done.map_err(problem)?)
        })
    }

    /// Stops a machine.
    pub fn down(&self, name: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            let _stopping = machines.before_stop(&name).await;
            let done = machines.manager.down(&name).await;
            machines.tell_sessions(&name).await;
            json(&done.map_err(problem)?)
        })
    }

    /// Stops a machine and starts it.
    pub fn restart(&self, name: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            let _stopping = machines.before_stop(&name).await;
            let done = machines.manager.restart(&name).await;
            if done.is_ok() {
                // Its sessions of the life before are lost. What failed may have left it running.
                machines.steward.machine_down(&name);
            }
            machines.tell_sessions(&name).await;
            json(&done.map_err(problem)?)
        })
    }

    /// Removes a machine with all that [`Machines::goes`] names.
    pub fn destroy(&self, name: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            let _stopping = machines.before_stop(&name).await;
            let done = machines.manager.destroy(&name).await;
            if done.is_ok() {
                machines.steward.machine_destroyed(&name);
            } else {
                machines.tell_sessions(&name).await;
            }
            json(&done.map_err(problem)?)
        })
    }

    /// What a destruction takes with it, a line each.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be looked at.
    pub async fn goes(&self, name: &str) -> Result<Vec<String>, StewardError> {
        let mut goes = self.manager.what_goes(name).await.map_err(problem)?;
        let sessions = self.steward.list().await.into_iter();
        let running = sessions.filter(|s| s.machine == name && s.exit.is_none());
        goes.extend(running.map(|session| format!("session {}", session.name)));
        Ok(goes)
    }

    /// Keeps a machine's state.
    pub fn snapshot(&self, name: String, keep: api::Keep) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            let kept =
                machines.manager.snapshot(&name, keep.name.as_deref(), &keep.note, keep.memory);
            json(&kept.await.map_err(problem)?)
        })
    }

    /// A machine's snapshots, oldest first.
    ///
    /// # Errors
    /// If there is no such machine, or they cannot be read.
    pub async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>, StewardError> {
        self.manager.snapshots(name).await.map_err(problem)
    }

    /// Puts a kept state back.
    pub fn restore(&self, name: String, snapshot: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            let _stopping = machines.before_stop(&name).await;
            let done = machines.manager.restore(&name, &snapshot).await;
            if done.is_ok() {
                machines.steward.machine_down(&name);
            }
            machines.tell_sessions(&name).await;
            json(&done.map_err(problem)?)
        })
    }

    /// Removes a kept state.
    pub fn remove_snapshot(&self, name: String, snapshot: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![name.clone()], move |_| async move {
            json(&machines.manager.remove_snapshot(&name, &snapshot).await.map_err(problem)?)
        })
    }

    /// Makes a machine from another one's state.
    pub fn clone_machine(&self, from: String, ask: api::CloneInto) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![from.clone(), ask.to.clone()], move |_| async move {
            let done =
                machines.manager.clone_machine(&from, ask.snapshot.as_deref(), &ask.to).await;
            machines.tell_sessions(&ask.to).await;
            json(&done.map_err(problem)?)
        })
    }

    /// Puts a machine's state into another machine.
    pub fn move_state(&self, from: String, to: String) -> Lines {
        let machines = self.clone();
        Lines::of(self, vec![from.clone(), to.clone()], move |_| async move {
            let done = machines.manager.move_state(&from, &to).await;
            json(&done.map_err(problem)?)
        })
    }

    /// What a machine changed against its base.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub async fn diff(&self, name: &str) -> Result<Vec<Change>, StewardError> {
        self.manager.diff(name).await.map_err(problem)
    }

    /// What a client on this host runs to have a command run inside.
    ///
    /// # Errors
    /// If there is no such machine, or it does not run.
    pub async fn door(&self, name: &str, ask: api::Exec) -> Result<Door, StewardError> {
        let exec = Exec { command: ask.command, cwd: ask.cwd, env: ask.env };
        if exec.command.is_empty() {
            return Err(StewardError::invalid("there is no command to run"));
        }
        if name == "host" {
            return Ok(Door { command: exec.command, env: exec.env, cwd: exec.cwd });
        }
        let command = self.manager.exec(name, &exec).await.map_err(problem)?;
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let mut words = vec![text(command.get_program())];
        words.extend(command.get_args().map(text));
        let env: BTreeMap<String, String> = command
            .get_envs()
            .filter_map(|(name, value)| Some((text(name), text(value?))))
            .collect();
        Ok(Door { command: words, env, cwd: command.get_current_dir().map(Into::into) })
    }

    /// How a client on this host reaches a machine's ports.
    ///
    /// # Errors
    /// If there is no such machine, or it does not run.
    pub async fn way(&self, name: &str) -> Result<Way, StewardError> {
        let shown = self.get(name).await?;
        match shown.phase {
            Phase::Running if shown.engine == "host" => Ok(Way::Loopback),
            Phase::Running => Ok(Way::Socket { path: (self.ways)(name) }),
            _ => Err(StewardError::failed(format!("\"{name}\" does not run"))
                .with_help(format!("stead up {name}"))),
        }
    }

    /// A machine's serial console.
    ///
    /// # Errors
    /// If there is no such machine, or it has none.
    pub async fn console(&self, name: &str) -> Result<api::Console, StewardError> {
        let engine = self.engine_of(name)?;
        let console = self.patiently(name, engine.console(name)).await?;
        Ok(api::Console { socket: console.socket, log: console.log })
    }

    /// The shell script that starts a machine without Stead.
    ///
    /// # Errors
    /// If there is no such machine, or there can be no such script.
    pub async fn script(&self, name: &str) -> Result<String, StewardError> {
        let engine = self.engine_of(name)?;
        self.patiently(name, engine.start_script(name)).await
    }

    fn engine_of(&self, name: &str) -> Result<Arc<dyn Engine>, StewardError> {
        let record = self.manager.records().find(name).map_err(problem)?;
        self.manager.engine_of(&record).map_err(problem)
    }

    async fn patiently<T>(
        &self,
        name: &str,
        asked: impl Future<Output = stead_machine::engine::Result<T>>,
    ) -> Result<T, StewardError> {
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(StewardError::failed(e.to_string())),
            Err(_) => {
                Err(StewardError::failed(format!("the engine of \"{name}\" does not answer")))
            }
        }
    }

    /// What was done to machines, latest last, without steps.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn operations(&self) -> Result<Vec<Operation>, StewardError> {
        self.manager.operations().refresh().map_err(problem)?;
        Ok(self.manager.operations().list())
    }

    /// What happens to machines from now on, until the steward ends.
    pub fn listen(&self) -> Lines {
        Lines::of_everything(self)
    }

    /// One operation with its steps.
    ///
    /// # Errors
    /// If there is none of this id.
    pub fn operation(&self, id: &str) -> Result<Operation, StewardError> {
        self.manager.operations().get(id).ok_or_else(|| {
            StewardError::failed(format!("there is no operation \"{id}\""))
                .with_help("stead operations lists them")
        })
    }

    /// Has what the sessions of a machine have printed copied while it can be, and nothing begin in it until what this
    /// returns is dropped.
    async fn before_stop(&self, name: &str) -> Option<Stopping> {
        if name == "host" || !self.exists(name) {
            return None;
        }
        Some(self.steward.machine_stopping(name).await)
    }

    /// Tells a machine's sessions what has become of it. What cannot be told is told as that.
    async fn tell_sessions(&self, name: &str) {
        if name == "host" {
            return;
        }
        match self.manager.records().get(name) {
            Ok(None) => return self.steward.machine_gone(name),
            Err(e) => return self.steward.machine_unknown(name, &e.to_string()),
            Ok(Some(_)) => {}
        }
        match self.get(name).await.map(|shown| shown.phase) {
            Ok(Phase::Running) => {
                // Before its sessions, which may be the agents'.
                self.share_declared_logins(name).await;
                self.steward.machine_up(name);
            }
            Ok(Phase::Stopped) => self.steward.machine_down(name),
            Ok(Phase::Partial(why) | Phase::Unknown(why)) => {
                self.steward.machine_unknown(name, &why);
            }
            Err(e) => self.steward.machine_unknown(name, &e.to_string()),
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value, StewardError> {
    serde_json::to_value(value).map_err(|e| StewardError::failed(e.to_string()))
}

fn problem(error: Error) -> StewardError {
    match error {
        Error::NotFound { name, near } => {
            let help = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "stead ls shows the machines there are".to_owned(),
            };
            StewardError::NoMachine { name, help }
        }
        Error::Host => StewardError::invalid(error.to_string()).with_help(
            "stead kill ends a session on it; what can be stopped, kept and destroyed is a sandbox: stead init, \
             or stead run -m scratch",
        ),
        Error::Name(_) | Error::Refused { .. } => StewardError::invalid(error.to_string()),
        error => StewardError::failed(error.to_string()),
    }
}
