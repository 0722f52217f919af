//! One byte stream: being connected, open, or closed.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::tls::{TlsConfig, TlsError, told};
use crate::io::unix_socket::explain;
use crate::ovsdb::endpoint::{Authority, Endpoint};

/// Anything that reads and writes bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Pin<Box<dyn Stream>>>> + Send>>;

/// Where the stream is. It is owned by the client and not by a future, so that a dropped future loses nothing.
pub(super) enum Transport {
    Closed,
    Connecting(Connecting),
    Open(Pin<Box<dyn Stream>>),
}

/// What happened to the stream.
#[derive(Debug)]
pub(super) enum Progress {
    Connected,
    Wrote(usize),
    Read(usize),
    Failed(String),
}

impl Transport {
    pub(super) fn connect(endpoint: Endpoint, tls: Option<TlsConfig>) -> Self {
        Self::Connecting(Box::pin(connect(endpoint, tls)))
    }

    /// Writes what can be written, else reads what can be read.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        outbound: &[u8],
        buffer: &mut [u8],
    ) -> Poll<Progress> {
        match self {
            Self::Closed => Poll::Pending,
            Self::Connecting(connecting) => match ready!(connecting.as_mut().poll(context)) {
                Ok(stream) => {
                    *self = Self::Open(stream);
                    Poll::Ready(Progress::Connected)
                }
                Err(error) => Poll::Ready(Progress::Failed(format!("cannot connect: {error}"))),
            },
            Self::Open(stream) => match poll_stream(stream.as_mut(), context, outbound, buffer) {
                Poll::Ready(Ok(progress)) => Poll::Ready(progress),
                Poll::Ready(Err(error)) => Poll::Ready(Progress::Failed(told(&error))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

fn poll_stream(
    mut stream: Pin<&mut dyn Stream>,
    context: &mut Context<'_>,
    outbound: &[u8],
    buffer: &mut [u8],
) -> Poll<io::Result<Progress>> {
    if !outbound.is_empty()
        && let Poll::Ready(count) = stream.as_mut().poll_write(context, outbound)?
    {
        return Poll::Ready(Ok(Progress::Wrote(count)));
    }
    // What TLS still holds back; plain streams hold nothing. Not done yet is as good as done: it is asked again.
    let _ = stream.as_mut().poll_flush(context)?;
    let mut filled = ReadBuf::new(buffer);
    ready!(stream.poll_read(context, &mut filled))?;
    Poll::Ready(Ok(match filled.filled().len() {
        0 => Progress::Failed("the server closed the connection".to_owned()),
        count => Progress::Read(count),
    }))
}

async fn connect(endpoint: Endpoint, tls: Option<TlsConfig>) -> io::Result<Pin<Box<dyn Stream>>> {
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(&path).await;
            Ok(Box::pin(stream.map_err(|error| io::Error::other(explain(path.as_ref(), &error)))?))
        }
        Endpoint::Tcp(authority) => Ok(Box::pin(connect_tcp(&authority).await?)),
        Endpoint::Ssl(authority) => {
            let tls = tls.ok_or_else(|| io::Error::other(TlsError::NotConfigured))?;
            let stream = connect_tcp(&authority).await?;
            Ok(Box::pin(tls.wrap(stream, &authority).await.map_err(io::Error::other)?))
        }
    }
}

async fn connect_tcp(Authority { host, port }: &Authority) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Connecting(_) => "Connecting",
            Self::Open(_) => "Open",
        })
    }
}
