//! Clauses about senders: their prefixes, their last time, and what they announced.

use storage::registrations::RegisteredBy;

use super::*;

pub(crate) async fn prefixes_of_a_sender_add_up(store: &dyn Store) -> Outcome {
    assert_eq!(store.sender(sender(1)).await?, None);
    store.add_prefixes(sender(1), &[prefix(2), prefix(1)]).await?;
    store.add_prefixes(sender(1), &[prefix6(), prefix(2)]).await?;
    let found = store.sender(sender(1)).await?.ok_or("not there")?;
    assert_eq!(found.address, sender(1));
    assert_eq!(found.prefixes, [prefix(1), prefix(2), prefix6()]);
    assert_eq!(found.last, None);
    Ok(())
}

pub(crate) async fn senders_are_listed_by_address(store: &dyn Store) -> Outcome {
    assert_eq!(store.senders().await?, []);
    // As text, 192.0.2.10 comes before 192.0.2.9.
    for address in [sender6(), sender(10), sender(9)] {
        store.add_prefixes(address, &[prefix(1)]).await?;
    }
    store.add_prefixes(sender(8), &[]).await?;
    let senders = store.senders().await?;
    assert_eq!(
        senders.iter().map(|sender| sender.address).collect::<Vec<_>>(),
        [sender(8), sender(9), sender(10), sender6()]
    );
    for listed in senders {
        assert_eq!(store.sender(listed.address).await?, Some(listed));
    }
    Ok(())
}

pub(crate) async fn prefixes_are_removed_one_by_one(store: &dyn Store) -> Outcome {
    assert!(!store.remove_prefixes(sender(1), &[prefix(1)]).await?);
    assert_eq!(store.senders().await?, []);
    store.add_prefixes(sender(1), &[prefix(1), prefix(2)]).await?;
    store.add_prefixes(sender(2), &[prefix(1)]).await?;
    assert!(store.remove_prefixes(sender(1), &[prefix(1), prefix(7)]).await?);
    assert_eq!(store.sender(sender(1)).await?.ok_or("not there")?.prefixes, [prefix(2)]);
    assert!(store.remove_prefixes(sender(1), &[prefix(2)]).await?);
    assert_eq!(store.sender(sender(1)).await?.ok_or("a sender without prefixes stays")?.prefixes, []);
    assert_eq!(store.sender(sender(2)).await?.ok_or("not there")?.prefixes, [prefix(1)]);
    Ok(())
}

pub(crate) async fn settings_are_changed_one_by_one_and_end_with_their_sender(store: &dyn Store) -> Outcome {
    let settings = async |address| -> Result<String, Box<dyn Error>> {
        Ok(store.sender(address).await?.ok_or("not there")?.settings.to_string())
    };
    let set = async |text: &str| -> Result<(), Box<dyn Error>> {
        let settings = text.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(store.set(sender(1), &settings).await?)
    };
    set("samplingRate=100 outCounters=reverse").await?;
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    store.add_prefixes(sender(10), &[]).await?;
    assert_eq!(settings(sender(1)).await?, "samplingRate=100 outCounters=reverse");
    set("flowDirection=egress samplingRate=7").await?;
    assert_eq!(settings(sender(1)).await?, "samplingRate=7 flowDirection=egress outCounters=reverse");
    set("flowDirection=both samplingRate=announced natAddresses=reported").await?;
    assert_eq!(settings(sender(1)).await?, "outCounters=reverse");
    set("").await?;
    store.remove_prefixes(sender(1), &[prefix(1)]).await?;
    assert_eq!(
        (settings(sender(1)).await?.as_str(), settings(sender(10)).await?.as_str()),
        ("outCounters=reverse", "")
    );
    for listed in store.senders().await? {
        assert_eq!(store.sender(listed.address).await?, Some(listed));
    }
    store.remove_sender(sender(1)).await?;
    store.add_prefixes(sender(1), &[]).await?;
    assert_eq!(settings(sender(1)).await?, "");
    Ok(())
}

pub(crate) async fn tags_are_replaced_together_and_end_with_their_sender(store: &dyn Store) -> Outcome {
    let tags = async |address| -> Result<String, Box<dyn Error>> {
        let tags = store.sender(address).await?.ok_or("not there")?.tags;
        Ok(tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    let put = async |address, text: &str| -> Result<(), Box<dyn Error>> {
        let tags = text.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(store.put_tags(address, &tags).await?)
    };
    put(sender(1), "site-a edge edge").await?;
    put(sender(10), "core").await?;
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    store.set(sender(1), &["samplingRate=100".parse()?]).await?;
    assert_eq!(tags(sender(1)).await?, "edge site-a");
    put(sender(1), "edge Site.B").await?;
    assert_eq!((tags(sender(1)).await?.as_str(), tags(sender(10)).await?.as_str()), ("Site.B edge", "core"));
    for listed in store.senders().await? {
        assert_eq!(store.sender(listed.address).await?, Some(listed));
    }
    put(sender(1), "").await?;
    let untagged = store.sender(sender(1)).await?.ok_or("not there")?;
    assert_eq!((untagged.tags.len(), untagged.prefixes.len()), (0, 1));
    assert_eq!(untagged.settings.to_string(), "samplingRate=100");
    store.remove_sender(sender(10)).await?;
    store.add_prefixes(sender(10), &[]).await?;
    assert_eq!(tags(sender(10)).await?, "");
    Ok(())
}

pub(crate) async fn names_and_who_registered_are_replaced_alone(store: &dyn Store) -> Outcome {
    let known = async |address| -> Result<(Option<String>, RegisteredBy), Box<dyn Error>> {
        let found = store.sender(address).await?.ok_or("not there")?;
        assert!(store.senders().await?.contains(&found));
        Ok((found.name.map(|name| name.to_string()), found.by))
    };
    use RegisteredBy::{Acceptance, Configuration, Request};
    store.register(sender(1), Configuration).await?;
    store.register(sender(1), Acceptance).await?;
    store.register(sender(1), Acceptance).await?;
    store.put_name(sender(10), Some("edge".parse()?)).await?;
    assert_eq!(
        (known(sender(1)).await?, known(sender(10)).await?),
        ((None, Acceptance), (Some("edge".to_owned()), Request))
    );
    store.put_name(sender(1), Some("edge-1.example.net".parse()?)).await?;
    store.put_name(sender(1), Some("edge-1".parse()?)).await?;
    store.put_name(sender(10), None).await?;
    assert_eq!(
        (known(sender(1)).await?, known(sender(10)).await?),
        ((Some("edge-1".to_owned()), Acceptance), (None, Request))
    );
    store.register(sender(1), Request).await?;
    assert_eq!(known(sender(1)).await?, (Some("edge-1".to_owned()), Request));
    let certificate_name = async || -> Result<Option<String>, Box<dyn Error>> {
        let found = store.sender(sender(1)).await?.ok_or("not there")?;
        assert!(store.senders().await?.contains(&found));
        Ok(found.certificate_name.map(|name| name.to_string()))
    };
    store.put_certificate_name(sender(1), Some("edge-1.example.net".parse()?)).await?;
    store.put_certificate_name(sender(1), Some("edge.example.net".parse()?)).await?;
    assert_eq!(certificate_name().await?.as_deref(), Some("edge.example.net"));
    assert_eq!(known(sender(1)).await?, (Some("edge-1".to_owned()), Request));
    store.put_certificate_name(sender(1), None).await?;
    assert_eq!(certificate_name().await?, None);
    store.put_certificate_name(sender(1), Some("edge.example.net".parse()?)).await?;
    store.remove_sender(sender(1)).await?;
    store.add_prefixes(sender(1), &[]).await?;
    assert_eq!(known(sender(1)).await?, (None, Request));
    assert_eq!(certificate_name().await?, None);

    let refused = async || -> Result<Vec<IpAddr>, Box<dyn Error>> {
        Ok(store.sender(OPERATOR).await?.ok_or("not there")?.refused)
    };
    // One text begins as the other.
    store.refuse(sender(1), true).await?;
    store.refuse(sender(10), true).await?;
    store.refuse(sender(1), false).await?;
    store.refuse(sender(7), false).await?;
    assert_eq!(refused().await?, [sender(10)]);
    Ok(())
}

pub(crate) async fn networks_are_replaced_by_prefix_and_removed(store: &dyn Store) -> Outcome {
    let networks = async || -> Result<Vec<String>, Box<dyn Error>> {
        let operator = store.sender(OPERATOR).await?.ok_or("not there")?;
        let listed = store.senders().await?.into_iter().find(|sender| sender.address == OPERATOR);
        let mut networks: Vec<String> = operator.networks.iter().map(ToString::to_string).collect();
        let mut in_list: Vec<String> = listed.ok_or("not listed")?.networks.iter().map(ToString::to_string).collect();
        networks.sort_unstable();
        in_list.sort_unstable();
        assert_eq!(networks, in_list);
        Ok(networks)
    };
    let put = async |text: &str| -> Outcome {
        let network: Network = text.parse()?;
        Ok(store.put_network(network.prefix, Some(&network)).await?)
    };
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    // One text begins as the other.
    put("16.0.0.0/4 name=a senders=all").await?;
    put("16.0.0.0/4 name=b customer=customer-a tags=x,y as=64500 senders=tag:edge,192.0.2.1").await?;
    let four = "16.0.0.0/4 name=b customer=customer-a tags=x,y as=64500 senders=tag:edge,192.0.2.1";
    put("2001:db8::/32 senders=none").await?;
    put("16.0.0.0/24 name=c senders=all").await?;
    assert_eq!(networks().await?, ["16.0.0.0/24 name=c senders=all", four, "2001:db8::/32 senders=none"]);
    store.put_network("16.0.0.0/4".parse()?, None).await?;
    store.put_network("17.0.0.0/8".parse()?, None).await?;
    assert_eq!(networks().await?, ["16.0.0.0/24 name=c senders=all", "2001:db8::/32 senders=none"]);
    assert_eq!(store.sender(sender(1)).await?.ok_or("not there")?.prefixes, [prefix(1)]);
    Ok(())
}

pub(crate) async fn a_sender_is_forgotten_with_its_prefixes(store: &dyn Store) -> Outcome {
    assert!(!store.remove_sender(sender(1)).await?);
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    store.add_prefixes(sender(10), &[prefix(1)]).await?;
    store.touch_senders(&[(sender(1), Timestamp::from_seconds(5))]).await?;
    store.put_blocks(&[block(key())]).await?;
    assert!(store.remove_sender(sender(1)).await?);
    assert!(!store.remove_sender(sender(1)).await?);
    assert_eq!(store.sender(sender(1)).await?, None);
    assert_eq!(store.senders().await?.len(), 1, "the other one stays");
    assert_eq!(stored(store, &[around(key())]).await?, [block(key())], "what was counted stays");
    store.add_prefixes(sender(1), &[prefix(2)]).await?;
    let again = store.sender(sender(1)).await?.ok_or("not there")?;
    assert_eq!((again.prefixes, again.last), (vec![prefix(2)], None), "it begins without a time");
    Ok(())
}

pub(crate) async fn the_last_time_of_a_sender_never_goes_back(store: &dyn Store) -> Outcome {
    let at = |nanoseconds: u64| Timestamp::from_nanoseconds(1_700_000_000_000_000_000 + nanoseconds);
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    store.add_prefixes(sender6(), &[prefix6()]).await?;
    let last = async |address| Ok::<_, Box<dyn Error>>(store.sender(address).await?.ok_or("not there")?.last);
    for (touch, expected) in [(at(2_000), at(2_000)), (at(1_000), at(2_000)), (at(9_000), at(9_000))] {
        store.touch_senders(&[(sender(1), touch), (sender(9), touch)]).await?;
        assert_eq!(last(sender(1)).await?, Some(expected));
    }
    assert_eq!(last(sender6()).await?, None);
    assert_eq!(store.sender(sender(9)).await?, None, "touching does not register");
    assert_eq!(store.senders().await?.len(), 2);
    store.touch_senders(&[]).await?;
    Ok(())
}

pub(crate) async fn templates_are_remembered_until_others_come_or_the_sender_goes(store: &dyn Store) -> Outcome {
    // A store on this machine's disk may also list those of senders that were removed.
    let known = async || {
        let mut known = store.templates().await?;
        let registered: Vec<_> = store.senders().await?.into_iter().map(|sender| sender.address).collect();
        known.retain(|(address, _)| registered.contains(address));
        known.sort();
        Ok::<_, Box<dyn Error>>(known)
    };
    assert_eq!(known().await?, []);
    for address in [sender(1), sender(10), sender6()] {
        store.add_prefixes(address, &[prefix(1)]).await?;
    }
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(700_000).collect();
    let longer = b"longer than what comes later".to_vec();
    store.put_templates(&[(sender(1), longer), (sender6(), every_byte.clone()), (sender(10), vec![])]).await?;
    for _ in 0..2 {
        store.put_templates(&[(sender(1), vec![0, 255])]).await?;
    }
    store.put_templates(&[]).await?;
    store.touch_senders(&[(sender(1), Timestamp::from_seconds(5))]).await?;
    assert_eq!(known().await?, [(sender(1), vec![0, 255]), (sender(10), vec![]), (sender6(), every_byte)]);
    assert_eq!(store.senders().await?.len(), 3);
    assert!(store.remove_sender(sender(1)).await? && store.remove_sender(sender6()).await?);
    assert_eq!(known().await?, [(sender(10), vec![])]);
    store.put_templates(&[(sender(9), vec![1])]).await?;
    assert_eq!(store.sender(sender(9)).await?, None, "announcing does not register");
    assert_eq!(store.senders().await?.len(), 1);
    Ok(())
}
