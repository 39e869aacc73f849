# The drivers of NVIDIA, and packages that are built for them.
{
  nixpkgs.config = {
    # CUDA is dozens of packages that are not free.
    allowUnfree = true;
    cudaSupport = true;
  };
  services.xserver.videoDrivers = [ "nvidia" ];
  hardware.graphics.enable = true;
  hardware.nvidia.open = true;
}
