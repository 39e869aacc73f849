# The home of ada, on Linux or macOS.
{
  imports = [ ../home/zsh.nix ];

  programs.git.enable = true;
}
