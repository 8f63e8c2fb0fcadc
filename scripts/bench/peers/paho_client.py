"""What a script on paho-mqtt looks like that does the work of `wspipe pub` and `wspipe sub`.

    paho_client.py pub HOST PORT TOPIC MESSAGE     one message
    paho_client.py lines HOST PORT TOPIC           each line of stdin
    paho_client.py sub HOST PORT TOPIC COUNT       COUNT messages to stdout, a line each
"""

import sys

import paho.mqtt.client as paho


def publish(client, topic, payloads):
    last = None
    for payload in payloads:
        last = client.publish(topic, payload)
    if last is not None:
        last.wait_for_publish()


def subscribe(client, topic, count):
    out = sys.stdout.buffer
    left = count

    def on_message(client, userdata, message):
        nonlocal left
        out.write(message.payload + b"\n")
        left -= 1
        if left == 0:
            out.flush()
            client.disconnect()

    client.on_message = on_message
    client.on_connect = lambda *_: client.subscribe(topic)
    client.loop_forever()


def main():
    what, host, port, topic, *rest = sys.argv[1:]
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if what == "sub":
        client.connect(host, int(port))
        subscribe(client, topic, int(rest[0]))
        return
    client.connect(host, int(port))
    client.loop_start()
    payloads = [rest[0]] if what == "pub" else (line.rstrip(b"\n") for line in sys.stdin.buffer)
    publish(client, topic, payloads)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
