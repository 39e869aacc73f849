//! The sessions that a stead file declares.

use super::Machines;
use super::api::Declared;
use stead_machine::Plan;
use stead_machine::model::Phase;
use stead_machine::plan::{Action, Entry, SessionStart};
use stead_wire::session::{EndedBy, Restart, Session};

impl Machines {
    /// The declared sessions that are not there, on machines that run or that this plan has run.
    pub(super) async fn missing_sessions(
        &self,
        declared: &Declared,
        plan: &Plan,
    ) -> Vec<SessionStart> {
        if declared.declaration.sessions.is_empty() {
            return Vec::new();
        }
        let there = self.steward.list().await;
        let mut missing = Vec::new();
        for (name, session) in &declared.declaration.sessions {
            let machine = &session.machine;
            let wanted = declared.only.is_empty() || declared.only.contains(machine);
            let is_there = there.iter().any(|s| s.name == *name && !self.is_stale(s, machine));
            if wanted && !is_there && self.will_run(machine, plan).await {
                missing.push(SessionStart { name: name.clone(), machine: machine.clone() });
            }
        }
        missing
    }

    /// Whether a machine runs once this plan is carried out.
    async fn will_run(&self, machine: &str, plan: &Plan) -> bool {
        let Some(entry) = plan.machines.iter().find(|entry| entry.name == machine) else {
            return machine == "host";
        };
        match &entry.action {
            Action::Create | Action::Change { .. } | Action::Finish { .. } => is_to_run(entry),
            Action::Start => true,
            Action::Nothing => self.runs(machine).await,
            Action::Stop
            | Action::Destroy { .. }
            | Action::Blocked { .. }
            | Action::Unknown { .. } => false,
        }
    }

    async fn runs(&self, machine: &str) -> bool {
        self.get(machine).await.is_ok_and(|shown| shown.phase == Phase::Running)
    }

    /// Whether it is what is left of a session on a machine of this name that was destroyed since.
    fn is_stale(&self, session: &Session, machine: &str) -> bool {
        // One that came to its end by itself has done what it was for.
        let over = session.exit.as_ref().is_some_and(|exit| {
            matches!(exit.by, EndedBy::Lost | EndedBy::Person) || exit.failed.is_some()
        });
        if !over || session.machine != machine || machine == "host" {
            return false;
        }
        match self.manager.records().get(machine) {
            Ok(Some(record)) => session.created < record.wanted.created,
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Removes what is left of sessions on machines that were destroyed, so that their names are free.
    pub(super) async fn remove_stale(&self, starts: &[SessionStart]) {
        for session in self.steward.list().await {
            let start = starts.iter().find(|start| start.name == session.name);
            if start.is_some_and(|start| self.is_stale(&session, &start.machine)) {
                // What stays is in the way of the session to come, and told then.
                let _ = self.steward.remove(&session.id).await;
            }
        }
    }

    /// Starts those of these sessions whose machines run and that are not there. What went wrong, a line each.
    pub(super) async fn start_sessions(
        &self,
        declared: &Declared,
        starts: &[SessionStart],
    ) -> Vec<String> {
        self.remove_stale(starts).await;
        let mut failed = Vec::new();
        let there = self.steward.list().await;
        for start in starts {
            let name = &start.name;
            let Some(session) = declared.declaration.sessions.get(name) else { continue };
            let is_there = there.iter().any(|s| s.name == *name && s.machine == session.machine);
            // A machine that does not run has failed, and has said so.
            if is_there || !self.runs(&session.machine).await {
                continue;
            }
            let restart = match session.restart.as_str() {
                "never" => Restart::Never,
                "always" => Restart::Always,
                _ => Restart::Resume,
            };
            let ask = stead_wire::api::Create {
                name: Some(name.clone()),
                machine: Some(session.machine.clone()),
                agent: session.agent.clone(),
                command: session.command.clone(),
                cwd: session.cwd.clone().unwrap_or_default(),
                env: std::env::vars().collect(),
                set_env: session.env.clone(),
                restart,
                ..stead_wire::api::Create::default()
            };
            if let Err(e) = self.steward.create(ask).await {
                failed.push(format!("session \"{name}\": {e}"));
            }
        }
        failed
    }
}

fn is_to_run(entry: &Entry) -> bool {
    entry.becomes.as_ref().is_some_and(|becomes| becomes.declared.running)
}
