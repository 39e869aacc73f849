# Role reverse-proxy: Caddy, which gets its own certificates and lets in whom oauth2-proxy knows. The host says whom and where to.
{
  services.caddy.enable = true;

  services.oauth2-proxy = {
    enable = true;
    provider = "oidc";
    httpAddress = "http://127.0.0.1:4180";
    reverseProxy = true;
    setXauthrequest = true;
    cookie.secure = true;
  };
}
