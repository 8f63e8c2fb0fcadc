//! The README's table for those who come from other tools: each of our lines is run, and does what its row promises.
//! `coming_mqtt` and `coming_ws` run them; here they are held to be all of them.

use crate::{coming_mqtt, coming_ws, support::coming::rows};

#[test]
fn every_row_is_run() {
    let expected: Vec<&str> = coming_mqtt::ROWS.iter().map(|(there, _)| *there).collect();
    let expected = [expected, coming_ws::ROWS.iter().map(|(there, _)| *there).collect()].concat();
    let rows = rows();
    let (mut there, mut expected): (Vec<&str>, _) =
        (rows.iter().map(|row| &row.there[..]).collect(), expected);
    there.sort_unstable();
    expected.sort_unstable();
    assert_eq!(there, expected, "the README's rows, and those that are run");
}
