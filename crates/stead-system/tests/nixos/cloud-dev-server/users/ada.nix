# The home of ada, on Linux or macOS.
{
  lib,
  pkgs,
  ...
}:

{
  imports = [
    ../home/atuin.nix
    ../home/claude.nix
    ../home/git-tools.nix
    ../home/starship.nix
    ../home/zellij.nix
    ../home/zsh.nix
  ];

  programs.git = {
    enable = true;
    settings.user = {
      name = "Ada \"the \${first}\" Lovelace";
      email = "ada@example.org";
    };
  };

  # Cloned once, and linked where nothing else is. Without a network it waits for the next time.
  home.activation.dotfiles = lib.hm.dag.entryAfter [ "writeBoundary" ] ''
    if [ ! -d "$HOME/.dotfiles" ]; then
      run ${lib.getExe pkgs.git} clone --quiet -- ${lib.escapeShellArg "https://example.org/ada/dotfiles"} "$HOME/.dotfiles" || true
    fi
    if [ -d "$HOME/.dotfiles" ]; then
      ${lib.getExe pkgs.git} -C "$HOME/.dotfiles" ls-files -z | while IFS= read -r -d "" file; do
        if [ ! -e "$HOME/$file" ]; then
          run mkdir -p "$(dirname "$HOME/$file")"
          run ln -s "$HOME/.dotfiles/$file" "$HOME/$file"
        fi
      done
    fi
  '';
}
