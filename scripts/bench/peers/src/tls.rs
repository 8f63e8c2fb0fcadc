//! The same streams under TLS, by OpenSSL with its defaults, and what a client of raw TLS has to do.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

use openssl::ssl::{ErrorCode, SslAcceptor, SslConnector, SslFiletype, SslMethod, SslStream, SslVerifyMode};

/// A connection, under TLS or not.
pub trait Stream: Read + Write {
    /// Says that nothing more will be written.
    fn finish(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for SslStream<TcpStream> {
    fn finish(&mut self) -> io::Result<()> {
        // close_notify and FIN: the other side need not look for the first.
        match self.shutdown() {
            Err(error) if error.code() != ErrorCode::ZERO_RETURN => return Err(io::Error::other(error)),
            _ => {}
        }
        self.get_ref().shutdown(Shutdown::Write)
    }
}

/// The server's handshake.
pub fn accept(stream: TcpStream, pem: &str) -> io::Result<Box<dyn Stream>> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_private_key_file(pem, SslFiletype::PEM)?;
    builder.set_certificate_chain_file(pem)?;
    let stream = builder.build().accept(stream).map_err(io::Error::other)?;
    Ok(Box::new(stream))
}

/// stdin to a TLS connection or, `inward`, the connection to stdout, `size` bytes at a time at most.
pub fn pipe(port: u16, inward: bool, size: usize) -> io::Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_verify(SslVerifyMode::NONE);
    let mut stream = builder.build().connect("localhost", stream).map_err(io::Error::other)?;
    let mut buffer = vec![0; size];
    if inward {
        copy(&mut stream, &mut crate::pipes::stdout()?, &mut buffer)?;
        return stream.finish();
    }
    let mut stdin: File = crate::pipes::stdin()?;
    copy(&mut stdin, &mut stream, &mut buffer)?;
    stream.finish()?;
    // To the server's end: leaving its session tickets unread would reset the connection under the last bytes.
    while stream.get_mut().read(&mut buffer)? > 0 {}
    Ok(())
}

fn copy(from: &mut impl Read, to: &mut impl Write, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match from.read(buffer)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n])?,
        }
    }
}
