# The shell, so that what hooks into it is there.
{
  programs.fish.enable = true;
}
