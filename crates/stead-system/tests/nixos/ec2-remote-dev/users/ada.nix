# The home of ada, on Linux or macOS.
{
  imports = [
    ../home/awscli.nix
    ../home/claude.nix
    ../home/fish.nix
    ../home/git-tools.nix
    ../home/granted.nix
    ../home/tmux.nix
  ];

  programs.git = {
    enable = true;
    settings.user = {
      name = "Ada Lovelace";
      email = "ada@example.org";
    };
  };
}
