# The journal goes to Loki, by Alloy. What it says of itself and where it goes is config.alloy, of the host.
{
  services.alloy = {
    enable = true;
    # Nothing about this host goes to its maker.
    extraFlags = [ "--disable-reporting" ];
  };
}
