//! Keeping, restoring, copying and moving states.

use super::help::{Cut, Machine, able, came_to_its_end, fail, must};
use super::{Bench, Checked, Told};
use crate::Steps;
use crate::model::{Ability, ChangeKind, Consistency, NewSnapshot, Phase};

async fn names(machine: &Machine<'_>) -> Result<Vec<String>, Told> {
    let snapshots = machine.engine.snapshots(machine.name()).await?;
    Ok(snapshots.into_iter().map(|s| s.name).collect())
}

async fn keep(machine: &Machine<'_>, snapshot: &str) -> Result<Consistency, Told> {
    let none = Steps::none();
    let asked = NewSnapshot { note: "a note".into(), ..NewSnapshot::named(snapshot) };
    let made = machine.engine.snapshot(machine.name(), &asked, &none).await?;
    must(made.name == snapshot && made.note == "a note" && !made.automatic, || {
        format!("it made {made:?}")
    })?;
    Ok(made.consistency)
}

/// A machine with the data `good`, stopped.
async fn good<'a>(bench: &'a dyn Bench, name: &str) -> Result<Machine<'a>, Told> {
    let machine = Machine::running(bench, name).await?;
    machine.write("good").await?;
    machine.stop().await?;
    Ok(machine)
}

pub(super) async fn snapshot_damage_restore(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().snapshots)?;
    let machine = good(bench, "damage").await?;
    let (engine, none) = (&machine.engine, Steps::none());
    let consistency = keep(&machine, "good").await?;
    must(consistency != Consistency::Crash, || "it was stopped, and that is not told".into())?;
    machine.start().await?;
    machine.write("damaged").await?;
    machine.ask("mkdir -p more/deep && echo x >more/deep/file").await?;
    let running = engine.restore(machine.name(), "good", &none).await;
    must(running.is_err(), || "it restores what runs".into())?;
    machine.must_read("damaged").await?;
    machine.stop().await?;
    must(engine.restore(machine.name(), "never", &none).await.is_err(), || {
        "it restores what was never kept".into()
    })?;
    engine.restore(machine.name(), "good", &none).await?;
    engine.restore(machine.name(), "good", &none).await?;
    machine.must_be(Phase::Stopped).await?;
    machine.start().await?;
    machine.must_read("good").await?;
    let more = machine.ask("ls").await?;
    must(more == "data", || format!("after the restore there is {more:?}"))?;
    // The kept state is not the one that is written to now.
    machine.write("damaged again").await?;
    machine.stop().await?;
    engine.restore(machine.name(), "good", &none).await?;
    machine.start().await?;
    machine.must_read("good").await?;
    machine.destroy().await
}

pub(super) async fn snapshots_are_listed_and_removed(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().snapshots)?;
    let machine = good(bench, "listed").await?;
    let none = Steps::none();
    must(names(&machine).await?.is_empty(), || "a new machine has snapshots".into())?;
    for snapshot in ["z", "a", "m"] {
        keep(&machine, snapshot).await?;
    }
    let listed = names(&machine).await?;
    must(listed == ["z", "a", "m"], || format!("not oldest first: {listed:?}"))?;
    must(
        machine.engine.snapshot(machine.name(), &NewSnapshot::named("a"), &none).await.is_err(),
        || "it makes two of one name".into(),
    )?;
    machine.engine.remove_snapshot(machine.name(), "z", &none).await?;
    machine.engine.remove_snapshot(machine.name(), "z", &none).await?;
    machine.engine.remove_snapshot(machine.name(), "never", &none).await?;
    let listed = names(&machine).await?;
    must(listed == ["a", "m"], || format!("after one was removed: {listed:?}"))?;
    // Those that are left do not lean on the one that went, and neither does the machine.
    machine.start().await?;
    machine.must_read("good").await?;
    machine.write("later").await?;
    machine.stop().await?;
    machine.engine.restore(machine.name(), "m", &none).await?;
    machine.engine.remove_snapshot(machine.name(), "m", &none).await?;
    machine.start().await?;
    machine.must_read("good").await?;
    machine.destroy().await
}

pub(super) async fn snapshot_of_one_that_runs(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().live_snapshots)?;
    let machine = Machine::running(bench, "live").await?;
    machine.write("then").await?;
    keep(&machine, "then").await?;
    machine.must_be(Phase::Running).await?;
    machine.must_read("then").await?;
    machine.write("now").await?;
    machine.must_read("now").await?;
    machine.stop().await?;
    machine.engine.restore(machine.name(), "then", &Steps::none()).await?;
    machine.start().await?;
    machine.must_read("then").await?;
    machine.destroy().await
}

pub(super) async fn clones_have_the_data_and_another_identity(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().clone)?;
    let machine = good(bench, "original").await?;
    let (engine, none) = (&machine.engine, Steps::none());
    let copy = Machine::new(bench, "copy");
    engine.clone_machine("original", None, &copy.wanted, &none).await?;
    copy.must_be(Phase::Stopped).await?;
    copy.start().await?;
    copy.must_read("good").await?;
    copy.write("of the copy").await?;
    machine.start().await?;
    machine.must_read("good").await?;
    machine.write("later").await?;
    copy.must_read("of the copy").await?;
    let (first, second) = (machine.look().await?.id, copy.look().await?.id);
    must(second.is_none() || first != second, || format!("both are {first:?}"))?;
    if let Some(second) = second {
        must(second == copy.wanted.id, || format!("the copy is {second}"))?;
    }
    if engine.abilities().isolation == Ability::Yes {
        let id = copy.ask("cat /etc/machine-id").await?;
        must(id == copy.wanted.id, || format!("the machine-id of the copy is {id}"))?;
        let name = copy.ask("uname -n; cat /etc/hostname").await?;
        must(name == "copy\ncopy", || format!("the host name of the copy is {name:?}"))?;
        let keys = "cat /etc/ssh/ssh_host_*_key 2>/dev/null || :";
        let (ours, theirs) = (machine.ask(keys).await?, copy.ask(keys).await?);
        must(ours.is_empty() || ours != theirs, || "both have the same host keys".into())?;
    }
    if engine.abilities().snapshots == Ability::Yes {
        machine.stop().await?;
        keep(&machine, "later").await?;
        machine.start().await?;
        machine.write("last").await?;
        let of_snapshot = Machine::new(bench, "of-snapshot");
        engine.clone_machine("original", Some("later"), &of_snapshot.wanted, &none).await?;
        of_snapshot.start().await?;
        of_snapshot.must_read("later").await?;
        machine.destroy().await?;
        // A copy does not lean on what it was made from.
        of_snapshot.must_read("later").await?;
        of_snapshot.stop().await?;
        of_snapshot.start().await?;
        of_snapshot.must_read("later").await?;
        of_snapshot.destroy().await?;
    }
    machine.destroy().await?;
    copy.must_read("of the copy").await?;
    copy.destroy().await
}

pub(super) async fn a_state_moves(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().move_state)?;
    let from = good(bench, "from").await?;
    let to = Machine::running(bench, "to").await?;
    to.write("replaced").await?;
    let running = to.engine.move_state("from", "to", "t1", &Steps::none()).await;
    must(running.is_err(), || "it moves into what runs".into())?;
    to.must_read("replaced").await?;
    to.stop().await?;
    to.engine.move_state("from", "to", "t2", &Steps::none()).await?;
    to.start().await?;
    from.start().await?;
    to.must_read("good").await?;
    from.must_read("").await?;
    for machine in [&from, &to] {
        let id = machine.look().await?.id;
        must(id.as_ref().is_none_or(|id| *id == machine.wanted.id), || {
            format!("{} has become {id:?}", machine.name())
        })?;
        if machine.engine.abilities().isolation == Ability::Yes {
            let id = machine.ask("cat /etc/machine-id").await?;
            must(id == machine.wanted.id, || format!("{} is {id} inside", machine.name()))?;
        }
    }
    from.destroy().await?;
    to.must_read("good").await?;
    to.destroy().await
}

pub(super) async fn a_move_asked_twice_moves_once(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().move_state)?;
    let from = good(bench, "from").await?;
    let to = Machine::new(bench, "to");
    to.create().await?;
    for token in ["once", "once", "once"] {
        to.engine.move_state("from", "to", token, &Steps::none()).await?;
    }
    to.start().await?;
    to.must_read("good").await?;
    to.stop().await?;
    // Another move is another.
    to.engine.move_state("to", "from", "back", &Steps::none()).await?;
    from.start().await?;
    from.must_read("good").await?;
    from.destroy().await?;
    to.destroy().await
}

pub(super) async fn diff_tells_what_changed(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().diff)?;
    let machine = Machine::running(bench, "diff").await?;
    let base = machine.base_files().await?;
    let [changed, deleted, ..] = base.as_slice() else {
        return fail("the bench has fewer than two files of the base");
    };
    let before = machine.engine.diff(machine.name()).await?;
    must(!before.iter().any(|c| c.path == *changed || c.path == *deleted), || {
        "what was not touched is told as changed".into()
    })?;
    machine.write("added").await?;
    let line = format!("echo more >>'{}' && rm '{}'", changed.display(), deleted.display());
    machine.ask(&line).await?;
    let told = machine.engine.diff(machine.name()).await?;
    must(told.is_sorted_by(|a, b| a.path <= b.path), || "not in order of paths".into())?;
    let added = bench.place(machine.name()).join("data");
    for (path, kind) in [
        (&added, ChangeKind::Added),
        (changed, ChangeKind::Changed),
        (deleted, ChangeKind::Deleted),
    ] {
        let kinds: Vec<_> = told.iter().filter(|c| c.path == *path).map(|c| c.kind).collect();
        must(kinds == [kind], || {
            format!("{} is told as {kinds:?}, and is {kind:?}", path.display())
        })?;
    }
    machine.destroy().await
}

pub(super) async fn states_survive_being_cut_short(bench: &dyn Bench) -> Checked {
    let abilities = bench.engine().abilities();
    able(&abilities.snapshots)?;
    let engine = bench.engine();
    let none = Steps::none();
    for step in 0..100 {
        let machine = good(bench, "cut").await?;
        let (_, steps) = Cut::at(step);
        let kept = engine.snapshot("cut", &NewSnapshot::named("s"), &steps).await;
        let mut all = came_to_its_end("snapshot", kept)?;
        if !all {
            engine.remove_snapshot("cut", "s", &none).await?;
            must(names(&machine).await?.is_empty(), || "what was undone is listed".into())?;
            keep(&machine, "s").await?;
        }
        machine.start().await?;
        machine.must_read("good").await?;
        machine.write("later").await?;
        machine.stop().await?;
        let (_, steps) = Cut::at(step);
        all &= came_to_its_end("restore", engine.restore("cut", "s", &steps).await)?;
        engine.restore("cut", "s", &none).await?;
        machine.start().await?;
        machine.must_read("good").await?;
        machine.stop().await?;
        if abilities.clone == Ability::Yes {
            let copy = Machine::new(bench, "cut-copy");
            let (_, steps) = Cut::at(step);
            let made = engine.clone_machine("cut", None, &copy.wanted, &steps).await;
            all &= came_to_its_end("clone", made)?;
            copy.destroy().await?;
        }
        if abilities.move_state == Ability::Yes {
            let to = Machine::new(bench, "cut-to");
            to.create().await?;
            let (_, steps) = Cut::at(step);
            let moved = engine.move_state("cut", "cut-to", "token", &steps).await;
            all &= came_to_its_end("move", moved)?;
            engine.move_state("cut", "cut-to", "token", &none).await?;
            to.start().await?;
            to.must_read("good").await?;
            to.destroy().await?;
        }
        let (_, steps) = Cut::at(step);
        let removed = engine.remove_snapshot("cut", "s", &steps).await;
        all &= came_to_its_end("remove", removed)?;
        engine.remove_snapshot("cut", "s", &none).await?;
        must(names(&machine).await?.is_empty(), || "what was removed is listed".into())?;
        machine.destroy().await?;
        if all {
            return Ok(());
        }
    }
    fail("more than 100 steps")
}
