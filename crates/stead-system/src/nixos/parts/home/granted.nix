# Roles of AWS's by name.
{
  programs.granted.enable = true;
}
