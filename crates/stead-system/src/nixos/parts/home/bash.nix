# The shell, so that what hooks into it is there.
{
  programs.bash.enable = true;
}
