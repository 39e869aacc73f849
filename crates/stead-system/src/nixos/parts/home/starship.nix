# A prompt that says where one is.
{
  programs.starship.enable = true;
}
