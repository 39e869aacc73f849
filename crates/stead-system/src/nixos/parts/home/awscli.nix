# AWS from the command line. Keys are got at login and kept in no file here.
{
  programs.awscli.enable = true;
}
