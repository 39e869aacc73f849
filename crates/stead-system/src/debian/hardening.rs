//! What a unit may not do, unless it says that it must.

/// Directives for every unit. Together they are worth less than 4 to `systemd-analyze security`.
const ALWAYS: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("ProtectSystem", "strict"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallErrorNumber", "EPERM"),
    ("RemoveIPC", "yes"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
];

/// What a unit needs besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Needs<'a> {
    /// It connects to something.
    pub network: bool,
    /// It is a person's, and reads homes.
    pub home: bool,
    /// It makes code while it runs, as what is written in JavaScript does.
    pub jit: bool,
    /// Directives it does without.
    pub relax: &'a [String],
}

/// The lines for the section `[Service]`.
pub(super) fn lines(needs: Needs) -> String {
    let network: &[(&str, &str)] = if needs.network {
        &[("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK")]
    } else {
        &[
            ("RestrictAddressFamilies", "AF_UNIX"),
            ("PrivateNetwork", "yes"),
            ("IPAddressDeny", "any"),
        ]
    };
    let home = [("ProtectHome", if needs.home { "read-only" } else { "yes" })];
    let relaxed = |name: &str| {
        (needs.jit && name == "MemoryDenyWriteExecute") || needs.relax.iter().any(|own| own == name)
    };
    let all = ALWAYS.iter().chain(network).chain(&home).filter(|(name, _)| !relaxed(name));
    all.map(|(name, value)| format!("{name}={value}\n")).collect()
}
