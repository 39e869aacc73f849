//! The filter in the kernel: what is denied is, and programs that agents use run.

use std::io::Write;
use std::process::{Command, Stdio};

use stead_box::filter;
use stead_box::filter::bpf::Arch;
use stead_box::filter::calls::{DENIED, Deny};

/// Not a test of its own: what runs under the filter, in a user namespace of its own.
#[test]
fn child() {
    let Ok(script) = std::env::var("STEAD_TEST_SCRIPT") else { return };
    match std::env::var("STEAD_TEST_FILTER").unwrap().as_str() {
        "none" => {}
        nested => {
            let start = std::time::Instant::now();
            filter::apply(nested == "nested").unwrap();
            eprintln!("filter applied in {:?}", start.elapsed());
        }
    }
    // The filter is on this thread, and so on what it starts.
    let mut shell = Command::new("bash").arg("-s").stdin(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

/// What a script prints that runs as root of a user namespace; nothing if this host has none for us.
fn run(filter: &str, script: &str) -> Option<String> {
    if !Command::new("unshare").args(["-Ur", "true"]).status().unwrap().success() {
        eprintln!("SKIPPED: no user namespaces for this user");
        return None;
    }
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-Ur", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("STEAD_TEST_SCRIPT", format!("set -eu; cd \"$HOME\"; {script}"))
        .env("STEAD_TEST_FILTER", filter)
        .env("HOME", home.path())
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{err}");
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    Some(out.into_owned())
}

fn have(program: &str) -> bool {
    let there = Command::new("which")
        .arg(program)
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !there {
        eprintln!("SKIPPED: no {program} here");
    }
    there
}

/// The numbers of errors that calls without sense get, in order; 0 is success.
fn errors(filter: &str, calls: &[(u32, [i64; 3])]) -> Option<Vec<i32>> {
    let list: Vec<String> =
        calls.iter().map(|(n, [a, b, c])| format!("({n},{a},{b},{c})")).collect();
    let script = format!(
        "python3 - <<'END'\nimport ctypes\nc = ctypes.CDLL(None, use_errno=True)\n\
         for call in [{}]:\n    ctypes.set_errno(0)\n    \
         r = c.syscall(*[ctypes.c_long(x) for x in call], ctypes.c_long(-1), ctypes.c_long(-1))\n    \
         print('<%d>' % (ctypes.get_errno() if r == -1 else 0), flush=True)\nEND",
        list.join(",")
    );
    let output = run(filter, &script)?;
    let codes =
        output.split('<').skip(1).map(|part| part.split('>').next().unwrap().parse().unwrap());
    Some(codes.collect())
}

fn native(name: &str) -> u32 {
    let row = DENIED.iter().find(|row| row.name == name).unwrap();
    if Arch::NATIVE == Arch::X86_64 { row.x86_64.unwrap() } else { row.aarch64.unwrap() }
}

#[test]
fn every_denied_call_is_denied_by_the_kernel() {
    for nested in [false, true] {
        let rows: Vec<(u32, i32, &str)> = DENIED
            .iter()
            .filter(|row| !(nested && row.nested))
            .filter_map(|row| {
                let number = if Arch::NATIVE == Arch::X86_64 { row.x86_64 } else { row.aarch64 };
                let Deny::Always(errno) = row.deny else { return None };
                Some((number?, errno, row.name))
            })
            .collect();
        // Senseless arguments: if the filter fails, nothing happens to this host.
        let calls: Vec<(u32, [i64; 3])> = rows.iter().map(|row| (row.0, [-1; 3])).collect();
        let Some(found) = errors(if nested { "nested" } else { "strict" }, &calls) else { return };
        assert_eq!(found.len(), rows.len());
        for ((_, wanted, name), found) in rows.iter().zip(&found) {
            assert_eq!(found, wanted, "{name}, nested {nested}");
        }
        let without = errors("none", &calls).unwrap();
        assert_ne!(found, without, "the filter makes no difference");
    }
}

#[test]
fn arguments_and_unknown_calls_are_told_apart_by_the_kernel() {
    let (clone, unshare) = (native("clone"), native("unshare"));
    let (socket, ioctl, personality) = (native("socket"), native("ioctl"), native("personality"));
    let calls = [
        (unshare, [0x1000_0000, 0, 0]),
        (unshare, [0x80, 0, 0]),
        (unshare, [0x400, 0, 0]),
        (clone, [0x1000_0011, 0, 0]),
        (socket, [17, 3, 0]),
        (socket, [38, 5, 0]),
        (socket, [40, 1, 0]),
        (socket, [16, 3, 12]),
        (socket, [16, 3, 0]),
        (socket, [2, 1, 0]),
        (ioctl, [0, 0x5412, 0]),
        (ioctl, [0, 0x541c, 0]),
        (personality, [0x040_0000, 0, 0]),
        (personality, [0x004_0000, 0, 0]),
        (400, [0; 3]),
        (470, [0; 3]),
        (0x4000_0027, [0; 3]),
    ];
    let Some(found) = errors("strict", &calls) else { return };
    assert_eq!(found, [1, 1, 0, 1, 97, 97, 97, 93, 0, 0, 1, 1, 1, 0, 38, 38, 38]);
}

#[test]
fn privileges_are_few_and_stay_few() {
    let Some(strict) = run("strict", "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; umask")
    else {
        return;
    };
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(field(&strict, set), "00000000a00425fb", "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(field(&strict, set), "0000000000000000", "{set}");
    }
    assert_eq!(
        (field(&strict, "NoNewPrivs").as_str(), field(&strict, "Seccomp:").as_str()),
        ("1", "2")
    );
    let nested = run("nested", "cat /proc/self/status").unwrap();
    assert_eq!(field(&nested, "CapBnd"), "00000000a02c35fb");
}

#[test]
fn namespaces_only_where_containers_may_be_made() {
    let script = "if unshare -Urmn true 2>/dev/null; then echo made; else echo refused; fi";
    let Some(strict) = run("strict", script) else { return };
    assert!(strict.contains("refused"), "{strict}");
    assert!(run("nested", script).unwrap().contains("made"));
    let mount = "unshare -Urm sh -c 'mount -t tmpfs none /mnt && cat /proc/self/mounts' | grep -c 'none /mnt'";
    assert!(run("nested", mount).unwrap().contains('1'));
}

#[test]
fn programs_that_agents_use_run() {
    let all = [
        (
            "git",
            "git init -q a && cd a && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git log",
        ),
        ("gcc", "printf 'int main(){return 0;}' > a.c && gcc a.c -o a && ./a"),
        ("apt-get", "apt-get --version && dpkg --list >/dev/null"),
        (
            "node",
            "node -e \"const {Worker} = require('worker_threads'); \
             require('fs').promises.readFile('/etc/passwd').then(() => new Worker('process.exit(0)', {eval: true})); \
             console.log(require('child_process').execSync('echo from node').toString())\"",
        ),
        (
            "python3",
            "python3 -c \"import subprocess, threading, multiprocessing, socket, asyncio; \
             t = threading.Thread(target=print); t.start(); t.join(); \
             subprocess.run(['true'], check=True); p = multiprocessing.Process(target=print); p.start(); p.join(); \
             socket.socketpair(); socket.if_nameindex(); asyncio.run(asyncio.sleep(0)); assert p.exitcode == 0\"",
        ),
        ("cargo", "CARGO_HOME=$HOME/c RUSTUP_HOME=${RUSTUP_HOME:-/root/.rustup} cargo --version"),
        ("gdb", "gdb -q -batch -ex run -ex 'info registers' /bin/true | grep -i 'exited normally'"),
        ("strace", "strace -f -o out sh -c true && grep -q execve out"),
        ("ping", "ping -V"),
        ("perl", "perl -e 'fork // die; wait; socketpair(A, B, 1, 1, 0) or die $!'"),
        (
            "tar",
            "mkdir t && tar -C /etc -cf a.tar passwd group && tar -C t --no-same-owner -xf a.tar",
        ),
    ];
    for (program, script) in all {
        if have(program) && run("strict", &format!("exec 2>&1; {script}")).is_none() {
            return;
        }
    }
}

/// Agents confine their own tools with these.
#[test]
fn a_sandbox_inside_can_be_made_of_landlock_and_seccomp() {
    // landlock_create_ruleset for its version, and seccomp for whether an action is there.
    let calls = [(444, [0, 0, 1])];
    let (Some(found), Some(without)) = (errors("strict", &calls), errors("none", &calls)) else {
        return;
    };
    assert_eq!(found, without, "landlock answers as it does without the filter");
    let script = "python3 -c \"import ctypes; c = ctypes.CDLL(None, use_errno=True); \
        a = ctypes.c_uint32(0x7ffc0000); nr = 317 if ctypes.sizeof(ctypes.c_void_p) == 8 and \
        __import__('platform').machine() == 'x86_64' else 277; \
        assert c.syscall(nr, 2, 0, ctypes.byref(a)) == 0, ctypes.get_errno()\"";
    run("strict", script);
}
