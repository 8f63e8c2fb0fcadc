//! RabbitMQ with its WebSocket plugin: the broker that is not mosquitto. Its 3.10 speaks MQTT 3.1.1 only, 4.0 speaks
//! 5.0 as well; it knows no QoS 2, and listens for WebSocket on the path `/ws`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Peer, free_port, temp_dir, wait_within};

/// Where Debian has the script that becomes the broker. The one in /usr/sbin would change the user, and the home.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// The Erlang machine takes 5 to 10 s to start, and waits 3 to 6 s more for others of its cluster.
const START: Duration = Duration::from_secs(90);

/// The broker and the name server of its Erlang node, which outlives it if it is not ended too. Both are children of
/// this, and end with it; so does this when the broker ends. `detached` makes the broker's script become the broker,
/// so that `$!` is its process identifier. Killed, since what it stores is for nobody, and its orderly end takes
/// seconds.
const SCRIPT: &str = r#"broker= names=
trap 'kill -KILL $broker; kill $names; wait; exit 0' TERM
epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" & names=$!
"$0" & broker=$!
echo $broker >broker.pid
wait $broker
kill $names
wait"#;

/// A broker. The user `guest` with the password `guest` may log in, and so may anyone without a name.
pub struct RabbitMq {
    peer: Peer,
    dir: PathBuf,
    names: u16,
    nodes: u16,
    ws: u16,
    tcp: u16,
}

/// The one that the tests of this process share. Client ids and topics keep them apart.
pub fn shared() -> &'static RabbitMq {
    static BROKER: OnceLock<RabbitMq> = OnceLock::new();
    BROKER.get_or_init(start)
}

/// It speaks MQTT 5.0 since 3.13.
pub fn speaks_5() -> bool {
    let mut versions =
        fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut parts =
                name.strip_prefix("rabbitmq_server-")?.split('.').map_while(|part| part.parse::<u32>().ok());
            Some((parts.next()?, parts.next()?))
        });
    versions.any(|version| version >= (3, 13))
}

/// One of a test's own.
pub fn start() -> RabbitMq {
    let server = Path::new(SERVER);
    assert!(server.exists(), "no {SERVER}: run scripts/setup");
    (0..3).find_map(|_| try_start()).expect("RabbitMQ starts: run scripts/setup")
}

impl RabbitMq {
    /// The WebSocket listener.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.ws)
    }

    /// The listener for MQTT over TCP.
    pub fn tcp_url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.tcp)
    }

    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }

    /// What only processes of this broker have in their environment.
    pub fn mark(&self) -> String {
        self.dir.to_string_lossy().into_owned()
    }

    /// Ends it as its service manager would, and starts it again on the same ports with what it stored.
    pub fn restart(self) -> RabbitMq {
        let RabbitMq { mut peer, dir, names, nodes, ws, tcp } = self;
        let pid = fs::read_to_string(dir.join("broker.pid")).expect("written before it was ready");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process identifier");
        kill_process(pid, Signal::TERM).expect("it runs");
        assert!(wait_within(START, || peer.has_ended()), "RabbitMQ does not end:\n{}", peer.said());
        let mut peer = run(&dir, names, nodes);
        assert!(peer.ready_within(START, &[ws, tcp]), "RabbitMQ ended at once:\n{}", peer.said());
        RabbitMq { peer, dir, names, nodes, ws, tcp }
    }
}

fn try_start() -> Option<RabbitMq> {
    let dir = temp_dir("rabbitmq");
    let [names, nodes, ws, tcp] = [(); 4].map(|()| free_port());
    let conf = format!(
        "listeners.tcp = none\n\
         mqtt.listeners.tcp.1 = 127.0.0.1:{tcp}\n\
         web_mqtt.tcp.ip = 127.0.0.1\n\
         web_mqtt.tcp.port = {ws}\n\
         disk_free_limit.absolute = 1MB\n"
    );
    fs::write(dir.join("rabbitmq.conf"), conf).expect("target/tmp is writable");
    fs::write(dir.join("plugins"), "[rabbitmq_web_mqtt].\n").expect("target/tmp is writable");
    let mut peer = run(&dir, names, nodes);
    if !peer.ready_within(START, &[ws, tcp]) {
        eprintln!("RabbitMQ ended at once:\n{}", peer.said());
        return None;
    }
    Some(RabbitMq { peer, dir, names, nodes, ws, tcp })
}

/// Everything that it would look for, write or listen on elsewhere is set to be ours.
fn run(dir: &Path, names: u16, nodes: u16) -> Peer {
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let settings = [
        ("HOME", at("")),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", names.to_string()),
        ("RABBITMQ_NODENAME", format!("wspipe{nodes}@localhost")),
        ("RABBITMQ_DIST_PORT", nodes.to_string()),
        ("RABBITMQ_SERVER_START_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
        ("RABBITMQ_CONF_ENV_FILE", at("environment")),
        ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins")),
        ("RABBITMQ_MNESIA_BASE", at("data")),
        ("RABBITMQ_LOG_BASE", at("log")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        ("NOTIFY_SOCKET", String::new()),
        ("detached", "yes".to_owned()),
    ];
    let settings = settings.map(|(name, value)| format!("{name}={value}"));
    let mut args: Vec<&str> = settings.iter().map(String::as_str).collect();
    args.extend(["/bin/sh", "-c", SCRIPT, SERVER]);
    Peer::start("env", &args, dir)
}
