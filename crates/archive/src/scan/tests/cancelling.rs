//! A question that is cancelled ends after a bounded amount of work, whatever is left to read.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::scan::group_rows::WINDOW;
use crate::scan::work::{Queue, Stop};

/// Files of several windows each.
fn large() -> Archive {
    Archive::new(24 * WINDOW)
}

#[test]
fn an_export_ends_within_some_thousand_rows() {
    let archive = large();
    let cancelled = AtomicBool::new(false);
    let scan = Scan { cancelled: &cancelled, ..archive.scan(256 << 20, 1) };
    let (all, mut visited) = (archive.rows.len(), 0);
    let outcome = scan.each_row(&both_hours(), &Filter::default(), Columns::ALL, &mut |_| {
        visited += 1;
        cancelled.store(visited >= all / 2, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(matches!(outcome, Err(ScanError::Cancelled)), "{outcome:?}");
    assert!((all / 2..=all / 2 + WINDOW).contains(&visited), "{visited} of {all}");
}

#[test]
fn each_thread_of_a_question_ends_with_its_window() {
    let archive = large();
    for (threads, before) in [(1, 0), (3, 0), (3, 5)] {
        let cancelled = AtomicBool::new(false);
        let scan = Scan { cancelled: &cancelled, ..archive.scan(256 << 20, threads) };
        let sources = scan.sources(&both_hours(), Columns::ALL).unwrap();
        let selector = Selector::new(&both_hours(), &Filter::default()).unwrap();
        let (budget, left_out) = (Budget::new(256 << 20), LeftOutParts::default());
        let work = scan.work(&budget, &selector, &left_out, threads);
        let (queue, windows) = (Queue::new(&work, &sources.all), AtomicUsize::new(0));
        let outcomes = work.in_threads(|| -> Result<(), Stop> {
            while let Some(task) = queue.next()? {
                work.read(&task, Columns::ALL, |_, _| {
                    let number = windows.fetch_add(1, Ordering::Relaxed);
                    cancelled.fetch_or(number >= before, Ordering::Relaxed);
                    Ok(())
                })?;
            }
            Ok(())
        });
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Stop::Cancelled))), "{outcomes:?}");
        // One that has begun a window finishes it.
        let windows = windows.into_inner();
        assert!((before + 1..=before + threads).contains(&windows), "{windows} windows in {threads} threads");
    }
}
