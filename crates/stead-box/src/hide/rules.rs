//! The table of what is shown of this host, and what is not.

use super::walk::matches;
use std::ffi::OsStr;
use std::path::Path;

/// What happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is shown as it is, but for what other rules say of paths directly in it.
    Shown,
    /// It is shown, but for what not everybody may read: files without read permission for others, and folders
    /// without read and search permission for others.
    Walked,
    /// A folder of which only what other rules name is shown.
    Only,
    /// A folder with nothing in it.
    Empty,
    /// It is not there.
    Gone,
    /// It is replaced.
    Made(Made),
}

/// What a file is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// This text.
    Text(&'static str),
    /// A line for each account of `/etc/passwd`, without a password that anybody could have.
    Shadow,
    /// A line for each group of `/etc/group`, likewise.
    GroupShadow,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Below `/`; one `*` in its last part stands for anything.
    pub path: &'static str,
    /// What happens to it.
    pub act: Act,
    /// What is there.
    pub reason: &'static str,
}

const fn line(path: &'static str, act: Act, reason: &'static str) -> Rule {
    Rule { path, act, reason }
}

use Act::{Empty, Gone, Only, Shown, Walked};
const fn made(made: Made) -> Act {
    Act::Made(made)
}

/// The rule for a path, if there is one. What no rule names follows the folder that it is in: shown and walked
/// folders hand that down, of others nothing is seen.
pub fn rule(path: &Path) -> Option<&'static Rule> {
    Below::of(path.parent()?).rule(path.file_name()?)
}

/// The rules about what is directly in one folder.
#[derive(Clone, Copy)]
pub(super) struct Below(&'static [(&'static str, &'static Rule)]);

impl Below {
    /// Few folders are named in rules, and each has many files: the folder is looked up once.
    pub fn of(folder: &Path) -> Self {
        Below(by_folder().get(folder).map_or(&[], Vec::as_slice))
    }

    /// The rule for a name in it.
    pub fn rule(self, name: &OsStr) -> Option<&'static Rule> {
        self.0.iter().find(|(last, _)| matches(last, name)).map(|(_, rule)| *rule)
    }
}

type ByFolder = std::collections::HashMap<&'static Path, Vec<(&'static str, &'static Rule)>>;

fn by_folder() -> &'static ByFolder {
    static TABLE: std::sync::OnceLock<ByFolder> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = ByFolder::new();
        for rule in RULES {
            let (folder, last) = rule.path.rsplit_once('/').unwrap_or(("", rule.path));
            table.entry(Path::new(folder)).or_default().push((last, rule));
        }
        table
    })
}

/// The table. Of several lines that fit, the first counts. The top of the file system is a folder of which only what
/// is named is shown.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    line("bin", Shown, "programs"),
    line("sbin", Shown, "programs"),
    line("lib", Shown, "programs"),
    line("lib32", Shown, "programs"),
    line("lib64", Shown, "programs"),
    line("libx32", Shown, "programs"),
    line("libo32", Shown, "programs"),
    line("usr", Shown, "programs; packages put no secrets there"),
    line("usr/local", Walked, "programs of this host's administrator, and maybe what they know"),
    line("opt", Walked, "programs of others, and maybe what they know"),
    line("nix", Only, "a folder with much else in it"),
    line("nix/store", Shown, "programs; everybody may read it by design"),
    line("nix/var", Only, "a folder with much else in it"),
    line("nix/var/nix", Walked, "which programs are in use"),
    line("root", Empty, "the administrator's files"),
    line("home", Empty, "people's files"),
    line("srv", Empty, "data that is served"),
    line("mnt", Empty, "other disks"),
    line("media", Empty, "other disks"),
    line("boot", Empty, "start images may hold keys"),
    line("lost+found", Gone, "pieces of anything"),
    line("run", Empty, "sockets of this host's services"),
    line("dev", Empty, "the sandbox has its own"),
    line("proc", Empty, "the sandbox has its own"),
    line("sys", Empty, "the sandbox has its own"),
    line("tmp", Empty, "what anybody is doing now"),
    line("etc", Walked, "settings"),
    line("var", Only, "a folder with much else in it"),
    line("etc/shadow", made(Made::Shadow), "password hashes; every account is there, locked, so that accounts can be added"),
    line("etc/gshadow", made(Made::GroupShadow), "as etc/shadow, of groups"),
    line("etc/shadow-", Gone, "password hashes, before the last change"),
    line("etc/gshadow-", Gone, "password hashes, before the last change"),
    line("etc/shadow.*", Gone, "copies of password hashes"),
    line("etc/gshadow.*", Gone, "copies of password hashes"),
    line("etc/passwd-", Gone, "accounts, before the last change"),
    line("etc/group-", Gone, "groups, before the last change"),
    line("etc/master.passwd", Gone, "password hashes"),
    line("etc/tcb", Gone, "password hashes"),
    line("etc/security/opasswd", Gone, "old password hashes"),
    line("etc/sudoers", made(Made::Text("root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n%wheel ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n")), "who may do what on this host; sudo does not start without one"),
    line("etc/sudoers.d", Empty, "who may do what on this host"),
    line("etc/doas.conf", Gone, "who may do what on this host"),
    line("etc/ssh/ssh_host_*", Gone, "this host's identity"),
    line("etc/dropbear", Gone, "this host's identity"),
    line("etc/ssl/private", Empty, "keys of certificates"),
    line("etc/pki/tls/private", Empty, "keys of certificates"),
    line("etc/pki/private", Empty, "keys of certificates"),
    line("etc/letsencrypt", Gone, "keys of certificates"),
    line("etc/acme*", Gone, "keys of certificates"),
    line("etc/lego", Gone, "keys of certificates"),
    line("etc/stead", Gone, "Stead's own settings"),
    line("etc/kubernetes", Gone, "keys of a cluster"),
    line("etc/rancher", Gone, "keys of a cluster"),
    line("etc/cni", Gone, "a cluster's networks"),
    line("etc/etcd*", Gone, "keys of a cluster"),
    line("etc/ceph", Gone, "keys of storage"),
    line("etc/consul*", Gone, "keys of a cluster"),
    line("etc/nomad*", Gone, "keys of a cluster"),
    line("etc/vault*", Gone, "a store of secrets"),
    line("etc/docker", Gone, "keys and registries of containers"),
    line("etc/containers/auth.json", Gone, "logins of registries"),
    line("etc/wireguard", Gone, "keys of private networks"),
    line("etc/openvpn", Gone, "keys of private networks"),
    line("etc/ipsec.*", Gone, "keys of private networks"),
    line("etc/swanctl", Gone, "keys of private networks"),
    line("etc/strongswan*", Gone, "keys of private networks"),
    line("etc/tinc", Gone, "keys of private networks"),
    line("etc/nebula", Gone, "keys of private networks"),
    line("etc/ppp", Gone, "logins of networks"),
    line("etc/wpa_supplicant", Gone, "passwords of wireless networks"),
    line("etc/iwd", Gone, "passwords of wireless networks"),
    line("etc/NetworkManager", Gone, "passwords of networks"),
    line("etc/netplan", Gone, "passwords of networks"),
    line("etc/network", Empty, "this host's networks, and their passwords"),
    line("etc/systemd/network", Gone, "this host's networks, and their keys"),
    line("etc/systemd/nspawn", Gone, "this host's containers"),
    line("etc/credstore*", Gone, "credentials of services"),
    line("etc/systemd/system/*.d", Gone, "changes to services often carry passwords in their environment"),
    line("etc/cloud", Gone, "passwords and keys from the cloud"),
    line("etc/boto.cfg", Gone, "cloud credentials"),
    line("etc/aws*", Gone, "cloud credentials"),
    line("etc/azure*", Gone, "cloud credentials"),
    line("etc/google*", Gone, "cloud credentials"),
    line("etc/gcloud*", Gone, "cloud credentials"),
    line("etc/s3cfg", Gone, "cloud credentials"),
    line("etc/passwd-s3fs", Gone, "cloud credentials"),
    line("etc/rclone*", Gone, "cloud credentials"),
    line("etc/restic*", Gone, "passwords of backups"),
    line("etc/borg*", Gone, "passwords of backups"),
    line("etc/rsyncd.secrets", Gone, "passwords of transfers"),
    line("etc/davfs2", Gone, "passwords of disks"),
    line("etc/cifs*", Gone, "passwords of disks"),
    line("etc/samba", Gone, "passwords of disks"),
    line("etc/iscsi", Gone, "passwords of disks"),
    line("etc/exports*", Gone, "what this host serves to whom"),
    line("etc/fstab", made(Made::Text("# The disks of the host are not those of the sandbox.\n")), "disks, sometimes with passwords"),
    line("etc/auto.*", Gone, "disks, sometimes with passwords"),
    line("etc/crypttab", Gone, "keys of disks"),
    line("etc/cryptsetup*", Gone, "keys of disks"),
    line("etc/luks*", Gone, "keys of disks"),
    line("etc/zfs", Gone, "keys of disks"),
    line("etc/krb5.keytab", Gone, "this host's identity"),
    line("etc/*.keytab", Gone, "identities of services"),
    line("etc/sssd", Gone, "logins of directories"),
    line("etc/ldap.secret", Gone, "logins of directories"),
    line("etc/*ldap.conf", Gone, "logins of directories"),
    line("etc/nslcd.conf", Gone, "logins of directories"),
    line("etc/apt/auth.conf", Gone, "logins of package sources"),
    line("etc/apt/auth.conf.d", Empty, "logins of package sources"),
    line("etc/yum.repos.d/*.key", Gone, "logins of package sources"),
    line("etc/exim4/passwd*", Gone, "logins of mail"),
    line("etc/postfix", Gone, "logins of mail"),
    line("etc/msmtprc", Gone, "logins of mail"),
    line("etc/ssmtp", Gone, "logins of mail"),
    line("etc/dovecot", Gone, "logins of mail"),
    line("etc/mysql/debian.cnf", Gone, "the database's administrator"),
    line("etc/pgbouncer", Gone, "logins of databases"),
    line("etc/redis", Gone, "logins of databases"),
    line("etc/grafana", Gone, "logins of services"),
    line("etc/gitlab*", Gone, "secrets of services"),
    line("etc/gitea", Gone, "secrets of services"),
    line("etc/jenkins", Gone, "secrets of services"),
    line("etc/cloudflared", Gone, "keys of tunnels"),
    line("etc/caddy", Gone, "logins of services"),
    line("etc/cron.d", Empty, "jobs of this host often carry passwords; they do not run in a sandbox"),
    line("etc/crontab", Gone, "jobs of this host"),
    line("etc/machine-id", made(Made::Text("")), "this host's identity; empty means one is still to be given"),
    line("etc/hostname", made(Made::Text("sandbox\n")), "this host's name; the sandbox writes its own above"),
    line("etc/hosts", made(Made::Text("127.0.0.1 localhost\n::1 localhost\n")), "names of other machines; the sandbox writes its own above"),
    line("etc/resolv.conf", made(Made::Text("")), "names of networks, often a link out of etc; the sandbox writes its own above"),
    line("etc/*.bak", Gone, "copies of settings keep what was in them"),
    line("etc/*.old", Gone, "copies of settings keep what was in them"),
    line("etc/*.orig", Gone, "copies of settings keep what was in them"),
    line("etc/*~", Gone, "copies of settings keep what was in them"),
    line("etc/.git", Gone, "every setting that ever was (etckeeper)"),
    line("etc/.etckeeper", Gone, "rights of every setting (etckeeper)"),
    line("var/lib", Only, "a folder with much else in it"),
    line("var/cache", Only, "a folder with much else in it"),
    line("var/log", Empty, "what everybody did"),
    line("var/mail", Empty, "people's mail"),
    line("var/spool", Empty, "mail, prints and jobs"),
    line("var/tmp", Empty, "what anybody is doing"),
    line("var/crash", Empty, "memory of programs"),
    line("var/backups", Empty, "copies of password hashes"),
    line("var/local", Empty, "data of this host"),
    line("var/opt", Empty, "data of programs of others"),
    line("var/run", Walked, "a link into run, or else its like"),
    line("var/lock", Walked, "a link into run, or else its like"),
    line("var/lib/dpkg", Walked, "which packages there are"),
    line("var/lib/dpkg/info", Shown, "which packages there are; many files, all made by packages"),
    line("var/lib/apt", Walked, "which packages could be had"),
    line("var/lib/apt/lists/auxfiles", Walked, "which packages could be had"),
    line("var/lib/rpm", Walked, "which packages there are"),
    line("var/lib/dnf", Walked, "which packages there are"),
    line("var/lib/pacman", Walked, "which packages there are"),
    line("var/lib/apk", Walked, "which packages there are"),
    line("var/lib/alternatives", Walked, "which packages there are"),
    line("var/lib/ucf", Walked, "settings of packages"),
    line("var/lib/pam", Walked, "settings of logins, made by packages"),
    line("var/lib/python", Walked, "settings of packages"),
    line("var/lib/xml-core", Walked, "settings of packages"),
    line("var/lib/sgml-base", Walked, "settings of packages"),
    line("var/lib/dictionaries-common", Walked, "settings of packages"),
    line("var/lib/emacsen-common", Walked, "settings of packages"),
    line("var/lib/ca-certificates-java", Walked, "settings of packages"),
    line("var/lib/misc", Walked, "settings of packages"),
    line("var/lib/shells.state", Walked, "settings of packages"),
    line("var/lib/vim", Walked, "settings of packages"),
    line("var/lib/ispell", Walked, "settings of packages"),
    line("var/lib/aspell", Walked, "settings of packages"),
    line("var/lib/texmf", Walked, "settings of packages"),
    line("var/lib/ghostscript", Walked, "settings of packages"),
    line("var/lib/usb_modeswitch", Walked, "settings of packages"),
    line("var/lib/xfonts", Walked, "settings of packages"),
    line("var/lib/systemd", Only, "a folder with much else in it"),
    line("var/lib/systemd/deb-systemd-helper-enabled", Walked, "which services packages have enabled"),
    line("var/lib/systemd/deb-systemd-helper-masked", Walked, "which services packages have masked"),
    line("var/lib/systemd/deb-systemd-user-helper-enabled", Walked, "which services packages have enabled"),
    line("var/lib/git", Empty, "repositories that are served"),
    line("var/cache/debconf", Walked, "answers to packages; passwords are in a file of its own that only root may read"),
    line("var/cache/apt", Walked, "packages that were fetched"),
    line("var/cache/ldconfig", Walked, "where libraries are"),
    line("var/cache/fontconfig", Walked, "fonts"),
    line("var/cache/dictionaries-common", Walked, "settings of packages"),
    line("var/cache/man", Shown, "manual pages; many files, all made from packages"),
];
