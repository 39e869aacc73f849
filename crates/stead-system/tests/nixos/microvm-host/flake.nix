{
  description = "The machines of microvm-host";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
    nixpkgs-unstable.url = "github:NixOS/nixpkgs/nixos-unstable";

    # What people have in their homes.
    home-manager = {
      url = "github:nix-community/home-manager/release-25.11";
      inputs.nixpkgs.follows = "nixpkgs";
    };

    home-manager-unstable = {
      url = "github:nix-community/home-manager";
      inputs.nixpkgs.follows = "nixpkgs-unstable";
    };

    # Disks, as they are laid out.
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };

    # A root that is in memory.
    impermanence.url = "github:nix-community/impermanence";

    # Virtual machines that are NixOS themselves.
    microvm = {
      url = "github:microvm-nix/microvm.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };

    # Secrets, encrypted in here.
    sops-nix = {
      url = "github:Mic92/sops-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { self, nixpkgs, ... }@inputs:
    let
      inherit (nixpkgs) lib;

      # A host is what hosts/NAME says; it may import from the inputs. Modules find its own channel by the plain names.
      host =
        channel: name:
        let
          own = lib.filterAttrs (_: input: input != null) {
            nixpkgs = inputs."nixpkgs${channel}";
            home-manager = inputs."home-manager${channel}" or null;
          };
        in
        own.nixpkgs.lib.nixosSystem {
          specialArgs.inputs = inputs // own;
          modules = [ ./hosts/${name} ];
        };

      each =
        make:
        lib.genAttrs [
          "aarch64-darwin"
          "aarch64-linux"
          "x86_64-linux"
        ] (system: make nixpkgs.legacyPackages.${system});

      home =
        system: name:
        inputs.home-manager.lib.homeManagerConfiguration {
          pkgs = nixpkgs.legacyPackages.${system};
          extraSpecialArgs = { inherit inputs; };
          modules = [
            ./users/${name}.nix
            {
              home = {
                username = name;
                homeDirectory = if lib.hasSuffix "darwin" system then "/Users/${name}" else "/home/${name}";
                stateVersion = "25.11";
              };
            }
          ];
        };
    in
    {
      nixosConfigurations = {
        cluster = host "-unstable" "cluster";
        metal = host "" "metal";
      };

      # The same homes on a computer that is none of these, with Linux or macOS:
      # `home-manager switch --flake .#NAME@mac`.
      homeConfigurations = {
        ada = home "x86_64-linux" "ada";
        "ada@mac" = home "aarch64-darwin" "ada";
      };

      # Every host is built where `nix flake check` runs on its processor.
      checks = each (
        pkgs:
        lib.mapAttrs (_: host: host.config.system.build.toplevel) (
          lib.filterAttrs (
            _: host: host.pkgs.stdenv.hostPlatform.system == pkgs.stdenv.hostPlatform.system
          ) self.nixosConfigurations
        )
      );

      formatter = each (pkgs: pkgs.nixfmt-tree);

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.age
            pkgs.deadnix
            pkgs.nixfmt-tree
            pkgs.nixos-anywhere
            pkgs.nixos-rebuild-ng
            pkgs.qrencode
            pkgs.sops
            pkgs.ssh-to-age
            pkgs.statix
            pkgs.wireguard-tools
          ];
        };
      });
    };
}
