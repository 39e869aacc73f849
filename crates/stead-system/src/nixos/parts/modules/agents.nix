# Agents fetch programs that were built for other systems, and have files without number watched.
{
  programs.nix-ld.enable = true;

  boot.kernel.sysctl = {
    "fs.inotify.max_user_instances" = 1024;
    "fs.inotify.max_user_watches" = 1048576;
  };
}
