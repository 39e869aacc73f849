//! People, as the host knows them.

use super::expr::{Set, code};
use super::host::Host;
use std::collections::BTreeSet;
use stead_file::declared::Sudo;

pub(super) fn render(host: &mut Host<'_>) {
    let whole = host.whole;
    let users = &whole.system.users;
    if users.is_empty() {
        return;
    }
    let lasting = whole.has("agent-host") || whole.remote_control();
    let mut all = Set::new();
    for (name, user) in users {
        let mut set = Set::new().put("isNormalUser", true);
        let mut groups: BTreeSet<&str> = user.groups.iter().map(|group| group_of(group)).collect();
        if user.sudo != Sudo::None {
            groups.insert("wheel");
            if whole.has("incus-host") {
                groups.insert("incus-admin");
            }
            if whole.has("hypervisor") {
                groups.insert("libvirtd");
            }
        }
        let groups: Vec<&str> = groups.into_iter().collect();
        set = set.put_if(!groups.is_empty(), "extraGroups", groups);
        if matches!(user.shell.as_str(), "zsh" | "fish") {
            set = set.put("shell", code(format!("pkgs.{}", user.shell)));
        }
        if lasting {
            set =
                set.say("What runs goes on when the last connection is gone.").put("linger", true);
        }
        if !user.keys.is_empty() {
            set = set.put("openssh.authorizedKeys.keys", user.keys.iter().collect::<Vec<_>>());
        }
        all = all.at(&[name], set);
    }
    host.gap("").put("users.users", all);

    let has_key =
        |sudo: Sudo| users.values().any(|user| user.sudo == sudo && !user.keys.is_empty());
    let asks = users.values().any(|user| user.sudo == Sudo::Password);
    // NixOS refuses users that cannot change where none of them could become root.
    // RDP knows nobody without a password: who uses it sets one inside.
    if !asks && !whole.has("desktop") && has_key(Sudo::Passwordless) {
        host.say("There are these users and no others, and none has a password.")
            .put("users.mutableUsers", false);
    }
    let free: Vec<&str> = users
        .iter()
        .filter(|(_, user)| user.sudo == Sudo::Passwordless)
        .map(|(name, _)| name.as_str())
        .collect();
    if !free.is_empty() {
        let command = Set::new().put("command", "ALL").put("options", vec!["NOPASSWD"]);
        let rule = Set::new().put("users", free).put("commands", vec![command]);
        host.put("security.sudo.extraRules", vec![rule]);
    }
    let mut homes = Set::new();
    for (name, place) in host.context.homes.of(whole) {
        let home = Set::new()
            .put("imports", vec![code(format!("../../{place}"))])
            .put("home.stateVersion", "25.11");
        homes = homes.at(&[name], home);
    }
    if !homes.is_empty() {
        host.import("modules/home.nix");
        host.put("home-manager.users", homes);
    }
    for shell in ["fish", "zsh"] {
        if users.values().any(|user| user.shell == shell) {
            host.put(&format!("programs.{shell}.enable"), true);
        }
    }
}

/// What a group of Debian's is called here.
fn group_of(name: &str) -> &str {
    match name {
        "sudo" => "wheel",
        "adm" => "systemd-journal",
        other => other,
    }
}
