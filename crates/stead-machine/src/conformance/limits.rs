//! Limits, attacked from inside.

use super::help::{Machine, able, must};
use super::{Bench, Checked};
use stead_file::size::Size;

pub(super) async fn memory_is_limited(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().limits)?;
    let mut machine = Machine::new(bench, "memory");
    machine.wanted.declared.memory = Some(Size(96 << 20));
    machine.create().await?;
    machine.start().await?;
    let little = machine.run("perl -e '$x=\"a\" x (16<<20); print length $x'", "").await?;
    must(little.status.success(), || "16 MiB of 96 are too much (it needs perl)".into())?;
    // Each MiB is written to, so that it is really there.
    let much = "perl -e 'for (1..300) { push @x, \"a\" x (1<<20) } print \"all\"'";
    let much = machine.run(much, "").await?;
    let said = String::from_utf8_lossy(&much.stdout).into_owned();
    must(!much.status.success() && said != "all", || "it used 300 MiB of 96".into())?;
    let after = machine.run("echo still", "").await?;
    must(after.status.success(), || "after that it can no longer be entered".into())?;
    machine.destroy().await
}

pub(super) async fn processes_are_limited(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().limits)?;
    let mut machine = Machine::new(bench, "forks");
    machine.wanted.declared.processes = Some(40);
    machine.create().await?;
    machine.start().await?;
    // Each child ends with its parent's pipe, so that nothing is left running.
    let line = "perl -e 'pipe R,W; for (1..200) { $p=fork; last unless defined $p; \
        if (!$p) { close W; sysread R,$_,1; exit } $n++ } print $n; close W; 1 while wait>0'";
    let made: u32 = machine.ask(line).await?.parse().unwrap_or(0);
    must((5..40).contains(&made), || format!("it made {made} processes, and may 40"))?;
    machine.destroy().await
}

pub(super) async fn disk_is_limited(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().disk_limit)?;
    let mut machine = Machine::new(bench, "disk");
    machine.wanted.declared.disk = Some(Size(64 << 20));
    machine.create().await?;
    machine.start().await?;
    let write = |mib: u32| format!("dd if=/dev/zero of=file bs=1M count={mib} conv=fsync 2>&1");
    let little = machine.run(&write(16), "").await?;
    must(little.status.success(), || "16 MiB of 64 are too much".into())?;
    let much = machine.run(&write(160), "").await?;
    must(!much.status.success(), || "it wrote 160 MiB of 64".into())?;
    machine.destroy().await
}
