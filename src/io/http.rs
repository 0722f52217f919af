//! A small HTTP server for probes and metrics: GET, nothing else, and never many at once.

pub mod fetch;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; others wait.
const CONNECTIONS: usize = 16;
/// A request, from its first byte to its last.
const REQUEST: Duration = Duration::from_secs(5);
/// A connection, with all its requests.
const CONNECTION: Duration = Duration::from_secs(300);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whether all is well: 200, else 503.
    pub well: bool,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

/// Whoever has the answers.
pub trait Pages: Send + Sync + 'static {
    /// The page of a path; `None` where there is none.
    fn page(&self, path: &str) -> Option<Page>;
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
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = pages.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION, connection(stream, pages)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no connection accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, pages: Arc<dyn Pages>) {
    let answer = service_fn(|request| {
        let answer = answer(&*pages, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.await {
        tracing::trace!(%error, "a connection ended");
    }
}

fn answer(pages: &dyn Pages, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let reply = |status: StatusCode, content_type: &'static str, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
        response
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned());
    }
    match pages.page(request.uri().path()) {
        Some(Page { well, content_type, body }) => {
            reply(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, content_type, body)
        }
        None => reply(StatusCode::NOT_FOUND, "text/plain", "no such page\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Two;

    impl Pages for Two {
        fn page(&self, path: &str) -> Option<Page> {
            let page = |well: bool, body: &str| Page { well, content_type: "text/plain", body: body.into() };
            match path {
                "/well" => Some(page(true, "yes\n")),
                "/ill" => Some(page(false, "no\n")),
                _ => None,
            }
        }
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pages_are_served_and_nothing_else() {
        let address = serve("127.0.0.1:0", Arc::new(Two)).await.unwrap();
        for (line, wanted) in [
            ("GET /well HTTP/1.1", "HTTP/1.1 200 OK"),
            ("GET /ill HTTP/1.1", "HTTP/1.1 503 Service Unavailable"),
            ("GET /other HTTP/1.1", "HTTP/1.1 404 Not Found"),
            ("POST /well HTTP/1.1", "HTTP/1.1 405 Method Not Allowed"),
            ("nonsense", "HTTP/1.1 400 Bad Request"),
        ] {
            let answer = ask(address, &format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            assert!(answer.starts_with(wanted), "{line}: {answer}");
        }
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_had_is_named() {
        let error = serve("203.0.113.1:1", Arc::new(Two)).await.unwrap_err().to_string();
        assert!(error.contains("203.0.113.1:1") && error.contains("--http"), "{error}");
    }
}
