//! Frames on a byte stream: a big-endian `u32` length, then that many bytes.
//!
//! Both ends hold one partial frame at a time. The length is checked before anything is allocated for it, and memory
//! grows with the bytes that really came, not with the length that was announced.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};

/// The longest frame: 1 MiB of content, and room for what the layer above wraps around it.
pub const MAX_FRAME: usize = 1024 * 1024 + 64 * 1024;

/// Bytes of the length before each frame.
pub(super) const PREFIX: usize = 4;

/// How much is read from the stream at once: small frames share one read.
const READ_CHUNK: usize = 16 * 1024;

/// Small frames are gathered up to here before they are written: one write for many.
const WRITE_CHUNK: usize = 64 * 1024;

/// Why a stream of frames cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {length} bytes was announced, the limit is {MAX_FRAME}")]
    TooLong { length: usize },
    #[error("the stream ended inside a frame")]
    Truncated,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts a byte stream into frames.
pub(super) struct FrameReader<S> {
    stream: S,
    chunk: Box<[u8]>,
    /// Where the unread part of `chunk` begins.
    start: usize,
    /// Where it ends.
    end: usize,
    prefix: [u8; PREFIX],
    prefix_length: usize,
    /// The frame that is being read; `None` while its length is.
    frame: Option<Partial>,
}

struct Partial {
    bytes: Vec<u8>,
    length: usize,
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    pub(super) fn new(stream: S) -> Self {
        let chunk = vec![0; READ_CHUNK].into_boxed_slice();
        Self { stream, chunk, start: 0, end: 0, prefix: [0; PREFIX], prefix_length: 0, frame: None }
    }

    /// The next frame; `None` when the other side has closed the stream between two frames.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, FrameError>> {
        loop {
            if let Some(frame) = self.take_buffered()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            let count = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut self.chunk))?;
            if count == 0 {
                let between = self.prefix_length == 0 && self.frame.is_none();
                return Poll::Ready(if between { Ok(None) } else { Err(FrameError::Truncated) });
            }
            (self.start, self.end) = (0, count);
        }
    }

    /// Consumes the chunk up to the end of a frame; `None` when it is used up first.
    fn take_buffered(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            let unread = &self.chunk[self.start..self.end];
            if let Some(mut partial) = self.frame.take() {
                let count = unread.len().min(partial.length - partial.bytes.len());
                partial.bytes.extend_from_slice(&unread[..count]);
                self.start += count;
                if partial.bytes.len() == partial.length {
                    return Ok(Some(partial.bytes));
                }
                self.frame = Some(partial);
                return Ok(None);
            }
            let count = unread.len().min(PREFIX - self.prefix_length);
            self.prefix[self.prefix_length..][..count].copy_from_slice(&unread[..count]);
            self.prefix_length += count;
            self.start += count;
            if self.prefix_length < PREFIX {
                return Ok(None);
            }
            self.prefix_length = 0;
            let length = u32::from_be_bytes(self.prefix) as usize;
            if length > MAX_FRAME {
                return Err(FrameError::TooLong { length });
            }
            self.frame = Some(Partial { bytes: Vec::with_capacity(length.min(READ_CHUNK)), length });
        }
    }
}

/// Writes frames to a byte stream.
pub(super) struct FrameWriter<S> {
    stream: S,
    buffer: Vec<u8>,
    /// How much of `buffer` is written.
    written: usize,
    flushed: bool,
}

impl<S: AsyncWrite + Unpin> FrameWriter<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), written: 0, flushed: true }
    }

    /// Whether another frame should be handed over before writing.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() < WRITE_CHUNK
    }

    /// Appends a frame to what is to be written. The caller keeps to [`MAX_FRAME`].
    pub(super) fn push(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("a frame to send is at most MAX_FRAME bytes");
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(frame);
    }

    /// Writes everything that was pushed. Ready when nothing is left.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.buffer[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.flushed = false;
        }
        self.written = 0;
        self.buffer.clear();
        // One long frame must not leave its memory behind for the life of the session.
        self.buffer.shrink_to(2 * WRITE_CHUNK);
        Poll::Ready(Ok(()))
    }

    /// Flushes what was written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the other side that no more frames will come.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::poll_fn;
    use futures::io::Cursor;

    fn written(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(Cursor::new(&mut bytes));
        for frame in frames {
            writer.push(frame);
            poll_fn(|cx| writer.poll_write(cx))
                .now_or_never()
                .expect("a cursor never waits")
                .expect("no error");
        }
        poll_fn(|cx| writer.poll_flush(cx)).now_or_never().expect("a cursor never waits").expect("no error");
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let mut reader = FrameReader::new(Cursor::new(bytes));
        let mut frames = Vec::new();
        loop {
            match poll_fn(|cx| reader.poll_frame(cx)).now_or_never().expect("a cursor never waits") {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    #[test]
    fn frames_of_every_size_read_back_in_order() {
        let sizes = [0, 1, 3, 4, 5, READ_CHUNK - 5, READ_CHUNK, 3 * READ_CHUNK + 1, 0, MAX_FRAME, 7];
        let frames: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, size)| vec![i as u8; *size]).collect();
        let (back, error) = read(&written(&frames));
        assert!(error.is_none(), "{error:?}");
        assert!(back == frames);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_length() {
        let mut bytes = written(&[vec![1, 2, 3]]);
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        let (back, error) = read(&bytes);
        assert_eq!(back, [vec![1, 2, 3]]);
        assert!(matches!(error, Some(FrameError::TooLong { length: 0xffff_ffff })));
        assert!(matches!(
            read(&(MAX_FRAME as u32 + 1).to_be_bytes()).1,
            Some(FrameError::TooLong { length }) if length == MAX_FRAME + 1
        ));
    }

    #[test]
    fn an_announced_length_alone_takes_no_memory() {
        let bytes = (MAX_FRAME as u32).to_be_bytes();
        let mut reader = FrameReader::new(Cursor::new(&bytes[..]));
        let end = poll_fn(|cx| reader.poll_frame(cx)).now_or_never().expect("a cursor never waits");
        assert!(matches!(end, Err(FrameError::Truncated)));
        assert!(reader.frame.is_some_and(|partial| partial.bytes.capacity() <= READ_CHUNK));
    }

    #[test]
    fn a_stream_cut_anywhere_ends_with_an_error_unless_between_frames() {
        let bytes = written(&[vec![7; 10], vec![8; 3]]);
        for cut in 0..bytes.len() {
            let (frames, error) = read(&bytes[..cut]);
            match cut {
                0 => assert!(frames.is_empty() && error.is_none()),
                14 => assert!(frames.len() == 1 && error.is_none()),
                _ => assert!(matches!(error, Some(FrameError::Truncated)), "cut at {cut}"),
            }
        }
    }
}
