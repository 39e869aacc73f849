//! What the rules of nftables do with a packet.
//!
//! A packet is taken through the chains as the kernel takes it. What cannot be told for sure, a rate or an expression that is
//! not known here, is taken both ways; only where all ways end alike is the answer certain.

mod expression;

use expression::{Is, holds, lookup};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How deep chains may call each other; the kernel allows 16.
const DEEP: usize = 16;
/// How many rules one packet may meet. A ruleset with more is not understood.
const MANY: usize = 200_000;

/// All rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ruleset {
    chains: Vec<Chain>,
    sets: BTreeMap<(String, String, String), Vec<Value>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Chain {
    family: String,
    table: String,
    name: String,
    hook: Option<String>,
    kind: String,
    policy: String,
    rules: Vec<Vec<Value>>,
}

/// A packet that begins a connection.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// The interface it comes in by or leaves by.
    pub interface: &'a str,
    /// Where it comes from.
    pub from: IpAddr,
    /// Where it goes.
    pub to: IpAddr,
    /// UDP rather than TCP.
    pub udp: bool,
    /// The port it goes to.
    pub port: u16,
    /// Who sends it, if it is sent here.
    pub sender: Option<u32>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Through,
    /// It does not.
    Stopped,
    /// That cannot be told.
    Unclear,
}

/// The ways in which going through rules can end.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    accept: bool,
    drop: bool,
    /// On to what comes after.
    on: bool,
}

impl Ruleset {
    /// What `nft -j list ruleset` prints.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let whole: Value = serde_json::from_slice(text)
            .map_err(|why| format!("what `nft -j list ruleset` prints is not understood: {why}"))?;
        let objects = whole["nftables"].as_array().ok_or("`nft -j list ruleset` tells no rules")?;
        let mut ruleset = Ruleset::default();
        let mut at = BTreeMap::new();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        for object in objects {
            let Some((kind, value)) = object.as_object().and_then(|object| object.iter().next())
            else {
                continue;
            };
            let (family, table) = (text(value, "family"), text(value, "table"));
            match kind.as_str() {
                "chain" => {
                    let name = text(value, "name");
                    at.insert((family.clone(), table.clone(), name.clone()), ruleset.chains.len());
                    ruleset.chains.push(Chain {
                        family,
                        table,
                        name,
                        hook: value["hook"].as_str().map(str::to_owned),
                        kind: text(value, "type"),
                        policy: text(value, "policy"),
                        rules: Vec::new(),
                    });
                }
                "rule" => {
                    let key = (family, table, text(value, "chain"));
                    let chain = at.get(&key).ok_or("a rule of nftables is in no chain")?;
                    let expr = value["expr"].as_array().cloned().unwrap_or_default();
                    ruleset.chains[*chain].rules.push(expr);
                }
                "set" | "map" => {
                    let elements = value["elem"].as_array().cloned().unwrap_or_default();
                    ruleset.sets.insert((family, table, text(value, "name")), elements);
                }
                _ => {}
            }
        }
        Ok(ruleset)
    }

    /// Whether anything filters at a hook: `input`, `output`.
    pub fn filters(&self, hook: &str) -> bool {
        self.chains
            .iter()
            .any(|chain| chain.kind == "filter" && chain.hook.as_deref() == Some(hook))
    }

    /// What becomes of a packet at a hook.
    pub fn fate(&self, hook: &str, packet: &Packet<'_>) -> Fate {
        let mut met = 0;
        let mut unclear = false;
        let family = if packet.to.is_ipv4() { "ip" } else { "ip6" };
        for chain in &self.chains {
            let here = chain.kind == "filter" && chain.hook.as_deref() == Some(hook);
            if !here || (chain.family != "inet" && chain.family != family) {
                continue;
            }
            let ends = self.walk(chain, packet, 0, &mut met);
            let drop = ends.drop || (ends.on && chain.policy == "drop");
            let accept = ends.accept || (ends.on && chain.policy != "drop");
            match (accept, drop) {
                (true, false) => {}
                (false, _) => return Fate::Stopped,
                (true, true) => unclear = true,
            }
        }
        if unclear { Fate::Unclear } else { Fate::Through }
    }

    /// All ports that any rule names, and those around them.
    pub fn ports(&self) -> Vec<u16> {
        let mut found = std::collections::BTreeSet::new();
        let mut note = |value: &Value| numbers(value, 0, &mut found);
        self.chains.iter().flat_map(|chain| &chain.rules).flatten().for_each(&mut note);
        self.sets.values().flatten().for_each(&mut note);
        let around = |port: u16| [port.saturating_sub(1).max(1), port, port.saturating_add(1)];
        let all: std::collections::BTreeSet<u16> =
            found.into_iter().take(2_000).flat_map(around).collect();
        all.into_iter().collect()
    }

    fn walk(&self, chain: &Chain, packet: &Packet<'_>, deep: usize, met: &mut usize) -> Ends {
        let mut ends = Ends::default();
        for rule in &chain.rules {
            *met += 1;
            if deep > DEEP || *met > MANY {
                return Ends { accept: true, drop: true, on: true };
            }
            let (is, verdict) = self.rule(chain, rule, packet, deep, met);
            if is == Is::No {
                continue;
            }
            let Some(verdict) = verdict else { continue };
            ends.accept |= verdict.accept;
            ends.drop |= verdict.drop;
            ends.on |= verdict.on;
            if is == Is::Yes && !verdict.falls {
                return ends;
            }
        }
        ends.on = true;
        ends
    }

    /// Whether a rule holds, and where it leads.
    fn rule(
        &self,
        chain: &Chain,
        rule: &[Value],
        packet: &Packet<'_>,
        deep: usize,
        met: &mut usize,
    ) -> (Is, Option<Verdict>) {
        let sets = |name: &str| {
            self.sets.get(&(chain.family.clone(), chain.table.clone(), name.to_owned()))
        };
        let mut is = Is::Yes;
        for statement in rule {
            let Some((kind, value)) = statement.as_object().and_then(|object| object.iter().next())
            else {
                is = is.and(Is::Maybe);
                continue;
            };
            match kind.as_str() {
                "counter" | "log" | "comment" | "mangle" | "notrack" | "ct helper" | "set" => {}
                "match" => is = is.and(holds(value, packet, &sets)),
                "vmap" => {
                    let (found, verdict) = lookup(value, packet, &sets);
                    let verdict =
                        verdict.map(|verdict| self.verdict(chain, &verdict, packet, deep, met));
                    match (found, verdict) {
                        (Is::No, _) => {}
                        (_, Some(Some(verdict))) => return (is.and(found), Some(verdict)),
                        _ => return (is.and(Is::Maybe), Some(Verdict::ANY)),
                    }
                }
                "accept" | "drop" | "reject" | "return" | "jump" | "goto" | "continue" => {
                    if is == Is::No {
                        return (is, None);
                    }
                    let verdict = self.verdict(chain, statement, packet, deep, met);
                    return (is, Some(verdict.unwrap_or(Verdict::ANY)));
                }
                // Whatever is not known may hold, or may be a verdict of another program's (`xt`).
                "xt" => return (is.and(Is::Maybe), Some(Verdict::ANY)),
                _ => is = is.and(Is::Maybe),
            }
            if is == Is::No {
                return (is, None);
            }
        }
        (is, None)
    }

    fn verdict(
        &self,
        chain: &Chain,
        statement: &Value,
        packet: &Packet<'_>,
        deep: usize,
        met: &mut usize,
    ) -> Option<Verdict> {
        let (kind, value) = statement.as_object()?.iter().next()?;
        Some(match kind.as_str() {
            "accept" => Verdict { accept: true, ..Verdict::NONE },
            "drop" | "reject" => Verdict { drop: true, ..Verdict::NONE },
            "return" => Verdict { on: true, ..Verdict::NONE },
            "continue" => Verdict { falls: true, ..Verdict::NONE },
            "jump" | "goto" => {
                let name = value["target"].as_str()?;
                let next = self.chains.iter().find(|next| {
                    next.name == name && next.table == chain.table && next.family == chain.family
                })?;
                let ends = self.walk(next, packet, deep + 1, met);
                let jump = kind == "jump";
                Verdict {
                    accept: ends.accept,
                    drop: ends.drop,
                    // After a goto nobody comes back: the end of that chain is the end of this one.
                    on: ends.on && !jump,
                    falls: ends.on && jump,
                }
            }
            _ => return None,
        })
    }
}

/// Where a rule leads.
#[allow(clippy::struct_excessive_bools)] // any of them may hold together
#[derive(Debug, Clone, Copy)]
struct Verdict {
    accept: bool,
    drop: bool,
    /// Out of this chain, without a word.
    on: bool,
    /// To the next rule.
    falls: bool,
}

impl Verdict {
    const NONE: Self = Verdict { accept: false, drop: false, on: false, falls: false };
    const ANY: Self = Verdict { accept: true, drop: true, on: false, falls: true };
}

/// Whole numbers in an expression that could be ports.
fn numbers(value: &Value, deep: usize, found: &mut std::collections::BTreeSet<u16>) {
    match value {
        Value::Number(number) => {
            found.extend(number.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0));
        }
        Value::Array(all) if deep < DEEP => all.iter().for_each(|v| numbers(v, deep + 1, found)),
        Value::Object(all) if deep < DEEP => {
            all.values().for_each(|v| numbers(v, deep + 1, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
