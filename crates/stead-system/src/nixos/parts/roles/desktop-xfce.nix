# Role desktop: Xfce, reached by RDP, with Firefox. RDP asks for a password: who uses it sets one inside.
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
