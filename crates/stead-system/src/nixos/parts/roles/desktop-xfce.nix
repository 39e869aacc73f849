# Role desktop: Xfce, reached by RDP, with Firefox.
{
  services.xserver = {
    enable = true;
    desktopManager.xfce.enable = true;
  };
  services.xrdp = {
    enable = true;
    defaultWindowManager = "xfce4-session";
    openFirewall = false;
  };
  programs.firefox.enable = true;
}
