//! Which addresses names had lately.

use super::super::name::HostName;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Most names that are remembered.
const MOST: usize = 512;
/// Most addresses of one.
const MOST_ADDRESSES: usize = 32;
/// Programs keep addresses longer than they may: so long they are known as those of a name.
const KNOWN: Duration = Duration::from_mins(15);
/// Bounds of the time that we use an answer ourselves, in seconds.
const USED: std::ops::RangeInclusive<u64> = 5..=3600;

struct Entry {
    addresses: Vec<Ipv4Addr>,
    fresh_until: Instant,
    known_until: Instant,
}

/// What name servers answered.
#[derive(Default)]
pub struct Memory(HashMap<HostName, Entry>);

impl Memory {
    /// Remembers an answer. Addresses of an earlier one stay known until their time is over.
    pub fn learn(&mut self, name: &HostName, addresses: &[Ipv4Addr], ttl: u32, now: Instant) {
        if addresses.is_empty() {
            return;
        }
        if !self.0.contains_key(name) && self.0.len() >= MOST {
            self.0.retain(|_, entry| entry.known_until > now);
            if self.0.len() >= MOST {
                let oldest = self.0.iter().min_by_key(|(_, entry)| entry.known_until);
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    self.0.remove(&oldest);
                }
            }
        }
        let entry = self.0.entry(name.clone()).or_insert_with(|| Entry {
            addresses: Vec::new(),
            fresh_until: now,
            known_until: now,
        });
        if entry.known_until <= now {
            entry.addresses.clear();
        }
        // The latest answer first.
        let mut all: Vec<Ipv4Addr> = addresses.to_vec();
        all.extend(entry.addresses.iter().filter(|old| !addresses.contains(old)));
        all.truncate(MOST_ADDRESSES);
        entry.addresses = all;
        let used = Duration::from_secs(u64::from(ttl).clamp(*USED.start(), *USED.end()));
        entry.fresh_until = now + used;
        entry.known_until = now + used.max(KNOWN);
    }

    /// Addresses of `name`, the latest first, if they still hold.
    pub fn addresses(&self, name: &HostName, now: Instant) -> Option<&[Ipv4Addr]> {
        self.0.get(name).filter(|entry| entry.fresh_until > now).map(|entry| &entry.addresses[..])
    }

    /// Names that had `address` lately.
    pub fn names(&self, address: Ipv4Addr, now: Instant) -> impl Iterator<Item = &HostName> {
        self.0
            .iter()
            .filter(move |(_, entry)| entry.known_until > now && entry.addresses.contains(&address))
            .map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_for_a_while_and_not_without_bound() {
        let now = Instant::now();
        let name = |n: usize| HostName::parse(&format!("n{n}.org")).expect("a name");
        let address = Ipv4Addr::new(1, 2, 3, 4);
        let mut memory = Memory::default();
        memory.learn(&name(0), &[address], 1, now);
        assert_eq!(memory.addresses(&name(0), now), Some(&[address][..]));
        assert_eq!(memory.addresses(&name(0), now + Duration::from_secs(6)), None);
        assert_eq!(memory.names(address, now + Duration::from_mins(10)).count(), 1);
        assert_eq!(memory.names(address, now + Duration::from_secs(901)).count(), 0);
        for n in 0..2000 {
            memory.learn(&name(n), &[address], 60, now);
        }
        assert!(memory.0.len() <= MOST);
    }
}
