# Role agent-host: sessions outlive the connection they were started from.
{
  services.logind.settings.Login.KillUserProcesses = false;

  # Agents that eat all memory are stopped before the host is.
  systemd.oomd = {
    enable = true;
    enableUserSlices = true;
  };
  zramSwap.enable = true;
}
