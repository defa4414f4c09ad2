//! Frames on the socket: a length, four bytes, big end first, and that much JSON.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::failure::Failure;

/// Raised when the frames change. Both ends are of one program, so this is seen only while it is being replaced.
pub(super) const PROTOCOL: u32 = 2;
/// The longest request. A command line has less.
pub(super) const MAX_REQUEST: usize = 16 << 20;
/// The longest answer. The whole state has to fit.
pub(super) const MAX_ANSWER: usize = 1 << 30;
/// How much is allocated on the word of the other end alone.
const CHUNK: usize = 64 << 10;

/// What the node says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// Ask.
    Hello {
        /// See [`PROTOCOL`].
        protocol: u32,
    },
    /// One of many.
    Item(Value),
    /// The request is done.
    Done(Value),
    /// The request failed.
    Failed(Failure),
    /// The node ends. A request sent and not answered was not taken.
    Bye,
}

/// Reads one frame of at most `limit` bytes; `None` at the end of the stream.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(why) => return Err(why),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        let why = format!("a frame of {length} bytes is over the limit of {limit}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut bytes = Vec::with_capacity(length.min(CHUNK));
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(bytes))
}

/// Reads the JSON of a frame.
pub(super) fn parse<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    serde_json::from_slice(frame).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Writes one frame of at most `limit` bytes.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    value: &impl Serialize,
    limit: usize,
) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > limit {
        let why = format!("a frame of {length} bytes is over the limit of {limit}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    frame[..4].copy_from_slice(&u32::try_from(length).expect("the limits fit into 32 bits").to_be_bytes());
    to.write_all(&frame).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_reads_back_and_the_end_is_told_from_a_cut() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Answer::Done(Value::from(5)), 100).await.unwrap();
        let mut all = &bytes[..];
        let frame = read(&mut all, 100).await.unwrap().unwrap();
        assert_eq!(parse::<Answer>(&frame).unwrap(), Answer::Done(Value::from(5)));
        assert!(read(&mut all, 100).await.unwrap().is_none());
        assert!(read(&mut &bytes[..bytes.len() - 1], 100).await.is_err());
    }

    #[tokio::test]
    async fn a_frame_over_the_limit_is_refused_before_memory_is_taken() {
        let huge = [0xff, 0xff, 0xff, 0xff];
        assert!(read(&mut &huge[..], MAX_ANSWER).await.is_err());
        let claimed = (MAX_ANSWER as u32).to_be_bytes();
        assert!(read(&mut &claimed[..], MAX_ANSWER).await.is_err());
        assert!(write(&mut Vec::new(), &"x".repeat(200), 100).await.is_err());
    }
}
