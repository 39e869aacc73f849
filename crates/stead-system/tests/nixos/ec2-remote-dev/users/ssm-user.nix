# The home of ssm-user, on Linux or macOS.
{
  imports = [
    ../home/awscli.nix
    ../home/bash.nix
    ../home/claude.nix
    ../home/git-tools.nix
    ../home/granted.nix
    ../home/tmux.nix
  ];

  programs.git.enable = true;
}
