//! All sources of origins at one moment, and which of them counts.

use std::net::IpAddr;
use std::sync::Arc;

use arrayvec::ArrayVec;
use bmp::{Path, Snapshot};
use flow::{AsSource, FlowRecord, canonical};

use crate::networks::Networks;
use crate::order::{Order, Source};
use crate::origin::Origin;
use crate::table::{FLOWS_AT_ONCE, Prepared, Table};

/// Everything that knows origins, at one moment. It never changes: a new value replaces it. What it answers depends on it and on
/// the flow only.
///
/// Its parts are shared, so that a copy with another part costs little.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    order: Order,
    networks: Arc<Networks>,
    /// Of each router, in the order of their addresses.
    routes: Arc<[(IpAddr, Arc<Snapshot>)]>,
    files: Arc<Table>,
    has_files: bool,
}

/// What the exporter sent of an end of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// The AS number; 0 if there is none.
    pub asn: u32,
    /// Whether the prefix of the address has length 0: the AS is that of a default route, and not of the address.
    pub is_by_default_route: bool,
}

impl Stated {
    /// Of the source of a flow.
    #[inline]
    const fn source(flow: &FlowRecord) -> Self {
        Self { asn: flow.source_as, is_by_default_route: flow.is_source_by_default }
    }

    /// Of the destination of a flow.
    #[inline]
    const fn destination(flow: &FlowRecord) -> Self {
        Self { asn: flow.destination_as, is_by_default_route: flow.is_destination_by_default }
    }
}

/// An end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    address: IpAddr,
    stated: Stated,
}

impl End {
    /// The end with this address, of which the exporter sent this.
    #[inline]
    #[must_use]
    pub const fn new(address: IpAddr, stated: Stated) -> Self {
        Self { address, stated }
    }

    /// The source of a flow.
    #[inline]
    #[must_use]
    pub const fn source(flow: &FlowRecord) -> Self {
        Self::new(flow.source, Stated::source(flow))
    }

    /// The destination of a flow.
    #[inline]
    #[must_use]
    pub const fn destination(flow: &FlowRecord) -> Self {
        Self::new(flow.destination, Stated::destination(flow))
    }
}

/// What is found of an end of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found<'s> {
    /// The AS number that counts; 0 if none is known.
    pub asn: u32,
    /// Which source has it.
    pub from: AsSource,
    /// The [number](flow::Country::number) of the country, from files; 0 if it is not known.
    pub country: u16,
    /// The path of the route to the address, by BMP.
    pub path: Option<&'s Path>,
}

/// The sources for the flows of one router.
#[derive(Clone, Debug)]
pub struct OfRouter<'s> {
    sources: &'s Sources,
    /// Those of the order that know anything.
    asked: ArrayVec<Source, { Source::ALL.len() }>,
    routes: Option<&'s Snapshot>,
    router: IpAddr,
    /// If neither networks nor routes are known.
    plain: Option<Plain>,
}

/// What is asked of exporter and files, if there are no other sources.
#[derive(Clone, Copy, Debug)]
struct Plain {
    exporter: bool,
    files: bool,
    files_first: bool,
}

/// Reserved for routers that do not know numbers of 32 bits (RFC 6793): the AS is unknown.
const AS_TRANS: u32 = 23456;

/// Whether an AS number is for private use (RFC 6996). Numbers for documentation count as real ones.
#[must_use]
pub const fn is_private(asn: u32) -> bool {
    matches!(asn, 64512..=65534 | 4_200_000_000..=4_294_967_294)
}

impl Sources {
    /// With another order.
    #[must_use]
    pub fn with_order(&self, order: Order) -> Self {
        Self { order, ..self.clone() }
    }

    /// With other networks of the operator.
    #[must_use]
    pub fn with_networks(&self, networks: Arc<Networks>) -> Self {
        Self { networks, ..self.clone() }
    }

    /// With another table of files.
    #[must_use]
    pub fn with_files(&self, files: Arc<Table>) -> Self {
        let has_files = files.ranges() != (0, 0);
        Self { files, has_files, ..self.clone() }
    }

    /// With other routes of a router; `None` if they are not known any more.
    #[must_use]
    pub fn with_routes(&self, router: IpAddr, routes: Option<Arc<Snapshot>>) -> Self {
        let router = canonical(router);
        let others = self.routes.iter().filter(|(address, _)| *address != router).cloned();
        let mut all: Vec<_> = others.chain(routes.map(|routes| (router, routes))).collect();
        all.sort_by_key(|(address, _)| *address);
        Self { routes: all.into(), ..self.clone() }
    }

    /// The order in which they are believed.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// The operator's networks.
    #[must_use]
    pub const fn networks(&self) -> &Arc<Networks> {
        &self.networks
    }

    /// The table of files, which also has the names of ASes.
    #[must_use]
    pub const fn files(&self) -> &Arc<Table> {
        &self.files
    }

    /// The routers whose routes are known, with these.
    #[must_use]
    pub fn routes(&self) -> &[(IpAddr, Arc<Snapshot>)] {
        &self.routes
    }

    /// Whether nothing is known beyond what exporters send, so that nothing has to be looked up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_files && self.networks.is_empty() && self.routes.is_empty()
    }

    /// Whether it matters what an exporter has sent of an end beside its address.
    #[must_use]
    pub fn asks_exporter(&self) -> bool {
        self.order.iter().any(|source| source == Source::Exporter)
    }

    /// The sources for the flows of a router, which are asked for each end.
    #[must_use]
    pub fn of(&self, router: IpAddr) -> OfRouter<'_> {
        let router = canonical(router);
        let place = self.routes.binary_search_by_key(&router, |(address, _)| *address).ok();
        let routes = place.and_then(|place| self.routes.get(place)).map(|(_, routes)| &**routes);
        let knows = |source: &Source| match source {
            Source::Networks => !self.networks.is_empty(),
            Source::Exporter => true,
            Source::Bmp => !self.routes.is_empty(),
            Source::Files => self.has_files,
        };
        let asked: ArrayVec<_, _> = self.order.iter().filter(knows).collect();
        let plain = Plain {
            exporter: asked.contains(&Source::Exporter),
            files: asked.contains(&Source::Files),
            files_first: asked.first() == Some(&Source::Files),
        };
        let plain = (self.networks.is_empty() && self.routes.is_empty()).then_some(plain);
        OfRouter { sources: self, asked, routes, router, plain }
    }
}

impl ::names::AsNames for Sources {
    fn of_as(&self, asn: u32) -> Option<&str> {
        self.files.name(asn)
    }
}

impl<'s> OfRouter<'s> {
    /// The origin of an address: the AS number of the first source that has one, the country from files, the path by BMP.
    ///
    /// An AS number of the exporter does not count if it is 0 or 23456, or that of a default route; one for private use counts
    /// if no other source has any.
    #[inline]
    #[must_use]
    pub fn origin(&self, end: End) -> Found<'s> {
        let Sources { files, has_files, .. } = self.sources;
        let file = if *has_files { files.get(end.address) } else { None };
        self.first(&end, file.unwrap_or(Origin::UNKNOWN))
    }

    /// Finds the [`origin`](Self::origin) of source and destination of each flow, of several at a time and without one
    /// waiting for the memory of another, and calls `each` with what it found.
    #[inline]
    pub fn origins(&self, flows: &mut [FlowRecord], mut each: impl FnMut(&mut FlowRecord, [Found<'s>; 2])) {
        let Sources { files, has_files, .. } = self.sources;
        for flows in flows.chunks_mut(FLOWS_AT_ONCE) {
            let prepared = if *has_files { files.prepare(flows) } else { Prepared::Nothing };
            for (number, flow) in flows.iter_mut().enumerate() {
                let [source, destination] = match &prepared {
                    Prepared::Fetched => [files.get_ipv4(&flow.source), files.get_ipv4(&flow.destination)],
                    Prepared::Found(found) => found.get(number).copied().unwrap_or_default(),
                    Prepared::Nothing => Default::default(),
                };
                let found = match self.plain {
                    // Without copies of addresses.
                    Some(plain) => {
                        [plain.first(Stated::source(flow), source), plain.first(Stated::destination(flow), destination)]
                    }
                    None => [self.first(&End::source(flow), source), self.first(&End::destination(flow), destination)],
                };
                each(flow, found);
            }
        }
    }

    /// What the first source has that knows an address, of which files know this.
    #[inline(never)]
    fn first(&self, end: &End, file: Origin) -> Found<'s> {
        let End { address, stated } = *end;
        let (route, by) = self.route(address);
        let path = route.filter(|path| path.segments().next().is_some());
        let mut found = Found { path, country: file.country_number(), ..Found::default() };
        let mut private = 0;
        for source in &self.asked {
            let (asn, from) = match source {
                Source::Networks => (self.sources.networks.asn(canonical(address)), AsSource::Network),
                Source::Exporter if stated.is_by_default_route => continue,
                Source::Exporter if is_private(stated.asn) => {
                    private = stated.asn;
                    continue;
                }
                Source::Exporter => (Some(stated.asn).filter(|asn| ![0, AS_TRANS].contains(asn)), AsSource::Exporter),
                Source::Bmp => (route.and_then(Path::origin), by),
                Source::Files => (file.asn(), AsSource::File),
            };
            if let Some(asn) = asn {
                (found.asn, found.from) = (asn, from);
                return found;
            }
        }
        if private != 0 {
            (found.asn, found.from) = (private, AsSource::Exporter);
        }
        found
    }

    /// The route to an address: the router's own, or that of the first other router that has one.
    #[inline]
    fn route(&self, address: IpAddr) -> (Option<&'s Path>, AsSource) {
        if self.sources.routes.is_empty() {
            return (None, AsSource::None);
        }
        let address = canonical(address);
        if let Some(path) = self.routes.and_then(|routes| routes.longest_match(address)) {
            return (Some(path), AsSource::Bmp);
        }
        let others = self.sources.routes.iter().filter(|(router, _)| *router != self.router);
        let path = others.filter_map(|(_, routes)| routes.longest_match(address)).next();
        (path, AsSource::OtherBmp)
    }
}

impl Plain {
    /// What the first of both has that knows an address.
    #[inline(always)]
    fn first<'s>(self, stated: Stated, file: Origin) -> Found<'s> {
        let Stated { asn, is_by_default_route } = stated;
        let is_asked = self.exporter & !is_by_default_route;
        let is_private = is_private(asn);
        let exporter = if is_asked & !is_private & (asn != AS_TRANS) { asn } else { 0 };
        let private = if is_asked & is_private { asn } else { 0 };
        let by_file = if self.files { file.as_number() } else { 0 };
        let (asn, from) = match (exporter, by_file) {
            (0, 0) => (private, if private == 0 { AsSource::None } else { AsSource::Exporter }),
            (0, by_file) => (by_file, AsSource::File),
            (exporter, by_file) if by_file == 0 || !self.files_first => (exporter, AsSource::Exporter),
            (_, by_file) => (by_file, AsSource::File),
        };
        Found { asn, from, country: file.country_number(), path: None }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as File;

    use bmp::{Limits, Rib, Session};
    use flow::Timestamp;
    use testing::bmp::{AS_SEQUENCE, AS_SET, Peer, Update, initiation, open, peer_up, route_monitoring, segment};

    use super::*;
    use crate::contents::Contents;

    const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn table(text: &str) -> Arc<Table> {
        Arc::new(Table::new(vec![Contents::parse(File::new("ip2asn.tsv"), text.as_bytes()).unwrap()]).unwrap())
    }

    /// The routes of a router to which a peer has announced these prefixes with these segments.
    fn routes(announced: &[(&str, &[u8])]) -> Arc<Snapshot> {
        let (peer, mut rib, mut session) = (Peer::new(9, 64496), Rib::new(Limits::default()), Session::new());
        let mut messages = vec![initiation(), peer_up(&peer, &open(64497, &[]))];
        for (prefix, path) in announced {
            let prefix: flow::Prefix = prefix.parse().unwrap();
            let update = Update::new().attribute(0x40, 2, path).announce(&[(prefix.address(), prefix.length())]);
            messages.push(route_monitoring(&peer, &update.octets()));
        }
        for message in messages {
            session.receive(&mut rib, &message, Timestamp::from_seconds(1_800_000_000)).unwrap();
        }
        rib.snapshot()
    }

    fn sources() -> Sources {
        let own = [("198.51.100.0/25".parse().unwrap(), 64500)];
        let path = segment(AS_SEQUENCE, &[64496, 64501]);
        let set = [segment(AS_SEQUENCE, &[64496]), segment(AS_SET, &[64502, 64503])].concat();
        let routes_of_router = routes(&[("198.51.100.0/24", &path), ("203.0.113.0/25", &set)]);
        let routes_of_other = routes(&[("203.0.113.0/24", &segment(AS_SEQUENCE, &[64496, 64498, 64504]))]);
        Sources::default()
            .with_networks(Arc::new(Networks::new(own)))
            .with_routes(ROUTER, Some(routes_of_router))
            .with_routes(OTHER, Some(routes_of_other))
            .with_files(table(
                "198.51.0.0\t198.51.255.255\t64505\tCH\tOne\n203.0.112.0\t203.0.113.255\t64506\tDE\tTwo\n",
            ))
    }

    const fn stated(asn: u32) -> Stated {
        Stated { asn, is_by_default_route: false }
    }

    fn found(sources: &Sources, address: &str, stated: Stated) -> (u32, AsSource, String, String) {
        let Found { asn, from, country, path } = sources.of(ROUTER).origin(End::new(address.parse().unwrap(), stated));
        let text = |value: Option<String>| value.unwrap_or_default();
        (
            asn,
            from,
            text(flow::Country::of_number(country).map(|country| country.to_string())),
            text(path.map(ToString::to_string)),
        )
    }

    #[test]
    fn the_first_source_that_has_a_number_counts() {
        let sources = sources();
        for (address, asn, expected) in [
            ("198.51.100.1", 64499, (64500, AsSource::Network, "CH", "64496 64501")),
            ("198.51.100.129", 64499, (64499, AsSource::Exporter, "CH", "64496 64501")),
            ("198.51.100.129", 0, (64501, AsSource::Bmp, "CH", "64496 64501")),
            ("::ffff:198.51.100.129", 0, (64501, AsSource::Bmp, "CH", "64496 64501")),
            ("203.0.113.129", 0, (64504, AsSource::OtherBmp, "DE", "64496 64498 64504")),
            ("203.0.113.1", 0, (64506, AsSource::File, "DE", "64496 {64502,64503}")),
            ("203.0.112.1", 0, (64506, AsSource::File, "DE", "")),
            ("192.0.2.1", 0, (0, AsSource::None, "", "")),
            ("192.0.2.1", 3356, (3356, AsSource::Exporter, "", "")),
            ("2001:db8::1", 0, (0, AsSource::None, "", "")),
        ] {
            let (asn, from, country, path) = found(&sources, address, stated(asn));
            assert_eq!((asn, from, &*country, &*path), expected, "{address}");
        }
    }

    #[test]
    fn a_number_of_the_exporter_that_means_nothing_does_not_count() {
        let sources = sources();
        let by_file = |stated| found(&sources, "203.0.112.1", stated);
        let file = (64506, AsSource::File, "DE".to_owned(), String::new());
        for asn in [0, 23456, 64512, 65534, 4_200_000_000, 4_294_967_294] {
            assert_eq!(by_file(stated(asn)), file, "{asn}");
        }
        for asn in [1, 64496, 64511, 65535, 65536, 4_199_999_999, u32::MAX] {
            assert_eq!(by_file(stated(asn)).1, AsSource::Exporter, "{asn}");
        }
        assert_eq!(by_file(Stated { asn: 3356, is_by_default_route: true }), file);
        // Nobody else has one.
        let by_none = |stated| {
            let (asn, from, ..) = found(&sources, "192.0.2.1", stated);
            (asn, from)
        };
        assert_eq!(by_none(stated(64512)), (64512, AsSource::Exporter));
        assert_eq!(by_none(stated(23456)), (0, AsSource::None));
        assert_eq!(by_none(Stated { asn: 64512, is_by_default_route: true }), (0, AsSource::None));
    }

    #[test]
    fn the_order_can_be_changed() {
        let sources = sources();
        let order = |sources_in_order| sources.with_order(Order::new(sources_in_order).unwrap());
        let asn = |sources: &Sources| found(sources, "198.51.100.1", stated(64499)).0;
        assert_eq!(asn(&order(&[Source::Files, Source::Networks])), 64505);
        assert_eq!(asn(&order(&[Source::Bmp, Source::Files])), 64501);
        assert_eq!(asn(&order(&[Source::Exporter])), 64499);
        let none = order(&[]);
        assert_eq!(found(&none, "198.51.100.1", stated(64499)), (0, AsSource::None, "CH".into(), "64496 64501".into()));
    }

    #[test]
    fn exporter_and_files_alone_are_asked_in_the_same_way() {
        let files = Sources::default().with_files(sources().files);
        let orders = [
            vec![],
            vec![Source::Exporter],
            vec![Source::Files],
            vec![Source::Files, Source::Exporter],
            vec![Source::Networks, Source::Files, Source::Bmp, Source::Exporter],
            Source::ALL.to_vec(),
        ];
        for sources in orders.iter().map(|order| files.with_order(Order::new(order).unwrap())) {
            let router = sources.of(ROUTER);
            let plain = router.plain.unwrap();
            for asn in [0, 1, AS_TRANS, 64500, 64512, 4_200_000_000, u32::MAX] {
                for (is_by_default_route, file) in [(false, 0), (false, 64505), (true, 0), (true, 64505)]
                    .map(|(route, asn)| (route, Origin::new(asn, None)))
                {
                    let stated = Stated { asn, is_by_default_route };
                    let general = router.first(&End::new([192, 0, 2, 1].into(), stated), file);
                    assert_eq!(plain.first(stated, file), general, "{:?}: {stated:?}, {file:?}", sources.order());
                }
            }
        }
        assert!(sources().of(ROUTER).plain.is_none());
    }

    #[test]
    fn parts_are_replaced_and_removed() {
        let all = sources();
        assert!(!all.is_empty());
        assert!(Sources::default().is_empty());
        let without = all.with_routes(ROUTER, None);
        assert_eq!(without.routes().len(), 1);
        assert_eq!(found(&without, "198.51.100.129", stated(0)).1, AsSource::File);
        // Its routes were those of a router that knew nothing of this address.
        let unknown = all.with_routes(ROUTER, Some(Arc::default()));
        assert_eq!(found(&unknown, "203.0.113.1", stated(0)).1, AsSource::OtherBmp);
        let nothing = all.with_routes(ROUTER, None).with_routes(OTHER, None).with_files(Arc::default());
        assert!(nothing.with_networks(Arc::default()).is_empty());
        let names = Contents::parse(File::new("names.txt"), b"64500 Example Ltd\n").unwrap();
        let names = Arc::new(Table::new(vec![names]).unwrap());
        assert!(Sources::default().with_files(names).is_empty(), "names alone are no origins");
    }
}
