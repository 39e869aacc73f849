//! Who reaches whom.

use super::help::{Machine, able, fail, must};
use super::{Bench, Checked, Told};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use stead_file::declared::{Egress, Port};

/// Whether a machine reaches an address.
async fn reaches(machine: &Machine<'_>, to: SocketAddr) -> Result<bool, Told> {
    let perl = "perl -MIO::Socket::INET -e \
        'exit(IO::Socket::INET->new(PeerAddr=>$ARGV[0],Timeout=>5) ? 0 : 7)'";
    let output = machine.run(&format!("{perl} {to}"), "").await?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(7) => Ok(false),
        _ => fail(format!(
            "it cannot try (it needs perl): {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

pub(super) async fn egress_none_reaches_nothing(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().egress)?;
    let Some(outside) = bench.outside().await else {
        return Err(Told::Skip("the bench offers nothing outside".into()));
    };
    let open = Machine::running(bench, "open").await?;
    must(reaches(&open, outside).await?, || {
        format!("with open egress it does not reach {outside}, so nothing can be told")
    })?;
    let mut closed = Machine::new(bench, "closed");
    closed.wanted.declared.egress = Egress::None;
    closed.create().await?;
    closed.start().await?;
    must(!reaches(&closed, outside).await?, || format!("with egress none it reaches {outside}"))?;
    // The host's own loopback is not the machine's, whatever its egress.
    let ours = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = ours.local_addr()?;
    for machine in [&open, &closed] {
        must(!reaches(machine, address).await?, || {
            format!("{} reaches the loopback of the host", machine.name())
        })?;
    }
    open.destroy().await?;
    closed.destroy().await
}

pub(super) async fn ports_lead_in(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().ports)?;
    // A port that was free a moment ago, and one inside.
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut machine = Machine::new(bench, "ports");
    machine.wanted.declared.ports = vec![Port { host, inside: 7777, ..Port::default() }];
    machine.create().await?;
    machine.start().await?;
    let perl = "perl -MIO::Socket::INET -e '$|=1; \
        $s=IO::Socket::INET->new(Listen=>9,LocalAddr=>\"0.0.0.0:7777\",ReuseAddr=>1) or die $@; \
        print \"up\\n\"; while($c=$s->accept){print $c \"hello\";close $c}'";
    let mut command = machine.shell(&format!("exec {perl}")).await?;
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(stdout) = child.stdout.as_mut() {
        use tokio::io::AsyncReadExt;
        stdout.read_exact(&mut [0; 3]).await?;
    }
    let said = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, host))?;
        stream.read_to_string(&mut said).map(|_| said)
    });
    let said = said.await.map_err(|e| Told::Fail(e.to_string()))??;
    must(said == "hello", || format!("through the port of the host it said {said:?}"))?;
    child.kill().await?;
    machine.destroy().await?;
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, host));
    must(free.is_ok(), || "destroyed, and its port is still taken".into())
}
