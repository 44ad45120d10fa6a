use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn sorted(map: &CounterMap<u32>) -> Vec<(u32, Counters)> {
    let mut rows = Vec::new();
    map.each(|key, counters| rows.push((key, counters)));
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}

fn count(bytes: u64) -> Counters {
    Counters { bytes, packets: 1, flows: 1 }
}

fn add<K: MapKey>(map: &mut CounterMap<K>, key: K, counters: Counters) -> bool {
    map.add_counters(key, counters)
}

fn get<K: MapKey>(map: &CounterMap<K>, key: K) -> Option<Counters> {
    map.get(key, key.hash(Seed::of_process()))
}

#[test]
fn a_bucket_of_short_keys_is_a_cache_line() {
    assert_eq!(size_of::<Bucket<u32>>(), 64);
    assert_eq!(size_of::<Bucket<u128>>(), 128);
}

#[test]
fn a_map_that_was_large_gives_its_room_back_when_little_of_it_is_used() {
    let mut map = CounterMap::default();
    (0..1000u32).for_each(|key| assert!(add(&mut map, key, count(1))));
    map.clear();
    assert_eq!(map.buckets.len() * SLOTS, 2048);
    add(&mut map, 1, count(1));
    map.clear();
    assert_eq!(map.buckets.len(), 0);
}

#[test]
fn keys_in_a_row_do_not_pile_up() {
    let seed = Seed::of_process();
    for step in [1u32, 2, 256, 65_536, 0x0101_0101] {
        let mut map = CounterMap::default();
        for number in 0..12_000u32 {
            assert!(add(&mut map, number.wrapping_mul(step), count(1)));
        }
        let mask = map.buckets.len() - 1;
        let displaced = map
            .buckets
            .iter()
            .enumerate()
            .flat_map(|(at, bucket)| bucket.taken().filter(move |slot| bucket.keys[*slot].hash(seed) & mask != at));
        assert_eq!(mask, 4095);
        let displaced = displaced.count();
        assert!(displaced < 12_000 / 2, "{displaced} of 12000 are not where they belong, step {step}");
    }
}

#[test]
fn sums_that_do_not_fit_a_slot_are_exact() {
    let most = Counters { bytes: MOST_BYTES, packets: u32::MAX.into(), flows: MOST_FLOWS };
    let mut map = CounterMap::<u32>::default();
    let mut sum = Counters::ZERO;
    for more in [most, count(1), Counters { flows: 1 << 40, ..most }, Counters { packets: 1 << 60, ..most }, most] {
        add(&mut map, 7, more);
        sum.add(more);
        assert_eq!(get(&map, 7), Some(sum));
    }
    assert_eq!((map.len(), sorted(&map)), (1, vec![(7, sum)]));
    map.retain(&mut Vec::new(), |_, counters| *counters == sum);
    assert_eq!(sorted(&map), [(7, sum)]);
    add(&mut map, 7, Counters { bytes: u64::MAX, packets: u64::MAX, flows: u64::MAX });
    assert_eq!(get(&map, 7), Some(Counters { bytes: u64::MAX, packets: u64::MAX, flows: u64::MAX }));
    map.clear();
    assert_eq!(get(&map, 7), None);
    add(&mut map, 7, count(1));
    assert_eq!(get(&map, 7), Some(count(1)));
}

proptest! {
    #[test]
    fn it_is_a_map(operations in prop::collection::vec((0u32..200, prop_oneof![0u64..5, MOST_BYTES - 2..MOST_BYTES + 3], 0u8..100), 0..600)) {
        let mut map = CounterMap::default();
        let mut model: BTreeMap<u32, Counters> = BTreeMap::new();
        for (key, bytes, operation) in operations {
            match operation {
                0 => {
                    map.clear();
                    model.clear();
                }
                1 | 2 => {
                    map.retain(&mut Vec::new(), |key, counters| key % 3 != 0 && counters.bytes > 0);
                    model.retain(|key, counters| key % 3 != 0 && counters.bytes > 0);
                }
                _ => {
                    prop_assert_eq!(add(&mut map, key, count(bytes)), !model.contains_key(&key));
                    model.entry(key).or_default().add(count(bytes));
                }
            }
            prop_assert_eq!(get(&map, key), model.get(&key).copied());
            prop_assert_eq!(map.len(), model.len());
        }
        prop_assert_eq!(sorted(&map), model.into_iter().collect::<Vec<_>>());
    }
}
