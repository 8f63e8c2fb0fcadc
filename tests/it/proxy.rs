//! Proxies that are not ours: tinyproxy and microsocks, for all schemes; and whom curl reaches without one.

use std::process::Command;

use crate::support::{
    Running, Wspipe, mosquitto,
    proxies::{self, PASSWORD, USER},
    scripted::Scripted,
    websockets, wspipe,
};

/// With the proxies' logs where it fails.
fn shown(run: Wspipe) -> Wspipe {
    proxies::shared().logs().into_iter().fold(run, Wspipe::shows)
}

#[test]
fn echo_through_each() {
    let server = websockets::shared();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("ws://{host}:{}/echo", server.port);
        for proxy in proxies::shared().urls() {
            let run = shown(wspipe(["echo", "-ddd", "--proxy", &proxy, &url]).env("RUST_LOG", "trace")).run();
            run.status(0).stdout_is("hello\n").says(&[
                "debug: asking the proxy",
                "proxy ",
                " ms",
                "(proxy 127.0.0.1:",
            ]);
            run.never_says(&[PASSWORD, USER, "Basic"]);
        }
    }
}

#[test]
fn large_messages_and_cat_through_each() {
    let url = format!("ws://127.0.0.1:{}/echo", websockets::shared().port);
    for proxy in proxies::shared().urls() {
        let run = shown(wspipe(["echo", "--proxy", &proxy, &url, "-b", "--size", "1M"])).run();
        run.status(0);
        assert_eq!(run.stdout.len(), (1 << 20) + 1);
        shown(wspipe(["cat", "--proxy", &proxy, &url, "-C", "3"]))
            .stdin("a\nb\nc\n")
            .run()
            .status(0)
            .stdout_is("a\nb\nc\n");
    }
}

#[test]
fn mqtt_through_each() {
    let broker = mosquitto::shared();
    for (index, proxy) in proxies::shared().urls().iter().enumerate() {
        for (scheme, url) in [("ws", broker.ws_url()), ("mqtt", broker.tcp_url())] {
            let topic = format!("proxy/{index}/{scheme}");
            shown(wspipe(["mqtt", "--proxy", proxy, &url, "-q", "1", "-t", &topic])).run().status(0).says(&[
                "CONNECTED",
                "SUBSCRIBED",
                "PUBLISHED",
                "RECEIVED",
            ]);
            publish_and_subscribe(proxy, &url, &format!("{topic}/r"), &[]);
        }
    }
}

/// `pub` leaves a retained message, `sub` gets it; both through the proxy.
fn publish_and_subscribe(proxy: &str, url: &str, topic: &str, more: &[&str]) {
    shown(wspipe(["pub", "--proxy", proxy, url, "-q", "1", "-r", "-t", topic, "-m", "kept"]).args(more))
        .run()
        .status(0)
        .says_nothing();
    shown(wspipe(["sub", "--proxy", proxy, url, "-C", "1", "-W", "15", "-t", topic]).args(more))
        .run()
        .status(0)
        .stdout_is("kept\n");
}

#[cfg(feature = "tls")]
#[test]
fn tls_through_each() {
    use crate::support::{certs, nginx};
    let (front, broker) = (nginx::shared(), mosquitto::shared());
    let ca = certs::shared().ca.to_string_lossy();
    for (index, proxy) in proxies::shared().urls().iter().enumerate() {
        let url = format!("wss://localhost:{}/echo", front.good);
        shown(wspipe(["echo", "--proxy", proxy, &url, "--cafile", &ca])).run().status(0).stdout_is("hello\n");
        for url in [format!("wss://localhost:{}", front.good), format!("mqtts://localhost:{}", broker.tls)] {
            shown(wspipe(["mqtt", "--proxy", proxy, &url, "--cafile", &ca, "-t", "proxy/tls"]))
                .run()
                .status(0)
                .says(&["RECEIVED"]);
            let topic = format!("proxy/tls/{index}/{}", &url[..4]);
            publish_and_subscribe(proxy, &url, &topic, &["--cafile", &ca]);
        }
        // The certificate is the server's, whoever is in between.
        shown(wspipe(["echo", "--quiet", "--proxy", proxy, &url])).run().status(60).one_line(&["localhost"]);
    }
}

#[test]
fn logins_that_are_missing_or_wrong() {
    let (all, url) = (proxies::shared(), websockets::shared().url("/echo"));
    let (http, socks) = (all.http_login, all.socks_login);
    for (proxy, texts) in [
        (format!("http://127.0.0.1:{http}"), ["HTTP 407", "sends a login"]),
        (format!("http://{USER}:wr0ng@127.0.0.1:{http}"), ["HTTP 40", "HTTP 40"]),
        (format!("socks5://127.0.0.1:{socks}"), ["wants a login", "sends a login"]),
        (format!("socks5h://{USER}:wr0ng@127.0.0.1:{socks}"), ["refused user name and password", "right?"]),
    ] {
        let run = shown(wspipe(["echo", "--proxy", &proxy, &url])).run();
        run.status(97).stdout_is("").one_line(&["the proxy 127.0.0.1 port"]).one_line(&texts);
        run.never_says(&["wr0ng", USER]);
        let loud = shown(wspipe(["echo", "-ddd", "--proxy", &proxy, &url]).env("RUST_LOG", "trace")).run();
        // The second in Base64, as Basic sends it.
        loud.status(97).says(&["debug:"]).never_says(&["wr0ng", "YW5uYTp3cjBuZw", USER]);
        // Not tried again: it would be the same.
        let broker = mosquitto::shared().ws_url();
        shown(wspipe(["sub", "--retry-connect", "--proxy", &proxy, &broker, "-t", "a", "-W", "15"]))
            .run()
            .status(97);
    }
}

#[test]
fn a_server_that_is_not_there() {
    let all = proxies::shared();
    let closed = crate::support::free_port();
    let url = format!("ws://localhost:{closed}");
    let to = format!("did not connect to localhost port {closed}: ");
    for (port, scheme, text) in [
        (all.http, "http", "HTTP 500 Unable to connect"),
        (all.socks, "socks5h", "Connection refused (SOCKS reply 5)"),
        (all.socks, "socks5", "[::1]: "),
        (all.socks, "socks5", "; 127.0.0.1: Connection refused (SOCKS reply 5)"),
    ] {
        shown(wspipe(["echo", "--proxy", &format!("{scheme}://127.0.0.1:{port}"), &url]))
            .run()
            .status(97)
            .one_line(&[&format!("the proxy 127.0.0.1 port {port} {to}"), text])
            .never_says(&["<"]);
    }
}

#[test]
fn no_proxy_at_the_other_end() {
    let url = websockets::shared().url("/echo");
    let closed = crate::support::free_port();
    shown(wspipe(["echo", "--proxy", &format!("127.0.0.1:{closed}"), &url]))
        .run()
        .status(7)
        .one_line(&[&format!("to the proxy 127.0.0.1 port {closed}"), "Connection refused"]);
    shown(wspipe(["echo", "--proxy", "socks5://no-such-proxy.invalid", &url]))
        .run()
        .status(5)
        .one_line(&["could not resolve the proxy no-such-proxy.invalid"]);
    let (port, _listener, _queued) = crate::support::unaccepting();
    shown(wspipe(["echo", "--proxy", &format!("127.0.0.1:{port}"), &url, "--connect-timeout", "0.3"]))
        .run()
        .status(28)
        .one_line(&["in phase connect (to the proxy)", &format!("127.0.0.1 port {port}")]);
    let socks = format!("socks5://127.0.0.1:{}", proxies::shared().socks);
    shown(wspipe(["echo", "--proxy", &socks, "ws://no-such-server.invalid"]))
        .run()
        .status(6)
        .one_line(&["could not resolve host no-such-server.invalid", "socks5h://"]);
    let all = proxies::shared();
    shown(wspipe(["echo", "--proxy", &format!("http://127.0.0.1:{}", all.socks), &url]))
        .run()
        .status(97)
        .one_line(&["not HTTP", "socks5h://?"]);
}

#[test]
fn pub_sub_and_rr_go_through_it_or_not() {
    let (all, closed) = (proxies::shared(), crate::support::free_port());
    let url = format!("ws://127.0.0.1:{closed}");
    let proxy = format!("http://127.0.0.1:{}", all.http);
    for args in [&["pub", "-t", "a", "-m", "x"][..], &["sub", "-t", "a"], &["rr", "-t", "a", "-m", "x"]] {
        let run = || shown(wspipe(args).args([&url, "--no-reconnect"]));
        run().args(["--proxy", &proxy]).run().status(97).one_line(&["HTTP 500"]);
        run().args(["--proxy", &proxy, "--no-proxy", "127.0.0.0/8"]).run().status(7).never_says(&["proxy"]);
        run().args(["--proxy", &proxy]).env("no_proxy", "127.0.0.1").run().status(7).never_says(&["proxy"]);
    }
}

#[test]
fn the_environment() {
    let (all, server) = (proxies::shared(), websockets::shared());
    let url = format!("ws://localhost:{}/echo?environment", server.port);
    let good = format!("http://127.0.0.1:{}", all.http);
    let dead = "http://127.0.0.1:1";
    let echo = |env: &[(&str, &str)], args: &[&str]| {
        let run =
            env.iter().fold(wspipe(["echo", &url]).args(args), |run, (name, value)| run.env(name, value));
        shown(run).run()
    };
    echo(&[("http_proxy", &good)], &[]).status(0).says(&["(proxy "]);
    echo(&[("HTTP_PROXY", dead)], &[]).status(0).never_says(&["proxy"]);
    echo(&[("https_proxy", dead), ("HTTPS_PROXY", dead)], &[]).status(0).never_says(&["proxy"]);
    echo(&[("ALL_PROXY", &good)], &[]).status(0).says(&["(proxy "]);
    echo(&[("all_proxy", dead)], &[]).status(7);
    echo(&[("all_proxy", dead), ("NO_PROXY", "example.org,localhost")], &["-d"])
        .status(0)
        .says(&["localhost is reached without the proxy: --no-proxy or NO_PROXY names it"])
        .never_says(&["(proxy"]);
    echo(&[("all_proxy", dead)], &["--proxy", &good]).status(0).says(&["(proxy "]);
    echo(&[("all_proxy", dead)], &["--proxy", ""]).status(0).never_says(&["proxy"]);
    echo(&[("all_proxy", dead)], &["--no-proxy", "*"]).status(0).never_says(&["proxy"]);
    echo(&[("all_proxy", &good), ("no_proxy", "*")], &["--noproxy", ""]).status(0).says(&["(proxy "]);
    let bad = echo(&[("all_proxy", "https://anna:s3cret@h")], &[]);
    bad.status(2).one_line(&["all_proxy", "https://"]).never_says(&["s3cret", "anna"]);
    assert!(all.http_said().contains(&format!("CONNECT localhost:{}", server.port)));
}

#[cfg(feature = "tls")]
#[test]
fn the_commands_of_the_readme() {
    use crate::support::{bash, certs, nginx};
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("it is there");
    let section = readme.split("\n## Through a proxy\n").nth(1).expect("the section is there");
    let block =
        section.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let all = proxies::shared();
    let mut script = String::from("wspipe() { \"$WSPIPE\" \"$@\"; }\nset -e\n");
    block.lines().for_each(|line| script.push_str(&format!("{}\n", line.strip_prefix("$ ").unwrap_or(line))));
    for (shown, here) in [
        ("wss://broker.example.com/mqtt", format!("wss://localhost:{}/mqtt", nginx::shared().good)),
        ("http://proxy.example.com:3128", format!("http://127.0.0.1:{}", all.http)),
        ("user:password@proxy.example.com:3128", format!("{USER}:{PASSWORD}@127.0.0.1:{}", all.http_login)),
        ("ws://server.internal:8000/echo", websockets::shared().url("/echo")),
        ("socks5h://localhost:1080", format!("socks5h://127.0.0.1:{}", all.socks)),
    ] {
        assert!(script.contains(shown), "{shown} is not in the README");
        script = script.replace(shown, &here);
    }
    // The system's certificates, for this run.
    let ca = certs::shared().ca.to_string_lossy();
    let received = ["RECEIVED"; 3];
    shown(bash(&script, [""; 0]).env("SSL_CERT_FILE", &ca))
        .run()
        .status(0)
        .stdout_is("hello\n")
        .says(&received);
}

#[test]
fn a_signal_in_the_proxys_silence_ends_it() {
    let silent = Scripted::start(|conn| conn.drain());
    let proxy = format!("socks5h://127.0.0.1:{}", silent.port());
    let mut run: Running = wspipe(["echo", "-d", "--proxy", &proxy, "ws://example.invalid/"]).start();
    run.wait_stderr("asking the proxy");
    run.signal(rustix::process::Signal::INT);
    run.finish().signalled(rustix::process::Signal::INT);
    silent.finish();
}

/// Where curl connects to: the proxy, or not.
fn curl_uses_the_proxy(variables: &[(&str, &str)], args: &[&str], host: &str, server: u16) -> bool {
    let shown = host.trim_matches(['[', ']']);
    let mut command = Command::new("curl");
    command.env_clear().env("PATH", "/usr/bin:/bin").args([
        "-q",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{remote_port}",
    ]);
    command.args(["--connect-timeout", "5", "--connect-to", &format!("::127.0.0.1:{server}")]);
    command.args(args).arg(format!("http://{host}/{shown}")).envs(variables.iter().copied());
    let output = command.output().expect("curl is there: run scripts/setup");
    let port = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!port.is_empty() && port != "0", "{host}: {output:?}");
    port != server.to_string()
}

/// The same of our rules.
fn we_use_the_proxy(variables: &[(&str, &str)], args: &[&str], host: &str) -> bool {
    use wspipe::config::{proxy::ProxyRules, url};
    let env = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let after = |flag: &str| args.iter().position(|arg| *arg == flag).map(|at| args[at + 1]);
    let rules = ProxyRules::new(after("-x"), after("--noproxy"), &env);
    let url = url::parse(&format!("ws://{host}/"), url::Purpose::WebSocket).expect("a good URL").0;
    rules.proxy_for(&url).expect("a good proxy").is_some()
}

#[test]
fn as_the_real_curl_decides() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let script = move |conn: &mut crate::support::scripted::Conn| {
        conn.head()?;
        conn.write(answer)?;
        conn.end()
    };
    let (proxy, server) = (Scripted::start(script), Scripted::start(script));
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let lists = [
        "",
        "*",
        "example.com",
        ".example.com",
        "example.com.",
        "EXAMPLE.COM",
        "www.example.com",
        "com",
        "ample.com",
        "other.org,example.com",
        "other.org, example.com",
        "other.org,,example.com",
        ",example.com",
        "192.0.2.1",
        "192.0.2.0/24",
        "192.0.2.99/25",
        "192.0.2.128/25",
        "192.0.2.1/32",
        "192.0.2.1/33",
        "0.2.1",
        "127.0.0.1",
        "localhost",
        "2001:db8::1",
        "2001:db8::/32",
        "2001:db9::/32",
        "other.org,*",
        "example.com/8",
    ];
    let hosts =
        ["example.com", "www.example.com", "nonexample.com", "192.0.2.1", "localhost", "[2001:db8::1]"];
    let mut differences = Vec::new();
    for list in lists {
        for host in hosts {
            let variables = [("http_proxy", url.as_str()), ("NO_PROXY", list)];
            let (theirs, ours) = (
                curl_uses_the_proxy(&variables, &[], host, server.port()),
                we_use_the_proxy(&variables, &[], host),
            );
            if ours != theirs {
                differences.push(format!("NO_PROXY={list} {host}"));
            }
        }
    }
    // curl 7.88 takes an IPv6 address in a URL for a name here, so that its networks never match; later ones
    // and its documentation have it as we do.
    let known = ["NO_PROXY=2001:db8::/32 [2001:db8::1]"];
    assert!(differences.iter().all(|one| known.contains(&one.as_str())), "{differences:#?}");
    for (variables, args) in [
        (vec![("HTTP_PROXY", url.as_str())], vec![]),
        (vec![("all_proxy", url.as_str())], vec![]),
        (vec![("ALL_PROXY", url.as_str())], vec![]),
        (vec![("ALL_PROXY", url.as_str()), ("all_proxy", "")], vec![]),
        (vec![("https_proxy", url.as_str())], vec![]),
        (vec![], vec!["-x", url.as_str()]),
        (vec![("no_proxy", "example.com")], vec!["-x", url.as_str()]),
        (vec![("NO_PROXY", "example.com")], vec!["-x", url.as_str(), "--noproxy", ""]),
        (vec![("NO_PROXY", "example.com"), ("http_proxy", url.as_str())], vec!["--noproxy", "a.example"]),
        (vec![("no_proxy", "a"), ("NO_PROXY", "example.com"), ("http_proxy", url.as_str())], vec![]),
        (vec![("no_proxy", ""), ("NO_PROXY", "example.com"), ("http_proxy", url.as_str())], vec![]),
        (vec![("http_proxy", url.as_str())], vec!["-x", ""]),
        (vec![("http_proxy", url.as_str())], vec!["--noproxy", "*"]),
    ] {
        let theirs = curl_uses_the_proxy(&variables, &args, "example.com", server.port());
        assert_eq!(we_use_the_proxy(&variables, &args, "example.com"), theirs, "{variables:?} {args:?}");
    }
}
