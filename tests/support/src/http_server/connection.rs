//! One connection: requests in, answers out, until one of both sides closes.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Script;
use super::message::{Answer, AnswerKind, RecordedRequest};

const LARGEST_REQUEST: usize = 1024 * 1024;

/// Serves the connection. What goes wrong on it ends it, as the other side sees soon enough.
pub(super) async fn serve(mut stream: TcpStream, script: Arc<Script>) {
    let mut unread = Vec::new();
    loop {
        let answer = match read_request(&mut stream, &mut unread).await {
            Ok(Some(request)) => script.answer(request).await,
            Ok(None) => return,
            Err(error) => {
                Answer::body(400, "text/plain", format!("{error}\n")).header("Connection", "close")
            }
        };
        if give(&mut stream, &answer).await != Next::Request {
            return;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

async fn give(stream: &mut TcpStream, answer: &Answer) -> Next {
    tokio::time::sleep(answer.delay).await;
    let bytes = answer.bytes();
    let sent = match answer.kind {
        AnswerKind::Normal => &bytes[..],
        AnswerKind::CutAfter(count) => &bytes[..count.min(bytes.len())],
        AnswerKind::CloseBeforeAnswer => &[],
        AnswerKind::Hang => {
            until_closed(stream).await;
            return Next::Close;
        }
    };
    let written = stream.write_all(sent).await;
    let closing = answer.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
    });
    if written.is_ok() && answer.kind == AnswerKind::Normal && !closing {
        return Next::Request;
    }
    // The end of the stream, not a reset, so that all bytes sent are read.
    let _ = stream.shutdown().await;
    Next::Close
}

async fn until_closed(stream: &mut TcpStream) {
    let mut ignored = [0; 1024];
    while let Ok(1..) = stream.read(&mut ignored).await {}
}

/// The next request; none when the other side closed between requests.
async fn read_request(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
) -> io::Result<Option<RecordedRequest>> {
    let head_end = loop {
        if let Some(start) = find(unread, b"\r\n\r\n") {
            break start + 4;
        }
        if !fill(stream, unread).await? {
            return if unread.is_empty() { Ok(None) } else { Err(invalid("a cut request")) };
        }
    };
    let head: Vec<u8> = unread.drain(..head_end).collect();
    let mut request = RecordedRequest::parse(&head).map_err(|error| invalid(&error))?;
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    request.body = if request.header("transfer-encoding").is_some() {
        read_chunks(stream, unread).await?
    } else {
        let length = request.header("content-length").unwrap_or("0").parse();
        let length = length.map_err(|_| invalid("the Content-Length is no number"))?;
        take(stream, unread, length).await?
    };
    request.at = Instant::now();
    Ok(Some(request))
}

async fn read_chunks(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(end) = find(unread, b"\r\n") {
                break end + 2;
            }
            fill_or_fail(stream, unread).await?;
        };
        let line: Vec<u8> = unread.drain(..line_end).collect();
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.trim(), 16);
        let size = size.map_err(|_| invalid("a chunk size is no number"))?;
        let chunk = take(stream, unread, size).await?;
        take(stream, unread, 2).await?;
        if chunk.is_empty() {
            return Ok(body);
        }
        body.extend(chunk);
    }
}

async fn take(stream: &mut TcpStream, unread: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while unread.len() < length {
        fill_or_fail(stream, unread).await?;
    }
    Ok(unread.drain(..length).collect())
}

async fn fill_or_fail(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<()> {
    if fill(stream, unread).await? { Ok(()) } else { Err(invalid("a cut request")) }
}

/// Reads some more; false at the end of the stream.
async fn fill(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<bool> {
    if unread.len() > LARGEST_REQUEST {
        return Err(invalid("a request of more than 1 MiB"));
    }
    Ok(stream.read_buf(unread).await? > 0)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
