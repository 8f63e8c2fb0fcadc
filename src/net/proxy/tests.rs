//! Both handshakes against noise: whatever comes, they end, take no more than they are shown, and say one line.

use super::*;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
}

fn machine(
    random: &mut Random,
    login: Option<&crate::config::proxy::Login>,
) -> (Machine, &'static [&'static [u8]]) {
    let host = match random.below(3) {
        0 => Host::Name(String::from("h.example")),
        1 => Host::Address("192.0.2.1".parse().unwrap()),
        _ => Host::Address("2001:db8::1".parse().unwrap()),
    };
    if random.below(2) == 0 {
        let parts: &[&[u8]] = &[
            b"HTTP/1.1 200",
            b"HTTP/1.1 407 x",
            b"HTTP/1.0 5",
            b"00 ",
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b": ",
            b"A",
            b"Content-Length: 5\r\n",
            b"Content-Length: 99999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"ffffffffffffffff\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n",
            b"\xff",
            b"\0",
            b"HTTP/1.1 100 \r\n\r\n",
        ];
        return (Machine::Http(http::Connect::new(&host, 443, login)), parts);
    }
    let parts: &[&[u8]] = &[
        &[5],
        &[0],
        &[2],
        &[5, 0],
        &[5, 2],
        &[1, 0],
        &[5, 0, 0, 1],
        &[5, 0, 0, 3],
        &[255],
        &[5, 0, 0, 4],
        &[9; 7],
        &[7; 16],
        &[1],
        &[5, 5],
    ];
    (Machine::Socks(socks::Socks::new(&host, 443, login)), parts)
}

#[test]
fn noise() {
    let login = (b"anna".to_vec(), b"secret".to_vec());
    let mut random = Random(0x50c5);
    let (mut open, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let login = (random.below(2) == 0).then_some(&login);
        let (mut machine, parts) = machine(&mut random, login);
        let mut waiting: Vec<u8> = Vec::new();
        for _ in 0..random.below(12) {
            machine.poll_transmit();
            match random.below(8) {
                0 => waiting.push(random.next() as u8),
                _ => waiting.extend_from_slice(parts[random.below(parts.len())]),
            }
            match machine.handle_bytes(&waiting) {
                Ok((taken, progress)) => {
                    assert!(taken <= waiting.len());
                    assert!(progress == Progress::Open || taken == waiting.len());
                    waiting.drain(..taken);
                    if progress == Progress::Open {
                        open += 1;
                        break;
                    }
                }
                Err(why) => {
                    refused += 1;
                    let text = why.to_string();
                    assert!(!text.chars().any(char::is_control) && !text.contains("secret"), "{text}");
                    break;
                }
            }
        }
        let _ = machine.handle_end().to_string();
    }
    assert!(open > 500 && refused > 10_000, "{open} open, {refused} refused");
}
