# Role llm: vLLM with OpenAI's API, at port 8000. The host says which model, in MODEL, and where it listens, in HOST.
{ lib, pkgs, ... }:

{
  systemd.services.vllm = {
    description = "vLLM, an API of OpenAI's kind";
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    environment = {
      HF_HOME = "/var/lib/vllm";
      VLLM_NO_USAGE_STATS = "1";
    };
    script = ''exec ${lib.getExe' pkgs.vllm "vllm"} serve "$MODEL" --host "$HOST" --port 8000'';
    serviceConfig =
      removeAttrs (import ../modules/hardened.nix) [
        # It makes code as it runs, and runs on a device.
        "MemoryDenyWriteExecute"
        "PrivateDevices"
      ]
      // {
        DynamicUser = true;
        StateDirectory = "vllm";
        SupplementaryGroups = [
          "render"
          "video"
        ];
        Restart = "on-failure";
        RestartSec = 30;
      };
  };
}
