//! Which options a configuration sets, read from its text. Good enough to compare two for a person; nothing is decided by it.

/// Paths of the options that a module's text sets, in its order: `services.openssh.enable`.
pub fn options(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Each open brace, and the path it continues. A list or a call has none.
    let mut open: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut bound: Option<Vec<String>> = None;
    for token in tokens(text) {
        match token {
            Token::Name(name) if bound.is_none() => path.push(name),
            Token::Sign('=') if bound.is_none() && !path.is_empty() => {
                let mut whole = open.last().cloned().unwrap_or_default();
                whole.append(&mut path);
                bound = Some(whole);
            }
            Token::Sign('{') => {
                // The arguments of a module are no options: `:` takes them back.
                open.push(bound.take().unwrap_or_default());
                path.clear();
            }
            Token::Sign('}') => {
                open.pop();
                path.clear();
                bound = None;
            }
            Token::Sign(';') => {
                if let Some(whole) = bound.take() {
                    found.push(whole.join("."));
                }
                path.clear();
            }
            Token::Sign(sign) if bound.is_none() && sign != '.' => path.clear(),
            Token::Name(_) | Token::Sign(_) => {}
        }
    }
    found
}

enum Token {
    Name(String),
    Sign(char),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            '/' if rest.next_if_eq(&'*').is_some() => {
                let mut before = ' ';
                for c in rest.by_ref() {
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            '"' => {
                let mut name = String::new();
                while let Some(c) = rest.next() {
                    match c {
                        '"' => break,
                        '\\' => name.extend(rest.next()),
                        c => name.push(c),
                    }
                }
                tokens.push(Token::Name(format!("\"{name}\"")));
            }
            '\'' if rest.next_if_eq(&'\'').is_some() => {
                let mut quotes = 0;
                for c in rest.by_ref() {
                    quotes = if c == '\'' { quotes + 1 } else { 0 };
                    if quotes == 2 {
                        break;
                    }
                }
                tokens.push(Token::Name("''".into()));
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut name = String::from(c);
                let more = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '\'');
                while let Some(c) = rest.next_if(more) {
                    name.push(c);
                }
                tokens.push(Token::Name(name));
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::options;

    #[test]
    fn the_options_of_a_stock_configuration_are_found() {
        let stock = r#"
# Edit this configuration file
{ config, lib, pkgs, ... }:

{
  imports = [ ./hardware-configuration.nix ];
  /* the boot = loader; */
  boot.loader.grub.enable = true;
  networking = {
    hostName = "old; name = {";
    firewall.allowedTCPPorts = [ 22 80 ];
  };
  users.users."ada".extraGroups = [ "wheel" ];
  environment.etc."motd".text = ''
    a = b; }
  '';
  services.openssh = { enable = true; settings.PermitRootLogin = "yes"; };
  time.timeZone = lib.mkDefault "UTC";
}
"#;
        assert_eq!(
            options(stock),
            [
                "imports",
                "boot.loader.grub.enable",
                "networking.hostName",
                "networking.firewall.allowedTCPPorts",
                "users.users.\"ada\".extraGroups",
                "environment.etc.\"motd\".text",
                "services.openssh.enable",
                "services.openssh.settings.PermitRootLogin",
                "time.timeZone",
            ]
        );
    }

    #[test]
    fn whatever_the_text_is_it_ends() {
        for text in
            ["", "{", "}}}}", "a = \"", "''", "/*", "a.b.c", "= = = ;;;", "{ a = { b = { } ; "]
        {
            let _ = options(text);
        }
    }
}
