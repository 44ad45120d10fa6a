//! The rules of a session follow from the transport of its exporter. No other file of this crate matches on the transport;
//! all use one of these rules.
//!
//! Each rule is an enum with a variant for each way to handle it, so that a new transport is one more row in
//! [`SessionRules::of`], and the compiler leads to every place that has to handle a new way.

use flow::Transport;

/// The rules for the messages of an exporter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRules {
    pub(crate) state_scope: StateScope,
    pub(crate) withdrawals: Withdrawals,
    pub(crate) redefinitions: Redefinitions,
    pub(crate) template_lifetime: TemplateLifetime,
    pub(crate) missing_templates: MissingTemplates,
}

/// What the templates, options data and sequence numbers of an exporter apply to, beside their protocol and observation
/// domain (RFC 7011, section 8).
#[derive(Clone, Copy, Debug)]
pub(crate) enum StateScope {
    /// To what all ports of the exporter address send. The template from the port of the data wins, else the newest one:
    /// two exporters at one address (NAT) may use the same ids for different things, but there are routers that send
    /// templates from one port and data from another.
    Address,
    /// To the connection that they came in, and they end with it.
    Connection,
}

/// What a template withdrawal does (RFC 7011, section 8.1).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Withdrawals {
    /// Nothing: exporters must not send any over a transport that can reorder them (RFC 7011, section 8.4).
    Ignored,
    /// It withdraws the template from what follows.
    Honoured,
}

/// What another template with the id of one that was not withdrawn is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Redefinitions {
    /// A change in what the exporter sends: it cannot withdraw templates (RFC 7011, section 8.4).
    Allowed,
    /// An error of the exporter (RFC 7011, section 8). What follows is in the order of the stream, so it is most likely
    /// described by the new one.
    Errors,
}

/// How long a template is used that is not announced again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateLifetime {
    /// As the operator configured it: the exporter announces its templates again and again (RFC 7011, section 8.4).
    Configured,
    /// Until it is withdrawn: the exporter announces it once.
    Unlimited,
}

/// What happens to data whose template is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MissingTemplates {
    /// They are queued for it: the network has lost or delayed it.
    Queued,
    /// They are counted and discarded: the exporter must send the template first (RFC 7011, section 8), and nothing gets lost.
    Discarded,
}

impl SessionRules {
    pub(crate) const fn of(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self {
                state_scope: StateScope::Address,
                withdrawals: Withdrawals::Ignored,
                redefinitions: Redefinitions::Allowed,
                template_lifetime: TemplateLifetime::Configured,
                missing_templates: MissingTemplates::Queued,
            },
            Transport::Tcp => Self {
                state_scope: StateScope::Connection,
                withdrawals: Withdrawals::Honoured,
                redefinitions: Redefinitions::Errors,
                template_lifetime: TemplateLifetime::Unlimited,
                missing_templates: MissingTemplates::Discarded,
            },
        }
    }
}
