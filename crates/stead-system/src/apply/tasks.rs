//! What is done once, and undone when it is declared no more.

use super::machine::User;
use super::{Pass, people};
use crate::debian::Task;
use std::path::Path;

/// Does those that come after units, or those that come before.
pub(super) fn bring(pass: &mut Pass, last: bool) {
    if !pass.machine.live {
        return;
    }
    if !last {
        undo(pass);
    }
    for task in pass.desired.tasks.iter().filter(|task| task.after_units == last) {
        let there = task.creates.as_ref().is_none_or(|path| pass.machine.at(path).exists());
        if there && pass.record.tasks.get(&task.name).is_some_and(|done| done.run == task.run) {
            continue;
        }
        // What somebody else has put there is left, unless Stead did it otherwise before.
        if pass.may() {
            if let Err(why) = run(pass, task, &task.run) {
                pass.report.failed(&task.name, &why);
                continue;
            }
            if let Some(path) = task.creates.as_ref().filter(|path| !pass.machine.at(path).exists())
            {
                let why = format!("it ended well, but {} is not there", path.display());
                pass.report.failed(&task.name, &why);
                continue;
            }
            pass.record.tasks.insert(task.name.clone(), task.clone());
            pass.save();
        }
        pass.report.changed("task", &task.name, "done");
    }
}

fn undo(pass: &mut Pass) {
    let gone: Vec<Task> = pass
        .record
        .tasks
        .values()
        .filter(|done| !pass.desired.tasks.iter().any(|task| task.name == done.name))
        .cloned()
        .collect();
    for task in gone {
        if pass.may() {
            if let Err(why) = run(pass, &task, &task.undo) {
                pass.report.failed(&task.name, &why);
                continue;
            }
            pass.record.tasks.remove(&task.name);
        }
        pass.report.changed("task", &task.name, "undone");
    }
}

fn run(pass: &Pass, task: &Task, words: &[String]) -> Result<(), String> {
    let Some(name) = &task.user else { return pass.machine.run(words).map(drop) };
    let users = people::there(pass);
    let Some(user) = users.get(name) else { return Err(format!("there is no user {name}")) };
    let home: &Path = &user.home;
    let user = User { uid: user.uid, gid: user.gid, name, home };
    pass.machine.run_as(words, Some(&user), None).map(drop)
}
