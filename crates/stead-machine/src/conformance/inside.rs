//! What runs inside.

use super::help::{Machine, able, fail, must};
use super::{Bench, Checked};
use crate::EngineError;
use crate::engine::Exec;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;
use stead_file::declared::Share;

pub(super) async fn the_exit_status_is_its_own(bench: &dyn Bench) -> Checked {
    let machine = Machine::running(bench, "status").await?;
    for (line, code) in [("exit 0", 0), ("exit 1", 1), ("exit 42", 42), ("exit 255", 255)] {
        let status = machine.run(line, "").await?.status;
        must(status.code() == Some(code), || format!("{line:?} ended with {status}"))?;
    }
    let exec = Exec { command: vec!["/nowhere/nothing".into()], ..Exec::default() };
    if let Ok(command) = machine.engine.exec(machine.name(), &exec).await {
        let mut command = tokio::process::Command::from(command);
        let ended = command.stdin(Stdio::null()).stderr(Stdio::null()).status().await;
        must(!ended.is_ok_and(|status| status.success()), || {
            "a program that is not there ended well".into()
        })?;
    }
    machine.destroy().await
}

pub(super) async fn environment_and_folder(bench: &dyn Bench) -> Checked {
    let machine = Machine::running(bench, "env").await?;
    machine.ask("mkdir -p sub").await?;
    let folder = bench.place(machine.name()).join("sub");
    let exec = Exec {
        command: ["sh", "-c", "printf '%s\\n' \"$WORD\" \"$PWD\" \"$0\" \"$1\"", "a b", "'$c'"]
            .map(String::from)
            .to_vec(),
        cwd: Some(folder.clone()),
        env: BTreeMap::from([("WORD".into(), "two words\"'$".into())]),
    };
    let command = machine.engine.exec(machine.name(), &exec).await?;
    let output = tokio::process::Command::from(command).stdin(Stdio::null()).output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!("two words\"'$\n{}\na b\n'$c'\n", folder.display());
    must(said == expected, || {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("it said {said:?}, and must {expected:?}: {error}")
    })?;
    machine.ask("rmdir sub").await?;
    let exec = Exec {
        command: ["sh", "-c", "test \"$PWD\" = \"$HOME\" && test -d \"$HOME\""]
            .map(String::from)
            .to_vec(),
        ..Exec::default()
    };
    let command = machine.engine.exec(machine.name(), &exec).await?;
    let status = tokio::process::Command::from(command).stdin(Stdio::null()).status().await?;
    must(status.success(), || "without a folder it does not start in the home".into())?;
    machine.destroy().await
}

pub(super) async fn its_streams_are_its_own(bench: &dyn Bench) -> Checked {
    let machine = Machine::running(bench, "streams").await?;
    let text = "line\n".repeat(100_000);
    let output = machine.run("cat; echo end >&2", &text).await?;
    must(output.status.success(), || output.status.to_string())?;
    must(output.stdout == text.as_bytes(), || format!("{} bytes came back", output.stdout.len()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    must(error.trim_end() == "end", || format!("standard error: {error:?}"))?;
    machine.destroy().await
}

pub(super) async fn only_what_runs_can_be_entered(bench: &dyn Bench) -> Checked {
    super::help::makes_machines(bench)?;
    let machine = Machine::new(bench, "entered");
    machine.create().await?;
    let exec = Exec { command: vec!["true".into()], ..Exec::default() };
    match machine.engine.exec(machine.name(), &exec).await {
        Err(EngineError::NotNow(_)) => {}
        Err(e) => return fail(format!("it does not run, and the engine says: {e}")),
        Ok(_) => return fail("it does not run, and commands do"),
    }
    must(machine.engine.connect(machine.name(), 80).await.is_err(), || {
        "it does not run, and somebody answers".into()
    })?;
    machine.destroy().await
}

pub(super) async fn identity(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().isolation)?;
    let machine = Machine::running(bench, "myself").await?;
    let id = machine.ask("cat /etc/machine-id").await?;
    must(id == machine.wanted.id, || format!("its machine-id is {id}"))?;
    let name = machine.ask("uname -n").await?;
    must(name == "myself", || format!("its host name is {name}"))?;
    let user = machine.ask("id -u").await?;
    must(user == "0", || format!("it is user {user} inside"))?;
    machine.destroy().await
}

pub(super) async fn connect_reaches_a_port(bench: &dyn Bench) -> Checked {
    let machine = Machine::running(bench, "port").await?;
    let (port, mut child) = machine.listener("127.0.0.1").await?;
    let socket = machine.engine.connect(machine.name(), port).await?;
    let said = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(false)?;
        let mut said = String::new();
        stream.read_to_string(&mut said).map(|_| said)
    });
    let said = said.await.map_err(|e| super::Told::Fail(e.to_string()))??;
    must(said == "hello", || format!("it said {said:?}"))?;
    child.kill().await?;
    if bench.makes_machines() {
        // Whoever listened is gone with the machine, whether or not killing the entering process ends it.
        machine.stop().await?;
        machine.start().await?;
    }
    let nobody = machine.engine.connect(machine.name(), port).await;
    must(nobody.is_err(), || "nobody listens, and somebody answers".into())?;
    machine.destroy().await
}

pub(super) async fn shares_are_shared(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().shares)?;
    let folder = tempfile::tempdir()?;
    let [writable, readable] = ["writable", "readable"].map(|name| folder.path().join(name));
    for path in [&writable, &readable] {
        std::fs::create_dir(path)?;
        std::fs::write(path.join("of-host"), "of the host")?;
    }
    let mut machine = Machine::new(bench, "shares");
    machine.wanted.declared.shares = vec![
        Share { host: writable.clone(), inside: "/shared/w".into(), writable: true },
        Share { host: readable.clone(), inside: "/shared/r".into(), writable: false },
    ];
    machine.create().await?;
    machine.start().await?;
    for inside in ["/shared/w", "/shared/r"] {
        let read = machine.ask(&format!("cat {inside}/of-host")).await?;
        must(read == "of the host", || format!("{inside}: {read:?}"))?;
    }
    machine.ask("echo changed >/shared/w/of-host; echo made >/shared/w/of-machine").await?;
    let read = std::fs::read_to_string(writable.join("of-host"))?;
    must(read == "changed\n", || format!("the host reads {read:?}"))?;
    must(writable.join("of-machine").exists(), || "what it makes is not on the host".into())?;
    for line in ["echo x >/shared/r/of-host", "echo x >/shared/r/new", "rm -f /shared/r/of-host"] {
        let wrote = machine.run(line, "").await?.status.success();
        must(!wrote, || format!("it is not to write there, and does: {line}"))?;
    }
    let read = std::fs::read_to_string(readable.join("of-host"))?;
    must(read == "of the host", || format!("what it must not write is {read:?}"))?;
    machine.destroy().await?;
    must(writable.join("of-machine").exists(), || "destroying it emptied a shared folder".into())
}

pub(super) async fn containers_are_made_inside(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().nested)?;
    let mut machine = Machine::new(bench, "nested");
    machine.wanted.declared.nested = true;
    machine.create().await?;
    machine.start().await?;
    let line = "unshare --user --map-root-user --mount --pid --fork sh -c 'mount -t tmpfs x /tmp && echo $$'";
    let said = machine.ask(line).await?;
    must(said == "1", || format!("a container inside says {said:?}"))?;
    machine.destroy().await
}
