//! Fetches one page, for a person who waits.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The whole exchange.
const WITHIN: Duration = Duration::from_secs(5);
/// The largest page: 10,000 VIPs have a few megabytes.
const MOST: usize = 64 << 20;

/// Why a page could not be had.
#[derive(Debug, thiserror::Error)]
#[error("http://{address}{path}: {why}; is a speaker with --http {address} there?")]
pub struct FetchError {
    address: String,
    path: String,
    why: String,
}

/// A page's text; with a token, where one is wanted.
pub async fn fetch(address: &str, path: &str, token: Option<&str>) -> Result<String, FetchError> {
    let failed = |why: String| FetchError { address: address.to_owned(), path: path.to_owned(), why };
    match tokio::time::timeout(WITHIN, exchange(address, path, token)).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(failed(format!("no answer within {} s", WITHIN.as_secs()))),
    }
}

async fn exchange(address: &str, path: &str, token: Option<&str>) -> Result<String, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let mut request = Request::get(path).header("host", address).header("connection", "close");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match (status, text.trim()) {
        (StatusCode::OK, _) => Ok(text),
        (status, "") => Err(status.to_string()),
        (status, said) => Err(format!("{status}: {said}")),
    }
}
