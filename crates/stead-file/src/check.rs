//! What the parts of a file must agree on.

mod system;
mod units;
mod vm;

use crate::declared::{Declaration, Egress, Machine, Port};
use crate::nearest::nearest;
use crate::reader::Reader;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
pub use units::reserved_unit;
use vm::Taken;

/// The machine that is this host itself; it is there without being declared.
pub(crate) const HOST: &str = "host";

/// The file that was read, to find the place of what is wrong.
pub(crate) struct Source<'t>(pub &'t DeTable<'t>);

/// A value in the file.
pub(crate) struct Found<'t> {
    pub value: &'t Spanned<DeValue<'t>>,
    /// It stands in `[stead.defaults]`.
    pub default: bool,
}

impl Found<'_> {
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }
}

impl<'t> Source<'t> {
    /// A table within a table of the file: `machines`, `box`.
    fn table(&self, of: &str, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.0.get(of)?.get_ref().as_table()?.get(name)
    }

    /// A key that a machine, a network or a session has of its own.
    fn own(&self, of: &str, name: &str, key: &str) -> Option<Found<'t>> {
        let value = self.table(of, name)?.get_ref().as_table()?.get(key)?;
        Some(Found { value, default: false })
    }

    fn default(&self, key: &str) -> Option<Found<'t>> {
        let value = self.table("stead", "defaults")?.get_ref().as_table()?.get(key)?;
        Some(Found { value, default: true })
    }

    /// A key of a machine, its own or from the defaults.
    pub fn machine(&self, name: &str, key: &str) -> Option<Found<'t>> {
        self.own("machines", name, key).or_else(|| self.default(key))
    }

    /// The place of a machine's key, or else of the machine.
    pub fn place(&self, name: &str, key: &str) -> Range<usize> {
        self.machine(name, key).map_or_else(|| self.header("machines", name), |found| found.span())
    }

    fn header(&self, of: &str, name: &str) -> Range<usize> {
        self.table(of, name).map(Spanned::span).unwrap_or_default()
    }

    /// The place of one of a machine's ports.
    fn port(&self, name: &str, port: &Port) -> Range<usize> {
        let list = self.machine(name, "ports");
        let item = list.as_ref().and_then(|list| {
            list.value.get_ref().as_array()?.iter().find(|item| {
                let text = match item.get_ref() {
                    DeValue::Integer(number) => number.to_string(),
                    value => value.as_str().unwrap_or_default().into(),
                };
                text.parse::<Port>().as_ref() == Ok(port)
            })
        });
        item.map_or_else(|| self.place(name, "ports"), Spanned::span)
    }
}

/// Notes everything that the parts do not agree on, and gives each machine on a network what the network decides.
pub(crate) fn check(source: &Source<'_>, declared: &mut Declaration, reader: &mut Reader<'_>) {
    let networks: BTreeMap<String, Egress> =
        declared.networks.iter().map(|(name, net)| (name.clone(), net.egress.clone())).collect();
    if source.default("network").is_some()
        && let Some(egress) = source.default("egress")
    {
        two_egresses(reader, &egress, source.default("network").as_ref(), "[networks.NAME]");
    }
    for (name, machine) in &mut declared.machines {
        engine(source, reader, name, machine);
        network(source, reader, name, machine, &networks);
        persist(source, reader, name, machine);
        vm::vm(source, reader, name, machine);
    }
    ports(source, reader, declared);
    states(source, reader, declared);
    sessions(source, reader, declared);
    system::systems(source, reader, declared);
}

fn engine(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &Machine) {
    if name == HOST && machine.engine != HOST {
        reader
            .problem(
                source.place(name, "engine"),
                format!(
                    "the machine called `host` is this computer, and cannot be on engine `{}`",
                    machine.engine
                ),
            )
            .help("give the machine another name, or write `engine = \"host\"`");
    }
}

fn network(
    source: &Source<'_>,
    reader: &mut Reader<'_>,
    name: &str,
    machine: &mut Machine,
    networks: &BTreeMap<String, Egress>,
) {
    let Some(network) = &machine.network else { return };
    if let Some(egress) = source.own("machines", name, "egress") {
        let header = format!("[networks.{network}]");
        two_egresses(reader, &egress, source.machine(name, "network").as_ref(), &header);
    }
    if let Some(egress) = networks.get(network) {
        machine.egress = egress.clone();
        return;
    }
    // Told once where it stands, however many machines have it from the defaults.
    let Some(place) = source
        .machine(name, "network")
        .filter(|found| !found.default || !reader.told(&found.span()))
    else {
        return;
    };
    if !reader.broken {
        undeclared(reader, place.span(), "network", network, networks.keys().map(String::as_str));
    }
}

fn two_egresses(
    reader: &mut Reader<'_>,
    egress: &Found<'_>,
    network: Option<&Found<'_>>,
    header: &str,
) {
    let problem = reader
        .problem(egress.span(), "`egress` has no effect beside `network`: the network decides")
        .help(format!("move `egress` to {header}, or leave `network` out"));
    if let Some(network) = network {
        problem.also(network.span(), "the network");
    }
}

fn undeclared<'a>(
    reader: &mut Reader<'_>,
    span: Range<usize>,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    let problem = reader.problem(span, format!("{what} `{name}` is not declared"));
    if let Some(near) = nearest(name, known.clone()) {
        problem.help(format!("did you mean `{near}`?"));
        return;
    }
    let some: Vec<_> = known.take(10).map(|name| format!("`{name}`")).collect();
    let there =
        if some.is_empty() { String::new() } else { format!("; there are {}", some.join(", ")) };
    problem.help(format!("declare it with `[{what}s.{name}]`{there}"));
}

fn persist(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    if machine.ephemeral || machine.persist.is_empty() {
        return;
    }
    if let Some(found) = source.own("machines", name, "persist") {
        reader
            .problem(
                found.span(),
                format!("`persist` has no effect: machine `{name}` is not ephemeral and keeps everything"),
            )
            .help("remove `persist`, or add `ephemeral = true`");
    }
    machine.persist.clear();
}

fn ports(source: &Source<'_>, reader: &mut Reader<'_>, declared: &Declaration) {
    let mut taken: HashMap<u16, Vec<(&str, Taken)>> = HashMap::new();
    for (name, machine) in &declared.machines {
        let ports = machine.ports.iter().filter(|port| !port.optional).map(|port| Taken {
            port: port.clone(),
            place: source.port(name, port),
            screen: false,
        });
        for wants in ports.chain(vm::screen_ports(source, name, machine)) {
            let Taken { port, place, screen } = &wants;
            let same = taken.entry(port.host).or_default();
            let Some((other, first)) = same.iter().find(|(_, first)| first.port.clashes(port))
            else {
                same.push((name, wants));
                continue;
            };
            let message = if other == name {
                format!("machine `{name}` wants port {} of this host twice", port.host)
            } else {
                format!("machines `{other}` and `{name}` both want port {} of this host", port.host)
            };
            let inside = if *screen { String::new() } else { format!(":{}", port.inside) };
            let free = port.host.checked_add(1).unwrap_or(port.host - 1);
            let default = source.machine(name, "ports").is_some_and(|found| found.default);
            reader
                .problem(place.clone(), message)
                .also(first.place.clone(), format!("taken by `{other}` here"))
                .help(if default && other != name {
                    "every machine has what is in the defaults: move `ports` to one of them".into()
                } else {
                    format!("take another one, for example \"{free}{inside}\"")
                });
        }
    }
}

fn states(source: &Source<'_>, reader: &mut Reader<'_>, declared: &Declaration) {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for (name, machine) in &declared.machines {
        let state = machine.state.as_deref().unwrap_or(name);
        let Some(other) = taken.insert(state, name) else { continue };
        // The one that names the state is the one to change.
        let (name, other) =
            if machine.state.is_some() { (name.as_str(), other) } else { (other, name.as_str()) };
        let default = source.machine(name, "state").is_some_and(|found| found.default);
        reader
            .problem(source.place(name, "state"), format!("machines `{other}` and `{name}` have the same state `{state}`"))
            .also(source.place(other, "state"), format!("`{other}` has it here"))
            .help(if default {
                "every machine has what is in the defaults: move `state` to one of them"
            } else {
                "a state lies in one machine at a time: give one of them another `state`, or leave it out"
            });
    }
}

fn sessions(source: &Source<'_>, reader: &mut Reader<'_>, declared: &Declaration) {
    if reader.broken {
        return;
    }
    for (name, session) in &declared.sessions {
        let machine = session.machine.as_str();
        if machine == HOST || declared.machines.contains_key(machine) {
            continue;
        }
        let known = declared.machines.keys().map(String::as_str).chain([HOST]);
        // Without a place, its absence or its form was told already.
        if let Some(found) = source.own("sessions", name, "machine")
            && !reader.told(&found.span())
        {
            undeclared(reader, found.span(), "machine", machine, known);
        }
    }
}
