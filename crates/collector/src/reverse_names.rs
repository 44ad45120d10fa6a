//! Asks DNS what routers are called, by their addresses, in the background. Servers that do not answer cost the names only: few are
//! asked at a time, and after some failures none is asked for a while. No flow waits, and the ends of flows are never asked for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dns::{AskError, Patience};
use flow::SenderName;
use pipeline::{Admitted, Exporters};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use view::{Counter, NameSource};

use crate::known_names::KnownNames;
use crate::lock::locked;

/// How often to look who has to be asked for.
const TICK: Duration = Duration::from_secs(1);
/// How many questions are open at a time; as many begin in a tick.
const AT_A_TIME: usize = 8;
/// How many of those that begin in a tick are about unregistered addresses, which may be forged.
const UNREGISTERED_A_TICK: usize = 1;
/// The busiest unregistered addresses, which are asked for.
const UNREGISTERED: usize = 256;
/// The addresses that are remembered, also those without a name.
const MOST: usize = 16_384;
/// A name, or that there is none, is asked for again after this time; an address without an answer after that time.
const REFRESH: Duration = Duration::from_secs(24 * 3600);
const RETRY: Duration = Duration::from_secs(15 * 60);
/// After this many failures in a row, no question begins for this long.
const FAILURES: u32 = 8;
const PAUSE: Duration = Duration::from_secs(5 * 60);
const PATIENCE: Patience = Patience { answer: Duration::from_secs(2), tries: 2 };

/// Which addresses DNS is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamedByDns {
    /// Those of registered routers, and unregistered ones that send.
    #[default]
    All,
    /// Those of registered routers.
    Registered,
    /// None.
    None,
}

/// What DNS is asked for, and which servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// The addresses.
    pub named: NamedByDns,
    /// The servers; those of the machine if there are none.
    pub servers: Vec<SocketAddr>,
}

/// A handle to the questions. Its copies are handles to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReverseNames {
    settings: Arc<Mutex<Arc<DnsSettings>>>,
    counts: Arc<Mutex<Counts>>,
    names: KnownNames,
}

/// How questions ended.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    named: u64,
    nameless: u64,
    failed: u64,
}

type Answer = (IpAddr, Result<Option<SenderName>, AskError>);

/// Which addresses were asked for, and when they are again.
#[derive(Debug, Default)]
struct Asked {
    due: HashMap<IpAddr, Due>,
    /// Failures since the last answer.
    failures: u32,
    paused_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    is_running: bool,
}

impl ReverseNames {
    pub(crate) fn new(settings: DnsSettings, names: KnownNames) -> Self {
        Self { settings: Arc::new(Mutex::new(Arc::new(settings))), names, ..Self::default() }
    }

    /// Replaces the settings. If they differ, all names are asked for again.
    pub(crate) fn configure(&self, wanted: &DnsSettings) {
        let mut settings = locked(&self.settings);
        if **settings != *wanted {
            *settings = Arc::new(wanted.clone());
        }
    }

    /// How questions have ended since the start.
    pub(crate) fn counter(&self) -> Counter {
        let Counts { named, nameless, failed } = *locked(&self.counts);
        let values = [("named", named), ("nameless", nameless), ("failed", failed)];
        Counter {
            name: "dns_questions",
            help: "Queries to DNS for names of routers",
            values: values.map(|(result, count)| (Some(("result", result)), count)).to_vec(),
        }
    }

    /// Asks for each router, and once a day again. Never ends.
    pub(crate) async fn keep_asking(self, admitted: Admitted, exporters: Exporters) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut settings = Arc::clone(&locked(&self.settings));
        let (mut asked, mut running) = (Asked::default(), JoinSet::<Answer>::new());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(Ok((address, answer))) = running.join_next() => {
                    self.note(address, answer, &mut asked);
                    continue;
                }
            }
            let wanted = Arc::clone(&locked(&self.settings));
            if !Arc::ptr_eq(&wanted, &settings) {
                settings = wanted;
                (asked, running) = (Asked::default(), JoinSet::new());
                self.names.retain(NameSource::Dns, |_| false);
            }
            let places = AT_A_TIME.saturating_sub(running.len());
            if settings.named == NamedByDns::None || places == 0 || asked.is_paused() {
                continue;
            }
            let registered = admitted.load();
            let unregistered = match settings.named {
                NamedByDns::All => exporters.unknown(),
                NamedByDns::Registered | NamedByDns::None => Vec::new(),
            };
            let unregistered = unregistered.iter().take(UNREGISTERED).map(|unknown| unknown.address);
            let mut chosen = asked.choose(registered.keys().copied(), places);
            chosen.extend(asked.choose(unregistered, (places - chosen.len()).min(UNREGISTERED_A_TICK)));
            if chosen.is_empty() {
                continue;
            }
            let servers = servers(&settings);
            for address in chosen {
                let servers = Arc::clone(&servers);
                running.spawn(async move { (address, dns::ask(&servers, address, PATIENCE).await) });
            }
            asked.forget_others(|address| registered.contains_key(address), &self.names);
        }
    }

    fn note(&self, address: IpAddr, answer: Result<Option<SenderName>, AskError>, asked: &mut Asked) {
        let mut counts = locked(&self.counts);
        let again = match answer {
            Ok(name) => {
                let name = name.filter(|name| !is_of_no_router(name.as_str()));
                *if name.is_some() { &mut counts.named } else { &mut counts.nameless } += 1;
                self.names.set(address, NameSource::Dns, name);
                asked.failures = 0;
                REFRESH
            }
            // The name that it had before is still the best that is known.
            Err(error) => {
                counts.failed += 1;
                asked.failures += 1;
                if asked.failures == FAILURES {
                    tracing::warn!("DNS does not answer queries for names of routers: {error}");
                }
                if asked.failures >= FAILURES {
                    asked.paused_until = Some(Instant::now() + PAUSE);
                }
                RETRY
            }
        };
        if let Some(due) = asked.due.get_mut(&address) {
            *due = Due { at: Instant::now() + again, is_running: false };
        }
    }
}

impl Asked {
    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    /// The addresses to ask for now: those that are due for the longest time.
    fn choose(&mut self, addresses: impl Iterator<Item = IpAddr>, places: usize) -> Vec<IpAddr> {
        let now = Instant::now();
        let mut due: Vec<(Instant, IpAddr)> = Vec::new();
        for address in addresses {
            let known = self.due.get(&address).copied();
            let Due { at, is_running } = known.unwrap_or(Due { at: now, is_running: false });
            if !is_running && at <= now && (known.is_some() || self.due.len() < MOST) {
                due.push((at, address));
            }
        }
        due.sort_unstable();
        due.truncate(places);
        for (at, address) in &due {
            self.due.insert(*address, Due { at: *at, is_running: true });
        }
        due.into_iter().map(|(_, address)| address).collect()
    }

    /// Forgets addresses that are not registered and would have to be asked for again, so that those of new routers have room.
    fn forget_others(&mut self, is_registered: impl Fn(&IpAddr) -> bool, names: &KnownNames) {
        let now = Instant::now();
        let is_full = self.due.len() >= MOST;
        let forgotten = self
            .due
            .extract_if(|address, due| !due.is_running && !is_registered(address) && (is_full || due.at <= now));
        forgotten.for_each(|(address, _)| names.set(address, NameSource::Dns, None));
    }
}

/// The servers to ask.
fn servers(settings: &DnsSettings) -> Arc<[SocketAddr]> {
    if !settings.servers.is_empty() {
        return settings.servers.as_slice().into();
    }
    // Read each time: a laptop has others after a while. It is a few lines, and read once a second at most.
    let servers = dns::of_machine().unwrap_or_else(|error| {
        tracing::debug!("cannot read which DNS servers there are: {error}");
        Vec::new()
    });
    servers.into()
}

/// Whether every machine has this name.
fn is_of_no_router(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    first.eq_ignore_ascii_case("localhost") || first.eq_ignore_ascii_case("ip6-localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_is_asked_for_once_until_it_is_due_again() {
        let (reverse, mut asked) = (ReverseNames::default(), Asked::default());
        let all = || (0..3).map(address);
        assert_eq!(asked.choose(all(), 2), [address(0), address(1)]);
        assert_eq!(asked.choose(all(), 2), [address(2)]);
        let named = |name: &str| Ok(Some(name.parse().unwrap()));
        reverse.note(address(0), named("edge"), &mut asked);
        reverse.note(address(1), named("localhost.localdomain"), &mut asked);
        reverse.note(address(2), Err(AskError::Silence), &mut asked);
        assert_eq!(asked.choose(all(), 4), [] as [IpAddr; 0]);
        tokio::time::advance(RETRY).await;
        assert_eq!(asked.choose(all(), 4), [address(2)]);
        tokio::time::advance(REFRESH - RETRY).await;
        assert_eq!(asked.choose(all(), 4), [address(0), address(1)]);
        // A name stays as long as there is no other answer.
        reverse.note(address(0), Err(AskError::Silence), &mut asked);
        assert_eq!((reverse.names.of(address(0)).len(), reverse.names.of(address(1)).len()), (1, 0));
        reverse.note(address(0), Ok(None), &mut asked);
        assert_eq!(reverse.names.of(address(0)), []);
        let Counts { named, nameless, failed } = *locked(&reverse.counts);
        assert_eq!((named, nameless, failed), (1, 2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn servers_that_do_not_answer_are_left_alone_for_a_while() {
        let (reverse, mut asked) = (ReverseNames::default(), Asked::default());
        for number in 0..FAILURES {
            assert!(!asked.is_paused());
            reverse.note(address(number), Err(AskError::Silence), &mut asked);
        }
        assert!(asked.is_paused());
        tokio::time::advance(PAUSE).await;
        assert!(!asked.is_paused());
        // One more is enough, until there is an answer.
        reverse.note(address(0), Err(AskError::Silence), &mut asked);
        assert!(asked.is_paused());
        tokio::time::advance(PAUSE).await;
        reverse.note(address(0), Ok(None), &mut asked);
        reverse.note(address(1), Err(AskError::Silence), &mut asked);
        assert!(!asked.is_paused());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_forged_addresses_leaves_room_for_routers() {
        let (reverse, mut asked) = (ReverseNames::default(), Asked::default());
        let most = u32::try_from(MOST).unwrap();
        for number in 0..2 * most {
            for chosen in asked.choose([address(number)].into_iter(), 1) {
                reverse.note(chosen, Ok(Some("forged".parse().unwrap())), &mut asked);
            }
        }
        assert_eq!((asked.due.len(), asked.choose([address(3 * most)].into_iter(), 1)), (MOST, vec![]));
        asked.forget_others(|router| *router == address(1), &reverse.names);
        assert_eq!(asked.due.keys().copied().collect::<Vec<_>>(), [address(1)]);
        assert_eq!((reverse.names.of(address(1)).len(), reverse.names.of(address(2)).len()), (1, 0));
        assert_eq!(asked.choose([address(3 * most)].into_iter(), 1), [address(3 * most)]);
    }
}
