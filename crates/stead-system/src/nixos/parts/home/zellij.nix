# Terminals that stay when one goes.
{
  programs.zellij = {
    enable = true;
    settings = {
      # Left behind, not ended.
      on_force_close = "detach";
      session_serialization = true;
    };
  };
}
