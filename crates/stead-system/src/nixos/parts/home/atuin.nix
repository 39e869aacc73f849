# A history of commands that can be searched, kept here and sent nowhere.
{
  programs.atuin = {
    enable = true;
    settings = {
      auto_sync = false;
      update_check = false;
    };
  };
}
