//! A session as its folder describes it.

use stead_hold::folder::{Folder, FolderError};
use stead_wire::session::{Exit, Run, Session, Spec};
use stead_wire::status::{Source, State, Status};

/// What the folder says, before anybody has asked the hold; what a living session does is not known by it. What no file tells (title, size, bytes printed)
/// comes from `known`, the index's last word. A damaged file becomes the session's warning: a session is
/// never left out because of one.
///
/// # Errors
/// If `spec.json` cannot be read: then there is nothing to show.
pub fn from_folder(folder: &Folder, known: Option<&Session>) -> Result<Session, FolderError> {
    let spec = folder.spec()?;
    let mut warnings = Vec::new();
    let mut or_warn = |e: FolderError| warnings.push(e.to_string());
    let run = folder.run().unwrap_or_else(|e| {
        or_warn(e);
        None
    });
    let exit = folder.exit().unwrap_or_else(|e| {
        or_warn(e);
        None
    });
    let conversation = folder.conversation().unwrap_or_else(|e| {
        or_warn(e);
        None
    });
    let report = folder.report().unwrap_or_else(|e| {
        or_warn(e);
        None
    });
    let mut session = from_spec(&spec, run.as_ref());
    session.conversation = conversation;
    session.report = report;
    if let Some(known) = known {
        session.title.clone_from(&known.title);
        session.size = known.size;
        session.active = known.active;
        session.output = known.output;
    }
    if let Some(exit) = exit {
        set_exit(&mut session, exit);
    }
    if !warnings.is_empty() {
        session.warning = Some(warnings.join("; "));
    }
    Ok(session)
}

/// A session that has been started a moment ago, or that nobody has looked at yet.
pub fn from_spec(spec: &Spec, run: Option<&Run>) -> Session {
    let started = run.map_or(spec.created, |run| run.started);
    Session {
        id: spec.id.clone(),
        name: spec.name.clone(),
        machine: spec.machine.clone(),
        agent: spec.agent.as_ref().map(|agent| agent.profile.clone()),
        command: spec.command.clone(),
        cwd: spec.cwd.clone(),
        status: Status::unknown(started, "its hold has not been asked yet"),
        exit: None,
        restart: spec.restart,
        size: spec.size,
        title: String::new(),
        created: spec.created,
        started,
        active: 0,
        life: run.map_or(0, |run| run.life),
        pid: run.map(|run| run.pid),
        output: 0,
        attached: 0,
        conversation: None,
        report: None,
        warning: None,
    }
}

/// Marks a session as ended, with what its hold wrote down last: the answer that would have told it may never come.
pub fn take_end(session: &mut Session, folder: &Folder, exit: Exit) {
    set_exit(session, exit);
    session.report = folder.report().ok().flatten().or(session.report.take());
    session.conversation = folder.conversation().ok().flatten().or(session.conversation.take());
}

/// Marks a session as ended.
pub fn set_exit(session: &mut Session, exit: Exit) {
    session.status = Status {
        state: State::Exited,
        source: Source::Exit,
        since: exit.at,
        detail: exit.to_string(),
    };
    session.exit = Some(exit);
    session.pid = None;
    session.attached = 0;
}
