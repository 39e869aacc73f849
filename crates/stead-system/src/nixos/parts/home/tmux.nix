# Terminals that stay when one goes.
{
  programs.tmux = {
    enable = true;
    mouse = true;
    terminal = "tmux-256color";
    historyLimit = 50000;
  };
}
