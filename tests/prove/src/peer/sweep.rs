//! Many points of an exchange, some of them at once.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::held;
use crate::scratch::Scratch;

/// Runs `work` for each point, `at_once` of them side by side, each in a directory that no other has meanwhile.
/// How often it had which result; or what was wrong at some of them.
pub fn tally<P: Sync>(
    points: &[P],
    at_once: usize,
    scratch: &Scratch,
    work: impl Fn(&P, &Path) -> Result<String, String> + Sync,
) -> Result<BTreeMap<String, usize>, String> {
    let next = AtomicUsize::new(0);
    let (wrong, tally) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for slot in 0..at_once {
            let (work, next, wrong, tally) = (&work, &next, &wrong, &tally);
            scope.spawn(move || {
                let dir = match scratch.slot(slot) {
                    Ok(dir) => dir,
                    Err(error) => return held(wrong).push(error),
                };
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    match work(point, &dir) {
                        Ok(result) => *held(tally).entry(result).or_insert(0) += 1,
                        Err(error) => held(wrong).push(error),
                    }
                }
            });
        }
    });
    let (wrong, tally) = (held(&wrong), held(&tally));
    if !wrong.is_empty() {
        let some: Vec<&String> = wrong.iter().take(8).collect();
        return Err(format!("{} of {} points: {some:#?}", wrong.len(), points.len()));
    }
    Ok(tally.clone())
}
