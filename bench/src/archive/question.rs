//! The questions, and answers in one form.

use std::net::Ipv4Addr;

use anyhow::Context;

/// A question. The filter is in words that nfdump and we share.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) filter: &'static str,
    /// The same for DuckDB.
    pub(crate) condition: &'static str,
    pub(crate) by: By,
}

/// By what flows are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Sources,
    SourcesAndPorts,
    /// Of five minutes.
    Steps,
}

/// The groups of an answer at most.
pub(crate) const MOST: usize = 10;
/// Milliseconds.
pub(crate) const STEP: u64 = 300_000;

/// What is asked, each as fast as DuckDB can have it: it prunes by ranges of numbers, but not by shifted ones.
pub(crate) const QUESTIONS: [Question; 7] = [
    Question { name: "sources", filter: "", condition: "true", by: By::Sources },
    Question {
        name: "sources to a /16",
        filter: "dst net 10.0.0.0/16",
        condition: "dstip_v4 BETWEEN 167772160 AND 167837695",
        by: By::Sources,
    },
    Question {
        name: "sources to a /24",
        filter: "dst net 10.0.1.0/24",
        condition: "dstip_v4 BETWEEN 167772416 AND 167772671",
        by: By::Sources,
    },
    Question {
        name: "sources of flows with an address",
        filter: "host 10.0.1.7",
        condition: "(srcip_v4 = 167772423 OR dstip_v4 = 167772423)",
        by: By::Sources,
    },
    Question { name: "sources to a port", filter: "dst port 443", condition: "dstport = 443", by: By::Sources },
    Question { name: "sources and ports", filter: "", condition: "true", by: By::SourcesAndPorts },
    Question { name: "steps of 5 minutes", filter: "", condition: "true", by: By::Steps },
];

/// The lines of an answer: keys as numbers, then flows, packets and octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer(Vec<Vec<u64>>);

impl Answer {
    /// Reads lines of words; an address is a number too.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let number = |word: &str| match word.parse::<Ipv4Addr>() {
            Ok(address) => Ok(address.to_bits().into()),
            Err(_) => word.parse::<u64>().with_context(|| format!("'{word}' is neither a number nor an address")),
        };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let lines = lines.map(|line| line.split_whitespace().map(number).collect());
        let lines: Vec<Vec<u64>> = lines.collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(!lines.is_empty(), "an answer is empty");
        Ok(Self(lines))
    }

    /// Flows, packets and octets of all lines.
    pub(crate) fn sum(&self) -> [u64; 3] {
        self.0.iter().fold([0; 3], |mut sum, line| {
            let counters = line.iter().skip(line.len().saturating_sub(sum.len()));
            sum.iter_mut().zip(counters).for_each(|(sum, counter)| *sum += counter);
            sum
        })
    }
}
