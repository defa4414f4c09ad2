//! Answers scrapes of a node's numbers: plain HTTP, `GET /metrics`, and nothing else.
//!
//! No HTTP library: one request a connection, of which only the first line is looked at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tombolo_sync::Node;

use crate::failure::{Code, Failure, Result};

/// The longest request, in bytes. What Prometheus sends is a few hundred.
const MAX_REQUEST: usize = 8 << 10;
/// How long a request and its answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// How many are answered at once; who comes beyond that is hung up on.
const MAX_CONNECTIONS: usize = 16;

/// Where scrapes come in.
#[derive(Debug)]
pub struct Scrapes {
    listener: TcpListener,
    /// The address, with the port that the system chose if any would do.
    pub address: SocketAddr,
}

impl Scrapes {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When that cannot be listened at.
    pub async fn bind(address: SocketAddr) -> Result<Self> {
        let failed = |why| {
            let message = format!("nothing can listen at {address}: {why}; give --metrics another address");
            Failure::new(Code::Address, message)
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Answers until it is dropped.
    pub async fn serve(self, node: Node) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely: others will end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let node = node.clone();
            tokio::spawn(async move {
                // Who goes away, or takes too long, gets nothing.
                let _ = tokio::time::timeout(WITHIN, answer(stream, &node)).await;
                drop(place);
            });
        }
    }
}

async fn answer(mut stream: TcpStream, node: &Node) -> std::io::Result<()> {
    let request = head(&mut stream).await?;
    let (status, kind, body) = match line(&request) {
        Some(("GET", "/metrics")) => {
            ("200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8", node.metrics())
        }
        Some(("GET", _)) => ("404 Not Found", "text/plain", "the numbers are at /metrics\n".into()),
        Some(_) => ("405 Method Not Allowed", "text/plain", "only GET is answered\n".into()),
        None => ("400 Bad Request", "text/plain", "this is no HTTP request\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// What comes before the empty line that ends a request's head, as far as it is not too long.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    while request.len() < MAX_REQUEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        match from.read(&mut bytes).await? {
            0 => break,
            read => request.extend_from_slice(&bytes[..read]),
        }
    }
    Ok(request)
}

/// The method and the path of a request, without what is asked of it.
fn line(request: &[u8]) -> Option<(&str, &str)> {
    let end = request.windows(2).position(|end| end == b"\r\n")?;
    let mut words = std::str::from_utf8(&request[..end]).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let path = target.split('?').next()?;
    (version.starts_with("HTTP/1.") && words.next().is_none()).then_some((method, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_and_nonsense_is_none() {
        assert_eq!(line(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Some(("GET", "/metrics")));
        assert_eq!(line(b"GET /metrics?name=x HTTP/1.0\r\n\r\n"), Some(("GET", "/metrics")));
        for nonsense in
            [&b""[..], b"GET /metrics HTTP/1.1", b"GET\r\n", b"GET / HTTP/2 x\r\n", b"\xff / HTTP/1.1\r\n"]
        {
            assert_eq!(line(nonsense), None, "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn a_request_without_an_end_is_cut() {
        let long = vec![b'x'; 1 << 20];
        assert!(head(&mut &long[..]).await.unwrap().len() < 2 * MAX_REQUEST);
    }
}
