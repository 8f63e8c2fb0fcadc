//! What other tools' users type: the README's table, and every option of those tools.

use super::*;
use crate::cli::suggest;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The columns of the table: the other tool's line, ours.
fn rows() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(README).expect("the README is there");
    let (_, table) = readme.split_once("\n## Coming from ").expect("the README has this section");
    let table = table.split("\n## ").next().unwrap_or(table);
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let columns = rows.map(|row| {
        let code: Vec<&str> = row.split('`').collect();
        (code[1].to_owned(), code[3].to_owned())
    });
    columns.collect()
}

/// An answer of its own: neither where to look nor a guess.
fn is_known(command: Command, option: &str) -> bool {
    let letter = option.strip_prefix('-').filter(|letter| letter.chars().count() == 1);
    let ours = match letter.and_then(|letter| letter.chars().next()) {
        Some(letter) => flags::by_letter(command, letter).is_some(),
        None => flags::by_long(command, option).is_some(),
    };
    ours || suggest::elsewhere(command, option).is_some()
}

#[test]
fn every_line_of_the_readme_is_understood_or_answered() {
    let file = TempFile::new("coming", b"pw\n");
    let rows = rows();
    assert!(rows.len() >= 30, "{} rows", rows.len());
    for (there, here) in &rows {
        let ours: Vec<&str> = here.split(" > ").next().unwrap_or(here).split(' ').skip(1).collect();
        let tls = here.contains("wss://") || here.contains("mqtts://");
        let with_files: Vec<&str> = ours
            .iter()
            .map(|word| if ["pw", "ca.pem", "id.pem", "id.p12"].contains(word) { file.path() } else { word })
            .collect();
        match try_parse(&with_files) {
            Ok(Invocation::Run(_)) => {}
            Err(error) if tls && !cfg!(feature = "tls") => {
                assert!(error.to_string().contains("TLS"), "{here}: {error}")
            }
            other => panic!("{here}: {other:?}"),
        }
        let command = Command::from_name(ours[0]).expect("a command");
        let theirs: Vec<&str> = there.split(' ').skip(1).collect();
        for option in theirs.iter().filter(|word| word.starts_with('-')) {
            let options: Vec<String> = match option.strip_prefix("--") {
                Some(_) => vec![(*option).to_owned()],
                None => option.chars().skip(1).map(|letter| format!("-{letter}")).collect(),
            };
            options.iter().for_each(|option| assert!(is_known(command, option), "{there}: {option}"));
        }
        let typed: Vec<&str> = [ours[0]].into_iter().chain(theirs).collect();
        let Err(error) = try_parse(&typed) else { continue };
        let error = error.to_string();
        let named = ours.iter().any(|word| word.starts_with('-') && error.contains(word));
        let shell = here.contains(" > ") && error.contains("> FILE");
        let other = ["URL", "leave it out", "TLS", "wspipe serve", "scheme", "reconnects"];
        assert!(named || shell || other.iter().any(|text| error.contains(text)), "{there}: {error}");
        assert!(!error.contains("--help'"), "{there}: {error}");
    }
}

#[test]
fn letters_of_the_readme_name_what_stands_beside_them() {
    // The table's promise, where the first wrong option hides the next.
    for (line, answer) in [
        (&["pub", "-h", "h"][..], "URL"),
        (&["pub", "-p", "8080"], "URL"),
        (&["pub", "--ws"], "scheme"),
        (&["pub", "ws://h", "-c"], "leave it out"),
        (&["sub", "mqtt://h", "--tls-version", "tlsv1.3"], "--tls-min"),
        (&["sub", "mqtt://h", "--unix", "m.sock"], "--unix-socket"),
        (&["sub", "mqtt://h/a"], "-t"),
        (&["cat", "-n1", "ws://h/"], "-C N"),
        (&["cat", "-n", "ws://h/"], "-w inf"),
        (&["cat", "-U", "ws://h/"], "--no-stdin"),
        (&["cat", "autoreconnect:ws://h/"], "--reconnect"),
        (&["cat", "--socks5", "p"], "--proxy socks5://"),
        (&["cat", "-c", "ws://h/", "-x", "hi"], "URL"),
        (&["cat", "ws://h/", "-x", "hi"], "--on-open"),
        (&["cat", "ws://h/", "-s", "chat"], "--subprotocol"),
        (&["cat", "ws://h/", "-o", "http://x"], "--origin"),
        (&["cat", "ws://h/", "-P"], "-d"),
        (&["serve", "-l", "8080"], "ws://"),
        (&["serve", "-s", "8080"], "ws://"),
        (&["serve", "8080"], "ws://"),
        (&["cat", "-u", "u:p", "ws://h/"], "--auth"),
        (&["cat", "-m", "10", "ws://h/"], "-W SEC"),
    ] {
        let error = refused(line);
        assert!(error.contains(answer), "{line:?}: '{answer}' is not in: {error}");
    }
}

/// The options of other tools, letters and long names, with the commands where their users would type them. What only
/// listens, runs programs or speaks UDP or FTP is left out.
const TOOLS: &[(&str, &[Command], &str)] = &[
    (
        "websocat 1.14",
        &[Command::Cat],
        "-e -E -0 -1 -q -s -S -k -u -U -V -v -b -n -t -B -H -h -p -P --async-stdio --dump-spec --set-environment \
         --exit-on-eof --jsonrpc --linemode-strip-newlines --null-terminated --no-line --no-exit-on-zeromsg \
         --no-fixups --no-async-stdio --one-message --oneshot --print-ping-rtts --server-mode --strict --insecure \
         --unidirectional --unidirectional-reverse --version --binary --no-close --websocket-ignore-zeromsg --text \
         --base64 --base64-text --socks5 --socks5-destination --socks5-user-pass --autoreconnect-delay-millis \
         --basic-auth --basic-auth-file --buffer-size --header --server-header --exec-args --help --max-messages \
         --max-messages-rev --origin --pkcs12-der --pkcs12-passwd --client-pkcs12-der --client-pkcs12-passwd \
         --request-header --request-method --request-uri --restrict-uri --static-file --tls-domain --protocol \
         --server-protocol --websocket-version --binary-prefix --text-prefix --ws-c-uri --ping-interval \
         --ping-timeout --max-sent-pings --close-status-code --close-reason --max-ws-frame-length \
         --max-ws-message-length --preamble --preamble-reverse --ua --inhibit-pongs",
    ),
    (
        "websocat 4",
        &[Command::Cat],
        "-x -t -b -k -s -0 -u -U -E -B -n -H --scenario --late-resolve --tls-domain --server --log-verbose \
         --log-omit-content --log-hex --log-timestamps --log-traffic --ws-c-uri --read-buffer-limit --separator \
         --separator-n --separator-inhibit-substitution --separator-inline --unidirectional-late-drop \
         --exit-on-hangup --ws-no-flush --ws-shutdown-socket-on-eof --ws-ignore-invalid-masks \
         --ws-dont-check-headers --ws-no-auto-buffer --ws-omit-headers --no-lints --less-fixups \
         --lengthprefixed-little-endian --lengthprefixed-nbytes --lengthprefixed-continuations \
         --lengthprefixed-max-message-size --lengthprefixed-include-control --lengthprefixed-tag-text \
         --global-timeout-ms --global-timeout-force-exit --compose --ua --origin --protocol",
    ),
    (
        "wscat 6",
        &[Command::Cat],
        "-l -c -p -o -x -w -s -n -H -L -P --listen --connect --protocol --origin --execute --wait --host \
         --subprotocol --no-check --header --auth --ca --cert --key --passphrase --no-color --slash --proxy \
         --location --max-redirects --show-ping-pong",
    ),
    ("wscat 6, websocat", &[Command::Serve], "-l -s --listen --server-mode --server"),
    (
        "curl 8",
        &[Command::Echo, Command::Cat],
        "-4 -6 -A -b -d -D -e -E -f -g -G -H -i -I -k -K -L -m -n -N -o -O -s -S -T -u -v -V -x -X -y -Y --anyauth \
         --aws-sigv4 --basic --cacert --capath --cert --cert-status --cert-type --ciphers --compressed --config \
         --connect-timeout --connect-to --cookie --cookie-jar --crlfile --curves --digest --dns-servers --doh-url \
         --dump-header --fail --fail-with-body --globoff --happy-eyeballs-timeout-ms --header --http1.0 --http1.1 \
         --http2 --http3 --include --insecure --interface --ipv4 --ipv6 --key --local-port --location \
         --location-trusted --max-filesize --max-redirs --max-time --negotiate --netrc --netrc-file --no-alpn \
         --noproxy --ntlm --oauth2-bearer --output --pass --path-as-is --pinnedpubkey --preproxy --proxy \
         --proxy-basic --proxy-cacert --proxy-cert --proxy-digest --proxy-header --proxy-insecure --proxy-user \
         --proxytunnel --referer --remote-name --request --request-target --resolve --retry --show-error --silent \
         --socks4 --socks4a --socks5 --socks5-hostname --stderr --tcp-nodelay --tls-max --tls13-ciphers --tlsv1.0 \
         --tlsv1.1 --tlsv1.2 --tlsv1.3 --trace --trace-ascii --trace-time --unix-socket --url --url-query --user \
         --user-agent --verbose --version --write-out --data --data-binary",
    ),
    (
        "curl 8, where stdin is sent",
        &[Command::Cat],
        "--data-raw --data-ascii --data-urlencode --upload-file --no-buffer --keepalive-time --no-keepalive \
         --limit-rate --retry-delay --retry-max-time --retry-all-errors --speed-time --speed-limit",
    ),
    (
        "mosquitto_pub, _sub and _rr 2.1",
        &[Command::Pub, Command::Sub, Command::Rr],
        "-A -c -d -D -h -i -I -k -L -M -o -p -P -q -S -t -u -V -x --disable-clean-session --debug --property --host \
         --id --id-prefix --keepalive --url --port --pw --qos --topic --username --protocol-version --help --version \
         --nodelay --no-tls --proxy --quiet --unix --ws --will-topic --will-payload --will-qos --will-retain \
         --cafile --capath --cert --key --keyform --ciphers --insecure --tls-alpn --tls-engine \
         --tls-engine-kpass-sha1 --tls-keylog --tls-use-os-certs --tls-version --psk --psk-identity",
    ),
    (
        "mosquitto_pub 2.1",
        &[Command::Pub],
        "-f -l -m -n -s -r --file --stdin-line --message --null-message --stdin-file --retain --repeat \
         --repeat-delay",
    ),
    (
        "mosquitto_sub 2.1",
        &[Command::Sub],
        "-C -E -F -N -R -T -U -v -w -W --filter-out --unsubscribe --verbose --watch --message-rate --pretty \
         --random-filter --remove-retained --retain-as-published --retain-handling --retained-only",
    ),
    (
        "mosquitto_rr 2.1",
        &[Command::Rr],
        "-e -f -m -n -s -F -N -R -v -W --pretty --retain-as-published --retain-handling --latency",
    ),
    (
        "MQTTX CLI 1.13, all",
        &[Command::Pub, Command::Sub],
        "-V -h -p -i -k -u -P -l --mqtt-version --hostname --port --client-id --no-clean --keepalive --username \
         --password --protocol --path --ws-headers --key --cert --ca --insecure --alpn --reconnect-period \
         --maximum-reconnect-times --session-expiry-interval --rcv-max --maximum-packet-size --topic-alias-max \
         --req-response-info --no-req-problem-info --conn-user-properties --will-topic --will-message --will-qos \
         --will-retain --will-delay-interval --will-payload-format-indicator --will-message-expiry-interval \
         --will-content-type --will-response-topic --will-correlation-data --will-user-properties --save-options \
         --load-options --user-properties --authentication-method --protobuf-path --protobuf-message-name --avsc-path \
         --debug --topic --qos",
    ),
    (
        "MQTTX CLI 1.13, pub",
        &[Command::Pub],
        "-m -r -s -M --message --retain --dup --stdin --multiline --line-mode --payload-size \
         --payload-format-indicator --message-expiry-interval --topic-alias --response-topic --correlation-data \
         --content-type --file-read",
    ),
    (
        "MQTTX CLI 1.13, sub",
        &[Command::Sub],
        "-v --verbose --no_local --retain-as-published --retain-handling --subscription-identifier --format \
         --file-save --file-write --delimiter --output-mode",
    ),
];

#[test]
fn every_option_of_the_other_tools_has_an_answer() {
    let mut guessed = Vec::new();
    for (tool, commands, options) in TOOLS {
        for command in *commands {
            for option in options.split_whitespace().filter(|option| !is_known(*command, option)) {
                // Which other command has it is an answer too.
                let text = refused(&[command.name(), option]);
                if !text.contains("it belongs to") {
                    guessed.push(format!("{tool}: wspipe {} {option}: {text}", command.name()));
                }
            }
        }
    }
    assert!(guessed.is_empty(), "{} have no answer of their own:\n{}", guessed.len(), guessed.join("\n"));
}

#[test]
fn addresses_that_are_more_than_a_url() {
    for (line, answer) in [
        (&["cat", "autoreconnect:ws://h/"][..], "--reconnect"),
        (&["cat", "ws-l:127.0.0.1:8080"], "wspipe serve"),
        (&["cat", "ws+unix:/run/s.sock:/path"], "--unix-socket"),
        (&["cat", "lengthprefixed:ws-c:tcp:h:80"], "--in length"),
        (&["echo", "log:ws://h/"], "URL"),
        (&["cat", "exec:cat"], "shell"),
        (&["ws://h/"], "wspipe echo URL"),
    ] {
        let error = refused(line);
        assert!(error.contains(answer), "{line:?}: '{answer}' is not in: {error}");
    }
    // A scheme that is one here stays one.
    assert!(try_parse(&["cat", "ws://log:pw@exec:80/"]).is_ok());
}

#[test]
fn every_option_that_the_readme_names_is_there() {
    // Of cargo and of scripts/prove.
    const OTHERS: &[&str] = &[
        "--features",
        "--lib",
        "--locked",
        "--no-default-features",
        "--nocapture",
        "--path",
        "--release",
        "--seed",
        "--generate",
        "--version",
        "--readme",
        "--open",
        "--test",
        "--unbuffered",
        "--no-tls",
        "--listen",
    ];
    let readme = std::fs::read_to_string(README).expect("the README is there");
    let ours = readme.lines().map(|line| match line.starts_with("| `") && line.contains("` | `wspipe ") {
        true => line.split_once("` | `").map_or(line, |(_, ours)| ours),
        false => line,
    });
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    for line in ours {
        for (at, _) in line.match_indices("--") {
            let name = line[at..].split(|c| !is_name(c)).next().unwrap_or_default();
            let begins = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-');
            if !begins || !name[2..].starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let known = Command::ALL.iter().any(|command| flags::by_long(*command, name).is_some());
            assert!(known || OTHERS.contains(&name), "{name}: {line}");
        }
    }
}
