//! The first file of a folder.

use crate::keys::{MACHINE, NETWORK, SESSION, STEAD, SYSTEM};
use crate::read::allowed_name;
use crate::table::{Key, Table};

/// A commented first file. Lines that begin with `#` and a letter or bracket are keys to take the `#` away from.
/// What cannot be in a name is replaced.
pub fn init(name: &str) -> String {
    let mut file = File(String::new());
    file.say("What works here: machines, and the sessions in them. `stead plan` shows what would change, `stead apply` does it.");
    file.say("A key that begins with `#` is off. `stead schema` tells all keys to your editor.");
    file.line("");
    file.line("[stead]");
    file.given(&STEAD, "name", &format!("\"{}\"", allowed_name(name)));
    file.line("");
    file.say(&find(&STEAD, "defaults").told());
    file.line("[stead.defaults]");
    file.given(&MACHINE, "engine", "\"sandbox\"");
    file.line("");
    file.say(MACHINE.doc);
    file.line("[machines.box]");
    file.given(&MACHINE, "shares", "[\".\"]");
    for key in MACHINE.keys {
        // The network would decide what `egress` decides here, and this is no virtual machine.
        if !matches!(key.name, "engine" | "shares" | "network" | "qemu") {
            file.key(key);
        }
    }
    file.line("");
    file.say("Another machine, a virtual one, on a network that others can be on.");
    file.line("#[machines.test]");
    file.line("#engine = \"qemu\"");
    file.key(find(&MACHINE, "network"));
    file.key(find(&MACHINE, "qemu"));
    file.line("");
    file.say(NETWORK.doc);
    file.line("#[networks.lab]");
    file.keys(&NETWORK);
    file.line("");
    file.say(SYSTEM.doc);
    file.line("#[systems.dev]");
    file.keys(&SYSTEM);
    file.line("");
    file.say(SESSION.doc);
    file.line("#[sessions.fix]");
    file.keys(&SESSION);
    file.0
}

fn find<T>(table: &'static Table<T>, name: &str) -> &'static Key<T> {
    table.keys.iter().find(|key| key.name == name).expect("it is named in this file")
}

struct File(String);

impl File {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A comment, in lines that fit.
    fn say(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.len() + word.len() > 98 {
                self.line(&line);
                line = "#".into();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// A key that is set.
    fn given<T>(&mut self, table: &'static Table<T>, name: &str, value: &str) {
        self.say(&find(table, name).told());
        self.line(&format!("{name} = {value}"));
    }

    /// A key to take the `#` away from.
    fn key<T>(&mut self, key: &Key<T>) {
        self.say(&key.told());
        self.line(&format!("#{} = {}", key.name, key.example));
    }

    fn keys<T>(&mut self, table: &Table<T>) {
        for key in table.keys {
            self.key(key);
        }
    }
}
