//! `stead forward`: ports of this host that lead into a machine for as long as the command runs.

use super::machine::path;
use super::print;
use crate::cli::Forward;
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use stead_steward::machines::api::Way;

/// Where one listener leads.
struct Rule {
    listen: SocketAddr,
    inside: u16,
}

pub fn run(args: &Forward) -> Outcome {
    let rules = args.ports.iter().map(|text| rule(text)).collect::<Result<Vec<_>, _>>()?;
    let steward = Steward::of_user()?;
    let way: Way = steward.get(&format!("{}/way", path(&args.machine)))?;
    let (failed, failures) = std::sync::mpsc::channel();
    for rule in rules {
        let listener = TcpListener::bind(rule.listen).map_err(|e| {
            Failure::failed(format!("cannot listen on {}: {e}", rule.listen))
                .help("choose another port: HOST-PORT:PORT")
        })?;
        let at = listener.local_addr()?;
        print(format!("{at} -> {}:{}\n", args.machine, rule.inside).as_bytes())?;
        let way = way.clone();
        let failed = failed.clone();
        std::thread::spawn(move || failed.send(serve(&listener, &way, rule.inside)));
    }
    drop(failed);
    // The first port that can no longer be served ends all of it.
    match failures.recv() {
        Ok(error) => Err(error.into()),
        Err(_) => Err(Failure::failed("the forwarding threads made a mistake")),
    }
}

/// Serves until accepting fails.
fn serve(listener: &TcpListener, way: &Way, port: u16) -> io::Error {
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(e) => return e,
        };
        let way = way.clone();
        std::thread::spawn(move || match connect(&way, port) {
            Ok(inside) => relay(&client, &inside),
            Err(e) => eprintln!("stead forward: port {port}: {e}"),
        });
    }
}

fn connect(way: &Way, port: u16) -> io::Result<TcpStream> {
    match way {
        Way::Loopback => TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
        Way::Socket { path } => {
            let socket: PathBuf = path.clone();
            let fd: OwnedFd = stead_box::net::client::connect(&socket, port)?;
            Ok(TcpStream::from(fd))
        }
    }
}

/// Carries bytes both ways until both have ended.
fn relay(one: &TcpStream, other: &TcpStream) {
    let carry = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| carry(one, other));
        carry(other, one);
    });
}

/// Reads `8080`, `8080:80` or `ADDRESS:8080:80`.
fn rule(text: &str) -> Result<Rule, Failure> {
    let wrong = || {
        Failure::misused(format!("\"{text}\" is no port"))
            .help("8080, 8080:80, 0.0.0.0:8080:80 or [::1]:8080:80")
    };
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Some((outside, inside)) = text.rsplit_once(':') else {
        let port = port(text)?;
        return Ok(Rule { listen: SocketAddr::new(loopback, port), inside: port });
    };
    let inside = port(inside)?;
    let (address, host) = match outside.rsplit_once(':') {
        None => (loopback, outside),
        Some((address, host)) => {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            (address.parse().map_err(|_| wrong())?, host)
        }
    };
    // Port 0 is any that is free.
    let host = if host == "0" { 0 } else { port(host)? };
    Ok(Rule { listen: SocketAddr::new(address, host), inside })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let read = |text| rule(text).map(|r| (r.listen.to_string(), r.inside)).ok();
        assert_eq!(read("8080"), Some(("127.0.0.1:8080".into(), 8080)));
        assert_eq!(read("8080:80"), Some(("127.0.0.1:8080".into(), 80)));
        assert_eq!(read("0.0.0.0:1:2"), Some(("0.0.0.0:1".into(), 2)));
        assert_eq!(read("[::1]:1:2"), Some(("[::1]:1".into(), 2)));
        for bad in ["", "x", "0", "1:0", "70000", "a:1:2", "1:2:3:4"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
