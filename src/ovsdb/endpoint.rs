//! Where a server listens: OVS's connection names, `unix:FILE`, `tcp:HOST:PORT`, `ssl:HOST:PORT` (ovsdb(7) §Active).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// One place to connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain TCP.
    Tcp(Authority),
    /// TLS, both sides with certificates.
    Ssl(Authority),
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// An address without brackets, or a name.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A connection name that does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is nothing in the list.
    #[error(
        "no OVSDB endpoint is given: name at least one, such as unix:/run/ovn/ovnnb_db.sock or tcp:10.0.0.1:6641"
    )]
    Empty,
    /// Neither `unix:` nor `tcp:` nor `ssl:`.
    #[error("{0:?} names no transport: write unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT")]
    Transport(String),
    /// A file, without `unix:`.
    #[error("{0:?} names no transport: write unix:{0} for a socket")]
    File(String),
    /// `unix:` without a file.
    #[error("{0:?} names no file: write unix:FILE, such as unix:/run/ovn/ovnnb_db.sock")]
    Path(String),
    /// A host that is missing or not closed by its bracket.
    #[error("{0:?} names no host: write tcp:10.0.0.1:6641, or tcp:[fd00::1]:6641 for IPv6")]
    Host(String),
    /// An IPv6 address whose port cannot be told apart.
    #[error("{0:?} holds an IPv6 address without brackets: write tcp:[fd00::1]:6641")]
    Brackets(String),
    /// A missing or wrong port. OVS's default (6640) is not OVN's, so none is assumed.
    #[error(
        "{0:?} has no valid port: give it, such as :6641 for OVN's northbound or :6642 for its southbound"
    )]
    Port(String),
}

impl Endpoint {
    /// Reads a comma-separated list, as OVN and Kube-OVN write it; blanks and a comma at the end do no harm.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, EndpointError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let list: Vec<Self> = parts.map(str::parse).collect::<Result<_, _>>()?;
        if list.is_empty() { Err(EndpointError::Empty) } else { Ok(list) }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.split_once(':') {
            Some(("unix", "")) => Err(EndpointError::Path(text.to_owned())),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", rest)) => Ok(Self::Tcp(authority(text, rest)?)),
            Some(("ssl", rest)) => Ok(Self::Ssl(authority(text, rest)?)),
            _ if text.contains('/') => Err(EndpointError::File(text.to_owned())),
            _ => Err(EndpointError::Transport(text.to_owned())),
        }
    }
}

fn authority(whole: &str, rest: &str) -> Result<Authority, EndpointError> {
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, tail) = inner.split_once(']').ok_or_else(|| EndpointError::Host(whole.to_owned()))?;
            // Kube-OVN brackets IPv4 addresses too.
            if host.parse::<Ipv6Addr>().is_err() && host.parse::<Ipv4Addr>().is_err() {
                return Err(EndpointError::Host(whole.to_owned()));
            }
            (host, tail.strip_prefix(':').unwrap_or_default())
        }
        None if rest.parse::<Ipv6Addr>().is_ok() || rest.matches(':').count() > 1 => {
            return Err(EndpointError::Brackets(whole.to_owned()));
        }
        None => rest.split_once(':').unwrap_or((rest, "")),
    };
    if host.is_empty() {
        return Err(EndpointError::Host(whole.to_owned()));
    }
    match port.parse() {
        Ok(port) if port != 0 => Ok(Authority { host: host.to_owned(), port }),
        _ => Err(EndpointError::Port(whole.to_owned())),
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(authority) => write!(f, "tcp:{authority}"),
            Self::Ssl(authority) => write!(f, "ssl:{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_in_every_form_ovn_and_kube_ovn_write() {
        let list =
            "unix:/run/nb.sock, tcp:10.0.0.1:6641,tcp:[10.0.0.2]:6641,ssl:[fd00::1]:6642,tcp:ovn-nb:6641,";
        let shown: Vec<_> = Endpoint::parse_list(list).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "unix:/run/nb.sock",
                "tcp:10.0.0.1:6641",
                "tcp:10.0.0.2:6641",
                "ssl:[fd00::1]:6642",
                "tcp:ovn-nb:6641"
            ]
        );
    }

    #[test]
    fn what_does_not_read_says_what_is_wrong_and_how_to_write_it() {
        let cases = [
            ("", "no OVSDB endpoint"),
            (" , ", "no OVSDB endpoint"),
            ("10.0.0.1:6641", "names no transport"),
            ("http:10.0.0.1:80", "names no transport"),
            ("/run/ovn/ovnnb_db.sock", "write unix:/run/ovn/ovnnb_db.sock"),
            ("unix:", "names no file"),
            ("tcp::6641", "names no host"),
            ("tcp:[10.0.0.1:6641", "names no host"),
            ("tcp:[name]:6641", "names no host"),
            ("tcp:fd00::1:6641", "without brackets"),
            ("tcp:10.0.0.1", "no valid port"),
            ("tcp:[fd00::1]", "no valid port"),
            ("tcp:10.0.0.1:0", "no valid port"),
            ("ssl:10.0.0.1:70000", "no valid port"),
        ];
        for (text, expected) in cases {
            let error = Endpoint::parse_list(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn one_bad_entry_spoils_the_list() {
        assert!(Endpoint::parse_list("unix:/a,tcp:b").is_err());
    }
}
