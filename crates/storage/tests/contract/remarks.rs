//! Clauses about remarks.

use storage::remarks::{OWN_NETWORKS, REMARKS_KEPT};
use storage::{Remark, Remarks};

use super::*;

pub(crate) fn remark(seconds: u64, kind: &str, was: &str, is: &str) -> Remark {
    Remark { time: Timestamp::from_seconds(seconds), kind: kind.into(), was: was.into(), is: is.into() }
}

pub(crate) async fn remarks_stay_when_their_sender_goes(store: &dyn Store) -> Outcome {
    assert_eq!(store.all_remarks().await?, Remarks::new());
    assert_eq!(store.remarks(sender(1)).await?, []);
    store.put_remarks(&Remarks::new()).await?;
    // As text, 10 comes before 9; and both families change in one moment.
    let first = [
        remark(9, OWN_NETWORKS, "", "10.0.0.0/8, 11.0.0.0/8"),
        remark(9, OWN_NETWORKS, "2001:db8::/32", ""),
        remark(10, "samplingRate", "announced", "1000"),
    ];
    let other = [remark(7, "calculateSamples", "true", "false")];
    store.put_remarks(&Remarks::from([(sender(1), first.to_vec()), (sender6(), other.to_vec())])).await?;
    let earlier = remark(8, "samplingRate", "3", "announced");
    store.put_remarks(&Remarks::from([(sender(1), vec![earlier.clone()])])).await?;
    store.add_prefixes(sender(1), &[prefix(1)]).await?;
    store.remove_sender(sender(1)).await?;
    let expected = [vec![earlier], first.to_vec()].concat();
    assert_eq!(store.remarks(sender(1)).await?, expected);
    assert_eq!(store.remarks(sender(2)).await?, []);
    let all = Remarks::from([(sender(1), expected), (sender6(), other.to_vec())]);
    assert_eq!(store.all_remarks().await?, all);
    Ok(())
}

pub(crate) async fn a_remark_that_comes_again_is_there_once(store: &dyn Store) -> Outcome {
    let put = async |remark: Remark| store.put_remarks(&Remarks::from([(sender(1), vec![remark])])).await;
    let [there, noticed_later] = [5, 8].map(|seconds| remark(seconds, "samplingRate", "1", "9"));
    let [back, again] = [remark(10, "samplingRate", "9", "1"), remark(12, "samplingRate", "1", "9")];
    for remark in [&noticed_later, &there, &there, &back, &again, &noticed_later] {
        put(remark.clone()).await?;
    }
    assert_eq!(store.remarks(sender(1)).await?, [there, back, again]);
    Ok(())
}

pub(crate) async fn the_newest_remarks_about_a_sender_are_kept(store: &dyn Store) -> Outcome {
    let many =
        |from: u64, to| (from..to).map(|second| remark(second, "samplingRate", &second.to_string(), "1")).collect();
    store.put_remarks(&Remarks::from([(sender(1), many(0, 200))])).await?;
    store.put_remarks(&Remarks::from([(sender(1), many(200, 300)), (sender(2), many(0, 1))])).await?;
    let kept: Vec<Remark> = many(300 - REMARKS_KEPT as u64, 300);
    assert_eq!(store.remarks(sender(1)).await?, kept);
    assert_eq!(store.remarks(sender(2)).await?.len(), 1);
    Ok(())
}
