{ services.fwupd.enable = true; }
