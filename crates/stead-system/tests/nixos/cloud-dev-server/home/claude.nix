# Agents find here what they find elsewhere. Credentials and histories are none of it: each host logs in for itself.
{ lib, pkgs, ... }:

let
  from = ./claude;
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

  # Claude keeps what it remembers in the same file: its MCP servers are put into it, not over it.
  home.activation.claudeServers = lib.hm.dag.entryAfter [ "writeBoundary" ] ''
    had='{}'
    if [ -s "$HOME/.claude.json" ]; then
      had=$(cat "$HOME/.claude.json")
    fi
    if next=$(printf '%s' "$had" | ${lib.getExe pkgs.jq} --slurpfile own ${./claude/servers.json} '.mcpServers += $own[0].mcpServers'); then
      run sh -c 'umask 077; printf "%s\n" "$1" > "$0.next" && mv "$0.next" "$0"' "$HOME/.claude.json" "$next"
    fi
  '';
}
