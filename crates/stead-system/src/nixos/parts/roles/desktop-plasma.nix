# Role desktop: Plasma, reached by RDP, with Firefox. RDP asks for a password: who uses it sets one inside.
{
  services.xserver.enable = true;
  services.desktopManager.plasma6.enable = true;
  services.xrdp = {
    enable = true;
    # RDP shows a screen of X11's.
    defaultWindowManager = "startplasma-x11";
    openFirewall = false;
  };
  programs.firefox.enable = true;
}
