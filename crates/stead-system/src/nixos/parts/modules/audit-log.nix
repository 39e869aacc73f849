# Who became whom, and who changed what decides that, in the kernel's own log.
{
  security.auditd.enable = true;
  security.audit = {
    enable = true;
    rules = [
      "-w /etc/passwd -p wa -k identity"
      "-w /etc/shadow -p wa -k identity"
      "-w /etc/sudoers -p wa -k privilege"
      "-w /etc/nixos -p wa -k configuration"
      "-a always,exit -F arch=b64 -S execve -F euid=0 -F auid>=1000 -F auid!=unset -k root"
    ];
  };
}
