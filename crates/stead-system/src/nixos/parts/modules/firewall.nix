# Nothing comes in that the host does not name.
{
  networking.nftables.enable = true;
  networking.firewall = {
    enable = true;
    # Overlays route around the interface that a packet would be answered on.
    checkReversePath = "loose";
  };
}
