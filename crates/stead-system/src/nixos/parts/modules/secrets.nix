# Secrets are encrypted in this flake and files in /run/secrets on the host, for root alone. Units get them by LoadCredential.
{ inputs, ... }:

{
  imports = [ inputs.sops-nix.nixosModules.sops ];
}
