# What people have is in users/, and part of the host.
{ inputs, ... }:

{
  imports = [ inputs.home-manager.nixosModules.home-manager ];

  home-manager = {
    useGlobalPkgs = true;
    useUserPackages = true;
    extraSpecialArgs = { inherit inputs; };
    # A file that is in the way is kept beside.
    backupFileExtension = "before";
    sharedModules = [ ../home/linux.nix ];
  };
}
