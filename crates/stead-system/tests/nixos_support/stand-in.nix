# A stand-in for what a flake of ours takes in: nixpkgs with its lib and its modules' merging, home-manager, microvm.nix, sops-nix
# and the rest. It knows no option and no type, so it finds what is wrong in our own expressions: names that are nowhere,
# imports and inputs that are not there, values that two modules say otherwise, expressions that never end.
#
# It comes to the modules of each host and home, each with what it says in the end.
{
  # The folder with the flake.
  flake,
  # Names of packages that its texts mention.
  packages,
  # A folder with what nixpkgs' modulesPath has.
  modulesPath,
}:

let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatLists
    concatMap
    elemAt
    filter
    foldl'
    functionArgs
    hasAttr
    head
    intersectAttrs
    isAttrs
    isFunction
    isList
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    pathExists
    replaceStrings
    stringLength
    substring
    tail
    toString
    ;

  fold =
    priority: content:
    {
      _type = "override";
      inherit priority content;
    };

  lib = {
    inherit listToAttrs mapAttrs optionals;
    optional = yes: one: optionals yes [ one ];
    optionalAttrs = yes: set: if yes then set else { };
    optionalString = yes: text: if yes then text else "";
    genAttrs = names: make: listToAttrs (map (name: { inherit name; value = make name; }) names);
    filterAttrs =
      keep: set:
      removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    hasSuffix =
      end: text:
      stringLength text >= stringLength end
      && substring (stringLength text - stringLength end) (stringLength end) text == end;
    escapeShellArg = text: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
    getName = package: package.pname;
    getExe = package: "${package}/bin/${package.pname}";
    getExe' = package: name: "${package}/bin/${name}";
    mkIf = condition: content: { _type = "if"; inherit condition content; };
    mkMerge = contents: { _type = "merge"; inherit contents; };
    mkOverride = fold;
    mkForce = fold 50;
    mkDefault = fold 1000;
    mkBefore = content: content;
    mkAfter = content: content;
    hm.dag.entryAfter = after: data: { inherit after data; };
    nixosSystem =
      { modules, specialArgs ? { } }:
      evaluate { inherit modules specialArgs; kind = "nixos"; };
  };
  optionals = yes: list: if yes then list else [ ];

  # What a package is known by. Nothing is built.
  package = pname: {
    type = "derivation";
    inherit pname;
    version = "0";
    outPath = "/nix/store/stand-in-${pname}";
  };
  made = args: package args.name;
  pkgsFor =
    system:
    lib.genAttrs packages package
    // {
      stdenv.hostPlatform = {
        inherit system;
        isx86_64 = system == "x86_64-linux";
        isAarch64 = system == "aarch64-linux" || system == "aarch64-darwin";
        isLinux = lib.hasSuffix "linux" system;
        isDarwin = lib.hasSuffix "darwin" system;
      };
      python3Packages = lib.genAttrs packages package;
      writeShellApplication = { name, text, runtimeInputs ? [ ] }: made { name = builtins.seq (deep [ text runtimeInputs ]) name; };
      symlinkJoin =
        { name, paths, nativeBuildInputs ? [ ], postBuild ? "" }:
        made { name = builtins.seq (deep [ paths nativeBuildInputs postBuild ]) name; };
      mkShell = { packages ? [ ] }: made { name = builtins.seq (deep packages) "shell"; };
    };
  deep = value: builtins.deepSeq (plain value) null;

  # A value as JSON has it: packages and functions by a word, paths as texts, and each that our flake names must be there.
  plain =
    value:
    if isFunction value then
      "<function>"
    else if isPath value then
      (
        # Secrets are encrypted by whoever has them, after the flake is rendered.
        if pathExists value || builtins.match ".*/secrets/[^/]*[.]yaml" (toString value) != null then
          toString value
        else
          throw "${toString value} is not in the flake"
      )
    else if isAttrs value && value ? outPath then
      "${value.outPath}"
    else if isAttrs value then
      mapAttrs (_: plain) value
    else if isList value then
      map plain value
    else
      value;

  # A module and all that it imports, each once, as { file, said }.
  collect =
    args:
    let
      one =
        seen: module:
        let
          key = if isPath module || isString module then toString module else null;
          function = if key == null then module else import module;
          taken = if isFunction function then functionArgs function else { };
          missing = filter (name: !taken.${name} && !hasAttr name args) (attrNames taken);
          said =
            if !isFunction function then
              function
            else if missing != [ ] then
              throw "${toString key} takes ${toString missing}, which nobody hands in"
            else
              function (if taken == { } then args else intersectAttrs taken args);
        in
        if key != null && hasAttr key seen then
          {
            inherit seen;
            modules = [ ];
          }
        else
          foldl'
            (
              done: import_:
              let
                next = one done.seen import_;
              in
              {
                inherit (next) seen;
                modules = done.modules ++ next.modules;
              }
            )
            {
              seen = if key == null then seen else seen // { ${key} = true; };
              modules = [
                {
                  file = if key == null then "(inline)" else key;
                  said = removeAttrs said [ "imports" ];
                }
              ];
            }
            (said.imports or [ ]);
    in
    modules:
    (foldl'
      (
        done: module:
        let
          next = one done.seen module;
        in
        {
          inherit (next) seen;
          modules = done.modules ++ next.modules;
        }
      )
      {
        seen = { };
        modules = [ ];
      }
      modules
    ).modules;

  # Values of one option, each with its priority and its file.
  push =
    file: priority: value:
    if isAttrs value && value ? _type then
      {
        "if" = optionals value.condition (push file priority value.content);
        "merge" = concatMap (push file priority) value.contents;
        "override" = push file value.priority value.content;
      }
      .${value._type}
    else
      [ { inherit file priority value; } ];

  isSet = value: isAttrs value && !(value ? outPath) && !(value ? type && value.type == "derivation");
  # Options that are modules themselves: a home, a machine in a machine.
  submodule =
    kind: path:
    if length path == 3 && head path == "home-manager" && elemAt path 1 == "users" then
      "home"
    else if length path == 4 && head path == "microvm" && elemAt path 1 == "vms" && elemAt path 3 == "config" then
      "guest"
    else
      null;

  merge =
    context: path: given:
    let
      strongest = foldl' (least: one: if one.priority < least then one.priority else least) 9999 given;
      values = filter (one: one.priority == strongest) given;
      first = (head values).value;
      where = concatLists (map (one: [ one.file ]) values);
      within = submodule context.kind path;
      # Pieces of a script or of a text are put one after the other.
      lines = builtins.elem (elemAt path (length path - 1)) [
        "content"
        "extraConfig"
        "postBuild"
        "preStart"
        "script"
        "text"
      ];
    in
    if within != null then
      evaluate {
        kind = within;
        modules = map (one: one.value) values ++ optionals (within == "home") context.homes;
        specialArgs = context.specialArgs;
      }
    else if all (one: isSet one.value) values then
      let
        names = attrNames (foldl' (seen: one: seen // one.value) { } values);
        of =
          name:
          concatMap (one: optionals (hasAttr name one.value) (push one.file one.priority one.value.${name})) values;
      in
      listToAttrs (
        concatMap (
          name:
          let
            found = of name;
          in
          optionals (found != [ ]) [
            {
              inherit name;
              value = merge context (path ++ [ name ]) found;
            }
          ]
        ) names
      )
    else if all (one: isList one.value) values then
      concatLists (map (one: one.value) values)
    else if length values == 1 then
      first
    else if all (one: isString one.value) values && lines then
      builtins.concatStringsSep "\n" (map (one: one.value) values)
    else
      throw "${builtins.concatStringsSep "." path} is said by ${builtins.concatStringsSep " and " where}";

  # What the stand-ins' own modules make of what is said.
  defaults =
    config:
    {
      sops.placeholder = mapAttrs (name: _: "<SOPS:${name}>") (config.sops.secrets or { });
      sops.secrets = mapAttrs (name: _: { path = "/run/secrets/${name}"; }) (config.sops.secrets or { });
      sops.templates = mapAttrs (name: _: { path = "/run/secrets/rendered/${name}"; }) (config.sops.templates or { });
    };
  over =
    below: above:
    if isSet below && isSet above then
      below // mapAttrs (name: value: if hasAttr name below then over below.${name} value else value) above
    else
      above;

  evaluate =
    {
      kind,
      modules,
      specialArgs,
    }:
    let
      said = merge context [ ] (map (one: { inherit (one) file; priority = 100; value = one.said; }) found);
      context = {
        inherit kind;
        specialArgs =
          if kind == "nixos" then
            specialArgs // (said.home-manager.extraSpecialArgs or { })
          else
            specialArgs;
        homes = said.home-manager.sharedModules or [ ];
      };
      config = over (defaults said) said;
      system = said.nixpkgs.hostPlatform or "x86_64-linux";
      pkgs = pkgsFor system;
      found = collect (
        {
          inherit lib pkgs config;
        }
        // (if kind == "home" then { } else { inherit modulesPath; })
        // specialArgs
      ) modules;
    in
    {
      outPath = "/nix/store/stand-in-${kind}";
      inherit pkgs config;
      # A home or a guest is looked at by itself.
      report = {
        said = report said;
        files =
          map (one: one.file) found
          ++ concatMap (home: home.report.files) (attrValues (said.home-manager.users or { }));
      };
      inherit (said) nixpkgs;
    };
  # As `plain`, and what is a system of its own by what it says.
  report =
    value:
    if isAttrs value && value ? report then
      value.report.said
    else if isAttrs value && !(value ? outPath) then
      mapAttrs (_: report) value
    else
      plain value;

  declared = import (flake + "/flake.nix");
  inputs =
    mapAttrs (name: input: standIn name // { url = input.url or (throw "${name} comes from nowhere"); }) declared.inputs
    // {
      inherit self;
    };
  module = name: { ... }: { };
  standIn =
    name:
    {
      outPath = toString flake;
      inherit lib;
      legacyPackages = lib.genAttrs [ "aarch64-darwin" "aarch64-linux" "x86_64-linux" ] pkgsFor;
      overlays.default = final: prev: { };
    }
    // (
      if substring 0 12 name == "home-manager" then
        {
          nixosModules.home-manager = module name;
          lib.homeManagerConfiguration =
            {
              pkgs,
              modules,
              extraSpecialArgs,
            }:
            evaluate {
              kind = "home";
              inherit modules;
              specialArgs = extraSpecialArgs;
            };
        }
      else
        {
          disko.nixosModules.disko = module name;
          impermanence.nixosModules.impermanence = module name;
          microvm.nixosModules.host = module name;
          microvm.nixosModules.microvm = module name;
          sops-nix.nixosModules.sops = module name;
        }
        .${name} or { }
    );
  self = outputs // {
    outPath = toString flake;
    inherit inputs;
  };
  outputs = declared.outputs inputs;

  # An input may follow only another that is there.
  follows = concatLists (
    map (
      name:
      map (
        of:
        let
          to = declared.inputs.${name}.inputs.${of}.follows;
        in
        if hasAttr to declared.inputs then to else throw "${name} follows ${to}, which is no input"
      ) (attrNames (declared.inputs.${name}.inputs or { }))
    ) (attrNames declared.inputs)
  );
in
builtins.toJSON {
  inherit follows;
  hosts = mapAttrs (_: host: host.report) outputs.nixosConfigurations;
  homes = mapAttrs (_: home: home.report) (outputs.homeConfigurations or { });
  shells = mapAttrs (_: plain) outputs.devShells;
  formatter = mapAttrs (_: plain) outputs.formatter;
  checks = mapAttrs (_: attrNames) outputs.checks;
}
