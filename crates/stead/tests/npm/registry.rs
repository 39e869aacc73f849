//! A stand-in of npm's registry on the loopback. It serves Claude Code as it was installed here, the real files packed again, in its one
//! version; it knows no other package and no other request, and tells what it was asked for.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// The package, and that with its program for this processor.
const PACKAGE: &str = "@anthropic-ai/claude-code";
const PROGRAM: &str = "@anthropic-ai/claude-code-linux-x64";

/// The registry, for as long as the test runs.
pub struct Registry {
    pub port: u16,
    pub version: String,
    asked: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// One with what is in this folder of node modules.
    pub fn of(modules: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut served = BTreeMap::new();
        let mut version = String::new();
        for name in [PACKAGE, PROGRAM] {
            let from = modules.join(name);
            let text = std::fs::read_to_string(from.join("package.json")).unwrap();
            let about: Value = serde_json::from_str(&text).unwrap();
            about["version"].as_str().unwrap().clone_into(&mut version);
            let file = format!("{}-{version}.tgz", name.rsplit('/').next().unwrap());
            let archive = folder.path().join(&file);
            pack(&from, &archive, name == PACKAGE);
            let mut own = about.clone();
            own["dist"] = json!({
                "tarball": format!("http://127.0.0.1:{port}/{file}"),
                "shasum": sha1(&archive),
            });
            let all = json!({ "name": name, "dist-tags": { "latest": &version }, "versions": { &version: own } });
            let document = folder.path().join(format!("{file}.json"));
            std::fs::write(&document, all.to_string()).unwrap();
            // As npm writes a name with a `/` in it.
            served.insert(format!("/{}", name.replace('/', "%2f")), document);
            served.insert(format!("/{file}"), archive);
        }
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, told) = (served.clone(), Arc::clone(&told));
                std::thread::spawn(move || answer(&stream, &served, &told));
            }
        });
        Registry { port, version, asked, _folder: folder }
    }

    /// What it was asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Packs a package as npm does, without compression, which npm does not need. What its own installation put into place is a
/// placeholder again.
fn pack(from: &Path, to: &Path, placeholder: bool) {
    let own = tempfile::tempdir().unwrap();
    let from = if placeholder {
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), own.path().join(entry.file_name())).unwrap();
            }
        }
        std::fs::create_dir(own.path().join("bin")).unwrap();
        let text = "#!/bin/sh\necho 'its program was not put into place' >&2\nexit 1\n";
        std::fs::write(own.path().join("bin/claude.exe"), text).unwrap();
        own.path()
    } else {
        from
    };
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--transform=s,^\\.,package,", "--file"]);
    tar.arg(to).arg("-C").arg(from).arg(".");
    assert!(tar.status().unwrap().success(), "{}", from.display());
}

fn sha1(file: &Path) -> String {
    let out = Command::new("sha1sum").stdin(File::open(file).unwrap()).output().unwrap();
    String::from_utf8(out.stdout).unwrap()[..40].to_owned()
}

fn answer(stream: &TcpStream, served: &BTreeMap<String, PathBuf>, told: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        // The rest of what it says of itself.
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        told.lock().unwrap().push(format!("{method} {path}"));
        let file =
            served.get(path).filter(|_| method == "GET").map(|path| File::open(path).unwrap());
        let long = file.as_ref().map_or(0, |file| file.metadata().unwrap().len());
        let status = if file.is_some() { "200 OK" } else { "404 Not Found" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {long}\r\n\r\n");
        let mut to = stream;
        let sent = to.write_all(head.as_bytes());
        let sent =
            sent.and_then(|()| file.map_or(Ok(0), |mut file| std::io::copy(&mut file, &mut to)));
        if sent.is_err() {
            return;
        }
    }
}
