//! Making, starting, stopping, changing, destroying.

use super::help::{Cut, Machine, able, came_to_its_end, fail, makes_machines, must, must_refuse};
use super::{Bench, Checked};
use crate::Steps;
use crate::model::{Ability, NewSnapshot, Phase};
use std::process::Stdio;
use stead_file::size::Size;
use tokio::task::JoinSet;

/// How long to wait for what may never come, before the check fails instead of hanging.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// Most steps that an operation may have.
const MOST_STEPS: usize = 100;

pub(super) async fn abilities_have_reasons(bench: &dyn Bench) -> Checked {
    let engine = bench.engine();
    let abilities = serde_json::to_value(engine.abilities());
    let Ok(serde_json::Value::Object(abilities)) = abilities else { return fail("no abilities") };
    for (name, ability) in abilities {
        let Ok(ability) = serde_json::from_value::<Ability>(ability) else { continue };
        if let Ability::No(why) = ability {
            must(why.split_whitespace().count() >= 2, || format!("{name}: {why:?} is no reason"))?;
        }
    }
    let none = Steps::none();
    let machine = Machine::running(bench, "reasons").await?;
    let abilities = engine.abilities();
    if matches!(abilities.snapshots, Ability::No(_)) {
        let snapshot = engine.snapshot(machine.name(), &NewSnapshot::named("a"), &none).await;
        must_refuse("snapshot", snapshot)?;
        must_refuse("restore", engine.restore(machine.name(), "a", &none).await)?;
        must_refuse("snapshots", engine.snapshots(machine.name()).await)?;
    }
    if matches!(abilities.memory_snapshots, Ability::No(_)) {
        let asked = NewSnapshot { memory: true, ..NewSnapshot::named("a") };
        must_refuse("memory", engine.snapshot(machine.name(), &asked, &none).await)?;
    }
    if matches!(abilities.clone, Ability::No(_)) {
        let other = bench.wanted("other");
        let clone = engine.clone_machine(machine.name(), None, &other, &none).await;
        must_refuse("clone", clone)?;
    }
    if matches!(abilities.move_state, Ability::No(_)) {
        must_refuse("move", engine.move_state(machine.name(), "other", "t", &none).await)?;
    }
    if matches!(abilities.diff, Ability::No(_)) {
        must_refuse("diff", engine.diff(machine.name()).await)?;
    }
    if !bench.makes_machines() {
        must_refuse("stop", engine.stop(machine.name(), &none).await)?;
        must_refuse("destroy", engine.destroy(machine.name(), &none).await)?;
    }
    machine.destroy().await
}

pub(super) async fn create_start_stop_destroy(bench: &dyn Bench) -> Checked {
    let machine = Machine::new(bench, "life");
    for remark in machine.engine.check(&machine.wanted).await? {
        must(!remark.refused, || format!("it refuses the bench's own machine: {}", remark.text))?;
    }
    machine.create().await?;
    if bench.makes_machines() {
        machine.must_be(Phase::Stopped).await?;
    }
    machine.start().await?;
    machine.must_be(Phase::Running).await?;
    let seen = machine.look().await?;
    if let Some(id) = &seen.id
        && bench.makes_machines()
    {
        must(*id == machine.wanted.id, || format!("its identity is {id}"))?;
    }
    if let Some(made_from) = seen.made_from {
        must(made_from == machine.wanted.declared, || format!("it was made from {made_from:?}"))?;
    }
    let answer = machine.ask("echo here").await?;
    must(answer == "here", || format!("it said {answer:?}"))?;
    makes_machines(bench)?;
    machine.stop().await?;
    machine.must_be(Phase::Stopped).await?;
    machine.destroy().await
}

pub(super) async fn everything_may_be_asked_twice(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    let machine = Machine::new(bench, "twice");
    machine.destroy().await?;
    machine.create().await?;
    machine.create().await?;
    machine.stop().await?;
    machine.start().await?;
    machine.write("kept").await?;
    machine.start().await?;
    machine.create().await?;
    machine.must_be(Phase::Running).await?;
    machine.must_read("kept").await?;
    machine.stop().await?;
    machine.stop().await?;
    machine.create().await?;
    machine.must_be(Phase::Stopped).await?;
    machine.start().await?;
    machine.must_read("kept").await?;
    machine.destroy().await?;
    machine.destroy().await
}

pub(super) async fn nobody_is_not_there(bench: &dyn Bench) -> Checked {
    let engine = bench.engine();
    let seen = engine.look("nobody").await?;
    must(seen.is_none(), || format!("it sees {seen:?}"))?;
    let exec = crate::engine::Exec { command: vec!["true".into()], ..Default::default() };
    must(engine.exec("nobody", &exec).await.is_err(), || "it runs commands in nobody".into())?;
    must(engine.connect("nobody", 1).await.is_err(), || "it connects to nobody".into())
}

pub(super) async fn observe_lists_what_look_sees(bench: &dyn Bench) -> Checked {
    let names = if bench.makes_machines() { vec!["list-a", "list-b"] } else { vec!["list-a"] };
    let machines: Vec<Machine<'_>> = names.iter().map(|name| Machine::new(bench, name)).collect();
    for machine in &machines {
        machine.create().await?;
    }
    machines[0].start().await?;
    let listed = machines[0].engine.observe().await?;
    for machine in &machines {
        let seen = machine.look().await?;
        let mut of_this_name = listed.iter().filter(|seen| seen.name == machine.name());
        let first = of_this_name.next();
        must(first.is_some_and(|l| l.phase == seen.phase && l.id == seen.id), || {
            format!("it lists {first:?} and sees {seen:?}")
        })?;
        must(of_this_name.next().is_none(), || format!("it lists {} twice", machine.name()))?;
    }
    for machine in &machines {
        machine.destroy().await?;
    }
    if bench.makes_machines() {
        let listed = machines[0].engine.observe().await?;
        must(listed.iter().all(|seen| !names.contains(&seen.name.as_str())), || {
            "it lists what is destroyed".into()
        })?;
    }
    Ok(())
}

pub(super) async fn stop_ends_processes(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    let machine = Machine::running(bench, "ends").await?;
    // One that is asked in vain to end, and one that its parent left.
    let line = "trap '' TERM HUP INT; (sleep 1000 & sleep 1000 & wait) & echo; wait";
    let mut command = machine.shell(line).await?;
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    if let Some(stdout) = child.stdout.take() {
        use tokio::io::AsyncReadExt;
        let mut stdout = stdout;
        let mut first = [0];
        stdout.read_exact(&mut first).await?;
        machine.stop().await?;
        // The end of the stream: nobody has it open any more.
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stdout.read_to_end(&mut rest)).await;
        must(ended.is_ok(), || "it was stopped, and what ran in it still runs".into())?;
    }
    let status = child.wait().await?;
    must(!status.success(), || "what was killed says that it ended well".into())?;
    machine.must_be(Phase::Stopped).await?;
    machine.destroy().await
}

pub(super) async fn a_restart_keeps_the_state(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    let machine = Machine::running(bench, "keeps").await?;
    machine.write("kept").await?;
    machine.stop().await?;
    machine.start().await?;
    machine.must_read("kept").await?;
    machine.destroy().await
}

pub(super) async fn an_ephemeral_state_does_not_last(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().ephemeral)?;
    let mut machine = Machine::new(bench, "fleeting");
    machine.wanted.declared.ephemeral = true;
    machine.create().await?;
    machine.start().await?;
    machine.write("gone").await?;
    machine.must_read("gone").await?;
    machine.stop().await?;
    machine.start().await?;
    machine.must_read("").await?;
    machine.destroy().await
}

pub(super) async fn changes_are_made(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    let machine = Machine::running(bench, "changes").await?;
    machine.write("kept").await?;
    let mut after = machine.wanted.clone();
    after.declared.env.insert("CHANGED".into(), "secret-7".into());
    if machine.engine.abilities().limits == Ability::Yes {
        after.declared.memory = Some(Size(256 << 20));
    }
    machine.engine.change(&machine.wanted, &after, &Steps::none()).await?;
    machine.engine.change(&machine.wanted, &after, &Steps::none()).await?;
    machine.must_be(Phase::Running).await?;
    let made_from = machine.look().await?.made_from;
    must(made_from.as_ref().is_none_or(|m| *m == after.declared), || {
        format!("it is still made from {made_from:?}")
    })?;
    machine.must_read("kept").await?;
    // It may be a key, and everybody on this host sees command lines.
    let command = machine.shell("exec printenv CHANGED").await?;
    let shown = command.as_std().get_args().any(|arg| arg.to_string_lossy().contains("secret-7"));
    must(!shown, || "what is declared stands on a command line".into())?;
    let inside = machine.ask("printenv CHANGED").await?;
    must(inside == "secret-7", || format!("inside it is {inside:?}"))?;
    machine.destroy().await
}

pub(super) async fn twenty_at_once(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    let mut making = JoinSet::new();
    for n in 0..bench.many() {
        let (engine, wanted) = (bench.engine(), bench.wanted(&format!("many-{n}")));
        making.spawn(async move {
            engine.create(&wanted, &Steps::none()).await?;
            engine.start(&wanted, &Steps::none()).await
        });
    }
    while let Some(made) = making.join_next().await {
        made.map_err(|e| super::Told::Fail(e.to_string()))??;
    }
    for n in 0..bench.many() {
        let machine = Machine::new(bench, &format!("many-{n}"));
        machine.write(&format!("data of {n}")).await?;
    }
    for n in 0..bench.many() {
        let machine = Machine::new(bench, &format!("many-{n}"));
        machine.must_read(&format!("data of {n}")).await?;
    }
    let mut going = JoinSet::new();
    for n in 0..bench.many() {
        let engine = bench.engine();
        going.spawn(async move { engine.destroy(&format!("many-{n}"), &Steps::none()).await });
    }
    while let Some(gone) = going.join_next().await {
        gone.map_err(|e| super::Told::Fail(e.to_string()))??;
    }
    Ok(())
}

pub(super) async fn sweep_leaves_machines_alone(bench: &dyn Bench) -> Checked {
    let machine = Machine::running(bench, "swept").await?;
    if bench.makes_machines() {
        machine.write("kept").await?;
    }
    machine.engine.sweep(&Steps::none()).await?;
    machine.must_be(Phase::Running).await?;
    if bench.makes_machines() {
        machine.must_read("kept").await?;
        let stopped = Machine::new(bench, "swept-too");
        stopped.create().await?;
        stopped.engine.sweep(&Steps::none()).await?;
        stopped.must_be(Phase::Stopped).await?;
        stopped.destroy().await?;
    }
    machine.destroy().await
}

pub(super) async fn cut_short_at_each_step_it_can_be_finished(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    for step in 0..MOST_STEPS {
        let machine = Machine::new(bench, "finished");
        let engine = &machine.engine;
        let (_, steps) = Cut::at(step);
        let made = came_to_its_end("create", engine.create(&machine.wanted, &steps).await)?;
        let all = made && came_to_its_end("start", engine.start(&machine.wanted, &steps).await)?;
        machine.create().await?;
        machine.start().await?;
        machine.must_be(Phase::Running).await?;
        machine.write("kept").await?;
        let (_, steps) = Cut::at(step);
        let stopped = came_to_its_end("stop", engine.stop(machine.name(), &steps).await)?;
        machine.stop().await?;
        machine.must_be(Phase::Stopped).await?;
        machine.start().await?;
        machine.must_read("kept").await?;
        let (_, steps) = Cut::at(step);
        let gone = came_to_its_end("destroy", engine.destroy(machine.name(), &steps).await)?;
        machine.destroy().await?;
        if all && stopped && gone {
            return Ok(());
        }
    }
    fail(format!("more than {MOST_STEPS} steps"))
}

pub(super) async fn cut_short_at_each_step_it_can_be_destroyed(bench: &dyn Bench) -> Checked {
    makes_machines(bench)?;
    let before = bench.residue().await;
    for step in 0..MOST_STEPS {
        let machine = Machine::new(bench, "destroyed");
        let engine = &machine.engine;
        let (_, steps) = Cut::at(step);
        let made = came_to_its_end("create", engine.create(&machine.wanted, &steps).await)?;
        let all = made && came_to_its_end("start", engine.start(&machine.wanted, &steps).await)?;
        machine.destroy().await?;
        let left: Vec<String> =
            bench.residue().await.into_iter().filter(|line| !before.contains(line)).collect();
        must(left.is_empty(), || format!("cut short at step {step}, destroyed: {left:?}"))?;
        if all {
            return Ok(());
        }
    }
    fail(format!("more than {MOST_STEPS} steps"))
}
