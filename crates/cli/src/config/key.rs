//! Every key in one table: a key that is not here does not exist, neither in the file nor in the environment.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use strsim::damerau_levenshtein;

use super::value::{Misfit, Value};
use super::{Config, DAY, HOUR, MINUTE, SECOND, Secret, Storage, YEAR};

/// Reads a value and puts it where it belongs.
pub(super) type Setter = fn(&mut Config, &Value) -> Result<(), Misfit>;

/// All keys in the order of the reference file: section and key, or the key alone when it stands above all sections.
#[rustfmt::skip]
pub(super) const KEYS: &[(&str, Setter)] = &[
    ("storage", |config, value| put(&mut config.storage, value.one_of(STORAGES))),
    ("dataDir", |config, value| put(&mut config.data_dir, value.filled_text().map(PathBuf::from))),
    ("flushInterval", |config, value| put(&mut config.flush_interval, value.duration(&FLUSH_INTERVALS))),
    ("clockLimit", |config, value| put(&mut config.clock_limit, value.duration(&CLOCK_LIMITS))),
    ("redis.hosts", |config, value| put(&mut config.redis.hosts, hosts(value))),
    ("redis.master", |config, value| put(&mut config.redis.master, text_or_none(value))),
    ("redis.user", |config, value| put(&mut config.redis.access.user, text_or_none(value))),
    ("redis.password", |config, value| put(&mut config.redis.access.password, secret(value))),
    ("redis.tls", |config, value| put(&mut config.redis.access.tls, value.boolean())),
    ("redis.tlsAuthority", |config, value| put(&mut config.redis.access.tls_authority, path_or_none(value))),
    ("redis.namespace", |config, value| put(&mut config.redis.namespace, value.filled_text().map(str::to_owned))),
    ("cassandra.hosts", |config, value| put(&mut config.cassandra.hosts, hosts(value))),
    ("cassandra.datacenter", |config, value| put(&mut config.cassandra.datacenter, text_or_none(value))),
    ("cassandra.user", |config, value| put(&mut config.cassandra.access.user, text_or_none(value))),
    ("cassandra.password", |config, value| put(&mut config.cassandra.access.password, secret(value))),
    ("cassandra.tls", |config, value| put(&mut config.cassandra.access.tls, value.boolean())),
    ("cassandra.tlsAuthority", |config, value| put(&mut config.cassandra.access.tls_authority, path_or_none(value))),
    ("cassandra.keyspace", |config, value| put(&mut config.cassandra.keyspace, value.filled_text().map(str::to_owned))),
    ("cassandra.keyspaceConfig", |config, value| put(&mut config.cassandra.keyspace_config, value.filled_text().map(str::to_owned))),
    ("spool.maxBytes", |config, value| put(&mut config.spool.max_bytes, value.size(&SPOOLS))),
    ("server.cores", |config, value| put(&mut config.server.cores, value.whole_number(0..=1024).map(NonZero::new))),
    ("server.statuslog", |config, value| put(&mut config.server.statuslog, value.duration_or("never", &STATUS_INTERVALS))),
    ("server.receiveBuffer", |config, value| put(&mut config.server.receive_buffer, value.size(&RECEIVE_BUFFERS))),
    ("admin.authKey", |config, value| put(&mut config.admin.auth_key, secret(value))),
    ("admin.signKey", |config, value| put(&mut config.admin.sign_key, secret(value))),
    ("http.listen", |config, value| put(&mut config.http.listen, value.address())),
    ("netflow.listen", |config, value| put(&mut config.netflow.listen, value.list(Value::address))),
    ("netflow.calculateSamples", |config, value| put(&mut config.netflow.calculate_samples, value.boolean())),
    ("netflow.templateLifetime", |config, value| put(&mut config.netflow.template_lifetime, value.duration_or("forever", &TEMPLATE_TIMES))),
    ("netflow.templateWait", |config, value| put(&mut config.netflow.template_wait, value.duration(&TEMPLATE_TIMES))),
    ("sflow.listen", |config, value| put(&mut config.sflow.listen, value.list(Value::address))),
    ("retention.minutes", |config, value| put(&mut config.retention.minutes, age(value, HOUR))),
    ("retention.hours", |config, value| put(&mut config.retention.hours, age(value, DAY))),
    ("retention.days", |config, value| put(&mut config.retention.days, age(value, 31 * DAY))),
    ("retention.months", |config, value| put(&mut config.retention.months, age(value, 366 * DAY))),
    ("retention.years", |config, value| put(&mut config.retention.years, age(value, 366 * DAY))),
];

const STORAGES: &[(&str, Storage)] =
    &[("sqlite", Storage::Sqlite), ("redis", Storage::Redis), ("cassandra", Storage::Cassandra)];
const SPOOLS: RangeInclusive<usize> = 1024 * 1024..=1024 * 1024 * 1024 * 1024;
const FLUSH_INTERVALS: RangeInclusive<Duration> = seconds(SECOND, 5 * MINUTE);
const CLOCK_LIMITS: RangeInclusive<Duration> = seconds(SECOND, 366 * DAY);
const STATUS_INTERVALS: RangeInclusive<Duration> = seconds(SECOND, DAY);
const TEMPLATE_TIMES: RangeInclusive<Duration> = seconds(SECOND, 366 * DAY);
const RECEIVE_BUFFERS: RangeInclusive<usize> = 64 * 1024..=1024 * 1024 * 1024;

const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

fn put<T>(place: &mut T, value: Result<T, Misfit>) -> Result<(), Misfit> {
    value.map(|value| *place = value)
}

/// How long something is kept: at least until the next coarser period that it is summed into has ended.
fn age(value: &Value, least_seconds: u64) -> Result<Option<Duration>, Misfit> {
    value.duration_or("forever", &seconds(least_seconds, 100 * YEAR))
}

fn secret(value: &Value) -> Result<Option<Secret>, Misfit> {
    let text = value.text()?;
    Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
}

fn hosts(value: &Value) -> Result<Vec<String>, Misfit> {
    value.list(|host| host.filled_text().map(str::to_owned))
}

fn text_or_none(value: &Value) -> Result<Option<String>, Misfit> {
    let text = value.text()?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn path_or_none(value: &Value) -> Result<Option<PathBuf>, Misfit> {
    text_or_none(value).map(|path| path.map(PathBuf::from))
}

/// The setter of a key.
pub(super) fn find(path: &str) -> Option<Setter> {
    KEYS.iter().find(|(name, _)| *name == path).map(|(_, set)| *set)
}

/// The setter of the key that this variable of the environment stands for.
pub(super) fn find_variable(variable: &str) -> Option<Setter> {
    KEYS.iter().find(|(name, _)| environment_name(name) == variable).map(|(_, set)| *set)
}

/// Whether there are keys below this name.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|(name, _)| section(name) == Some(path))
}

fn section(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(section, _)| section)
}

fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}

/// What a variable of the environment starts with to be taken for a setting.
pub(super) const ENVIRONMENT_PREFIX: &str = "NETFLOW__";

/// The variable for a key: `NETFLOW__`, then section and key in capitals with two underscores between them and one
/// between words. `netflow.calculateSamples` is `NETFLOW__NETFLOW__CALCULATE_SAMPLES`.
pub(super) fn environment_name(path: &str) -> String {
    let mut name = ENVIRONMENT_PREFIX.to_owned();
    for letter in path.chars() {
        match letter {
            '.' => name.push_str("__"),
            letter if letter.is_ascii_uppercase() => name.extend(['_', letter]),
            letter => name.push(letter.to_ascii_uppercase()),
        }
    }
    name
}

/// What to say after "unknown key": the nearest one, or all that stand beside it.
pub(super) fn suggestion(path: &str) -> String {
    let wanted = path.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        // A key in the wrong section is as near as one wrong letter.
        damerau_levenshtein(&name, &wanted).min(damerau_levenshtein(last(&name), last(&wanted)) + 1)
    };
    let nearest = KEYS.iter().map(|(name, _)| (distance(name), *name)).min();
    if let Some((_, name)) = nearest.filter(|(distance, _)| *distance <= 1 + last(path).len() / 3) {
        return format!("; did you mean '{name}'?");
    }
    let beside = section(path).filter(|section| is_section(section));
    let names: Vec<&str> =
        KEYS.iter().map(|(name, _)| *name).filter(|name| section(name) == beside).map(last).collect();
    match beside {
        Some(section) => format!("; the keys of [{section}] are {}", names.join(", ")),
        None => {
            let mut sections: Vec<String> =
                KEYS.iter().filter_map(|(name, _)| section(name)).map(|name| format!("[{name}]")).collect();
            sections.dedup();
            format!("; there are {}, and the sections {}", names.join(", "), sections.join(", "))
        }
    }
}

/// What to say after "unknown variable".
pub(super) fn variable_suggestion(variable: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(|(path, _)| environment_name(path))
        .map(|name| (damerau_levenshtein(&name, variable), name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + (variable.len() - ENVIRONMENT_PREFIX.len()) / 3);
    match nearest {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => format!("; a key such as http.listen is {}", environment_name("http.listen")),
    }
}
