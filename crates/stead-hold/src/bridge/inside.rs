//! What the machine is like for the sessions in it.

use super::Options;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use stead_wire::bridge::{Inside, SPOKEN};

/// Where programs lie on a machine that says nothing else.
pub const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What of the bridge's own environment is the machine's: the rest is of whoever started it.
const OWN: [&str; 4] = ["PATH", "LANG", "LANGUAGE", "TZ"];

pub fn look(options: &Options) -> Inside {
    let uid = rustix::process::geteuid().as_raw();
    let user = fs::read_to_string("/etc/passwd").ok().and_then(|text| User::find(&text, uid));
    let user = user.unwrap_or_else(|| User::unnamed(uid));
    let home = if user.home.is_dir() { user.home.clone() } else { PathBuf::from("/") };
    let program = options.program.to_string_lossy().into_owned();
    Inside {
        speaks: SPOKEN,
        program: concat!("stead-hold ", env!("CARGO_PKG_VERSION")).into(),
        data: options.places.data.clone(),
        runtime: options.places.runtime.clone(),
        hook: vec![program, "hook".into()],
        uid,
        env: environment(&user, &home),
        home,
    }
}

fn environment(user: &User, home: &Path) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", USUAL_PATH),
        ("HOME", home.to_str().unwrap_or("/")),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    if Path::new(&user.shell).exists() {
        env.insert("SHELL".into(), user.shell.clone());
    }
    env.extend(settings(&fs::read_to_string("/etc/environment").unwrap_or_default()));
    for key in OWN {
        if let Ok(value) = std::env::var(key) {
            env.insert(key.into(), value);
        }
    }
    env
}

/// `/etc/environment`: a `NAME=value` a line, the value perhaps in quotes.
fn settings(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let quoted = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        (!key.is_empty() && !key.starts_with('#')).then(|| (key.to_owned(), value.to_owned()))
    })
}

struct User {
    name: String,
    home: PathBuf,
    shell: String,
}

impl User {
    fn find(passwd: &str, uid: u32) -> Option<User> {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, number, _, _, home, shell] = fields.as_slice() else { return None };
            (number.parse() == Ok(uid)).then(|| User {
                name: (*name).to_owned(),
                home: PathBuf::from(home),
                shell: (*shell).to_owned(),
            })
        })
    }

    fn unnamed(uid: u32) -> User {
        let (name, home) = if uid == 0 { ("root", "/root") } else { ("user", "/") };
        User { name: name.into(), home: home.into(), shell: "/bin/sh".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let text = "root:x:0:0:root:/root:/bin/bash\nbroken\nme:x:1000:1000::/home/me:/bin/zsh\n";
        let me = User::find(text, 1000).unwrap();
        assert_eq!((me.name.as_str(), me.shell.as_str()), ("me", "/bin/zsh"));
        assert!(User::find(text, 7).is_none());
    }

    #[test]
    fn settings_of_the_machine() {
        let text = "# c\nA=b c\nexport B=\"x=y\"\nC='z'\nodd\n#D=1\n";
        let all: Vec<(String, String)> = settings(text).collect();
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(all, [pair("A", "b c"), pair("B", "x=y"), pair("C", "z")]);
    }
}
