# Role llm: Ollama, at port 11434.
{
  services.ollama = {
    enable = true;
    openFirewall = false;
  };
}
