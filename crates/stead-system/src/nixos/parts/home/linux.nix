# What homes have on Linux only: a laptop with another system takes the rest as it is.
{
  # Units of the user's are started and stopped as they change.
  systemd.user.startServices = "sd-switch";
}
