//! Problems of export connections, the TCP connections over which exporters send IPFIX: refused, ended by what is no message, never
//! whole, without a certificate that is accepted, data without a template. And one line about each connection of a router.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::answers::{Answers, by_address};
use super::finding::Finding;
use super::router::seconds_since;
use super::traffic::{SHOWN, each};
use crate::commands::ask::{moment, number, text};
use crate::table::{count_of, printable};

/// What happened is reported for this long.
const REPORTED_FOR_SECONDS: i64 = 3600;

/// The listen addresses, with or without TLS.
pub(super) fn listening(answers: &Answers, tls: bool) -> Vec<SocketAddr> {
    let all = each(&answers.status["exportConnections"]["listening"]).filter(|listening| listening["tls"] == tls);
    all.filter_map(|listening| listening["address"].as_str()?.parse().ok()).collect()
}

/// What is known of the connections of an address that were refused lately for one of these reasons.
fn refused<'a>(answers: &'a Answers, address: IpAddr, reasons: &[&str]) -> Option<&'a Value> {
    let refused = answers.status["exportConnections"]["refused"].as_array()?;
    let found = by_address(refused, "address", address)?;
    let is_recent = seconds_since(&found["last"]).is_some_and(|age| age < REPORTED_FOR_SECONDS);
    reasons.iter().any(|reason| found["reason"] == *reason).then_some(found).filter(|_| is_recent)
}

/// How often connections were refused.
fn times(refused: &Value) -> String {
    let count = count_of(number(&refused["count"]), "export connection");
    format!("{count} (TCP) refused, the last at {}", moment(&refused["last"]))
}

/// The evidence that an unregistered address connects.
pub(super) fn unregistered(answers: &Answers, address: IpAddr) -> Option<String> {
    refused(answers, address, &["unregistered"]).map(times)
}

/// The problems of a router; `heard` is its `GET /exporters/<address>`.
pub(super) fn examine_router(answers: &Answers, address: IpAddr, heard: Option<&Value>, findings: &mut Vec<Finding>) {
    let found = [
        full(answers, address),
        too_often(answers, address),
        same_port(answers, address),
        heard.and_then(|heard| ended(answers, address, heard)),
        heard.and_then(template_not_sent),
        heard.and_then(|heard| template_errors(address, heard)),
    ];
    findings.extend(found.into_iter().flatten().map(|finding| finding.about(address)));
}

fn full(answers: &Answers, address: IpAddr) -> Option<Finding> {
    let refused = refused(answers, address, &["too_many_of_sender", "too_many"])?;
    let state = &answers.status["exportConnections"];
    let is_own = refused["reason"] == "too_many_of_sender";
    let what = if is_own {
        let limit = count_of(number(&state["limitPerSender"]), "export connection");
        format!("the router has {limit}, which is the limit: further ones are refused")
    } else {
        let limit = count_of(number(&state["limit"]), "export connection");
        format!("{limit} of all routers are open, which is the limit: further ones are refused")
    };
    Some(
        Finding::new("export_connections_full", what)
            .evidence(times(refused))
            .run(format!("netflow curl GET /exporters/{address}  # exportConnections: which of them still send?"))
            .run(format!("ss -tn state established src {address} or dst {address}  # on the machine of the collector"))
            .run("# one connection is enough; does the router open a new one without closing the old one?"),
    )
}

fn too_often(answers: &Answers, address: IpAddr) -> Option<Finding> {
    let refused = refused(answers, address, &["too_often"])?;
    Some(
        Finding::new("export_connections_too_often", "the router connects too often: some connections are refused")
            .evidence(times(refused))
            .evidence("it must not connect more than once a minute (RFC 7011, section 10.4.4)")
            .run(format!("netflow curl GET /exporters/{address}  # endedExportConnection: why did the last one end?"))
            .run("# does it open a connection for each export? It should keep one open"),
    )
}

fn same_port(answers: &Answers, address: IpAddr) -> Option<Finding> {
    let refused = refused(answers, address, &["same_port"])?;
    let what = "the router connects twice from the same port: the second connection is refused";
    Some(
        Finding::new("export_connection_same_port", what)
            .evidence(times(refused))
            .evidence(
                "messages of both could not be distinguished: connections are known by address and port of the router",
            )
            .run("# let the router send to one address of the collector only, or let it choose the ports"),
    )
}

/// How the last connection ended, if that is a problem.
fn ended(answers: &Answers, address: IpAddr, heard: &Value) -> Option<Finding> {
    let ended = &heard["endedExportConnection"];
    if seconds_since(&ended["at"])? >= REPORTED_FOR_SECONDS {
        return None;
    }
    // What never worked works now.
    if number(&ended["messages"]) == 0
        && each(&heard["exportConnections"]).any(|connection| number(&connection["messages"]) > 0)
    {
        return None;
    }
    let reason = printable(&text(&ended["reason"]));
    let finding = match ended["kind"].as_str()? {
        "malformed" => malformed(answers, address, ended, &reason),
        "incomplete" => incomplete(address, ended),
        kind => tls(answers, address, kind)?,
    };
    let place =
        format!("port {} of the router, {} of the collector", number(&ended["port"]), text(&ended["listening"]));
    let before = count_of(number(&ended["messages"]), "message");
    Some(
        finding
            .evidence(format!("at {}: {reason}", moment(&ended["at"])))
            .evidence(format!("{place}; {before} before that are counted")),
    )
}

fn malformed(answers: &Answers, address: IpAddr, ended: &Value, reason: &str) -> Finding {
    let what = "its export connection ended: the octets that it sent are no IPFIX message";
    let finding = Finding::new("export_connection_malformed", what);
    if reason.contains("TLS handshake") {
        let addresses: Vec<_> = listening(answers, true).iter().map(ToString::to_string).collect();
        return match addresses.as_slice() {
            [] => finding
                .run("# it uses TLS, and the collector accepts none: set netflow.tls.listen in the configuration file")
                .run("# or turn TLS off on the router"),
            all => finding.run(format!("# it uses TLS: let it connect to {}, or turn TLS off there", all.join(" or "))),
        };
    }
    if reason.contains("NetFlow v") {
        return finding
            .run("# only IPFIX can be sent by TCP: let the router export IPFIX, or send the other protocol by UDP")
            .run("export-protocol ipfix  # on the router (IOS; others: docs/exporters.md)");
    }
    finding
        .run("# does the router, and not another program, connect to this port? Does it send IPFIX (version 10)?")
        .run(tcpdump(address, ended))
        .run("# if it is IPFIX, report the message")
}

fn incomplete(address: IpAddr, ended: &Value) -> Finding {
    let what = "its export connection ended: a message was not whole within 30 seconds";
    Finding::new("export_connection_incomplete", what)
        .run("# does a firewall or a relay hold the connection back? Is the length in the header of the message right?")
        .run(tcpdump(address, ended))
}

/// The line that captures what it sends to the port where the connection was.
fn tcpdump(address: IpAddr, ended: &Value) -> String {
    let listening: Option<SocketAddr> = ended["listening"].as_str().and_then(|listening| listening.parse().ok());
    let port = listening.map_or(String::new(), |listening| format!(" and tcp port {}", listening.port()));
    format!("tcpdump -ni any -c 200 -w export.pcap 'src host {address}{port}'")
}

/// Why TLS was not established, or not with this exporter; `None` for other kinds of ends.
fn tls(answers: &Answers, address: IpAddr, kind: &str) -> Option<Finding> {
    let certificate = "its certificate is not accepted, so its export connections are refused";
    let certificate = || Finding::new("export_connection_certificate", certificate);
    let handshake = "TLS cannot be established with it, so its export connections are refused";
    let handshake = || Finding::new("export_connection_tls", handshake);
    Some(match kind {
        "no_certificate" => certificate()
            .run("# give the router a certificate and its key, signed by an authority in the file of netflow.tls.ca"),
        "unknown_authority" => certificate()
            .run("openssl x509 -in CERTIFICATE -noout -issuer  # the certificate of the router: who has signed it?")
            .run("openssl verify -CAfile CA CERTIFICATE  # CA: the file of netflow.tls.ca; add the authority to it")
            .run("systemctl reload netflow"),
        "expired_certificate" => certificate()
            .run("openssl x509 -in CERTIFICATE -noout -dates  # the certificate of the router: renew it")
            .run("date -u  # on the collector: is its clock right?"),
        "wrong_name" => certificate()
            .run("openssl x509 -in CERTIFICATE -noout -ext subjectAltName  # the certificate of the router: its names")
            .run(format!("netflow senders set {address} --certificate-name NAME  # one of these, if it is the router's")),
        "bad_certificate" => certificate()
            .run("openssl x509 -in CERTIFICATE -noout -text  # the certificate of the router")
            .run("date -u  # on the collector: is its clock right?"),
        "not_tls" => {
            let plain: Vec<_> = listening(answers, false).iter().map(ToString::to_string).collect();
            handshake().run(match plain.as_slice() {
                [] => "# it sends without TLS: turn it on there, or set netflow.tcp.listen in the configuration file".into(),
                all => format!("# it sends without TLS: turn it on there, or let it connect to {}", all.join(" or ")),
            })
        }
        "handshake_incomplete" | "tls_error" => handshake()
            .run("# does the router accept the certificate of the collector? It needs the authority that has signed that one")
            .run("# does it have TLS 1.2 or 1.3?"),
        _ => return None,
    })
}

/// Data in connections that came before their templates.
fn template_not_sent(heard: &Value) -> Option<Finding> {
    let sets = number(&heard["counters"]["discarded_sets"]);
    if sets == 0 {
        return None;
    }
    let what = format!("{} of its export connections discarded: their template is missing", count_of(sets, "data set"));
    Some(
        Finding::new("template_not_sent", what)
            .evidence("an exporter must send each template in the connection before its data (RFC 7011, section 8)")
            .evidence("data in a connection are not queued: nothing can delay a template there")
            .run("# let the router connect again; does it send its templates at the beginning of each connection?")
            .run("# if it does not, or withdraws them too early, report it to its vendor"),
    )
}

/// How often an exporter has announced something against the rules for connections.
pub(super) fn errors_of_templates(heard: &Value) -> u64 {
    ["redefined_templates", "unknown_withdrawals"].iter().map(|name| number(&heard["counters"][*name])).sum()
}

/// What the exporter has announced against the rules, and how often, whatever else could not be decoded since.
fn template_errors(address: IpAddr, heard: &Value) -> Option<Finding> {
    let errors = errors_of_templates(heard);
    if errors == 0 {
        return None;
    }
    let what = format!("{} of the exporter in its announcements of templates", count_of(errors, "error"));
    let mut finding = Finding::new("template_errors", what);
    let [redefined, unknown] =
        ["redefined_templates", "unknown_withdrawals"].map(|name| number(&heard["counters"][name]));
    if redefined > 0 {
        finding = finding.evidence(format!(
            "{} with the id of another one that it had not withdrawn",
            count_of(redefined, "template")
        ));
    }
    if unknown > 0 {
        finding = finding.evidence(format!(
            "{} of a template that it had not announced in the connection",
            count_of(unknown, "withdrawal")
        ));
    }
    let last = &heard["unreadable"];
    if last["error"] == "redefined_template" || last["error"] == "unknown_withdrawal" {
        finding =
            finding.evidence(format!("the last at {}, octet {}", text(&last["received"]), number(&last["offset"])));
    }
    Some(
        finding
            .evidence("RFC 7011, section 8, has the rules for connections; the newest template is used")
            .run("# report it to the vendor of the exporter, with a capture of a connection from its beginning:")
            .run(format!("tcpdump -ni any -c 200 -w export.pcap 'src host {address} and tcp'")),
    )
}

/// A line about each open connection and the last one that has ended, each with its label.
pub(super) fn lines(heard: &Value) -> Vec<(&'static str, String)> {
    let open = each(&heard["exportConnections"]).collect::<Vec<_>>();
    let mut lines: Vec<_> = open.iter().take(SHOWN).map(|connection| (label(connection), line(connection))).collect();
    if open.len() > SHOWN {
        lines.push(("tcp", format!("{} open", count_of((open.len() - SHOWN) as u64, "more connection"))));
    }
    let ended = &heard["endedExportConnection"];
    if ended.is_object() {
        let (at, reason) = (moment(&ended["at"]), printable(&text(&ended["reason"])));
        lines.push((label(ended), format!("{}; ended at {at}: {reason}", line(ended))));
    }
    lines
}

fn label(connection: &Value) -> &'static str {
    if connection["tls"].is_null() { "tcp" } else { "tls" }
}

fn line(connection: &Value) -> String {
    let (port, listening) = (number(&connection["port"]), text(&connection["listening"]));
    let tls = &connection["tls"];
    let encryption = tls["version"].as_str().map_or(String::new(), |version| format!(", TLS {version}"));
    let name = tls["certificateName"].as_str().map_or(String::new(), |name| format!(" of {}", printable(name)));
    let messages = count_of(number(&connection["messages"]), "message");
    let last = match connection["last"] {
        Value::Null => String::new(),
        ref last => format!(", the last at {}", moment(last)),
    };
    format!("port {port} to {listening}{encryption}{name}, since {}: {messages}{last}", moment(&connection["since"]))
}

#[cfg(test)]
mod tests;
