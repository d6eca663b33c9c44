//! Requests as they came and answers as they will go out.

use std::time::{Duration, Instant};

use serde_json::Value;

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// The request target, with its query.
    pub target: String,
    /// The request line and headers as sent, up to and with the empty line.
    pub head_bytes: Vec<u8>,
    /// The headers in the order and spelling sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When the whole request had arrived.
    pub at: Instant,
}

impl RecordedRequest {
    /// The head is taken apart here; an error says what is wrong with it.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(head).map_err(|error| error.to_string())?;
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let request_line = lines.next().unwrap_or_default();
        let mut words = request_line.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("not an HTTP/1.1 request line: {request_line}"));
        };
        let headers = lines.map(parse_header).collect::<Result<_, _>>()?;
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            head_bytes: head.to_vec(),
            headers,
            body: Vec::new(),
            at: Instant::now(),
        })
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text; panics when it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as form fields, decoded, in the order sent.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

fn parse_header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("not a header: {line}"))?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers, in order; Content-Length is added when it is missing.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait before answering.
    pub delay: Duration,
    /// How the answer is given.
    pub kind: AnswerKind,
}

/// How an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// In full.
    Normal,
    /// The connection is closed without an answer.
    CloseBeforeAnswer,
    /// The connection is closed after that many bytes of the whole answer, head included.
    CutAfter(usize),
    /// The connection stays open and no answer comes.
    Hang,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            kind: AnswerKind::Normal,
        }
    }

    /// An answer with a body of that content type.
    pub fn body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = Self::status(status).header("Content-Type", content_type);
        Self { body: body.into(), ..answer }
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::body(status, "application/json", body.to_string())
    }

    /// No answer: the connection is closed.
    pub fn close() -> Self {
        Self { kind: AnswerKind::CloseBeforeAnswer, ..Self::status(200) }
    }

    /// No answer: the connection stays open.
    pub fn hang() -> Self {
        Self { kind: AnswerKind::Hang, ..Self::status(200) }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// After that time.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Cut off after that many bytes of the whole answer, head included.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        Self { kind: AnswerKind::CutAfter(bytes), ..self }
    }

    /// The answer as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Unknown");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.has_header("content-length") && !self.has_header("transfer-encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
    }
}
