//! A shell script that starts a machine without Stead.

use super::core::Core;
use super::run::vm;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use stead_file::declared::Port;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};
use stead_vm::args;
use stead_vm::guest::config;
use stead_vm::spec::{Boot, ShareBy, Vm};

/// What does not change from machine to machine, around what does.
const SCRIPT: &str = include_str!("script.sh");
/// QEMU's own network in its usual shape: address, gateway, name server.
const ADDRESS: [[u8; 4]; 3] = [[10, 0, 2, 15], [10, 0, 2, 2], [10, 0, 2, 3]];

impl Core {
    /// The script of a machine as it is now.
    pub fn start_script(&self, name: &str) -> Result<String> {
        let made = self.made(name)?;
        let wanted = &made.wanted;
        let ground = self.on_what(wanted, &Steps::none())?;
        let mut vm = vm::describe(self, wanted, &self.disks(name)?, &ground, made.reseed);
        for (real, share) in self.shared(wanted)?.into_iter().zip(&mut vm.shares) {
            share.path = real;
            share.by = ShareBy::NineP;
        }
        vm.resume = None;
        match &mut vm.config {
            Some(config) if ground.guest.is_some() => without_keeper(config),
            // A person's own image gets nothing from outside by this way.
            config => *config = None,
        }
        let lock = self.lock_ports()?;
        let mut free = self.free_ports(wanted, &lock);
        drop(lock);
        // The screen's is no port inside: QEMU shows it itself, from 5900 on.
        let at =
            free.ports.iter().position(|port| port.inside == 0).map(|at| free.ports.remove(at));
        let screen = at.filter(|port| port.host >= 5900);
        let screen = screen.map(|port| SocketAddr::new(port.address, port.host));
        let remarks: Vec<String> = free.remarks.into_iter().map(|remark| remark.text).collect();
        let leads = Leads { ports: free.ports, screen, remarks };
        write(wanted, &vm, &leads)
    }
}

/// What a guest is told that is at QEMU's own network, and whose console is a terminal.
fn without_keeper(config: &mut config::Config) {
    config.shell = true;
    config.host_ports.clear();
    for share in &mut config.shares {
        share.kind = config::ShareKind::NineP;
    }
    if let Some(net) = &mut config.net {
        let [address, gateway, name_server] = ADDRESS.map(Into::into);
        net.address = address;
        net.prefix = 24;
        net.gateway = Some(gateway);
        net.name_servers = vec![name_server];
    }
}

/// What leads in, and what is said of what does not.
struct Leads {
    ports: Vec<Port>,
    screen: Option<SocketAddr>,
    remarks: Vec<String>,
}

fn write(wanted: &Wanted, vm: &Vm, leads: &Leads) -> Result<String> {
    let text = |path: &Path| {
        let refused = || EngineError::NotNow(format!("{}: this is no text", path.display()));
        path.to_str().map(str::to_owned).ok_or_else(refused)
    };
    let (mut about, mut needs, mut disks) = (String::new(), String::new(), String::new());
    describe(&mut about, wanted, vm, leads);
    for disk in &vm.disks {
        let list = if disk.readonly { &mut needs } else { &mut disks };
        let _ = write!(list, " {}", quoted(&text(&disk.path)?));
    }
    let (mut initramfs, mut config) = (quoted(""), String::new());
    if let Boot::Kernel { kernel, initramfs: path, .. } = &vm.boot {
        initramfs = quoted(&text(path)?);
        let _ = write!(needs, " {} {initramfs}", quoted(&text(kernel)?));
    }
    if let Some(told) = &vm.config {
        config = serde_json::to_string_pretty(told)
            .map_err(|e| EngineError::Failed(format!("what {} is told: {e}", vm.name)))?;
    }
    let forwards: String = leads.ports.iter().filter_map(forward).collect();
    let mut command = quoted(&text(&vm.qemu)?);
    let mut args = args::by_hand(vm, leads.screen).into_iter();
    while let Some(option) = args.next() {
        let option = option.to_string_lossy().into_owned();
        if matches!(option.as_str(), "-nodefaults" | "-no-user-config") {
            let _ = write!(command, " \\\n  {option}");
        } else {
            let value = args.next().unwrap_or_default();
            let value = match option.as_str() {
                "-initrd" => "\"$own/initramfs\"".to_owned(),
                _ => quoted(&text(Path::new(&value))?),
            };
            let _ = write!(command, " \\\n  {option} {value}");
        }
    }
    if vm.mac.is_some() {
        let _ = write!(command, " \\\n  -netdev \"user,id=net,restrict=$restrict$ports\"");
    }
    let light = vm.config.as_ref().is_some_and(|told| told.guest == config::Guest::Light);
    let filled = [
        ("@NAME@", vm.name.as_str()),
        ("@OFF@", if light { "kill -USR2 1" } else { "poweroff" }),
        ("@ABOUT@", about.trim_end()),
        ("@NEEDS@", needs.trim_start()),
        ("@DISKS@", disks.trim_start()),
        ("@INITRAMFS@", &initramfs),
        ("@PORTS@", &quoted(&forwards)),
        ("@CONFIG@", &config),
        ("@COMMAND@", &command),
    ];
    Ok(fill(SCRIPT, &filled))
}

/// Puts each value where its name is; what is put in is not looked at again.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((name, value)) = values.iter().find(|(name, _)| rest.starts_with(name)) {
            filled.push_str(value);
            rest = &rest[name.len()..];
        } else {
            filled.push('@');
            rest = &rest[1..];
        }
    }
    filled + rest
}

/// The comments that say what leads into the machine.
fn describe(about: &mut String, wanted: &Wanted, vm: &Vm, leads: &Leads) {
    let Leads { ports, screen, remarks } = leads;
    let mut line = |text: String| {
        // Whatever it holds, it is a comment.
        let text = text.replace(|c: char| c.is_control(), " ");
        let _ = writeln!(about, "{}", format!("# {text}").trim_end());
    };
    line("Shares:".into());
    for (declared, share) in wanted.declared.shares.iter().zip(&vm.shares) {
        let how = if share.writable { "read and written" } else { "only read" };
        line(format!("  {} is {} inside, {how}", share.path.display(), declared.inside.display()));
    }
    if vm.shares.is_empty() {
        line("  none".into());
    }
    line("Ports:".into());
    let (led, left): (Vec<&Port>, _) = ports.iter().partition(|port| forward(port).is_some());
    for port in &led {
        let at = SocketAddr::new(port.address, port.host);
        line(format!("  {at} leads to {} inside", port.inside));
        if port.inside == 22 {
            line(format!(
                "  ssh -p {} root@{}, once a key of yours is in /root/.ssh/authorized_keys inside",
                port.host, port.address
            ));
        }
    }
    for port in left {
        let at = SocketAddr::new(port.address, port.host);
        line(format!("  {at} does not lead to {}: QEMU's own network has no IPv6", port.inside));
    }
    for remark in remarks {
        line(format!("  {}", remark.strip_prefix("ports: ").unwrap_or(remark)));
    }
    if ports.is_empty() && remarks.is_empty() {
        line("  none".into());
    }
    for port in &wanted.declared.host_ports {
        line(format!("  port {port} of this computer is not on the machine's loopback"));
    }
    if let Some(at) = screen {
        line(format!("Screen: VNC at {at}"));
    }
}

/// A port as QEMU's own network takes it.
fn forward(port: &Port) -> Option<String> {
    let IpAddr::V4(address) = port.address else { return None };
    Some(format!(",hostfwd=tcp:{address}:{}-:{}", port.host, port.inside))
}

/// A word of the shell that stands for this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
