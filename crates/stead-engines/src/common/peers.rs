//! Machines on one network.

use super::ground::Ground;
use super::state::machines;
use super::store::Kind;
use super::{files, made, running};
use std::collections::BTreeMap;
use stead_box::net;
use stead_box::spec::Peer;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;

impl<K: Kind> Ground<K> {
    /// The machines that this one reaches by name, whatever engines they run on.
    ///
    /// # Errors
    /// If it cannot be told which there are.
    pub fn peers(&self, wanted: &Wanted) -> Result<BTreeMap<String, Peer>> {
        let mut peers = BTreeMap::new();
        if wanted.network.as_ref().is_some_and(|network| network.peers) {
            for name in machines(&self.place)? {
                // A neighbour that cannot be read is one that cannot be reached.
                if let Ok(Some(other)) = made::read_any(&self.place, &name)
                    && made::are_peers(wanted, &other.wanted)
                {
                    let socket = self.run_folder(&name)?.join(net::SOCKET);
                    peers.insert(name, Peer { address: other.wanted.address, socket });
                }
            }
        }
        Ok(peers)
    }

    /// Tells the machines on the network of this one who is on it now. One that cannot be told learns it at its next start.
    pub fn tell_peers(&self, wanted: &Wanted) {
        for name in self.peers(wanted).into_iter().flatten().map(|(name, _)| name) {
            if let Ok(Some(other)) = made::read_any(&self.place, &name) {
                let _ = self.put_rules(&other.wanted);
            }
        }
    }

    /// Puts a running machine's network rules in force.
    ///
    /// # Errors
    /// If they cannot be.
    pub fn put_rules(&self, wanted: &Wanted) -> Result<()> {
        let Some((run, _)) = running::find(&self.place, &wanted.name)? else { return Ok(()) };
        let rules = made::net(wanted, self.peers(wanted)?);
        let socket = run.join(net::SOCKET);
        net::client::set_rules(&socket, &rules).map_err(files::failed("change its network rules"))
    }
}
