//! `WHAT NAME=VALUE...`

use std::{env, io};

pub struct Args {
    what: String,
    values: Vec<(String, String)>,
}

impl Args {
    pub fn parse() -> io::Result<Args> {
        let mut args = env::args().skip(1);
        let what = args.next().unwrap_or_default();
        let values = args
            .map(|arg| match arg.split_once('=') {
                Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                None => Err(io::Error::other(format!("{arg}: NAME=VALUE expected"))),
            })
            .collect::<io::Result<_>>()?;
        Ok(Args { what, values })
    }

    pub fn what(&self) -> &str {
        &self.what
    }

    pub fn text(&self, name: &str) -> io::Result<&str> {
        let found = self.values.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| io::Error::other(format!("{name}= is missing")))
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> io::Result<T> {
        self.text(name)?.parse().map_err(|_| io::Error::other(format!("{name}= takes a number")))
    }

    /// 0 where it is not given.
    pub fn or_zero(&self, name: &str) -> io::Result<u64> {
        if self.text(name).is_ok() { self.number(name) } else { Ok(0) }
    }

    /// `rate=`, 0 without.
    pub fn rate(&self) -> io::Result<u64> {
        self.or_zero("rate")
    }

    /// `tls=`: the PEM file with certificate and key.
    pub fn tls(&self) -> Option<&str> {
        self.text("tls").ok()
    }

    pub fn size(&self, name: &str) -> io::Result<usize> {
        self.number(name)
    }
}
