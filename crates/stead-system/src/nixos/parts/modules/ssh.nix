# Ssh by keys only, for those whom the host names, and never for root.
{
  services.openssh = {
    enable = true;
    # Which ports are open is said once, by the host.
    openFirewall = false;
    settings = {
      PasswordAuthentication = false;
      KbdInteractiveAuthentication = false;
      PermitRootLogin = "no";
      X11Forwarding = false;
      # A connection that is gone is noticed after ten minutes.
      ClientAliveInterval = 300;
      ClientAliveCountMax = 2;
    };
  };
}
