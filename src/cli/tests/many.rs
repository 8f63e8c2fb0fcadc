//! Arguments by the hundred thousand.

use std::time::{Duration, Instant};

use super::*;
use crate::cli::{
    low::LowArgs,
    rewrite::{Rewritten, rewrite},
};

#[test]
fn flags_by_the_hundred_thousand_keep_their_order_and_take_linear_time() {
    const COUNT: usize = 250_000;
    let mut arguments: Vec<OsString> = Vec::new();
    for n in 0..COUNT {
        // Switches and positionals in between, so that pieces begin anywhere.
        match n % 7 {
            0 => arguments.push("-d".into()),
            1 => arguments.push(format!("p{n}").into()),
            _ => {}
        }
        arguments.extend(["-t".into(), format!("t/{n}").into()]);
    }
    let begun = Instant::now();
    let Ok(Rewritten::Arguments(rewritten)) = rewrite(Command::Sub, arguments) else { panic!("good flags") };
    let low = LowArgs::extract(Command::Sub, rewritten).expect("good values");
    // Quadratic it was more than half a minute.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!((low.topics.len(), low.debug), (COUNT, COUNT.div_ceil(7)));
    assert!(low.topics.iter().enumerate().all(|(n, topic)| *topic == format!("t/{n}")));
    let positionals = (0..COUNT).filter(|n| n % 7 == 1).map(|n| OsString::from(format!("p{n}")));
    assert!(low.positionals.into_iter().eq(positionals));
}
