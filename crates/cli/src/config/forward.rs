//! `forward`: other collectors that get copies of datagrams.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use collector::{ForwardSource, ForwardTarget, MOST_TARGETS};
use flow::{Prefix, canonical};

use super::tables::{in_table, member, required, text, texts, unknown};
use super::value::{Member, Misfit, Value};
use super::value_kind::Words;

/// Other collectors that get copies of datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forward {
    /// `targets`: where the copies go.
    pub(crate) targets: Vec<ForwardTarget>,
}

/// The keys of a target.
const KEYS: [&str; 3] = ["address", "exporters", "source"];

impl Words for ForwardSource {
    const WORDS: &'static [(&'static str, Self)] = &[("collector", Self::Collector), ("exporter", Self::Exporter)];
}

/// The targets of a list of tables; or of a variable, with semicolons between them.
pub(super) fn targets(value: &Value) -> Result<Vec<ForwardTarget>, Misfit> {
    let targets: Vec<_> = match value.variable() {
        None => value.list(target)?,
        Some(text) => {
            let texts = text.split(';').map(str::trim).filter(|text| !text.is_empty());
            texts.map(|text| target_of_text(value, text)).collect::<Result<_, _>>()?
        }
    };
    if targets.len() > MOST_TARGETS {
        return Err(value.misfit(format!("has {} targets; at most {MOST_TARGETS} are possible", targets.len())));
    }
    for (index, target) in targets.iter().enumerate() {
        if targets.iter().take(index).any(|before| before.address == target.address) {
            return Err(value.misfit(format!("has {} twice: write all its exporters into one table", target.address)));
        }
    }
    Ok(targets)
}

fn target(value: &Value) -> Result<ForwardTarget, Misfit> {
    let members = value.table()?;
    let address = required(value, members, "address")?;
    let mut target = at(in_table(address, address_of(&address.value))?);
    for member in members.iter().filter(|member| member.name != "address") {
        set(&mut target, member)?;
    }
    Ok(target)
}

/// `ADDRESS:PORT`, then `exporters=` and `source=` with their values.
fn target_of_text(value: &Value, text: &str) -> Result<ForwardTarget, Misfit> {
    let mut words = text.split_whitespace();
    let mut target = at(address_of(&value.part(words.next().unwrap_or_default()))?);
    for word in words {
        let (name, of) = word.split_once('=').unwrap_or((word, ""));
        let member = Member { name: name.to_owned(), span: value.span.clone(), value: value.part(of) };
        set(&mut target, &member)?;
    }
    Ok(target)
}

const fn at(address: SocketAddr) -> ForwardTarget {
    ForwardTarget { address, exporters: Vec::new(), source: ForwardSource::Collector }
}

fn set(target: &mut ForwardTarget, member: &Member) -> Result<(), Misfit> {
    match member.name.as_str() {
        "exporters" => target.exporters = in_table(member, member.value.list(exporter))?,
        "source" => target.source = in_table(member, member.value.one_of(ForwardSource::WORDS))?,
        _ => return Err(unknown(member, &KEYS, &[])),
    }
    Ok(())
}

fn address_of(value: &Value) -> Result<SocketAddr, Misfit> {
    let address = value.address()?;
    let ip = canonical(address.ip());
    let is_one_host = !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST);
    if let SocketAddr::V6(v6) = address
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        return Err(
            value.misfit(format!("is {address}; a link-local address needs its interface, such as [fe80::1%2]:2055"))
        );
    }
    if !is_one_host || address.port() == 0 {
        return Err(value.misfit(format!("is {address}; it must be the address and port of one other collector")));
    }
    // The address itself has the scope of a link-local one.
    Ok(if address.ip() == ip { address } else { SocketAddr::new(ip, address.port()) })
}

/// A prefix, or an address.
fn exporter(value: &Value) -> Result<Prefix, Misfit> {
    let Ok(address) = value.text()?.parse::<IpAddr>().map(canonical) else { return value.prefix() };
    let length = if address.is_ipv4() { 32 } else { 128 };
    Prefix::around(address, length).ok_or_else(|| value.misfit("is no address"))
}

/// A target as an inline table.
pub(super) fn show(target: &ForwardTarget) -> String {
    let ForwardTarget { address, exporters, source } = target;
    let mut members = vec![member("address", text(address))];
    if !exporters.is_empty() {
        members.push(member("exporters", texts(exporters.iter().map(ToString::to_string))));
    }
    if let Some((name, _)) =
        ForwardSource::WORDS.iter().find(|(_, word)| word == source && *source != ForwardSource::default())
    {
        members.push(member("source", text(name)));
    }
    format!("{{ {} }}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::value::Content;
    use super::*;

    fn read(text: &str) -> Result<Vec<ForwardTarget>, String> {
        let value = Value { content: Content::Variable(text.to_owned()), span: 0..text.len() };
        targets(&value).map_err(|misfit| misfit.message)
    }

    #[test]
    fn a_target_is_one_other_collector_and_may_be_named_once() {
        let address = |text: &str| read(text).unwrap().remove(0).address.to_string();
        assert_eq!(address("[::ffff:192.0.2.1]:2055"), "192.0.2.1:2055");
        for nowhere in
            ["0.0.0.0:2055", "[::]:2055", "239.0.0.1:2055", "[ff02::1]:2055", "255.255.255.255:1", "192.0.2.1:0"]
        {
            assert!(
                read(nowhere).unwrap_err().contains("must be the address and port of one other collector"),
                "{nowhere}"
            );
        }
        assert!(read("192.0.2.1:1; [::ffff:192.0.2.1]:1").unwrap_err().starts_with("has 192.0.2.1:1 twice"));
        let many: String = (1..=17).map(|number| format!("192.0.2.1:{number};")).collect();
        assert_eq!(read(&many).unwrap_err(), "has 17 targets; at most 16 are possible");
    }

    #[test]
    fn exporters_are_addresses_or_prefixes() {
        let exporters =
            |text: &str| read(&format!("192.0.2.1:1 exporters={text}")).map(|targets| targets[0].exporters.clone());
        let shown: Vec<String> = exporters("10.0.0.0/8,192.0.2.7,2001:db8::1,::ffff:192.0.2.8")
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128", "192.0.2.8/32"]);
        assert!(exporters("router-1").is_err());
        assert!(exporters("10.0.0.1/8").unwrap_err().contains("is not the first address"));
    }
}
