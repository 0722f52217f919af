//! A small HTTP server for probes and metrics: GET, one request a connection, and never many at once.
//!
//! Whoever connects last is answered first: a connection more than there may be ends the oldest one, so that those who
//! hold connections and never read keep no probe out. Each stage has its time, and the whole connection as well.

pub mod fetch;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// A request's head, from the first byte to the last.
const HEAD: Duration = Duration::from_secs(5);
/// A connection: its request, and the answer as far as it is taken.
const CONNECTION: Duration = Duration::from_secs(15);
/// The largest head.
const HEAD_BYTES: usize = 16 << 10;

/// What is asked for, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The path.
    pub path: &'a str,
    /// `Accept`; empty where it was not sent.
    pub accept: &'a str,
    /// The token of `Authorization: Bearer`.
    pub token: Option<&'a str>,
    /// Whether it came over the loopback interface, and asked for this host by address or as localhost: a web page elsewhere
    /// whose name leads here is not of this host.
    pub local: bool,
}

/// How it stands with what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// 200.
    Well,
    /// 503.
    Unwell,
    /// 403: not for this asker.
    Withheld,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The answer's status.
    pub standing: Standing,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

/// Whoever has the answers.
pub trait Pages: Send + Sync + 'static {
    /// The page; `None` where there is none of that path.
    fn page(&self, asked: Asked<'_>) -> Option<Page>;
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}; give another --http ADDR:PORT, or none")]
pub struct HttpError {
    /// Where.
    pub address: String,
    /// The operating system's word.
    pub why: std::io::Error,
}

/// Listens, and serves from then on; the address, with the port that the system chose for port 0.
pub async fn serve(address: &str, pages: Arc<dyn Pages>) -> Result<SocketAddr, HttpError> {
    let failed = |why| HttpError { address: address.to_owned(), why };
    // A bare port, as in `:8080`, is that port on every address.
    let bound = match address.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => address.to_owned(),
    };
    let listener = TcpListener::bind(&bound).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    tokio::spawn(accept(listener, pages));
    Ok(local)
}

async fn accept(listener: TcpListener, pages: Arc<dyn Pages>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() >= CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let local = peer.ip().to_canonical().is_loopback();
                let served = tokio::time::timeout(CONNECTION, connection(stream, local, pages.clone()));
                open.push_back(tokio::spawn(served).abort_handle());
            }
            Err(error) => {
                tracing::debug!(%error, "no connection accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, local: bool, pages: Arc<dyn Pages>) {
    let answer = service_fn(|request| {
        let answer = answer(&*pages, local, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        // What is pipelined behind the first request is not read.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.await {
        tracing::trace!(%error, "a connection ended");
    }
}

fn answer(pages: &dyn Pages, local: bool, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let reply = |status: StatusCode, content_type: &'static str, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        response
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned());
    }
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let token = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let accept = header(ACCEPT).unwrap_or_default();
    let local = local && header(HOST).is_none_or(is_this_host);
    match pages.page(Asked { path: request.uri().path(), accept, token, local }) {
        Some(Page { standing, content_type, body }) => {
            let status = match standing {
                Standing::Well => StatusCode::OK,
                Standing::Unwell => StatusCode::SERVICE_UNAVAILABLE,
                Standing::Withheld => StatusCode::FORBIDDEN,
            };
            reply(status, content_type, body)
        }
        None => reply(StatusCode::NOT_FOUND, "text/plain", "no such page\n".to_owned()),
    }
}

/// Whether `Host` is an address or localhost, with a port or without: names may lead anywhere (DNS rebinding).
fn is_this_host(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
#[path = "http/tests.rs"]
mod tests;
