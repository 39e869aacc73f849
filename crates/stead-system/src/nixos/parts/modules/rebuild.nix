# This host can change itself: /etc/nixos is a git repository with this flake, and `rebuild` commits and switches.
{
  inputs,
  pkgs,
  ...
}:

let
  rebuild = pkgs.writeShellApplication {
    name = "rebuild";
    runtimeInputs = [ pkgs.git ];
    text = ''
      if [ "$(id -u)" != 0 ]; then
        exec sudo "$0" "$@"
      fi
      cd /etc/nixos
      # After a switch from elsewhere the flake is there, and no repository yet.
      [ -e .git ] || git init --quiet --shared=group --initial-branch=main
      # A flake sees only what git knows.
      git add --all
      if ! git diff --cached --quiet; then
        git -c user.name="''${SUDO_USER:-root}" -c user.email="''${SUDO_USER:-root}@$(uname -n)" \
          commit --quiet -m "''${1:-rebuild of $(date -Iseconds)}"
      fi
      exec nixos-rebuild switch
    '';
  };
in
{
  environment.systemPackages = [ rebuild ];

  programs.git = {
    enable = true;
    # It belongs to root; those in wheel work in it too.
    config.safe.directory = "/etc/nixos";
  };

  # What the host was installed from, once. What is there afterwards is its own.
  systemd.services.etc-nixos = {
    description = "Puts the flake of this host to /etc/nixos";
    wantedBy = [ "multi-user.target" ];
    unitConfig.ConditionPathExists = "!/etc/nixos/flake.nix";
    path = [ pkgs.git ];
    script = ''
      umask 002
      mkdir -p /etc/nixos
      cp -rT --no-preserve=mode,ownership ${inputs.self} /etc/nixos
      cd /etc/nixos
      git init --quiet --shared=group --initial-branch=main
      git add --all
      git -c user.name=root -c user.email="root@$(uname -n)" commit --quiet -m "As installed"
      chgrp -R wheel .
      chmod -R g+w .
      find . -type d -exec chmod g+s {} +
    '';
    serviceConfig.Type = "oneshot";
  };
}
