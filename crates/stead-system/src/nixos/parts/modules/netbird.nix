# The overlay. Whoever is in it reaches everything here: the host trusts its interface.
{
  services.netbird.clients.overlay = {
    # As the client calls it where nobody asks.
    interface = "wt0";
    port = 51820;
    openFirewall = false;
  };

  # Names of the overlay beside those of the world.
  services.resolved.enable = true;
}
