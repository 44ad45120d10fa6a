//! The rules of a session follow from the transport of its exporter. No other file of this crate matches on the transport;
//! all use one of these rules.
//!
//! Each rule is an enum with a variant for each way to handle it, so that a new transport is one more row in
//! [`SessionRules::of`], and the compiler leads to every place that has to handle a new way. With UDP alone each has one
//! variant, and costs nothing.

use flow::Transport;

/// The rules for the messages of an exporter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRules {
    pub(crate) withdrawals: Withdrawals,
    pub(crate) template_scope: TemplateScope,
    pub(crate) template_lifetime: TemplateLifetime,
    pub(crate) sequence_gaps: SequenceGaps,
}

/// What a template withdrawal does (RFC 7011, section 8.1).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Withdrawals {
    /// Nothing: exporters must not send any over a transport that can reorder them (RFC 7011, section 8.4).
    Ignored,
}

/// Which data a template describes, beside its protocol and observation domain (RFC 7011, section 8).
#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateScope {
    /// Those from all ports of the exporter address. The template from the port of the data wins, else the newest one:
    /// two exporters at one address (NAT) may use the same ids for different things, but there are routers that send
    /// templates from one port and data from another.
    Address,
}

/// How long a template is used that is not announced again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateLifetime {
    /// As the operator configured it: the exporter announces its templates again and again (RFC 7011, section 8.4).
    Configured,
}

/// What it means that a sequence number is not the expected one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SequenceGaps {
    /// The network lost, delayed or duplicated datagrams, or the exporter has restarted.
    Network,
}

impl SessionRules {
    pub(crate) const fn of(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self {
                withdrawals: Withdrawals::Ignored,
                template_scope: TemplateScope::Address,
                template_lifetime: TemplateLifetime::Configured,
                sequence_gaps: SequenceGaps::Network,
            },
        }
    }
}
