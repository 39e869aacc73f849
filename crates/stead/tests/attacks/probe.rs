//! Programs that are run inside and tell what became of what they tried.

use crate::common::World;
use std::collections::BTreeMap;

/// What every probe begins with.
const PRELUDE: &str = r"
import errno, fcntl, os, socket, struct, sys
try:
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
except ImportError: pass # The least Python there is calls no C.
X86 = os.uname().machine == 'x86_64'
def say(name, what): print(name, what, sep='\t', flush=True)
def tell(name, result):
    say(name, 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()])
def call(name, x86, arm, *args):
    tell(name, libc.syscall(x86 if X86 else arm, *args))
def attempt(name, f):
    try:
        f()
        say(name, 'ok')
    except OSError as e:
        say(name, errno.errorcode.get(e.errno, type(e).__name__))
";

/// What became of each attempt, by its name.
pub struct Told(BTreeMap<String, String>);

impl Told {
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the probe did not try {name}: {:?}", self.0))
    }

    /// Asserts that what is to show that the probe works did.
    pub fn worked(&self, name: &str) {
        assert_eq!(self.get(name), "ok", "the probe itself does not work: {name}: {:?}", self.0);
    }

    /// Asserts that all other attempts failed.
    pub fn nothing_else_worked(&self, but: &[&str]) {
        assert!(self.0.len() > but.len(), "nothing was tried");
        for (name, what) in self.0.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
            assert!(what != "ok", "{name} worked inside");
        }
    }
}

/// Runs a probe in Python inside.
pub fn probe(world: &World, machine: &str, script: &str) -> Told {
    let script = format!("{PRELUDE}{script}\nsay('end', 'of the probe')\n");
    let said = world.stead(&["exec", machine, "--", "python3", "-c", &script]);
    read(&said.out, &format!("{said:?}"))
}

fn read(out: &str, all: &str) -> Told {
    let lines = out.lines().filter_map(|line| line.split_once('\t'));
    let mut told: BTreeMap<String, String> =
        lines.map(|(name, what)| (name.to_owned(), what.to_owned())).collect();
    assert_eq!(
        told.remove("end").as_deref(),
        Some("of the probe"),
        "the probe did not end well: {all}"
    );
    Told(told)
}

/// A world with one machine called `a`, made with these keys.
pub fn machine(keys: &str) -> World {
    let world = World::new();
    world.apply(&format!("[machines.a]\n{keys}\n"));
    world
}
