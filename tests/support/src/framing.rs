//! Where HTTP/1.1 messages begin and end in a stream of bytes.

use std::io;

use httparse::{Header, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const MOST_HEADERS: usize = 64;

/// Which of the two kinds of messages a stream carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Request,
    Response,
}

/// A stream read message by message.
pub(crate) struct MessageStream<S> {
    stream: S,
    kind: Kind,
    unread: Vec<u8>,
}

/// A whole message as it came.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    head_len: usize,
}

impl Message {
    /// The first line and the headers, up to and with the empty line.
    pub(crate) fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len]
    }

    /// All after the empty line.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.head_len..]
    }
}

impl<S: AsyncRead + Unpin> MessageStream<S> {
    pub(crate) fn new(stream: S, kind: Kind) -> Self {
        Self { stream, kind, unread: Vec::new() }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next message; none when the stream ends between two.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Message>> {
        let mut ended = false;
        loop {
            if let Some((head_len, len)) = extent(&self.unread, self.kind, ended)? {
                let bytes = self.unread.drain(..len).collect();
                return Ok(Some(Message { bytes, head_len }));
            }
            if ended {
                return if self.unread.is_empty() {
                    Ok(None)
                } else {
                    Err(invalid("a cut message"))
                };
            }
            ended = self.stream.read_buf(&mut self.unread).await? == 0;
        }
    }
}

/// The lengths of the head and of the whole first message; none while more bytes must come.
fn extent(bytes: &[u8], kind: Kind, ended: bool) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let (parsed, bodiless) = match kind {
        Kind::Request => {
            let mut request = httparse::Request::new(&mut headers);
            (request.parse(bytes), true)
        }
        Kind::Response => {
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(bytes);
            (parsed, matches!(response.code, Some(204 | 304)))
        }
    };
    let Status::Complete(head_len) = parsed.map_err(invalid)? else { return Ok(None) };
    let rest = &bytes[head_len..];
    let body_len = if header(&headers, "transfer-encoding").is_some() {
        chunks_len(rest)?
    } else if let Some(length) = header(&headers, "content-length") {
        let length: usize = length.parse().map_err(invalid)?;
        (rest.len() >= length).then_some(length)
    } else if bodiless {
        Some(0)
    } else {
        ended.then_some(rest.len())
    };
    Ok(body_len.map(|length| (head_len, head_len + length)))
}

/// The length of a chunked body without trailers, from its first size to its last line end.
fn chunks_len(bytes: &[u8]) -> io::Result<Option<usize>> {
    const LINE_END: usize = 2;
    let mut len = 0;
    loop {
        let Some(rest) = bytes.get(len..) else { return Ok(None) };
        let parsed = httparse::parse_chunk_size(rest).map_err(|_| invalid("no chunk size"))?;
        let Status::Complete((line_len, size)) = parsed else { return Ok(None) };
        len += line_len + usize::try_from(size).map_err(invalid)? + LINE_END;
        if size == 0 {
            return Ok((bytes.len() >= len).then_some(len));
        }
    }
}

fn header<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
