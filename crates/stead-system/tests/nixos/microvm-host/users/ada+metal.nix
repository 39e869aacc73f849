# The home of ada, on Linux or macOS.
{
  imports = [ ../home/bash.nix ];

  programs.git.enable = true;
}
