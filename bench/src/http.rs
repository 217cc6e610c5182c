//! As little HTTP/1.1 as the measurement needs: one request at a time on a kept-alive connection.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_ANSWER: usize = 16 << 20;

/// A connection and what was read from it.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The answer to one request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    pub(crate) closing: bool,
}

struct Head {
    status: u16,
    /// Bytes up to the body.
    length: usize,
    body: Body,
    closing: bool,
}

enum Body {
    Sized(usize),
    Chunked,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its answer, to the last byte.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = read_head(&self.buffer)? {
                break head;
            }
        };
        let end = loop {
            let body = &self.buffer[head.length..];
            let complete = match head.body {
                Body::Sized(size) => (body.len() >= size).then_some(size),
                Body::Chunked => body.ends_with(b"\r\n0\r\n\r\n").then_some(body.len()),
            };
            match complete {
                Some(size) => break head.length + size,
                None => self.read_more().await?,
            }
        };
        let body = &self.buffer[head.length..end];
        Ok(Answer { status: head.status, body, closing: head.closing })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.buffer.len() > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without end"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Reads status and headers, once they are complete.
fn read_head(data: &[u8]) -> io::Result<Option<Head>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let Some(end) = data.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&data[..end]).map_err(|_| bad("headers are not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| bad("no status"))?;
    let mut head = Head { status, length: end + 4, body: Body::Sized(0), closing: false };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.body = Body::Sized(value.parse().map_err(|_| bad("no length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            head.body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            head.closing = true;
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let whole = b"HTTP/1.1 429 Too Many\r\nContent-Length: 12\r\nConnection: close\r\n\r\n";
        assert!(read_head(&whole[..whole.len() - 1]).unwrap().is_none());
        let head = read_head(whole).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.closing), (429, whole.len(), true));
        assert!(matches!(head.body, Body::Sized(12)));
        assert!(read_head(b"nonsense\r\n\r\n").is_err());
    }
}
