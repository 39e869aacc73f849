//! The ssh server, and what bans those who try too often.

use super::{Act, Desired, quote, words};
use crate::Whole;

/// Before all others, because with sshd the first word holds.
const PATH: &str = "/etc/ssh/sshd_config.d/00-stead.conf";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let ssh = &whole.system.ssh;
    if !ssh.enable {
        to.masked.extend(["ssh.service".to_owned(), "ssh.socket".to_owned()]);
        return;
    }
    to.package(&["openssh-server"]);
    let users: Vec<String> = whole
        .ssh_users()
        .into_iter()
        .map(|user| quote::name(user).replace([':', '@', '+'], ""))
        .filter(|user| !user.is_empty())
        .collect();
    let allowed = if users.is_empty() {
        "DenyUsers *".to_owned()
    } else {
        format!("AllowUsers {}", users.join(" "))
    };
    to.file(
        PATH,
        format!(
            "# Keys only, no root, nobody who is not named.\n\
             Port {}\n\
             {allowed}\n\
             AuthenticationMethods publickey\n\
             PubkeyAuthentication yes\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitEmptyPasswords no\n\
             PermitRootLogin no\n\
             X11Forwarding no\n\
             MaxAuthTries {}\n\
             ClientAliveInterval 300\n\
             ClientAliveCountMax 2\n\
             AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u .ssh/authorized_keys\n",
            ssh.port,
            ssh.max_auth_tries.max(1)
        ),
    );
    to.packaged("ssh.service");
    let rule = to.rule("ssh", &["/etc/ssh/sshd_config.d/"], Act::Reload("ssh.service".into()));
    rule.check = words(&["/usr/sbin/sshd", "-t"]);
    rule.listens = Some(ssh.port);
    if ssh.mosh {
        to.package(&["mosh"]);
    }
    if ssh.fail2ban {
        to.package(&["fail2ban", "python3-systemd", "nftables"]);
        // The last of its folder: Debian's own enables a jail that reads files nobody writes.
        to.file(
            "/etc/fail2ban/jail.d/stead.conf",
            format!(
                "[DEFAULT]\nbackend = systemd\nbanaction = nftables[type=multiport]\n\
                 banaction_allports = nftables[type=allports]\nbantime = 1h\nfindtime = 10m\nmaxretry = 5\n\n\
                 [sshd]\nenabled = true\nmode = aggressive\nport = {}\n",
                ssh.port
            ),
        );
        to.packaged("fail2ban.service");
        let rule =
            to.rule("fail2ban", &["/etc/fail2ban/"], Act::Restart("fail2ban.service".into()));
        rule.check = words(&["fail2ban-client", "-t"]);
    }
}
