#!/usr/bin/env python3
"""Writes MaxMind databases with mmdb-writer, and what MaxMind's own reader for Python finds in them.

    python3 -m venv venv && venv/bin/pip install mmdb-writer==0.2.7 maxminddb==3.2.0
    venv/bin/python crates/origin/tests/reference/make.py

The files are committed, so that the tests need no Python. All networks and names are made up.
"""
import ipaddress
import json
import pathlib
import random

import maxminddb
from mmdb_writer import MMDBWriter, MmdbU32
from netaddr import IPSet

HERE = pathlib.Path(__file__).parent
draw = random.Random(19)


def ipv4():
    bits = draw.choice([8, 12, 16, 20, 24, 24, 28, 32])
    return ipaddress.ip_network((draw.choice([0, 1, 10, 10, 172, 223, 255]) << 24 | draw.getrandbits(24), bits), strict=False)


def ipv6():
    bits = draw.choice([20, 32, 32, 40, 48, 48, 64, 128])
    block = draw.choice([0x2001, 0x2001, 0x2400, 0x2606, 0x2A00, 0xFFFF])
    return ipaddress.ip_network((block << 112 | draw.getrandbits(112), bits), strict=False)


def geolite(number):
    return {"autonomous_system_number": MmdbU32(number), "autonomous_system_organization": f"Réseau {number}"}


def ipinfo(number):
    code = draw.choice(["AT", "BE", "CH", "DE"])
    return {"asn": f"AS{number}", "as_name": f"Example {number}, Inc.", "country": f"Country of {code}", "country_code": code}


def country(number):
    code = draw.choice(["AT", "BE", "CH", "DE"])
    return {"country": {"iso_code": code, "names": {"en": "x"}}, "registered_country": {"iso_code": "US"}}


def shown(record):
    """AS number and country of a record, for each layout."""
    asn = record.get("autonomous_system_number") or int(record.get("asn", "AS0")[2:])
    inner = record.get("country")
    return [asn, record.get("country_code") or (inner["iso_code"] if inner else None)]


def make(name, database, version, networks, record):
    writer = MMDBWriter(version, database_type=database, languages=["en"], description="made for a test", ipv4_compatible=version == 6)
    # Outer networks first, so that the inner ones are in them.
    networks = sorted(set(networks), key=lambda network: (network.prefixlen + (96 if network.version == 4 else 0)))
    for number, network in enumerate(networks, 64500):
        writer.insert_network(IPSet([str(network)]), record(number))
    path = HERE / f"{name}.mmdb"
    writer.to_db_file(str(path))
    addresses = set()
    for network in networks:
        for address in (network[0], network[-1]):
            for near in (int(address) - 1, int(address), int(address) + 1):
                if 0 <= near < 2**network.max_prefixlen:
                    addresses.add(type(address)(near))
    answers = {}
    with maxminddb.open_database(path) as reader:
        for address in sorted(addresses, key=lambda address: (address.version, int(address))):
            found = reader.get(address)
            answers[str(address)] = shown(found) if found else None
    rows = ",\n".join(f" {json.dumps(address)}: {json.dumps(answer)}" for address, answer in answers.items())
    (HERE / f"{name}.json").write_text("{\n" + rows + "\n}\n")


make("geolite-asn", "GeoLite2-ASN", 6, [ipv4() for _ in range(30)] + [ipv6() for _ in range(30)], geolite)
make("ipinfo-lite", "ipinfo generic_country_asn_lite.mmdb", 6, [ipv4() for _ in range(25)] + [ipv6() for _ in range(25)], ipinfo)
make("country-ipv4", "DBIP-Country-Lite", 4, [ipv4() for _ in range(40)], country)
