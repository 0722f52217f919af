//! Real connections on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

struct Few;

impl Pages for Few {
    fn page(&self, asked: Asked<'_>) -> Option<Page> {
        let page = |standing, body: String| Page { standing, content_type: "text/plain", body };
        match asked.path {
            "/well" => Some(page(Standing::Well, "yes\n".into())),
            "/ill" => Some(page(Standing::Unwell, "no\n".into())),
            "/large" => Some(page(Standing::Well, "x".repeat(8 << 20))),
            "/asker" => {
                let Asked { path: _, accept, token, local } = asked;
                Some(page(Standing::Well, format!("{accept} {token:?} {local}")))
            }
            _ => None,
        }
    }
}

async fn started() -> SocketAddr {
    serve("127.0.0.1:0", Arc::new(Few)).await.unwrap()
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut answer = String::new();
    send(address, request).await.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn pages_are_served_and_nothing_else() {
    let address = started().await;
    for (line, wanted) in [
        ("GET /well HTTP/1.1", "HTTP/1.1 200 OK"),
        ("GET /ill HTTP/1.1", "HTTP/1.1 503 Service Unavailable"),
        ("GET /other HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("POST /well HTTP/1.1", "HTTP/1.1 405 Method Not Allowed"),
        ("nonsense", "HTTP/1.1 400 Bad Request"),
    ] {
        let answer = ask(address, &format!("{line}\r\nHost: x\r\n\r\n")).await;
        assert!(answer.starts_with(wanted), "{line}: {answer}");
    }
}

#[test]
fn a_name_that_leads_here_is_not_this_host() {
    for host in ["127.0.0.1", "127.0.0.1:10685", "[::1]", "[::1]:80", "::1", "localhost", "LOCALHOST:1"] {
        assert!(is_this_host(host), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:10685",
        "localhost.evil.example",
        "",
        ":80",
        "127.0.0.1.evil.example:80",
    ] {
        assert!(!is_this_host(host), "{host}");
    }
}

#[tokio::test]
async fn who_asks_by_a_name_is_not_local() {
    let request = "GET /asker HTTP/1.1\r\nHost: evil.example:80\r\n\r\n";
    assert!(ask(started().await, request).await.ends_with(" None false"));
}

#[tokio::test]
async fn who_asks_is_known() {
    let request = "GET /asker HTTP/1.1\r\nHost: [::1]:80\r\nAccept: a/b\r\nAuthorization: Bearer t\r\n\r\n";
    assert!(ask(started().await, request).await.ends_with("a/b Some(\"t\") true"));
}

/// Far more than may be open at once ask for large pages, again and again on one connection, and read nothing.
#[tokio::test]
async fn those_who_never_read_keep_no_probe_out() {
    let address = started().await;
    let pipelined = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50);
    let mut held = Vec::new();
    for _ in 0..3 * CONNECTIONS {
        held.push(send(address, &pipelined).await);
    }
    for _ in 0..10 {
        assert!(ask(address, "GET /well HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("yes\n"));
    }
}

#[tokio::test]
async fn those_who_say_nothing_keep_no_probe_out() {
    let address = started().await;
    let mut held = Vec::new();
    for _ in 0..3 * CONNECTIONS {
        held.push(send(address, "GET /well HTTP/1.1\r\n").await);
    }
    assert!(ask(address, "GET /well HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("yes\n"));
}

#[tokio::test]
async fn a_connection_is_for_one_request() {
    let twice = "GET /well HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    let answer = ask(started().await, &twice).await;
    assert_eq!(answer.matches("200 OK").count(), 1, "{answer}");
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named() {
    let error = serve("203.0.113.1:1", Arc::new(Few)).await.unwrap_err().to_string();
    assert!(error.contains("203.0.113.1:1") && error.contains("--http"), "{error}");
}
