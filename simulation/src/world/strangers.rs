//! Strangers: datagrams of an unregistered address, and forged ones with the address of an exporter, but from another port.
//! None of them has flows. What the exporters send must be counted, and its losses shown, as without them.

use std::net::Ipv4Addr;

use super::*;

/// An address that is never registered.
pub(super) const UNREGISTERED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99));
/// The source ports of forged datagrams.
const PORTS: Range<u16> = 6000..6004;

impl World {
    /// A stranger sends, if any do in this run.
    pub(super) fn may_forge(&mut self) {
        if !self.has_strangers || !self.strangers.once_in(6) {
            return;
        }
        let which = self.strangers.index(self.exporters.len());
        let exporter = &self.exporters[which];
        let address = match self.strangers.below(3) {
            0 => UNREGISTERED,
            _ => exporter.address.address,
        };
        if !exporter.has_templates() {
            let payload = exporter.forged(&mut self.strangers, self.now);
            self.take_forged(address, &payload);
        } else if address == exporter.address.address {
            self.forge_announcements(which);
        } else {
            let payload = exporter.clone().send(self.now, vec![0]).payload;
            self.take_forged(address, &payload);
        }
    }

    /// Forges a template and a sampling rate of the same ids. As for [`redefine`](Self::redefine), those of the exporter must
    /// be known and safe: without them, forged ones are used.
    fn forge_announcements(&mut self, which: usize) {
        self.disk.spare(true);
        self.tick();
        let is_sure = self.is_sure_of_templates(which);
        if is_sure {
            let announcement = self.exporters[which].announce(self.now).unwrap();
            self.take(&[(which, announcement)]);
            let payload = self.exporters[which].forged(&mut self.strangers, self.now);
            self.take_forged(self.exporters[which].address.address, &payload);
        }
        self.tick();
        self.disk.spare(false);
    }

    fn take_forged(&mut self, address: IpAddr, payload: &[u8]) {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        let port = PORTS.start + self.strangers.below(PORTS.len() as u64) as u16;
        self.story.push(format!("a stranger sends from {address}:{port}"));
        let datagram = Datagram { exporter: Address::udp(address, port), received: self.now, payload };
        let shard = self.strangers.index(SHARDS);
        let mut held = self.process().shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        held.read += 1;
        held.take(&datagram, "0.0.0.0:2055".parse().unwrap());
        held.commit();
    }

    /// The streams of the exporters are as if there were no strangers.
    pub(super) fn check_streams(&mut self) {
        let addresses: Vec<_> = self.exporters.iter().map(|exporter| exporter.address).collect();
        let Process { exporters, honest: Some(honest), .. } = self.process() else { return };
        let streams = |exporters: &Exporters, of: &Address| {
            let detailed = exporters.detailed(of.address, true);
            let streams = detailed.into_iter().flat_map(|it| it.detail.streams);
            let own = streams.filter(|stream| stream.port == of.port);
            own.map(|stream| format!("{stream:?}")).collect::<BTreeSet<_>>()
        };
        for address in &addresses {
            assert_eq!(streams(exporters, address), streams(&honest.exporters, address), "{address:?}");
        }
    }
}
