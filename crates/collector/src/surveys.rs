//! Asks the SNMP agents of registered routers what these and their interfaces are called, in the background. A router that does
//! not answer costs its names only: few are asked at a time, each with its own patience, and no flow waits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flow::{Prefix, SenderName, Timestamp};
use interfaces::{Observation, Source};
use pipeline::Admitted;
use snmp::{Access, AskError, Patience, Survey};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use view::NameSource;

use crate::interfaces::Interfaces;
use crate::known_names::KnownNames;
use crate::lock::locked;

/// How often to look who has to be asked.
const TICK: Duration = Duration::from_secs(1);
/// How many routers are asked at a time; each takes a socket and 64 KiB.
const AT_A_TIME: usize = 16;
/// An agent on a busy router may take seconds for a few rows of a table.
const PATIENCE: Patience = Patience { answer: Duration::from_secs(3), tries: 3, survey: Duration::from_secs(120) };

/// The agents that may be asked, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSettings {
    /// Each range of routers.
    pub agents: Vec<Agents>,
    /// The time between two surveys of a router.
    pub interval: Duration,
}

/// The agents of a range of routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agents {
    /// The name of the range, for the log.
    pub name: String,
    /// The routers, by the source addresses of their datagrams.
    pub routers: Vec<Prefix>,
    /// The UDP port of the agents.
    pub port: u16,
    /// What they are asked with.
    pub access: Access,
}

/// A handle to the surveys. Its copies are handles to the same.
#[derive(Clone, Debug)]
pub(crate) struct Surveys {
    settings: Arc<Mutex<Arc<AgentSettings>>>,
    interfaces: Interfaces,
    names: KnownNames,
}

/// What is known of the surveys of a router.
#[derive(Clone, Copy, Debug)]
struct Asked {
    due: Instant,
    is_running: bool,
    /// `None` before the first answer or its absence.
    answers: Option<bool>,
}

impl AgentSettings {
    /// The agents of this router: those of the smallest range.
    fn of(&self, router: IpAddr) -> Option<&Agents> {
        let ranges = self.agents.iter().flat_map(|agents| agents.routers.iter().map(move |range| (range, agents)));
        let containing = ranges.filter(|(range, _)| range.contains(router));
        containing.max_by_key(|(range, _)| range.length()).map(|(_, agents)| agents)
    }
}

impl Surveys {
    pub(crate) fn new(settings: AgentSettings, interfaces: Interfaces, names: KnownNames) -> Self {
        Self { settings: Arc::new(Mutex::new(Arc::new(settings))), interfaces, names }
    }

    /// Replaces the agents. If they differ, all routers are asked again.
    pub(crate) fn configure(&self, wanted: &AgentSettings) {
        let mut settings = locked(&self.settings);
        if **settings != *wanted {
            *settings = Arc::new(wanted.clone());
        }
    }

    /// Asks each registered router that has an agent, again and again. Never ends.
    pub(crate) async fn keep_asking(self, admitted: Admitted) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut settings = Arc::clone(&locked(&self.settings));
        let mut asked: HashMap<IpAddr, Asked> = HashMap::new();
        let mut running: JoinSet<(IpAddr, Result<Survey, AskError>)> = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(Ok((router, survey))) = running.join_next() => self.note(router, survey, &settings, &mut asked),
            }
            let wanted = Arc::clone(&locked(&self.settings));
            if !Arc::ptr_eq(&wanted, &settings) {
                settings = wanted;
                asked.clear();
                // Ends what has begun with the agents before.
                running = JoinSet::new();
                self.names.retain(NameSource::Snmp, |_| false);
            }
            if settings.agents.is_empty() {
                continue;
            }
            let registered = admitted.load();
            asked.retain(|router, asked| asked.is_running || registered.contains_key(router));
            self.names.retain(NameSource::Snmp, |router| registered.contains_key(router));
            let with_agent = registered.keys().copied().filter(|router| settings.of(*router).is_some());
            for router in due(with_agent, &mut asked, AT_A_TIME.saturating_sub(running.len())) {
                let Some(Agents { port, access, .. }) = settings.of(router).cloned() else { continue };
                if let Some(asked) = asked.get_mut(&router) {
                    asked.is_running = true;
                }
                running.spawn(
                    async move { (router, snmp::survey(SocketAddr::new(router, port), &access, PATIENCE).await) },
                );
            }
        }
    }

    fn note(
        &self,
        router: IpAddr,
        survey: Result<Survey, AskError>,
        settings: &AgentSettings,
        asked: &mut HashMap<IpAddr, Asked>,
    ) {
        let Some(asked) = asked.get_mut(&router) else { return };
        asked.is_running = false;
        asked.due = Instant::now() + settings.interval;
        let before = asked.answers.replace(survey.is_ok());
        let range = settings.of(router).map_or("", |agents| agents.name.as_str());
        match survey {
            Ok(survey) => {
                let (count, part) = (survey.interfaces.len(), survey.ended.as_ref());
                if let (Some(part), true) = (part, before != Some(true)) {
                    tracing::warn!(%router, range, "the SNMP agent of a router has answered for {count} interfaces only: {part}");
                } else if before != Some(true) {
                    tracing::info!(%router, range, interfaces = count, "the SNMP agent of a router answers");
                }
                self.learn(router, survey);
            }
            Err(error) if before != Some(false) => {
                tracing::warn!(%router, range, "the SNMP agent of a router does not answer: {error}");
            }
            Err(_) => {}
        }
    }

    fn learn(&self, router: IpAddr, survey: Survey) {
        let name = survey.name.as_deref().and_then(SenderName::cleaned);
        // Without an answer about it, it is still called what it was before.
        if name.is_some() || survey.ended.is_none() {
            self.names.set(router, NameSource::Snmp, name);
        }
        let at: Timestamp = SystemTime::now().into();
        let booted = survey.uptime.map(|uptime| at.saturating_sub(uptime));
        self.interfaces.observe(Observation { router, source: Source::Snmp, at, booted }, survey.interfaces);
    }
}

/// The routers to ask now, at most `places`: those that are due for the longest time.
fn due(registered: impl Iterator<Item = IpAddr>, asked: &mut HashMap<IpAddr, Asked>, places: usize) -> Vec<IpAddr> {
    if places == 0 {
        return Vec::new();
    }
    let now = Instant::now();
    let mut due: Vec<(Instant, IpAddr)> = Vec::new();
    for router in registered {
        let asked = asked.entry(router).or_insert(Asked { due: now, is_running: false, answers: None });
        if !asked.is_running && asked.due <= now {
            due.push((asked.due, router));
        }
    }
    due.sort_unstable();
    due.truncate(places);
    due.into_iter().map(|(_, router)| router).collect()
}
