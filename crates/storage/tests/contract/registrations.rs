//! What a store on the network must do besides the contract: number the changes of registrations, and take back those that
//! it has lost. The macro [`registrations_contract`] makes a test of each clause, as `contract` does.

#![expect(clippy::expect_used, reason = "inputs of tests that cannot be made are failures")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use flow::{Network, Prefix, Setting, Timestamp};
use storage::registrations::{OPERATOR, Part};
use storage::{Registration, Registrations, Store, StoreError};

type Outcome = Result<(), Box<dyn Error>>;

macro_rules! registrations_contract {
    ($make:path) => {
        registrations_contract! { $make:
            each_change_of_a_registration_has_a_greater_number
            what_a_store_has_lost_is_put_again
            what_is_put_again_is_ignored_where_the_store_knows_a_newer_change
            changes_of_a_sender_at_the_same_time_all_arrive
            a_changed_setting_has_a_greater_number_and_is_put_again
            a_network_that_a_store_has_lost_is_put_again
        }
    };
    ($make:path: $($clause:ident)+) => {
        $(
            #[tokio::test]
            async fn $clause() {
                let (store, _keep) = $make().await;
                registrations::$clause(&store).await.unwrap();
            }
        )+
    };
}

fn sender(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn sender6() -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()
}

fn prefix(number: u8) -> Prefix {
    Prefix::new(Ipv4Addr::new(172, 16, number, 0).into(), 24).expect("a first address")
}

fn part(number: u8) -> Part {
    Part::Prefix(prefix(number))
}

fn prefix6() -> Prefix {
    Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into(), 32).expect("a first address")
}

fn of(registrations: &Registrations, host: u8, prefix: Option<Prefix>) -> Registration {
    registrations.get(&(sender(host), prefix.map(Part::Prefix))).copied().unwrap_or_default()
}

fn registered(number: u64) -> Registration {
    Registration { is_registered: true, number }
}

fn removed(number: u64) -> Registration {
    Registration { is_registered: false, number }
}

pub(crate) async fn each_change_of_a_registration_has_a_greater_number(store: &dyn Store) -> Outcome {
    assert_eq!(store.registrations().await?, Registrations::new());
    store.add_prefixes(sender(1), &[prefix(1), prefix(2)]).await?;
    let first = store.registrations().await?;
    assert_eq!(first.len(), 3);
    assert!(first.values().all(|of| of.is_registered && of.number > 0), "{first:?}");
    assert!(store.remove_prefixes(sender(1), &[prefix(1), prefix(7)]).await?);
    let second = store.registrations().await?;
    assert_eq!(second.len(), 3, "what was not registered has no number: {second:?}");
    assert!(of(&second, 1, None).is_registered);
    let gone = of(&second, 1, Some(prefix(1)));
    assert!(!gone.is_registered && gone.number > of(&first, 1, Some(prefix(1))).number, "{gone:?}");
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    let third = store.registrations().await?;
    let back = of(&third, 1, Some(prefix(1)));
    assert!(back.is_registered && back.number > gone.number, "{back:?}");
    assert!(store.remove_sender(sender(1)).await?);
    let last = store.registrations().await?;
    assert_eq!(last.keys().collect::<Vec<_>>(), third.keys().collect::<Vec<_>>());
    for ((entry, last), third) in last.iter().zip(third.values()) {
        assert!(!last.is_registered && last.number > third.number, "{entry:?} {last:?}");
    }
    assert!(!store.remove_sender(sender(1)).await? && !store.remove_prefixes(sender(2), &[prefix(1)]).await?);
    assert_eq!(store.registrations().await?, last);
    Ok(())
}

pub(crate) async fn what_a_store_has_lost_is_put_again(store: &dyn Store) -> Outcome {
    // Older removals are forgotten.
    let now = Timestamp::from(SystemTime::now()).milliseconds();
    let lost = Registrations::from([
        ((sender(1), None), registered(5)),
        ((sender(1), Some(part(1))), registered(6)),
        ((sender(1), Some(part(2))), removed(now)),
        ((sender(2), None), removed(now)),
        ((sender(3), Some(part(1))), removed(now)),
        ((sender6(), None), registered(9)),
        ((sender6(), Some(Part::Prefix(prefix6()))), registered(9)),
    ]);
    for _ in 0..2 {
        store.put_registrations(&lost).await?;
        assert_eq!(store.registrations().await?, lost);
        let listed = store.senders().await?.into_iter().map(|sender| (sender.address, sender.prefixes));
        assert_eq!(listed.collect::<Vec<_>>(), [(sender(1), vec![prefix(1)]), (sender6(), vec![prefix6()])]);
    }
    store.put_registrations(&Registrations::new()).await?;
    assert_eq!(store.registrations().await?, lost);
    Ok(())
}

pub(crate) async fn what_is_put_again_is_ignored_where_the_store_knows_a_newer_change(store: &dyn Store) -> Outcome {
    store.add_prefixes(sender(1), &[prefix(1), prefix(2)]).await?;
    store.add_prefixes(sender(2), &[prefix(1)]).await?;
    store.put_templates(&[(sender(1), vec![1]), (sender(2), vec![2])]).await?;
    assert!(store.remove_prefixes(sender(1), &[prefix(2)]).await?);
    let stored = store.registrations().await?;
    let older = stored
        .iter()
        .map(|(entry, of)| (entry.clone(), Registration { is_registered: !of.is_registered, number: of.number - 1 }));
    store.put_registrations(&older.collect()).await?;
    let equal =
        stored.iter().map(|(entry, of)| (entry.clone(), Registration { is_registered: !of.is_registered, ..*of }));
    store.put_registrations(&equal.collect()).await?;
    assert_eq!(store.registrations().await?, stored);
    let number = of(&stored, 2, None).number + 1;
    let newer = [(sender(2), None), (sender(2), Some(part(1)))].map(|entry| (entry, removed(number)));
    store.put_registrations(&newer.into()).await?;
    assert_eq!(store.senders().await?.into_iter().map(|sender| sender.address).collect::<Vec<_>>(), [sender(1)]);
    assert_eq!(store.templates().await?, [(sender(1), vec![1])], "templates end with their sender");
    Ok(())
}

pub(crate) async fn changes_of_a_sender_at_the_same_time_all_arrive(store: &dyn Store) -> Outcome {
    const MANY: u8 = 6;
    let all: Vec<Prefix> = (1..=MANY).map(prefix).collect();
    let change = async |number: u8| {
        // A cluster that is asked to do too much at once may answer that it does not know the outcome.
        while let Err(error) = store.add_prefixes(sender(1), &[prefix(number)]).await {
            assert!(matches!(error, StoreError::Retry(_)), "{error:?}");
        }
    };
    tokio::join!(change(1), change(2), change(3), change(4), change(5), change(6));
    assert_eq!(store.sender(sender(1)).await?.ok_or("not there")?.prefixes, all);
    let stored = store.registrations().await?;
    assert_eq!(stored.len(), 1 + usize::from(MANY));
    assert!(stored.values().all(|of| of.is_registered && of.number > 0), "{stored:?}");
    Ok(())
}

pub(crate) async fn a_changed_setting_has_a_greater_number_and_is_put_again(store: &dyn Store) -> Outcome {
    let setting = |text: &str| text.parse::<Setting>();
    let entry = |text: &str| setting(text).map(|setting| (sender(1), Some(Part::Setting(setting))));
    store.set(sender(1), &[setting("samplingRate=100")?, setting("natAddresses=inside")?]).await?;
    let first = store.registrations().await?;
    let number = |of: &Registrations, text: &str| -> Result<_, Box<dyn Error>> { Ok(of.get(&entry(text)?).copied()) };
    let hundred = number(&first, "samplingRate=100")?.ok_or("no number")?;
    assert!(hundred.is_registered && hundred.number > 0);
    store.set(sender(1), &[setting("samplingRate=200")?]).await?;
    let second = store.registrations().await?;
    let replaced = number(&second, "samplingRate=100")?.ok_or("no number")?;
    assert!(!replaced.is_registered && replaced.number > hundred.number, "{replaced:?}");
    let lost = Registrations::from([
        ((sender(2), None), registered(5)),
        ((sender(2), Some(Part::Setting(setting("flowDirection=ingress")?))), registered(5)),
    ]);
    store.put_registrations(&lost).await?;
    let texts: Vec<String> = store.senders().await?.iter().map(|sender| sender.settings.to_string()).collect();
    assert_eq!(texts, ["samplingRate=200 natAddresses=inside", "flowDirection=ingress"]);
    Ok(())
}

pub(crate) async fn a_network_that_a_store_has_lost_is_put_again(store: &dyn Store) -> Outcome {
    let network = |text: &str| text.parse::<Network>();
    let entry = |text: &str| network(text).map(|network| (OPERATOR, Some(Part::Network(Box::new(network)))));
    let [former, latter] = ["10.0.0.0/8 name=a senders=all", "10.0.0.0/8 name=b senders=all"];
    let prefix = "10.0.0.0/8".parse()?;
    store.put_network(prefix, Some(&network(former)?)).await?;
    let first = store.registrations().await?;
    store.put_network(prefix, Some(&network(latter)?)).await?;
    let second = store.registrations().await?;
    let number = |of: &Registrations, text: &str| -> Result<_, Box<dyn Error>> { Ok(of.get(&entry(text)?).copied()) };
    let before = number(&first, former)?.ok_or("no number")?;
    let after = number(&second, former)?.ok_or("no number")?;
    assert!(before.is_registered && !after.is_registered && after.number > before.number, "{before:?} {after:?}");
    let lost = "2001:db8::/32 customer=customer-a as=64500 senders=none";
    store.put_registrations(&Registrations::from([(entry(lost)?, registered(5))])).await?;
    let operator = store.sender(OPERATOR).await?.ok_or("not there")?;
    let mut networks: Vec<String> = operator.networks.iter().map(ToString::to_string).collect();
    networks.sort_unstable();
    assert_eq!(networks, [latter, lost]);
    Ok(())
}
