//! Where there are no Unix sockets: no node is ever found, and none is asked.

use std::path::Path;

use serde_json::Value;
use tokio::sync::watch;

use super::CallError;
use crate::execute::Host;
use crate::failure::Result;
use crate::request::Request;

/// A connection to the node that runs on a home: there is none here.
#[derive(Debug)]
pub enum Client {}

impl Client {
    /// Finds no node.
    pub async fn find(_home: &Path) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Finds no node.
    pub async fn connect(_home: &Path) -> Result<Self> {
        use crate::failure::{Code, Failure};
        Err(Failure::new(Code::Unsupported, "running nodes cannot be reached on this system"))
    }

    /// Cannot be called.
    pub async fn ask(&mut self, _request: Request) -> Result<Value> {
        match *self {}
    }

    /// Cannot be called.
    pub async fn request(&mut self, _request: &Request) -> Result<Value, CallError> {
        match *self {}
    }

    /// Cannot be called.
    pub async fn stream(
        &mut self,
        _request: &Request,
        _each: impl FnMut(Value) -> Result<()>,
    ) -> Result<Value, CallError> {
        match *self {}
    }
}

/// A socket on which a running node answers: there is none here.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Says in the log that other commands must wait until the node ends.
    pub fn bind(_home: &Path) -> Result<Self> {
        tracing::warn!("while this node runs, no other command can use its home on this system");
        Ok(Self)
    }

    /// Answers nobody until `stop` turns true.
    pub async fn serve(self, _host: Host, mut stop: watch::Receiver<bool>) {
        let _ = stop.wait_for(|stop| *stop).await;
    }
}
