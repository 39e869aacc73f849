# What people use beside git.
{
  programs.gh.enable = true;
  programs.lazygit.enable = true;
  programs.delta = {
    enable = true;
    enableGitIntegration = true;
  };
}
