# The overlay. Whoever is in it reaches everything here: the host trusts its interface.
{
  services.tailscale = {
    enable = true;
    openFirewall = false;
  };

  # Names of the overlay beside those of the world.
  services.resolved.enable = true;
}
