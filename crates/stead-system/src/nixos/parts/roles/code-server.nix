# Role code-server: an editor in the browser, on the loopback. Who comes there is asked by what leads there: ssh or a proxy.
{
  services.code-server = {
    enable = true;
    host = "127.0.0.1";
    auth = "none";
    disableTelemetry = true;
    disableUpdateCheck = true;
  };
}
