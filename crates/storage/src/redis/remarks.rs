//! Remarks as a hash: one value for each sender, with a line for each remark.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Redis;
use crate::remarks::settled;
use crate::{Remark, Remarks, StoreError};

/// How often remarks are added while others add remarks about the same sender.
const TRIES: usize = 100;

/// A sender, what was read of it, which may be nothing, and what replaces that; whether it was still so.
const REPLACE: &str = "
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1";

impl Redis {
    pub(super) async fn remarks_about(&self, sender: IpAddr) -> Result<Vec<Remark>, StoreError> {
        parsed(&self.lines(sender).await?)
    }

    pub(super) async fn remarks_about_all(&self) -> Result<Remarks, StoreError> {
        let name = self.remarks_key();
        let fields: BTreeMap<String, String> = self.link.command(redis::cmd("HGETALL").arg(name)).await?;
        let parse = |(sender, lines): (String, String)| match sender.parse() {
            Ok(sender) => Ok((sender, parsed(&lines)?)),
            Err(_) => Err(StoreError::Corrupt(format!("'{sender}' is no address").into())),
        };
        fields.into_iter().map(parse).collect()
    }

    pub(super) async fn add_remarks(&self, remarks: &Remarks) -> Result<(), StoreError> {
        for (sender, added) in remarks {
            self.add_remarks_about(*sender, added).await?;
        }
        Ok(())
    }

    async fn add_remarks_about(&self, sender: IpAddr, added: &[Remark]) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let known = self.lines(sender).await?;
            let mut remarks = parsed(&known)?;
            remarks.extend_from_slice(added);
            let lines = settled(remarks).iter().map(Remark::to_string).collect::<Vec<_>>().join("\n");
            let mut replace = redis::cmd("EVAL");
            replace.arg(REPLACE).arg(1).arg(self.remarks_key()).arg(sender.to_string()).arg(&known).arg(&lines);
            if lines == known || self.link.command(&replace).await? {
                return Ok(());
            }
        }
        Err(StoreError::Retry(format!("remarks about {sender} are being added by others all the time").into()))
    }

    /// Nothing if there are none.
    async fn lines(&self, sender: IpAddr) -> Result<String, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(self.remarks_key()).arg(sender.to_string());
        let lines: Option<String> = self.link.command(&get).await?;
        Ok(lines.unwrap_or_default())
    }

    fn remarks_key(&self) -> String {
        format!("{}:remarks", self.namespace)
    }
}

fn parsed(lines: &str) -> Result<Vec<Remark>, StoreError> {
    lines.lines().map(str::parse).collect()
}
