# Addresses that try too often are banned, each time for longer.
{
  services.fail2ban = {
    enable = true;
    maxretry = 5;
    bantime = "10m";
    bantime-increment = {
      enable = true;
      maxtime = "168h";
    };
  };
}
