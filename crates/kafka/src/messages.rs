//! The requests of Kafka's protocol that a producer needs, and their answers, in versions that brokers from 2.1 to 4 speak.
//!
//! Written here because the crates that have all messages allocate as much as a broker announces, which one that answers
//! nonsense can use to end the process. Source: <https://kafka.apache.org/protocol>.

/// A request: its number and version, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) api: i16,
    pub(crate) version: i16,
    pub(crate) body: Vec<u8>,
}

/// All replicas in sync have to acknowledge.
const ALL: i16 = -1;

/// Asks for the partitions of a topic, which is not created by that.
pub(crate) fn metadata(topic: &str) -> Request {
    let mut body = Vec::new();
    count(1, &mut body);
    string(topic, &mut body);
    body.push(0);
    Request { api: 3, version: 5, body }
}

/// Sends batches to partitions of a topic.
pub(crate) fn produce(topic: &str, batches: &[(i32, &[u8])], milliseconds: i32) -> Request {
    let octets: usize = batches.iter().map(|(_, batch)| batch.len() + 8).sum();
    let mut body = Vec::with_capacity(octets + topic.len() + 32);
    // No transaction.
    body.extend_from_slice(&(-1_i16).to_be_bytes());
    body.extend_from_slice(&ALL.to_be_bytes());
    body.extend_from_slice(&milliseconds.to_be_bytes());
    count(1, &mut body);
    string(topic, &mut body);
    count(batches.len(), &mut body);
    for (partition, batch) in batches {
        body.extend_from_slice(&partition.to_be_bytes());
        octets_of(batch, &mut body);
    }
    Request { api: 0, version: 7, body }
}

/// Chooses a SASL mechanism.
pub(crate) fn sasl_handshake(mechanism: &str) -> Request {
    let mut body = Vec::new();
    string(mechanism, &mut body);
    Request { api: 17, version: 1, body }
}

/// A message of the SASL mechanism.
pub(crate) fn sasl_authenticate(message: &[u8]) -> Request {
    let mut body = Vec::new();
    octets_of(message, &mut body);
    Request { api: 36, version: 1, body }
}

impl Request {
    /// What is before the body on the wire.
    pub(crate) fn head(&self, correlation: i32, client: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(client.len() + 14);
        let length = 10 + client.len() + self.body.len();
        count(length, &mut out);
        out.extend_from_slice(&self.api.to_be_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&correlation.to_be_bytes());
        string(client, &mut out);
        out
    }
}

/// No request has more than 2 GiB: batches are bounded.
fn count(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(number as u32).to_be_bytes());
}

/// No name has more than 32 KiB: the configuration is checked.
fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn octets_of(octets: &[u8], out: &mut Vec<u8>) {
    count(octets.len(), out);
    out.extend_from_slice(octets);
}

/// The brokers of a cluster and the partitions of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Each with its number and `host:port`.
    pub(crate) brokers: Vec<(i32, String)>,
    /// The error of the topic; 0 for none.
    pub(crate) error: i16,
    /// Each with its number and that of its leader, -1 for none.
    pub(crate) partitions: Vec<(i32, i32)>,
}

impl Metadata {
    /// Reads an answer; `None` if it is none.
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader(octets);
        reader.i32()?; // throttling, which the broker does by itself
        let brokers = reader.list(|reader| {
            let (number, host, port) = (reader.i32()?, reader.string()?.to_owned(), reader.i32()?);
            reader.nullable()?; // rack
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            Some((number, format!("{host}:{port}")))
        })?;
        reader.nullable()?; // the cluster
        reader.i32()?; // its controller
        let mut topics = reader.list(|reader| {
            let error = reader.i16()?;
            reader.string()?;
            reader.take(1)?; // whether it is internal
            let partitions = reader.list(|reader| {
                reader.i16()?; // an error: then it has no leader
                let (number, leader) = (reader.i32()?, reader.i32()?);
                for _ in 0..3 {
                    reader.list(Reader::i32)?; // replicas: all, in sync, offline
                }
                Some((number, leader))
            })?;
            Some((error, partitions))
        })?;
        let (error, partitions) = topics.pop()?;
        Some(Self { brokers, error, partitions })
    }
}

/// The partitions of an answer to batches, each with its error; 0 for none. `None` if it is no answer.
pub(crate) fn produced(octets: &[u8]) -> Option<Vec<(i32, i16)>> {
    let mut reader = Reader(octets);
    let topics = reader.list(|reader| {
        reader.string()?;
        reader.list(|reader| {
            let (partition, error) = (reader.i32()?, reader.i16()?);
            reader.take(24)?; // the first offset, the time of the broker, where its log begins
            Some((partition, error))
        })
    })?;
    Some(topics.into_iter().flatten().collect())
}

/// The answer to the choice of a mechanism: the error, and the mechanisms that the broker has.
pub(crate) fn sasl_handshaken(octets: &[u8]) -> Option<(i16, Vec<String>)> {
    let mut reader = Reader(octets);
    Some((reader.i16()?, reader.list(|reader| reader.string().map(str::to_owned))?))
}

/// The answer to a message of the mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaslAnswer {
    pub(crate) error: i16,
    pub(crate) why: Option<String>,
    pub(crate) message: Vec<u8>,
    /// For how many milliseconds the connection may be used; 0 without a limit.
    pub(crate) lifetime: i64,
}

impl SaslAnswer {
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader(octets);
        let (error, why) = (reader.i16()?, reader.nullable()?.map(str::to_owned));
        let length = reader.i32()?;
        let message = reader.take(usize::try_from(length).ok()?)?.to_vec();
        Some(Self { error, why, message, lifetime: reader.i64()? })
    }
}

/// Reads what a broker sent.
struct Reader<'o>(&'o [u8]);

impl<'o> Reader<'o> {
    fn take(&mut self, length: usize) -> Option<&'o [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'o str> {
        self.nullable()?
    }

    /// A text, or `Some(None)` for none.
    fn nullable(&mut self) -> Option<Option<&'o str>> {
        let length = self.i16()?;
        if length < 0 {
            return Some(None);
        }
        let octets = self.take(usize::from(length.cast_unsigned()))?;
        str::from_utf8(octets).ok().map(Some)
    }

    /// A list, which takes memory as its items come, and not as many as it says.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.i32()?;
        (0..length).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_begin_with_their_length() {
        let request = metadata("flows");
        let octets = [request.head(7, "netflow"), request.body].concat();
        let length = u32::from_be_bytes(octets[..4].try_into().unwrap());
        assert_eq!(length as usize, octets.len() - 4);
        assert_eq!(octets[4..12], [0, 3, 0, 5, 0, 0, 0, 7]);
    }

    #[test]
    fn a_list_that_says_more_than_there_is_is_no_answer() {
        let octets = [0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(Metadata::decode(&octets), None);
        assert_eq!(produced(&[0x7f, 0xff, 0xff, 0xff]), None);
    }

    proptest! {
        #[test]
        fn nonsense_does_no_harm(octets: Vec<u8>) {
            _ = Metadata::decode(&octets);
            _ = produced(&octets);
            _ = sasl_handshaken(&octets);
            _ = SaslAnswer::decode(&octets);
        }
    }
}
