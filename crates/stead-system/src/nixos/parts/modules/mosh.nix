# Sessions that survive a change of network.
{
  programs.mosh = {
    enable = true;
    # Open where ssh is: the host says so.
    openFirewall = false;
  };
}
