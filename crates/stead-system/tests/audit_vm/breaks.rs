//! Ways in which a machine comes to be other than declared.

/// How it is made well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `stead-system audit --fix`.
    Fix,
    /// `stead-system apply`.
    Apply,
    /// A person, as the fix says.
    Hand(&'static str),
}

/// One way.
pub struct Break {
    /// The check that fails.
    pub id: &'static str,
    /// What is done, in the machine's shell.
    pub done: &'static str,
    /// What the evidence has.
    pub says: &'static str,
    pub by: By,
}

const fn row(id: &'static str, done: &'static str, says: &'static str, by: By) -> Break {
    Break { id, done, says, by }
}

pub const BREAKS: &[Break] = &[
    row(
        "ssh.password",
        "sed -i 's/^PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/00-stead.conf",
        "passwordauthentication yes",
        By::Apply,
    ),
    row(
        "ssh.root",
        "sed -i 's/^PermitRootLogin no/PermitRootLogin yes/' /etc/ssh/sshd_config.d/00-stead.conf",
        "permitrootlogin yes",
        By::Apply,
    ),
    row(
        "ssh.users",
        "sed -i 's/^AllowUsers.*/AllowUsers ada bob/' /etc/ssh/sshd_config.d/00-stead.conf",
        "AllowUsers has bob, not declared",
        By::Apply,
    ),
    row(
        "ssh.tries",
        "sed -i 's/^MaxAuthTries.*/MaxAuthTries 20/' /etc/ssh/sshd_config.d/00-stead.conf",
        "MaxAuthTries 20",
        By::Apply,
    ),
    row(
        "ssh.match",
        "printf 'Match Address 10.0.0.0/8\\n PasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/90-own.conf",
        "Match Address 10.0.0.0/8: passwordauthentication yes",
        By::Hand("rm /etc/ssh/sshd_config.d/90-own.conf"),
    ),
    row("ssh.running", "systemctl stop ssh", "ssh.service is not active", By::Fix),
    row("ssh.fail2ban", "systemctl stop fail2ban", "fail2ban.service is inactive", By::Fix),
    row(
        "keys.undeclared",
        "install -d -o bob -g bob -m 700 ~bob/.ssh && echo ssh-ed25519 AAAAC3Nz0000 eve > ~bob/.ssh/authorized_keys && \
         chown bob: ~bob/.ssh/authorized_keys",
        "bob has ssh-ed25519 ...AAAAC3Nz0000 in /home/bob/.ssh/authorized_keys",
        By::Hand("rm -r ~bob/.ssh"),
    ),
    row("keys.there", "rm /etc/ssh/authorized_keys.d/ada", "ada lacks ssh-ed25519", By::Apply),
    row(
        "keys.modes",
        "chmod g+w /etc/ssh/authorized_keys.d/ada",
        "others can write to /etc/ssh/authorized_keys.d/ada",
        By::Fix,
    ),
    row(
        "firewall.closed",
        "nft add rule inet stead input tcp dport 8080 accept",
        "8080/tcp",
        By::Hand("systemctl reload stead-firewall"),
    ),
    row(
        "firewall.closed",
        "nft flush ruleset",
        "nothing filters what comes in",
        By::Hand("systemctl restart stead-firewall fail2ban"),
    ),
    row(
        "firewall.metadata",
        "nft flush chain inet stead output",
        "reaches 169.254.169.254",
        By::Hand("systemctl reload stead-firewall"),
    ),
    row(
        "network.listeners",
        "nft add rule inet stead input tcp dport 8080 accept && systemd-run -q --unit listens \
         python3 -c 'import socket,time; s=socket.create_server((\"0.0.0.0\",8080)); time.sleep(9999)' && \
         until ss -tln | grep -q :8080; do :; done",
        "0.0.0.0 8080/tcp (python3)",
        By::Hand("systemctl stop listens; systemctl reload stead-firewall"),
    ),
    row(
        "users.undeclared",
        "useradd -m -s /bin/bash eve",
        "eve is not declared",
        By::Hand("userdel -r eve"),
    ),
    row(
        "users.root-number",
        "useradd -o -u 0 -g 0 -M toor",
        "toor is number 0",
        By::Hand("sed -i /^toor:/d /etc/passwd /etc/shadow"),
    ),
    row("users.empty-password", "passwd -d bob", "bob has an empty password", By::Fix),
    row(
        "users.strong-groups",
        "groupadd -f docker && usermod -aG docker bob",
        "bob is in docker",
        By::Fix,
    ),
    row(
        "sudo.declared",
        "echo 'bob ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/99-bob",
        "bob may, by the rule of bob",
        By::Hand("rm /etc/sudoers.d/99-bob"),
    ),
    row(
        "sudo.others",
        "echo 'games ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/99-g",
        "sudo has a rule for games",
        By::Hand("rm /etc/sudoers.d/99-g"),
    ),
    row(
        "credentials.private",
        "chmod 755 ~bob && install -d -o bob -g bob ~bob/.aws && echo x > ~bob/.aws/credentials && chown bob: ~bob/.aws/credentials",
        "/home/bob/.aws/credentials has mode 0644",
        By::Fix,
    ),
    row(
        "credentials.plain",
        "echo AWS_ACCESS_KEY_ID=AKIAABCDEFGHIJKLMNOP >> /etc/environment",
        "/etc/environment has an access key of AWS",
        By::Hand("sed -i /AKIA/d /etc/environment"),
    ),
    row(
        "secrets.private",
        "chmod 755 /run/secrets && chmod 444 /run/secrets/token",
        "/run/secrets/token has mode 0444",
        By::Fix,
    ),
    row("secrets.there", "rm /run/secrets/token", "there is no /run/secrets/token", By::Apply),
    row(
        "containers.socket",
        "python3 -c 'import socket; socket.socket(1).bind(\"/run/docker.sock\")' && chmod 666 /run/docker.sock",
        "/run/docker.sock has mode 0666",
        By::Fix,
    ),
    row("services.running", "systemctl stop mail", "mail.service is inactive", By::Fix),
    row(
        "services.exposure",
        "mkdir -p /etc/systemd/system/mail.service.d && printf '[Service]\\nProtectSystem=no\\nPrivateDevices=no\\nSystemCallFilter=\\n\
         RestrictNamespaces=no\\nCapabilityBoundingSet=~\\nDynamicUser=no\\nNoNewPrivileges=no\\nProtectHome=no\\n' \
         > /etc/systemd/system/mail.service.d/weak.conf && systemctl daemon-reload",
        "mail is exposed by",
        By::Hand("rm -r /etc/systemd/system/mail.service.d && systemctl daemon-reload"),
    ),
    row(
        "updates.automatic",
        "systemctl stop apt-daily-upgrade.timer",
        "apt-daily-upgrade.timer is inactive",
        By::Fix,
    ),
    row(
        "updates.pending",
        "printf 'Package: bash\\nVersion: 99.0\\n' > /var/lib/apt/lists/own_debian-security_Packages",
        "bash 99.0",
        By::Hand("rm /var/lib/apt/lists/own_*"),
    ),
    row(
        "machine.timezone",
        "ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime",
        "Asia/Tokyo, declared is Europe/Berlin",
        By::Apply,
    ),
    row("machine.hostname", "hostname other", "other, declared is box", By::Hand("hostname box")),
    row("machine.audit-log", "service auditd stop", "auditd.service is inactive", By::Fix),
    row(
        "machine.failed",
        "systemd-run -q --unit falls --property=RemainAfterExit=no /bin/false; until systemctl is-failed -q falls; do :; done",
        "falls.service",
        By::Hand("systemctl reset-failed"),
    ),
    row(
        "machine.clock",
        "python3 -c 'import ctypes; b=(ctypes.c_int*64)(); b[0]=0x10; b[10]=0x40; ctypes.CDLL(None).adjtimex(b)'",
        "goes by no other",
        By::Hand(
            "python3 -c 'import ctypes; b=(ctypes.c_int*64)(); b[0]=0x14; ctypes.CDLL(None).adjtimex(b)'",
        ),
    ),
];
