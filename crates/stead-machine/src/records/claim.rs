//! Giving a machine its identity.

use super::{Record, Records, Status};
use crate::files::{self, Sync};
use crate::lock::Lock;
use crate::model::Wanted;
use crate::{Error, time};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::Ipv4Addr;
use stead_file::declared::{Machine, Network};

/// Most machines of one host: each has a number, and an address that follows from it.
pub const MOST_MACHINES: u32 = 16_000;

/// This computer, and the engine that it is the only machine of.
pub(crate) const HOST: &str = "host";

/// Longest name.
const LONGEST_NAME: usize = 63;

/// What is asked for when a machine is claimed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claim {
    /// The stead file; `None` for one that no plan touches.
    pub owner: Option<String>,
    /// What is declared of it.
    pub declared: Machine,
    /// The network it is on, if it shares one.
    pub network: Option<Network>,
}

/// Whether this is a name: letters, digits, `_` and `-`, at most 63.
pub fn valid_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl Records {
    /// Gives a name an identity and writes its record, [`Status::Making`]. The caller holds the name.
    ///
    /// # Errors
    /// If it is no name, it is taken, there is no number left, or it cannot be written.
    pub(crate) fn claim(&self, name: &str, claim: Claim) -> Result<Record, Error> {
        self.claim_pending(name, claim, None)
    }

    /// Whether a machine can have this name.
    ///
    /// # Errors
    /// If it breaks the rule for names.
    pub fn check_name(name: &str) -> Result<(), Error> {
        if valid_name(name) {
            return Ok(());
        }
        let why = "letters, digits, _ and -, at most 63";
        Err(Error::Name(format!("{name:?} is no name for a machine: {why}")))
    }

    pub(crate) fn claim_pending(
        &self,
        name: &str,
        claim: Claim,
        pending: Option<super::Pending>,
    ) -> Result<Record, Error> {
        Self::check_name(name)?;
        if name == HOST && claim.declared.engine != HOST {
            return Err(Error::Name("host is the name of this computer; choose another".into()));
        }
        let _claims = Lock::wait(&self.machines.join(".locks").join(".claims"))?;
        if self.get(name)?.is_some() {
            return Err(Error::Name(format!("there is a machine {name} already")));
        }
        let records = self.list()?.records;
        let number = self.take_number(name, &records)?;
        let state = match &claim.declared.state {
            Some(state) => state.clone(),
            None => free_state(name, &records),
        };
        let record = Record {
            wanted: Wanted {
                name: name.into(),
                id: random_id()?,
                number,
                address: address(number),
                declared: claim.declared,
                network: claim.network,
                state,
                created: time::now_ms(),
            },
            owner: claim.owner,
            applied: None,
            status: Status::Making,
            pending,
            system: None,
        };
        self.write(&record)?;
        Ok(record)
    }

    /// Takes away what claims and removals that were cut short left: numbers and folders without a record. What an
    /// engine keeps in a folder stays.
    pub(crate) fn tidy(&self) -> Result<(), Error> {
        let _claims = Lock::wait(&self.machines.join(".locks").join(".claims"))?;
        self.taken_numbers(None)?;
        let io = |e: std::io::Error| Error::io("read", &self.machines, &e);
        for entry in std::fs::read_dir(&self.machines).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            if let Some(name) =
                name.to_str().filter(|name| valid_name(name) && !self.has_file(name))
            {
                files::remove(&self.folder(name).join("machine.json.new"))?;
                let _ = std::fs::remove_dir(self.folder(name));
            }
        }
        Ok(())
    }

    /// A name for a state that no machine has: the machine's own, or with the first number that makes it one.
    pub(crate) fn free_state(&self, name: &str) -> Result<String, Error> {
        Ok(free_state(name, &self.list()?.records))
    }

    /// The lowest number that is free.
    fn take_number(&self, name: &str, records: &BTreeMap<String, Record>) -> Result<u32, Error> {
        let mut taken = self.taken_numbers(Some(name))?;
        // A record without its file: somebody took the file away. The number is taken all the same.
        taken.extend(records.values().map(|r| r.wanted.number));
        let number = (1..=MOST_MACHINES).find(|n| !taken.contains(n)).ok_or_else(|| {
            Error::Name(format!("there are {MOST_MACHINES} machines; destroy one first"))
        })?;
        let path = self.machines.join(".numbers").join(number.to_string());
        files::replace(&path, name.as_bytes(), Sync::Later)?;
        Ok(number)
    }

    /// Numbers that are taken. Each is a file, so that a record that cannot be read keeps its own. Those left by a claim
    /// that was cut short before it wrote a record are free again, and so are those of this name.
    fn taken_numbers(&self, name: Option<&str>) -> Result<BTreeSet<u32>, Error> {
        let folder = self.machines.join(".numbers");
        let io = |e: std::io::Error| Error::io("read", &folder, &e);
        let mut taken = BTreeSet::new();
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let file = entry.file_name();
            let Some(number) = file.to_str().and_then(|n| n.parse::<u32>().ok()) else {
                // Begun and not put in its place.
                files::remove(&entry.path())?;
                continue;
            };
            let owner = match std::fs::read_to_string(entry.path()) {
                // Its machine was destroyed meanwhile.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                owner => owner.map_err(io)?,
            };
            if name == Some(&owner) || (valid_name(&owner) && !self.has_file(&owner)) {
                files::remove(&entry.path())?;
            } else {
                taken.insert(number);
            }
        }
        Ok(taken)
    }

    pub(super) fn free_number(&self, number: u32, name: &str) {
        let path = self.machines.join(".numbers").join(number.to_string());
        if std::fs::read_to_string(&path).is_ok_and(|owner| owner == name) {
            // One that stays is taken back by the next claim: its machine has no record.
            let _ = std::fs::remove_file(&path);
        }
    }

    /// Whether there is a record, readable or not. What cannot be told counts as one.
    fn has_file(&self, name: &str) -> bool {
        !matches!(std::fs::symlink_metadata(self.file(name)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound)
    }
}

fn free_state(name: &str, records: &BTreeMap<String, Record>) -> String {
    let taken: BTreeSet<&str> = records.values().map(|r| r.wanted.state.as_str()).collect();
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|s| !taken.contains(&**s));
    free.unwrap_or_else(|| name.to_owned())
}

/// The address that follows from a number, within 10.90.0.0/16: never the first, the second or the last of 256.
fn address(number: u32) -> Ipv4Addr {
    let n = number - 1;
    Ipv4Addr::new(10, 90, (n / 250) as u8, (n % 250 + 2) as u8)
}

/// 32 random hexadecimal digits.
pub(crate) fn random_id() -> Result<String, Error> {
    let path = "/dev/urandom";
    let mut bytes = [0; 16];
    std::fs::File::open(path)
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| Error::io("read", path, &e))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_inside() {
        let all: BTreeSet<Ipv4Addr> = (1..=MOST_MACHINES).map(address).collect();
        assert_eq!(all.len(), MOST_MACHINES as usize);
        assert!(
            all.iter().all(|a| a.octets()[..2] == [10, 90] && (2..252).contains(&a.octets()[3]))
        );
    }
}
