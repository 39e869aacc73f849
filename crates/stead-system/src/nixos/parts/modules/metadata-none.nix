# The metadata address of a cloud gives credentials to whoever asks. Nobody may.
{
  networking.nftables.tables.metadata = {
    family = "inet";
    content = ''
      chain output {
        type filter hook output priority filter; policy accept;
        ip daddr 169.254.169.254 reject
        ip6 daddr fd00:ec2::254 reject
      }
      chain forward {
        type filter hook forward priority filter; policy accept;
        ip daddr 169.254.169.254 reject
        ip6 daddr fd00:ec2::254 reject
      }
    '';
  };
}
