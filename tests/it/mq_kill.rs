//! `kill -9` of a subscriber with a kept session, again and again while messages flow: nothing is missing.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    mq_pipes::publish,
    support::{Running, mosquitto, temp_dir, wait_until, wspipe},
};

const KILLS: usize = 20;

/// All of one length, so that a record that a kill tore is told from a whole one.
fn line(n: usize) -> String {
    format!("{n:07} {}", "x".repeat(n % 7 + 50))
}

/// The subscriber, which adds to `file`.
fn subscriber(urls: &[String], round: usize, topic: &str, qos: &str, file: &Path) -> Running {
    let stdout = OpenOptions::new().create(true).append(true).open(file).expect("target/tmp is writable");
    let id = format!("killed-{qos}");
    wspipe(["sub", &urls[round % urls.len()], "-t", topic, "-q", qos, "-c", "-i", &id])
        .stdout(stdout)
        .shows(mosquitto::roomy().log())
        .start()
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |data| data.len())
}

#[test]
fn nothing_is_missing_after_kills() {
    let broker = mosquitto::roomy();
    let urls = [broker.ws_url(), broker.tcp_url()];
    for qos in ["1", "2"] {
        let topic = format!("kill/{qos}");
        let file = temp_dir("kill").join("out");
        // The session is there before the first message.
        let id = format!("killed-{qos}");
        let first = wspipe(["sub", &urls[0], "-t", &topic, "-q", qos, "-c", "-i", &id, "-E"]);
        first.run().status(0).says_nothing();
        let mut from = publish(&urls[0], &["-t", &topic, "-l", "-q", qos]).open_stdin().start();
        let mut stdin = from.take_stdin();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let feeder = thread::spawn(move || {
            let mut n = 0;
            while !stopped.load(Ordering::SeqCst) {
                let some: String = (n..n + 20).map(|n| line(n) + "\n").collect();
                std::io::Write::write_all(&mut stdin, some.as_bytes()).expect("pub reads");
                n += 20;
                thread::sleep(Duration::from_millis(2));
            }
            n
        });
        for round in 0..KILLS {
            let before = size(&file);
            let running = subscriber(&urls, round, &topic, qos, &file);
            assert!(wait_until(|| size(&file) > before), "round {round}: nothing came");
            // At one time or another of what it does.
            thread::sleep(Duration::from_millis(round as u64 * 3 % 17));
            running.signal(Signal::KILL);
            running.finish().signalled(Signal::KILL);
        }
        stop.store(true, Ordering::SeqCst);
        let sent = feeder.join().expect("it wrote all");
        from.finish().status(0).says_nothing();
        // The last one takes the rest.
        let last = subscriber(&urls, 0, &topic, qos, &file);
        let end = format!("{}\n", line(sent - 1));
        let whole = wait_until(|| fs::read(&file).is_ok_and(|out| out.ends_with(end.as_bytes())));
        last.signal(Signal::TERM);
        last.finish().signalled(Signal::TERM).says_nothing();
        assert!(whole, "the last message came");

        let out = fs::read_to_string(&file).expect("all of it is text");
        let number = |text: &str| text.get(..7).and_then(|digits| digits.parse::<usize>().ok());
        let (mut seen, mut torn) = (BTreeSet::new(), Vec::new());
        for record in out.lines() {
            match number(record).filter(|n| line(*n) == record) {
                Some(n) => drop(seen.insert(n)),
                None => torn.push(record),
            }
        }
        let missing: Vec<usize> = (0..sent).filter(|n| !seen.contains(n)).collect();
        assert!(missing.is_empty(), "QoS {qos}: {} of {sent} missing: {missing:?}", missing.len());
        assert!(seen.last().is_some_and(|n| *n < sent), "nothing that was not sent");
        // What a kill tore is the beginning of a record, on a line of its own, once a kill at most.
        assert!(torn.len() <= KILLS, "{torn:?}");
        for record in torn {
            let whole = number(record).map(line);
            assert!(record.len() < 7 || whole.is_some_and(|whole| whole.starts_with(record)), "{record:?}");
        }
        // Nothing is left, and the session ends.
        let rest =
            wspipe(["sub", &urls[1], "-t", &topic, "-q", qos, "-c", "-i", &id, "-W", "0.3", "-x", "0"]);
        rest.run().status(28).stdout_is("");
    }
}
