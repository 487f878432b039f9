//! A browser, as far as a server can tell: one connection that is kept alive, and cookies.
//!
//! Requests are written as they were prepared, and answers are read by their length: that costs less
//! than any of the servers. An answer counts only if it is `200` with the body that is right for this
//! user.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Profile;
use crate::Outcome;

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

pub(super) struct Client {
    stream: TcpStream,
    /// The lines of every request that tell of the browser.
    browser: String,
    /// Asks who is logged in.
    request: String,
    /// The answer's body.
    expected: String,
    answer: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(port: u16) -> Outcome<Self> {
        Self::named(port, &format!("user-agent: {USER_AGENT}\r\n")).await
    }

    /// One that does not tell what it is.
    pub(super) async fn nameless(port: u16) -> Outcome<Self> {
        Self::named(port, "").await
    }

    async fn named(port: u16, name: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            browser: format!("host: 127.0.0.1:{port}\r\n{name}accept: application/json\r\n"),
            request: String::new(),
            expected: String::new(),
            answer: Vec::with_capacity(2_048),
        })
    }

    /// Begins a session of its own for a user.
    pub(super) async fn log_in(&mut self, user: &str) -> Outcome<()> {
        let browser = &self.browser;
        let request = format!("POST /log-in/{user} HTTP/1.1\r\n{browser}content-length: 0\r\n\r\n");
        let end = exchange(&mut self.stream, &request, &mut self.answer).await?;
        let cookies = cookies(std::str::from_utf8(&self.answer[..end])?);
        if cookies.is_empty() {
            return Err(format!("the log-in of {user} gave no cookie").into());
        }
        let cookies = cookies.join("; ");
        self.request = format!("GET /me HTTP/1.1\r\n{browser}cookie: {cookies}\r\n\r\n");
        self.expected = serde_json::to_string(&Profile::of(user))?;
        Ok(())
    }

    /// A request in the session.
    pub(super) async fn ask(&mut self) -> Outcome<()> {
        let end = exchange(&mut self.stream, &self.request, &mut self.answer).await?;
        let body = &self.answer[end..];
        if body == self.expected.as_bytes() {
            Ok(())
        } else {
            let (body, expected) = (String::from_utf8_lossy(body), &self.expected);
            Err(format!("the body was {body:?} in place of {expected:?}").into())
        }
    }
}

/// Sends a request and reads the answer; where its head ends.
async fn exchange(stream: &mut TcpStream, request: &str, answer: &mut Vec<u8>) -> Outcome<usize> {
    answer.clear();
    stream.write_all(request.as_bytes()).await?;
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let end = end + 4;
        let head = std::str::from_utf8(&answer[..end])?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("{request:?} was answered by {head:?}").into());
        }
        let length = fields(head, "content-length").next();
        let length: usize = length.ok_or("the answer has no length")?.parse()?;
        if answer.len() >= end + length {
            return Ok(end);
        }
    }
}

/// The values of a header field.
fn fields<'a>(head: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    head.lines().filter_map(move |line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The cookies that an answer sets, without those that it takes away.
fn cookies(head: &str) -> Vec<&str> {
    let set = fields(head, "set-cookie").filter_map(|cookie| cookie.split(';').next());
    set.filter(|pair| !pair.ends_with('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::cookies;

    #[test]
    fn cookies_are_sent_back_without_what_was_taken_away() {
        let head = "HTTP/1.1 200 OK\r\nSet-Cookie: id=a=b; Path=/; HttpOnly\r\n\
                    set-cookie: store=; Max-Age=0\r\nset-cookie: theme=dark\r\n\r\n";
        assert_eq!(cookies(head), ["id=a=b", "theme=dark"]);
    }
}
