# The shell, so that what hooks into it is there.
{
  programs.zsh.enable = true;
}
