# Role container-host: Docker, as whoever runs it. The socket of one that is root would make who has it root.
{
  virtualisation.docker.rootless = {
    enable = true;
    setSocketVariable = true;
  };
}
