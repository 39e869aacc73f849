# Role container-host: Podman, as whoever runs it, under Docker's name too.
{
  virtualisation.podman = {
    enable = true;
    dockerCompat = true;
    # Containers find each other by name.
    defaultNetwork.settings.dns_enabled = true;
    autoPrune.enable = true;
  };
}
