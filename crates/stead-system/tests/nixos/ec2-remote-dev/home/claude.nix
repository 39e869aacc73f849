# Agents find here what they find elsewhere. Credentials and histories are none of it: each host logs in for itself.
{ inputs, lib, ... }:

let
  from = inputs.claude-home;
  names = [
    "CLAUDE.md"
    "agents"
    "commands"
    "hooks"
    "keybindings.json"
    "output-styles"
    "rules"
    "settings.json"
    "skills"
  ];
  there = builtins.filter (name: builtins.pathExists (from + "/${name}")) names;
in
{
  home.file = lib.listToAttrs (
    map (name: {
      name = ".claude/${name}";
      value.source = from + "/${name}";
    }) there
  );
}
